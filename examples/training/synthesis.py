"""The generator's synthesis for training: the same function in fewer passes over memory.

On a CPU the time of a half-precision step goes into element-wise work, so the low-pass filter and
the scalings carry their own gradients. All of it can be differentiated twice.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from invprob.priors.stylegan.fused_layer import SLOPE
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.layers import EPSILON, GAIN


class _Smooth(torch.autograd.Function):
    """Pad by `margin` and weigh four neighbours by (1, 3, 3, 1) / 4 along both axes.

    The filter is symmetric, so its adjoint is itself with the margin 3 - margin.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, margin: int) -> Tensor:
        ctx.margin = margin
        return _along(_along(F.pad(x, (margin,) * 4), 2), 3)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _smooth(gradients[0], 3 - ctx.margin), None


def _smooth(x: Tensor, margin: int) -> Tensor:
    result: Tensor = _Smooth.apply(x, margin)  # type: ignore[no-untyped-call]
    return result


def _along(x: Tensor, axis: int) -> Tensor:
    size = x.shape[axis] - 3
    y = x.narrow(axis, 0, size) + x.narrow(axis, 3, size)
    y.mul_(0.25)
    y.add_(x.narrow(axis, 1, size), alpha=0.75)
    return y.add_(x.narrow(axis, 2, size), alpha=0.75)


def _enlarged(image: Tensor) -> Tensor:
    """`filters.upsample` of the priors: bilinear, fading by a quarter at the zero-padded border."""
    doubled = F.interpolate(image, scale_factor=2.0, mode="bilinear", align_corners=False)
    edge = torch.ones(doubled.shape[-1], dtype=image.dtype, device=image.device)
    edge[0] = edge[-1] = 0.75
    return doubled * (edge[:, None] * edge)


def weights_of(generator: Generator, dtype: torch.dtype) -> dict[str, Tensor]:
    """The parameters as `dtype`, convolution weights in the layout that CPUs are fast with."""
    return {
        name: value.to(dtype, memory_format=torch.channels_last)
        if value.ndim == 4
        else value.to(dtype)
        for name, value in generator.named_parameters()
    }


def synthesise(
    generator: Generator,
    weights: Mapping[str, Tensor],
    styles: Tensor,
    noise: Sequence[Tensor],
) -> Tensor:
    """Images from style rows (batch, layers, width) and noise maps, in the dtype of `weights`.

    The same as `generator.synthesis` with `weights` in place of the generator's own.
    """
    rows = styles.unbind(1)

    def style(prefix: str, row: Tensor) -> Tensor:
        return F.linear(row, weights[prefix + "affine.weight"], weights[prefix + "affine.bias"])

    def layer(index: int, x: Tensor, entering: float) -> Tensor:
        prefix = f"layers.{index}."
        weight, scale = weights[prefix + "weight"], style(prefix, rows[index])
        exact = torch.promote_types(x.dtype, torch.float32)  # sums of squares need the range
        energy = weight.to(exact).square().sum((2, 3))
        leave = torch.rsqrt(scale.to(exact).square() @ energy.T + EPSILON).to(x.dtype)
        x = x * (scale * entering)[:, :, None, None]
        if 2 * x.shape[2] == noise[index].shape[2]:
            x = _smooth(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), 1)
        else:
            x = F.conv2d(x, weight, padding=1)
        x = x * leave[:, :, None, None] + noise[index] * weights[prefix + "noise_strength"]
        return F.leaky_relu(x + weights[prefix + "bias"][:, None, None], SLOPE)

    def rgb(block: int, x: Tensor, row: Tensor) -> Tensor:
        prefix = f"to_rgb.{block}."
        scale = style(prefix, row) * GAIN  # the activation's gain, which `layer` leaves out
        weight = weights[prefix + "weight"][None, :, :, 0, 0] * scale[:, None, :]
        flat = torch.baddbmm(weights[prefix + "bias"][None, :, None], weight, x.flatten(2))
        return flat.view(len(x), 3, *x.shape[2:])

    x = layer(0, weights["constant"].expand(len(styles), -1, -1, -1), 1.0)
    image = rgb(0, x, rows[1])
    for block in range(1, generator.config.num_blocks):
        first = 2 * block - 1
        x = layer(first + 1, layer(first, x, GAIN), GAIN)
        image = _enlarged(image) + rgb(block, x, rows[first + 2])
    return image


def fresh_noise(
    generator: Generator, batch: int, rng: torch.Generator, like: Tensor
) -> list[Tensor]:
    """New noise maps for every image, on the device and in the dtype of `like`."""
    return [
        torch.randn(batch, 1, *shape, generator=rng).to(like) for shape in generator.noise_shapes
    ]


def default_channels(resolution: int, base: int = 4096, most: int = 256) -> tuple[int, ...]:
    """Channels at 4, 8, ..., `resolution`: base / size, at most `most`."""
    return tuple(min(most, base // size) for size in _sizes(resolution))


def _sizes(resolution: int) -> list[int]:
    return [1 << power for power in range(2, int(math.log2(resolution)) + 1)]
