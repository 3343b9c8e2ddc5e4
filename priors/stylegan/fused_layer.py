"""The synthesis layer in few passes over memory forward and backward.

Scaling, noise, bias and activation each read and write all features. Autograd doubles these passes,
and keeps every intermediate for them. Two properties of the leaky ReLU φ save most of them:

- φ(a·x) = a·φ(x) for a > 0. Let c be the convolution's output and σ the root in equation (3) of
  StyleGAN2, by which c is divided. Then φ(c/σ + noise + bias) = φ(c + σ·(noise + bias)) / σ. The
  layer leaves out the division by σ. It returns features that are σ times too large, together with
  σ, and the next layer divides its few input scales by it.
- φ(x) has the sign of x, so the output tells the slope, and the input need not be kept.

Weights and biases get a gradient where each image has its own. The result cannot be differentiated
twice. `layers.SynthesisLayer._textbook` can be, and serves a generator that is being trained.
"""

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from invprob.fast.modulated import Modulated, Wanted, per_channel

SLOPE = 0.2  # of the leaky ReLU
GAIN = math.sqrt(2.0)  # of the leaky ReLU; keeps the variance of a Gaussian input
EPSILON = 1e-8
_ROWS = (0, 2, 3, 1)


class Features(NamedTuple):
    """The features that a layer returns, each channel times a factor.

    Attributes:
        values: (batch, channels, h, w), `spread` times the features.
        spread: (batch, channels), positive.
    """

    values: Tensor
    spread: Tensor

    @classmethod
    def of(cls, x: Tensor) -> "Features":
        """Features with a spread of 1."""
        return cls(x, x.new_ones(x.shape[:2]))

    def plain(self) -> Tensor:
        """The features themselves."""
        return self.values / self.spread[:, :, None, None]

    def scale_of_values(self, scale: Tensor) -> Tensor:
        """The scale of the values that amounts to `scale` (batch, channels) of the features."""
        return scale / self.spread


