"""What the foreign networks of the tests are made of: plans, draws, and the published layers.

The formulas are the published ones, slow and in float64: weights modulated and demodulated for each
sample, enlarging by inserting zeros and an explicit convolution. Nothing of the package is used.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64)
FIR = torch.outer(TAPS, TAPS) / 64


@dataclass(frozen=True)
class Plan:
    """A network's sizes; `channels` from 4 px on."""

    channels: tuple[int, ...] = (6, 5, 4)
    style_width: int = 8
    depth: int = 2
    z_width: int = 8
    hidden_width: int = 8
    labels: int = 0
    label_width: int = 0
    clamp: float | None = None
    colours: int = 3

    @property
    def widths(self) -> list[int]:
        inner = [self.hidden_width] * (self.depth - 1)
        return [self.z_width + self.label_width, *inner, self.style_width]

    @property
    def layers(self) -> list[tuple[int, int, int]]:
        """(inputs, outputs, size) of each 3x3 layer, in synthesis order."""
        found = [(self.channels[0], self.channels[0], 4)]
        for block in range(1, len(self.channels)):
            before, here, size = self.channels[block - 1], self.channels[block], 4 << block
            found += [(before, here, size), (here, here, size)]
        return found


@dataclass(frozen=True)
class Foreign:
    """A network of another program: tensors by name, attributes, and what it computes."""

    format: str
    tensors: dict[str, Tensor]
    attributes: Mapping[str, Any]
    mapping: Callable[[Tensor, Tensor | None], Tensor]
    synthesis: Callable[[Tensor, Sequence[Tensor] | None], Tensor]


@dataclass
class Draws:
    """Random tensors of one seed, in the order in which they are asked for."""

    rng: torch.Generator
    made: dict[str, Tensor] = field(default_factory=dict)

    def __call__(self, name: str, *shape: int, scale: float = 1.0, offset: float = 0.0) -> None:
        value = torch.randn(shape, generator=self.rng, dtype=torch.float64)
        self.made[name] = value * scale + offset


def draws(seed: int) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def normalised(x: Tensor) -> Tensor:
    return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()


def lrelu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x) * math.sqrt(2)


def upfirdn(x: Tensor, kernel: Tensor, *, up: int, before: int, after: int) -> Tensor:
    """Insert zeros after each sample, pad, convolve each channel with the kernel."""
    batch, channels, height, width = x.shape
    spread = x.new_zeros(batch, channels, height * up, width * up)
    spread[:, :, ::up, ::up] = x
    padded = F.pad(spread, (before, after, before, after))
    planes = padded.reshape(batch * channels, 1, *padded.shape[2:])
    out = F.conv2d(planes, kernel.reshape(1, 1, 4, 4).flip(2, 3))
    return out.reshape(batch, channels, *out.shape[2:])


def transposed(x: Tensor, weight: Tensor) -> Tensor:
    """A transposed convolution of stride 2 with (outputs, inputs, 3, 3): (h, w) -> (2h+1, 2w+1)."""
    batch, channels, height, width = x.shape
    spread = x.new_zeros(batch, channels, 2 * height - 1, 2 * width - 1)
    spread[:, :, ::2, ::2] = x
    return F.conv2d(F.pad(spread, (2, 2, 2, 2)), weight.flip(2, 3))


def per_sample(
    x: Tensor,
    weight: Tensor,
    style: Tensor,
    convolve: Callable[[Tensor, Tensor], Tensor],
    *,
    demodulate: bool,
) -> Tensor:
    """Equations (1) and (3) of StyleGAN2, one weight for each sample."""
    images = []
    for image, scale in zip(x, style, strict=True):
        own = weight * scale[None, :, None, None]
        if demodulate:
            own = own / (own.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        images.append(convolve(image[None], own))
    return torch.cat(images)


def plain(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight, padding=weight.shape[2] // 2)


def bounded(x: Tensor, bound: float | None) -> Tensor:
    return (
        x
        if bound is None
        else torch.minimum(torch.maximum(x, x.new_tensor(-bound)), x.new_tensor(bound))
    )


def run(
    plan: Plan,
    styles: Tensor,
    constant: Tensor,
    layer: Callable[[int, Tensor, Tensor], Tensor],
    to_rgb: Callable[[int, Tensor, Tensor], Tensor],
    enlarge: Callable[[Tensor], Tensor],
) -> Tensor:
    """Figure 7 (skip): a colour layer shares the row of the next block's first layer."""
    x = layer(0, constant.expand(len(styles), -1, -1, -1), styles[:, 0])
    image = to_rgb(0, x, styles[:, 1])
    for block in range(1, len(plan.channels)):
        for index in (2 * block - 1, 2 * block):
            x = layer(index, x, styles[:, index])
        image = enlarge(image) + to_rgb(block, x, styles[:, 2 * block + 1])
    return image
