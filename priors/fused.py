"""The synthesis layer of a frozen generator in few passes over memory, forward and backward.

A convolution is all that a layer has to cost; scaling, noise, bias and activation are passes over
memory, which autograd doubles and for which it keeps every intermediate. Here each layer keeps its
input and its output alone, and derives the rest:

- the leaky ReLU φ is invertible, so the output tells the slope;
- φ is homogeneous, so with y = φ(p), p = leave · c + noise + bias (c: what was convolved) and a
  gradient g of y, Σ φ'(p) g p = Σ g y, of which the output scale's gradient is a difference;
- the output scale is a function of the input scale, differentiated in closed form.

Weights and biases of a layer get no gradient, and it cannot be differentiated twice; `layers` has
the plain form, which can.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_input

from invprob.priors.filters import smooth

SLOPE = 0.2  # of the leaky ReLU
GAIN = math.sqrt(2.0)  # of the leaky ReLU; keeps the variance of a Gaussian input
EPSILON = 1e-8
_ROWS = (0, 2, 3, 1)


def demodulation(enter: Tensor, energy: Tensor) -> Tensor:
    """Output scale (batch, outputs) that goes with an input scale (batch, inputs).

    Equation (3) of StyleGAN2, from the sum of W² over the kernel, (outputs, inputs).
    """
    return torch.rsqrt(enter.square() @ energy.T + EPSILON)


def _over(factors: Tensor, features: Tensor) -> Tensor:
    """Factors (batch or 1, channels) as they apply to features."""
    return factors.view(*factors.shape, 1, 1).to(features.dtype)


class _Layer(torch.autograd.Function):
    """y = φ(leave · conv(enter · x) + noise + bias), with h and w doubled if `doubling`.

    leave = GAIN · demodulation(enter, energy).
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        enter: Tensor,
        energy: Tensor,
        noise: Tensor,
        weight: Tensor,
        bias: Tensor,
        doubling: bool,
    ) -> Tensor:
        leave = demodulation(enter, energy).mul_(GAIN)
        scaled = x * _over(enter, x)
        kept, weight = weight, weight.to(x.dtype)
        if doubling:
            y = smooth(F.conv_transpose2d(scaled, weight.transpose(0, 1), stride=2), 1)
        else:
            y = F.conv2d(scaled, weight, padding=1)
        y.mul_(_over(leave, y))
        y.add_(noise.to(y.dtype))
        y.add_(_over(bias[None], y))
        F.leaky_relu_(y, SLOPE)
        ctx.save_for_backward(x, enter, energy, leave, noise, kept, bias, y)
        ctx.doubling = doubling
        return y

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        gradient = gradients[0]
        x, enter, energy, leave, noise, weight, bias, y = ctx.saved_tensors
        for_x, for_enter, _, for_noise, *_ = ctx.needs_input_grad
        weight = weight.to(x.dtype)
        inner = torch.ops.aten.leaky_relu_backward(gradient, y, SLOPE, True)
        d_noise = d_enter = d_x = None
        if for_enter:
            maps = torch.cat((noise, torch.ones_like(noise)), 1).flatten(2).to(inner.dtype)
            rows = inner.permute(_ROWS).flatten(1, 2)
            pair = torch.bmm(maps.expand(len(rows), -1, -1), rows).to(leave.dtype)
            whole = (gradient * y).sum((2, 3), dtype=leave.dtype)
            d_leave = (whole - pair[:, 0] - bias * pair[:, 1]) / leave
            # leave = GAIN · q^(-1/2) with q = enter² · energy: d leave / d q = -leave³ / 2 GAIN².
            d_enter = (d_leave * leave**3 / -(GAIN**2)) @ energy * enter
        if for_noise:
            d_noise = inner.sum(1, keepdim=True, dtype=noise.dtype).sum_to_size(noise.shape)
        if for_x or for_enter:
            inner.mul_(_over(leave, inner))
            if ctx.doubling:
                d_x = F.conv2d(smooth(inner, 2), weight.transpose(0, 1), stride=2)
            else:
                d_x = conv2d_input(x.shape, weight, inner, padding=1)
            if d_enter is not None:
                d_enter += (x * d_x).sum((2, 3), dtype=enter.dtype)
            d_x.mul_(_over(enter, d_x))
        return d_x, d_enter, None, d_noise, None, None, None


def layer(
    x: Tensor,
    enter: Tensor,
    energy: Tensor,
    noise: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    doubling: bool,
) -> Tensor:
    """y = φ(leave · conv(enter · x) + noise + bias), leave = GAIN · demodulation(enter, energy).

    x (batch, inputs, h, w), enter (batch, inputs), energy (outputs, inputs), noise (batch or 1, 1,
    H, W), weight (outputs, inputs, 3, 3), bias (outputs); H = 2h and W = 2w where the layer is
    `doubling`. Channels lie last in memory. Features may be bfloat16 while the rest is float32, and
    where autocast is on they are of the type that it asks for.
    """
    kind = x.device.type
    if torch.is_autocast_enabled(kind):
        x = x.to(torch.get_autocast_dtype(kind))
        enter = enter.to(weight)
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast(kind, enabled=False):  # its casts would be unknown to the derivative
        # PyTorch gives `Function.apply` no types.
        result: Tensor = _Layer.apply(x, enter, energy, noise, weight, bias, doubling)  # type: ignore[no-untyped-call]
    return result


class _Colours(torch.autograd.Function):
    """Σ_c weight · x + bias where channels lie last in memory, which the gradient keeps so."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        rows = x.permute(_ROWS).flatten(1, 2)
        rgb: Tensor = torch.baddbmm(bias[None, :, None], weight, rows.transpose(1, 2))
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
            d_bias = flat.sum((0, 2))
        return d_x, d_weight, d_bias


def colours(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(batch, channels, h, w), (batch, 3, channels), (3) -> (batch, 3, h, w), in weight's type."""
    with torch.autocast(x.device.type, enabled=False):
        # PyTorch gives `Function.apply` no types.
        result: Tensor = _Colours.apply(x.to(weight.dtype), weight, bias)  # type: ignore[no-untyped-call]
    return result
