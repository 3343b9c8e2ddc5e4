"""What a run ran on: versions, machine, device and weights.

Every run records it before its first step (`environment.json`), and a resumed run compares.
"""

import os
import platform
from typing import Any

import numpy
import PIL
import safetensors
import torch

from invprob.errors import PerceptualError, RunError
from invprob.operators.base import Operator
from invprob.perceptual.distance import Absent, PerceptualDistance, find_perceptual
from invprob.priors.generator_files import fingerprint
from invprob.priors.stylegan.generator import Generator
from invprob.run.build import build_device
from invprob.run.config import RunConfig
from invprob.types import Spec
from invprob.version import __version__


def describe(
    device: torch.device,
    generator: Generator,
    operator: Operator,
    network: PerceptualDistance | Absent,
) -> dict[str, Any]:
    """All that a result depends on beside the settings, as values of JSON."""
    return {
        "versions": versions(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "generator": {
            "source": generator.source,
            "sha256": fingerprint(generator),
            **generator.options,
            **generator.config.to_json(),
            **({"dropped": list(generator.dropped)} if generator.dropped else {}),
            **({"notes": list(generator.notes)} if generator.notes else {}),
        },
        "operator": {"repr": repr(operator), "fingerprint": operator.fingerprint()},
        "perceptual": {"absent": str(network)} if isinstance(network, Absent) else network.record(),
    }


def versions() -> dict[str, str]:
    """The versions of what computes."""
    return {
        "invprob": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
        "pillow": PIL.__version__,
        "safetensors": safetensors.__version__,
    }


def recorded_device(environment: Spec) -> torch.device:
    """The device that a run began on; raises `DeviceError` where that is gone."""
    return build_device(str(environment["device"]))


def recorded_network(config: RunConfig, environment: Spec) -> PerceptualDistance | Absent:
    """The perceptual network a run began with; raises `PerceptualError` where that is gone."""
    record = environment["perceptual"]
    if "absent" in record:
        return Absent(str(record["absent"]))
    network = find_perceptual(record["network"], config.lpips_weights)
    if isinstance(network, Absent) or network.sha256 != record["sha256"]:
        raise PerceptualError(
            f"the run began with other weights of {record['network']!r} "
            f"(sha256 {record['sha256'][:12]}…); bring them back, or begin a new run"
        )
    return network


def check_generator(generator: Generator, environment: Spec) -> None:
    """Raise `RunError` unless this is the generator that the run began with."""
    expected = environment["generator"]["sha256"]
    if fingerprint(generator) != expected:
        raise RunError(
            f"the generator {generator.source!r} is not the one this run began with "
            f"(sha256 {expected[:12]}…); bring that back, or begin a new run"
        )


def changed_versions(environment: Spec) -> str | None:
    """Which versions changed since the run began, in one line; None where none did.

    With other versions the last digits of the result may differ.
    """
    then, now = environment["versions"], versions()
    changes = [
        f"{name} {then.get(name)} → {now[name]}" for name in now if then.get(name) != now[name]
    ]
    return ", ".join(changes) or None
