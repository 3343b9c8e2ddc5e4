"""LPIPS, the distance between two images that tracks how different they look (arXiv:1801.03924).

A *trunk* (a classifier's first layers) describes both images, each pixel's description is scaled to
length one, and a *head* says how much each channel of each layer counts. The heads are read as data
from the installed `lpips` wheel; the trunks are large and come from the user's machine.
"""

import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from invprob.errors import ArgumentError, FileError, PerceptualError, ShapeError, UnknownNameError
from invprob.files import sha256_of
from invprob.perceptual.trunks import NETWORKS, Network, in_wheel
from invprob.registry import suggest
from invprob.types import Images, PerImage, Spec
from invprob.weights.catalogue import read_record

CHOICES = ("auto", "none", *NETWORKS)
_EPSILON = 1e-10  # added to the norm of a pixel's features
LARGEST = 256  # pixels of the longer side; larger images are area-averaged down to it

# ImageNet's mean and spread for images in [-1, 1], as LPIPS v0.1 fixed them.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)


@final
class PerceptualDistance(nn.Module):
    """A frozen LPIPS network; the description of a fixed target can be computed once and kept.

    Images have three channels in [-1, 1]. Where the longer side exceeds 256 pixels they are
    area-averaged down to that; smaller ones are taken as they are. `name` is the network's,
    `label` what tables should call the metric, `sha256` that of the weight file.
    """

    gain: Tensor
    offset: Tensor

    def __init__(
        self, network: Network, trunk: nn.Sequential, heads: Sequence[Tensor], record: Spec
    ) -> None:
        super().__init__()
        self.name = network.name
        self.label = network.label
        self.sha256 = str(record["sha256"])
        self.smallest = network.smallest
        self._taps = network.taps
        self._record = record
        scale = torch.tensor(_SCALE).view(3, 1, 1)
        self.register_buffer("gain", 1 / scale)
        self.register_buffer("offset", -torch.tensor(_SHIFT).view(3, 1, 1) / scale)
        self.trunk = trunk.requires_grad_(False).eval()
        # Both the convolutions and the sums over channels run up to a quarter faster on a CPU so.
        self.trunk.to(memory_format=torch.channels_last)
        # Heads are never negative, so that their roots can weigh the features beforehand.
        self.roots = nn.ParameterList(
            nn.Parameter(head.clamp(min=0).sqrt().view(1, -1, 1, 1), requires_grad=False)
            for head in heads
        )

    def record(self) -> Spec:
        """Say which weights these are, for the record of a run: network, file name, sha256."""
        return dict(self._record)

    def features(self, images: Images) -> list[Tensor]:
        """Describe images: one `(batch, channel, height, width)` a layer, ready for `apart`.

        Raises ShapeError where the images are too small for the network or not of three channels.
        """
        described: list[Tensor] = []
        for hidden, weight in zip(self.activations(images, self._taps), self.roots, strict=True):
            # Unlike the root of a sum of squares, this norm has a gradient where all is zero.
            norm = torch.linalg.vector_norm(hidden, dim=1, keepdim=True)
            described.append(hidden / (norm + _EPSILON) * _root(weight, hidden))
        return described

    def activations(self, images: Images, layers: Sequence[int]) -> list[Tensor]:
        """What layers of the trunk, by index and ascending, make of images fitted to its range.

        A convolution's index would give what the activation behind it makes in the same place.
        Raises what `features` raises.
        """
        hidden = torch.addcmul(self.offset, self._fitted(images), self.gain)
        kept: list[Tensor] = []
        for index, layer in enumerate(self.trunk[: layers[-1] + 1]):
            hidden = layer(hidden)
            if index in layers:
                kept.append(hidden)
        return kept

    def apart(self, images: Images, described: Sequence[Tensor]) -> PerImage:
        """Compare images with descriptions from `features`; that of one image serves all.

        Cannot be differentiated twice. Raises what `features` raises.
        """
        hidden = self.activations(images, self._taps)
        layers: list[Tensor] = [
            # PyTorch gives `Function.apply` no types.
            _Apart.apply(one, _root(weight, one), other)  # type: ignore[no-untyped-call]
            for one, weight, other in zip(hidden, self.roots, described, strict=True)
        ]
        return torch.stack(layers).sum(0)

    def forward(self, image: Images, other: Images) -> PerImage:
        """Compare images pair by pair; zero for equal images, about 0.5 for unrelated ones."""
        return self.apart(image, self.features(other))

    def _fitted(self, images: Images) -> Images:
        if images.ndim != 4 or images.shape[1] != 3:
            raise ShapeError(
                f"{self.label} needs images (batch, 3, height, width), got {tuple(images.shape)}"
            )
        height, width = images.shape[2:]
        longer = max(height, width)
        if longer > LARGEST:
            height, width = (max(1, round(side * LARGEST / longer)) for side in (height, width))
            images = functional.interpolate(images, (height, width), mode="area")
        if min(height, width) < self.smallest:
            raise ShapeError(
                f"{self.label} needs images of {self.smallest} pixels or more a side, "
                f"got {height} x {width}; leave the perceptual term out"
            )
        return images


