"""LPIPS, a distance between two images that tracks how different they look (arXiv:1801.03924).

A *trunk*, the first layers of a classifier, turns both images into features. The features of each
pixel are scaled to length one, and a *head* weighs each channel of each compared layer. The heads
are read as data from the installed `lpips` wheel. The trunks are large; they are pulled, or found
where torch keeps its downloads.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from invprob.ambient import own_precision, undisturbed
from invprob.calls import checked
from invprob.contracts import Contract
from invprob.errors import ArgumentError, PerceptualError, ShapeError, UnknownNameError
from invprob.kinds import remedy
from invprob.perceptual.files import load_weights
from invprob.perceptual.trunks import NETWORKS, Network
from invprob.registry import suggest
from invprob.types import Images, PerImage, Spec

CHOICES = ("auto", "none", *NETWORKS)
_EPSILON = 1e-10  # added to the norm of a pixel's features
LARGEST = 256  # pixels of the longer side; larger images are area-averaged down to it

# ImageNet's mean and spread for images in [-1, 1], as LPIPS v0.1 fixed them.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)


@remedy("find_perceptual('alex')")
@final
class PerceptualDistance(Contract, nn.Module):
    """A frozen LPIPS network. `find_perceptual` loads one.

    Images are (batch, 3, height, width) in [-1, 1]. Where the longer side exceeds 256 pixels, they
    are area-averaged down to that. The features of a fixed target can be computed once and kept:

        described = distance.features(target)
        loss = distance.apart(image, described)    # equals distance(image, target)

    Attributes: `name` of the network, `label` of the metric in tables, `sha256` of the weight file,
    and `smallest`, the pixels that each side of an image must have.

    Args:
        network: The layers and which of them are compared.
        trunk: The layers with their weights.
        heads: Weights of the channels, (1, channels, 1, 1), for each compared layer.
        record: What a run writes down of these weights, with the "sha256" of their file.
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
        scale, shift = (
            torch.tensor(numbers, dtype=torch.float32, device="cpu").view(3, 1, 1)
            for numbers in (_SCALE, _SHIFT)
        )
        self.register_buffer("gain", 1 / scale)
        self.register_buffer("offset", -shift / scale)
        self.trunk = trunk.requires_grad_(False).eval()
        # In this order convolutions and sums over channels are up to a quarter faster on a CPU.
        self.trunk.to(memory_format=torch.channels_last)
        # Heads are never negative, so their roots can weigh the features before the square.
        self.roots = nn.ParameterList(
            nn.Parameter(head.clamp(min=0).sqrt().view(1, -1, 1, 1), requires_grad=False)
            for head in heads
        )

    def record(self) -> Spec:
        """Which weights these are, for the record of a run: network, file name, sha256."""
        return dict(self._record)

    @checked
    @own_precision()
    def features(self, images: Images) -> list[Tensor]:
        """Compute the scaled and weighted features of images, which `apart` compares.

        Args:
            images: (batch, 3, height, width) in [-1, 1].

        Returns:
            (batch, channels, h, w) for each compared layer.

        Raises:
            ShapeError: The images are too small for the network, or have not three channels.
        """
        described: list[Tensor] = []
        for hidden, weight in zip(self.activations(images, self._taps), self.roots, strict=True):
            # Unlike the root of a sum of squares, this norm has a gradient where all is zero.
            norm = torch.linalg.vector_norm(hidden, dim=1, keepdim=True)
            described.append(hidden / (norm + _EPSILON) * _root(weight, hidden))
        return described

    @checked
    @own_precision()
    def activations(self, images: Images, layers: Sequence[int]) -> list[Tensor]:
        """Compute the outputs of layers of the trunk.

        Args:
            images: (batch, 3, height, width) in [-1, 1].
            layers: Ascending indices. Activations work in place, so the index of a convolution
                gives the output of the activation that follows it.

        Returns:
            (batch, channels, h, w) for each of the layers.

        Raises:
            ShapeError: As `features`.
        """
        hidden = torch.addcmul(self.offset, self._fitted(images), self.gain)
        kept: list[Tensor] = []
        for index, layer in enumerate(self.trunk[: layers[-1] + 1]):
            hidden = layer(hidden)
            if index in layers:
                kept.append(hidden)
        return kept

    @checked
    @own_precision()
    def apart(self, images: Images, described: Sequence[Tensor]) -> PerImage:
        """Compute the distance of images to others of which `features` are known.

        It has no second derivative.

        Args:
            images: (batch, 3, height, width) in [-1, 1].
            described: What `features` returned, for as many images or for one.

        Returns:
            (batch,): zero for equal images, about 0.5 for unrelated ones.

        Raises:
            ShapeError: As `features`.
        """
        hidden = self.activations(images, self._taps)
        layers: list[Tensor] = [
            # PyTorch gives `Function.apply` no types.
            _Apart.apply(one, _root(weight, one), other)  # type: ignore[no-untyped-call]
            for one, weight, other in zip(hidden, self.roots, described, strict=True)
        ]
        return torch.stack(layers).sum(0)

    def forward(self, image: Images, other: Images) -> PerImage:
        """Compute the distance of each pair of images.

        Args:
            image: (batch, 3, height, width) in [-1, 1].
            other: The same, or one image.

        Returns:
            (batch,): zero for equal images, about 0.5 for unrelated ones.

        Raises:
            ShapeError: As `features`.
        """
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
    """The weight of each channel, before squares are summed over channels and pixels."""
    return weight / math.sqrt(hidden[0, 0].numel())