class _Layer(torch.autograd.Function):
    """y = φ(conv(enter · x) + σ · (strength · noise + bias)), and σ.

    enter = scale / spread, σ² = scale² · energy + ε / GAIN².
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        spread: Tensor,
        scale: Tensor,
        noise: Tensor,
        strength: Tensor,
        bias: Tensor,
        weight: Tensor,
        energy: Tensor,
        convolution: Modulated,
    ) -> tuple[Tensor, Tensor]:
        enter = scale / spread
        sigma = _product(scale.square(), energy.mT).add_(EPSILON / GAIN**2).sqrt_()
        y = convolution.modulated(x, weight, enter)
        added = (noise * strength).to(y.dtype)
        y.addcmul_(added, per_channel(sigma, y)).add_(per_channel(sigma * bias, y))
        F.leaky_relu_(y, SLOPE)
        ctx.save_for_backward(
            *(x, spread, scale, noise, strength, bias, weight, energy, enter, sigma, added, y)
        )
        ctx.convolution = convolution
        return y, sigma

    @staticmethod
    # PyTorch gives this decorator no types.
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        d_y, d_sigma = gradients
        x, spread, scale, noise, strength, bias, *rest = ctx.saved_tensors
        weight, energy, enter, sigma, added, y = rest
        for_x, for_spread, for_scale, for_noise, *of_layer = ctx.needs_input_grad
        for_strength, for_bias, for_weight, *_ = of_layer
        inner = torch.ops.aten.leaky_relu_backward(d_y, y, SLOPE, True)
        rows = inner.permute(_ROWS).flatten(1, 2)
        d_noise = d_strength = d_bias = d_spread = d_scale = None
        if for_noise:
            pixels = torch.bmm(sigma[:, None].to(rows.dtype), rows.transpose(1, 2))
            pixels = pixels.to(strength.dtype).view(-1, *added.shape[1:])
            d_noise = pixels.sum_to_size(added.shape).mul_(strength).sum_to_size(noise.shape)
        for_enter = for_spread or for_scale
        wanted = Wanted(for_x, for_enter, for_weight)
        d_x, d_enter, d_weight = ctx.convolution.gradients(inner, x, weight, enter, wanted)
        if for_enter or for_weight or for_bias or for_strength:
            by_bias = inner.sum((2, 3), dtype=sigma.dtype)
            pattern = noise.to(rows.dtype) if for_strength else added
            by_noise = torch.bmm(pattern.flatten(2).expand(len(rows), -1, -1), rows)[:, 0]
            if for_bias:
                d_bias = (by_bias * sigma).sum_to_size(bias.shape)
            if for_strength:
                d_strength = (by_noise * sigma).sum(1)[:, None, None, None]
                d_strength = d_strength.sum_to_size(strength.shape)
                by_noise = by_noise * strength[:, 0, 0]
            d_sigma = by_bias.mul_(bias).add_(by_noise).add_(d_sigma).div_(sigma)
        if for_enter:
            d_enter = d_enter.div_(spread)
            d_scale = _product(d_sigma, energy).mul_(scale).add_(d_enter)
            d_spread = d_enter.mul_(enter).neg_()
        if for_weight:  # by which σ changes too
            by_sigma = (d_sigma / GAIN**2)[:, :, None] * scale.square()[:, None]
            d_weight.addcmul_(weight, by_sigma[..., None, None])
        return d_x, d_spread, d_scale, d_noise, d_strength, d_bias, d_weight, None, None


def _product(rows: Tensor, matrix: Tensor) -> Tensor:
    """Rows (batch, n) times a matrix (n, m), or times that of each image (batch, n, m)."""
    return rows @ matrix if matrix.ndim == 2 else torch.bmm(rows[:, None], matrix)[:, 0]


def layer(
    features: Features,
    scale: Tensor,
    noise: Tensor,
    strength: Tensor,
    bias: Tensor,
    weight: Tensor,
    energy: Tensor,
    convolution: Modulated,
) -> Features:
    """φ(conv(scale · x) / σ + strength · noise + bias) of features x, φ a leaky ReLU.

    σ² = scale² · energy + ε / GAIN². StyleGAN2 has GAIN · φ. As φ is homogeneous, this is the same
    with Σ W² / GAIN² over the kernel as energy, and with GAIN times strength and bias.

    Args:
        features: those that enter. They may be bfloat16 while the rest is float32; under autocast
            they become the type that it asks for.
        scale: (batch, inputs).
        noise: (batch or 1, 1, H, W).
        strength: (batch or 1, 1, 1, 1).
        bias: (batch or 1, outputs).
        weight: (outputs, inputs, 3, 3) for all images, which gets no gradient, or (batch, outputs,
            inputs, 3, 3).
        energy: Σ W² / GAIN², (outputs, inputs) or (batch, outputs, inputs). It gets no gradient:
            the weight's gradient counts what it does to the energy.
        convolution: the convolution by such a weight.

    Returns:
        Features with σ as their spread, channels last in memory.
    """
    kind = features.values.device.type
    if torch.is_autocast_enabled(kind):
        features = features._replace(values=features.values.to(torch.get_autocast_dtype(kind)))
        scale = scale.to(strength)
    x = features.values.contiguous(memory_format=torch.channels_last)
    with torch.autocast(kind, enabled=False):  # the derivative would not know of its casts
        # PyTorch gives `Function.apply` no types.
        result: tuple[Tensor, Tensor] = _Layer.apply(  # type: ignore[no-untyped-call]
            x, features.spread, scale, noise, strength, bias, weight, energy, convolution
        )
    return Features(*result)


class _Colours(torch.autograd.Function):
    """Σ_c weight · x + bias for channels that lie last in memory; so do those of the gradient.

    Weight and bias are those of each image.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        rows = x.permute(_ROWS).flatten(1, 2)
        rgb: Tensor = torch.baddbmm(bias[:, :, None], weight, rows.transpose(1, 2))
        return rgb.view(len(x), 3, *x.shape[2:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        flat = gradients[0].flatten(2)
        d_x = d_weight = d_bias = None
        if ctx.needs_input_grad[0]:
            rows = torch.bmm(flat.transpose(1, 2), weight)
            d_x = rows.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)
        if ctx.needs_input_grad[1]:
            d_weight = torch.bmm(flat, x.permute(_ROWS).flatten(1, 2))
        if ctx.needs_input_grad[2]:
            d_bias = flat.sum(2)
        return d_x, d_weight, d_bias


def colours(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Three weighted sums of channels.

    Args:
        x: (batch, channels, h, w).
        weight: (batch, 3, channels).
        bias: (batch, 3).

    Returns:
        (batch, 3, h, w), of the weight's type.
    """
    with torch.autocast(x.device.type, enabled=False):
        # PyTorch gives `Function.apply` no types.
        result: Tensor = _Colours.apply(x.to(weight.dtype), weight, bias)  # type: ignore[no-untyped-call]
    return result
