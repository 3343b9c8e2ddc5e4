"""Weight files of perceptual networks: recognised by their shapes, checked, and loaded."""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from invprob.errors import FileError, PerceptualError
from invprob.files import sha256_of
from invprob.perceptual.trunks import NETWORKS, Network, in_wheel
from invprob.types import Spec
from invprob.weights.catalogue import read_record


class NetworkWeights(NamedTuple):
    """The parts of a perceptual network.

    Args:
        network: Which network it is.
        trunk: Its layers up to the last one compared.
        heads: Weights of the channels, (1, channels, 1, 1), for each compared layer.
        record: Name, label, file name and sha256.
    """

    network: Network
    trunk: nn.Sequential
    heads: Sequence[Tensor]
    record: Spec


def load_weights(path: Path) -> NetworkWeights:
    """Load a trunk from a file, and its heads from the `lpips` wheel.

    The shapes of its tensors tell which network it is.

    Raises:
        PerceptualError: The file cannot be read or holds something else. The message says what.
    """
    sha256 = _checked_sha256(path)
    tensors = dict(_layers_of(_read(path)))
    network = max(NETWORKS.values(), key=lambda known: known.fit(tensors))
    if not network.fit(tensors):
        raise PerceptualError(f"{path} holds no tensor of {', '.join(NETWORKS)}")
    trunk = network.trunk()
    expected = {name: tuple(tensor.shape) for name, tensor in trunk.state_dict().items()}
    heads = {name: tensors.pop(name) for name in list(tensors) if name.startswith("lin")}
    _compare(path, network.name, {name: tuple(at.shape) for name, at in tensors.items()}, expected)
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
            raise PerceptualError(f"{path}: tensor {name!r} has values that are not finite numbers")
    trunk.load_state_dict(tensors)
    if network.heads is not None:
        heads = dict(_layers_of(_read(in_wheel(*network.heads))))
    ordered = [heads[name] for name in sorted(heads)]
    if len(ordered) != len(network.taps):
        raise PerceptualError(f"{path}: {len(ordered)} heads for {len(network.taps)} layers")
    record = {"network": network.name, "label": network.label, "file": path.name}
    return NetworkWeights(network, trunk, ordered, record | {"sha256": sha256})


def _compare(
    path: Path, name: str, found: Mapping[str, object], expected: Mapping[str, object]
) -> None:
    what = f"{path} looks like {name!r}, but"
    if missing := sorted(expected.keys() - found.keys()):
        raise PerceptualError(f"{what} tensor {missing[0]!r} is missing ({len(missing)} in all)")
    if extra := sorted(found.keys() - expected.keys()):
        raise PerceptualError(f"{what} tensor {extra[0]!r} is unknown ({len(extra)} in all)")
    for key, shape in expected.items():
        if found[key] != shape:
            raise PerceptualError(f"{what} tensor {key!r} is {found[key]}, expected {shape}")


def _checked_sha256(path: Path) -> str:
    """The sha256 of a file. A file that was pulled must still have the recorded one."""
    _require(path)
    try:
        sha256, pulled = sha256_of(path), read_record(path)
    except FileError as error:
        raise PerceptualError(str(error)) from error
    if pulled is not None and pulled.sha256 != sha256:
        raise PerceptualError(
            f"{path} is not the file that was pulled; to get it again: {pulled.published.command}"
        )
    return sha256


def _require(path: Path) -> None:
    if not path.is_file():
        raise PerceptualError(f"{path} is not a file; give a state dict of a perceptual trunk")


def _read(path: Path) -> dict[str, Tensor]:
    """Read a state dict without running any code that a pickle may contain."""
    _require(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the age of the file's format
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers of foreign files raise nearly anything
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise PerceptualError(f"{path} cannot be read as weights: {first}") from error
    if not isinstance(content, Mapping) or not content:
        raise PerceptualError(f"{path} holds a {type(content).__name__} instead of named tensors")
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            kind = type(tensor).__name__
            raise PerceptualError(f"{path}: entry {name!r} is of type {kind}, not a tensor")
    return dict(content)


def _layers_of(state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Name tensors as our trunks do: `features.0.weight`, `net.slice1.0.weight` -> `0.weight`.

    The classifier behind a trunk and the scaling, which LPIPS fixes, are left out.
    """
    for name, tensor in state.items():
        if not name.startswith(("classifier.", "scaling_layer.")):
            yield re.sub(r"^(features|net\.slice\d+)\.", "", name), tensor