class _Apart(torch.autograd.Function):
    """Σ (root · x/‖x‖ - target)² for each image, ‖·‖ over channels, in few passes over memory.

    With n = ‖x‖ and q the gradient of x/n, that of x is q/n - x (q · x)/n³.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, root: Tensor, target: Tensor) -> Tensor:
        norm: Tensor = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        # Rounded as in `features`, so that it is zero for equal images.
        gap = (x / (norm + _EPSILON)).mul_(root).sub_(target)
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
            # Where a norm is zero, the numerator is zero as well.
            along.div_((norm * whole).clamp_min(torch.finfo(norm.dtype).tiny))
            d_x.addcmul_(x, along, value=-1).div_(whole)
        if ctx.needs_input_grad[2]:
            d_target = (gap * -twice).sum_to_size(ctx.target_shape)
        return d_x, None, d_target


@dataclass(frozen=True)
class Absent:
    """Stands for a perceptual network that is not there.

    Args:
        reason: Why, in one line.
        command: The shell command that gets one, if there is one.
    """

    reason: str
    command: str | None = None

    def __str__(self) -> str:
        return self.reason if self.command is None else f"{self.reason}; to get one: {self.command}"


@checked
@undisturbed()
def find_perceptual(
    choice: str = "auto", weights: str | Path | None = None
) -> PerceptualDistance | Absent:
    """Load a perceptual network from disk. Nothing is downloaded.

    Args:
        choice: "alex", "squeeze" or "vgg": LPIPS with that network. "st-vgg": ST-LPIPS
            (arXiv:2207.13686), another metric, from the `stlpips_pytorch` wheel. "auto": `weights`
            if given, else the first of alex, squeeze and vgg that is on disk; AlexNet is the usual
            yardstick, and VGG is slow on a CPU. "none": no network.
        weights: A file with the state dict of a trunk, with or without its classifier. Its shapes
            tell which network it is.

    Returns:
        The network, or the reason why there is none ("auto" and "none" only).

    Raises:
        UnknownNameError: There is no such choice.
        ArgumentError: `weights` are given together with "none".
        PerceptualError: The network or file asked for cannot be loaded.
    """
    if choice not in CHOICES:
        raise UnknownNameError(
            f"no perceptual network is named {choice!r}.{suggest(choice, CHOICES)} "
            f"Known: {', '.join(CHOICES)}."
        )
    if choice == "none":
        if weights is not None:
            raise ArgumentError(
                f"weights {str(weights)!r} are given, but the perceptual network is 'none'; "
                "leave one of them out"
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
    problem = ""
    for name in ("alex", "squeeze", "vgg"):
        for path in filter(Path.is_file, NETWORKS[name].places()):
            try:
                return _load(path)
            except PerceptualError as error:
                # A damaged file must not stop a run that did not ask for it, but it is mentioned.
                problem = f" ({error})"
    # The smallest download is the one to recommend.
    return Absent(f"no perceptual network is on this machine{problem}", NETWORKS["squeeze"].command)


def _load(path: Path) -> PerceptualDistance:
    return PerceptualDistance(*load_weights(path))