def _root(weight: Tensor, hidden: Tensor) -> Tensor:
    """What weighs each channel before squares are summed over channels and pixels."""
    return weight / math.sqrt(hidden[0, 0].numel())


class _Apart(torch.autograd.Function):
    """Σ (root · x/‖x‖ - target)² of each image, ‖·‖ over channels, in few passes over memory.

    With n = ‖x‖ and q the gradient of x/n, that of x is q/n - x (q · x)/n³.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, root: Tensor, target: Tensor) -> Tensor:
        norm: Tensor = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        gap = (x / (norm + _EPSILON)).mul_(root).sub_(target)  # zero between equals: as `features`
        ctx.save_for_backward(x, norm, root, gap)
        ctx.target_shape = target.shape
        return gap.square().sum((1, 2, 3))

    @staticmethod
    # PyTorch gives this decorator no types.
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, norm, root, gap = ctx.saved_tensors
        twice = (2 * gradients[0])[:, None, None, None]
        d_x = d_target = None
        if ctx.needs_input_grad[0]:
            d_x = gap * (twice * root)
            along = (d_x * x).sum(1, keepdim=True)
            whole = norm + _EPSILON
            # Where a norm is zero, so is what stands above it.
            along.div_((norm * whole).clamp_min(torch.finfo(norm.dtype).tiny))
            d_x.addcmul_(x, along, value=-1).div_(whole)
        if ctx.needs_input_grad[2]:
            d_target = (gap * -twice).sum_to_size(ctx.target_shape)
        return d_x, None, d_target


@dataclass(frozen=True)
class Absent:
    """Why there is no perceptual network, in one line, and the command that would bring one."""

    reason: str
    command: str | None = None

    def __str__(self) -> str:
        return self.reason if self.command is None else f"{self.reason}; to get one: {self.command}"


def find_perceptual(
    choice: str = "auto", weights: str | Path | None = None
) -> PerceptualDistance | Absent:
    """Load the perceptual network that `choice` names, from disk only: nothing is downloaded.

    `auto` takes `weights` if given, else the first of alex, squeeze, vgg found in torch's cache or
    ours: AlexNet is the field's usual yardstick, VGG (the paper's) is slow on a CPU and has to be
    asked for where several are at hand. `none` leaves it out. `st-vgg` is another metric, ST-LPIPS
    (arXiv:2207.13686), which the `stlpips_pytorch` wheel carries whole; `auto` never takes it.
    `weights` is a state dict of a trunk, with or without its classifier; the network is recognised
    from its shapes.

    Raises UnknownNameError for an unknown choice, and PerceptualError where a named network or file
    cannot be loaded.
    """
    if choice not in CHOICES:
        raise UnknownNameError(
            f"no perceptual network is named {choice!r}.{suggest(choice, CHOICES)} "
            f"Known: {', '.join(CHOICES)}."
        )
    if choice == "none":
        if weights is not None:
            raise ArgumentError(
                f"weights {str(weights)!r} were given, but the perceptual network is 'none'; "
                "give one or the other"
            )
        return Absent("the perceptual network was left out on request")
    if weights is not None:
        loaded = _load(Path(weights))
        if choice not in ("auto", loaded.name):
            raise PerceptualError(
                f"{weights} holds the weights of {loaded.name!r}, but {choice!r} was asked for"
            )
        return loaded
    if choice == "auto":
        return _first_on_disk()
    network = NETWORKS[choice]
    path = next((path for path in network.places() if path.is_file()), None)
    if path is None:
        raise PerceptualError(
            f"no weights of the perceptual network {choice!r} are on this machine; "
            f"to get them: {network.command}"
        )
    return _load(path)


def _first_on_disk() -> PerceptualDistance | Absent:
    trouble = ""
    for name in ("alex", "squeeze", "vgg"):
        for path in filter(Path.is_file, NETWORKS[name].places()):
            try:
                return _load(path)
            except PerceptualError as error:
                # A spoilt cache must not stop a run that never asked for it, nor pass unmentioned.
                trouble = f" ({error})"
    # The smallest download is the one to recommend.
    return Absent(f"no perceptual network is on this machine{trouble}", NETWORKS["squeeze"].command)


# ------------------------------------------------------------------------------------------ files


def _load(path: Path) -> PerceptualDistance:
    """Recognise, check and load a trunk; raises PerceptualError, which names what is wrong."""
    sha256 = _checked(path)
    tensors = dict(_layers_of(_read(path)))
    network = max(NETWORKS.values(), key=lambda known: known.fit(tensors))
    if not network.fit(tensors):
        raise PerceptualError(f"{path} holds no tensor of {', '.join(NETWORKS)}")
    trunk = network.trunk()
    wanted = {name: tuple(tensor.shape) for name, tensor in trunk.state_dict().items()}
    heads = {name: tensors.pop(name) for name in list(tensors) if name.startswith("lin")}
    _compare(path, network.name, {name: tuple(at.shape) for name, at in tensors.items()}, wanted)
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
            raise PerceptualError(f"{path}: tensor {name!r} has values that are no finite numbers")
    trunk.load_state_dict(tensors)
    if network.heads is not None:
        heads = dict(_layers_of(_read(in_wheel(*network.heads))))
    ordered = [heads[name] for name in sorted(heads)]
    if len(ordered) != len(network.taps):
        raise PerceptualError(f"{path}: {len(ordered)} heads for {len(network.taps)} layers")
    record = {"network": network.name, "label": network.label, "file": path.name}
    return PerceptualDistance(network, trunk, ordered, record | {"sha256": sha256})


def _compare(
    path: Path, name: str, found: Mapping[str, object], wanted: Mapping[str, object]
) -> None:
    what = f"{path} looks like {name!r}, but"
    if missing := sorted(wanted.keys() - found.keys()):
        raise PerceptualError(f"{what} tensor {missing[0]!r} is missing ({len(missing)} in all)")
    if extra := sorted(found.keys() - wanted.keys()):
        raise PerceptualError(f"{what} tensor {extra[0]!r} is unknown ({len(extra)} in all)")
    for key, shape in wanted.items():
        if found[key] != shape:
            raise PerceptualError(f"{what} tensor {key!r} is {found[key]}, expected {shape}")


def _checked(path: Path) -> str:
    """The sha256 of a file, which must be the recorded one where the file was pulled."""
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
        raise PerceptualError(f"{path} is not a file; name a state dict of a perceptual trunk")


def _read(path: Path) -> dict[str, Tensor]:
    """Read a state dict without running anything that a pickle may carry."""
    _require(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # how old a file's format is, is no news to its user
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers of foreign files raise nearly anything
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise PerceptualError(f"{path} cannot be read as weights: {first}") from error
    if not isinstance(content, Mapping) or not content:
        raise PerceptualError(f"{path} holds no named tensors, but a {type(content).__name__}")
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            kind = type(tensor).__name__
            raise PerceptualError(f"{path}: entry {name!r} is of type {kind}, not a tensor")
    return dict(content)


def _layers_of(state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Name tensors as the trunks here do: `features.0.weight`, `net.slice1.0.weight` -> `0.weight`.

    What follows a trunk (a classifier) or repeats what LPIPS fixes (its scaling) is passed over.
    """
    for name, tensor in state.items():
        if not name.startswith(("classifier.", "scaling_layer.")):
            yield re.sub(r"^(features|net\.slice\d+)\.", "", name), tensor
