"""What a solve returns: the image, what draws it again, and how the solve went."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from invprob.callbacks import copied
from invprob.errors import FileError
from invprob.files import atomic_write
from invprob.priors.base import Prior
from invprob.types import Images

VERSION = 1


@dataclass(frozen=True)
class Outcome:
    """Why a solve ended, as a word and as a sentence that says what to try next."""

    status: Literal["finished", "stopped", "diverged"]
    sentence: str

    def __str__(self) -> str:
        return self.sentence

    @classmethod
    def finished(cls, steps: int) -> "Outcome":
        """Every step was taken."""
        return cls("finished", f"all {steps} steps were taken")

    @classmethod
    def stopped(cls, taken: int, steps: int, reason: str) -> "Outcome":
        """A callback asked for it."""
        return cls("stopped", f"stopped after {taken} of {steps} steps: {reason}")

    @classmethod
    def diverged(cls, taken: int) -> "Outcome":
        """The loss is no number any more."""
        return cls(
            "diverged",
            f"the loss became NaN or infinite by step {taken}; lower the learning rate",
        )


@dataclass(frozen=True)
class Solution:
    """The end of a solve.

    `image` (batch, C, H, W) is drawn from `realised` (style rows, content, noise maps, or what else
    the prior keeps); `code` is the state of the free variables; `trace` holds each loss term and
    their `total` as (steps, batch). Where there were several restarts, `restarts` holds the data
    misfit that each ended with, (restarts, batch); each image is that of the least.
    """

    image: Images
    realised: Mapping[str, Tensor]
    code: Mapping[str, Tensor]
    outcome: Outcome
    trace: Mapping[str, Tensor]
    steps: int
    seed: int
    prior_spec: Mapping[str, Any]
    prior: Prior | None = None
    restarts: Tensor | None = None

    def render(self, prior: Prior | None = None) -> Images:
        """Draw the image again from `realised`, bit for bit on the same machine.

        A loaded solution builds its prior from `prior_spec` unless one is given.
        """
        source = prior or self.prior or Prior.from_spec(self.prior_spec)
        with torch.no_grad():
            return source.render(self.realised)

    def save(self, path: str | Path) -> None:
        """Write one safetensors file with everything but the prior's own weights."""
        groups = {"realised": self.realised, "code": self.code, "trace": self.trace}
        tensors = {
            f"{group}.{name}": value.detach().cpu().contiguous()
            for group, values in groups.items()
            for name, value in values.items()
        }
        tensors["image"] = self.image.detach().cpu().contiguous()
        if self.restarts is not None:
            tensors["restarts"] = self.restarts
        header = {
            "format": "solution",
            "version": VERSION,
            "outcome": {"status": self.outcome.status, "sentence": self.outcome.sentence},
            "steps": self.steps,
            "seed": self.seed,
            "prior": dict(self.prior_spec),
        }
        copies = {name: copied(value) for name, value in tensors.items()}
        # As bytes, so that a full disk is an OSError, which `atomic_write` puts into one line.
        content = save(copies, {"invprob": json.dumps(header)})
        with atomic_write(Path(path)) as temporary:
            temporary.write_bytes(content)

    @classmethod
    def load(cls, path: str | Path) -> "Solution":
        """Read a solution file; raises `FileError` where it is not one."""
        groups: dict[str, dict[str, Tensor]] = {"realised": {}, "code": {}, "trace": {}}
        try:
            with safe_open(Path(path), "pt") as file:
                header = json.loads((file.metadata() or {})["invprob"])
                if header["format"] != "solution" or header["version"] != VERSION:
                    raise KeyError(header["format"])
                image = file.get_tensor("image")
                names = set(file.keys())
                restarts = file.get_tensor("restarts") if "restarts" in names else None
                for name in names:
                    group, _, key = name.partition(".")
                    if key:
                        # A copy has the alignment of any new tensor; a mapped file has not.
                        groups[group][key] = file.get_tensor(name).clone()
        except (KeyError, TypeError, ValueError, OSError, SafetensorError) as error:
            raise FileError(f"{path} is not a solution file of this release: {error}") from None
        return cls(
            image=image,
            outcome=Outcome(**header["outcome"]),
            steps=header["steps"],
            seed=header["seed"],
            prior_spec=header["prior"],
            prior=None,
            restarts=restarts,
            **groups,
        )
