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
from abc import ABC, abstractmethod
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from invprob import winograd
from invprob.priors.filters import smooth

SLOPE = 0.2  # of the leaky ReLU
GAIN = math.sqrt(2.0)  # of the leaky ReLU; keeps the variance of a Gaussian input
EPSILON = 1e-8
_ROWS = (0, 2, 3, 1)
_PLAIN = ((1, 1), (1, 1), (1, 1), False, (0, 0), 1)  # stride, padding, dilation, ..., groups


def demodulation(enter: Tensor, energy: Tensor) -> Tensor:
    """Output scale (batch, outputs) that goes with an input scale (batch, inputs).

    Equation (3) of StyleGAN2, from the sum of W² over the kernel, (outputs, inputs).
    """
    return torch.rsqrt(enter.square() @ energy.T + EPSILON)


def _over(factors: Tensor, features: Tensor) -> Tensor:
    """Factors (batch or 1, channels) as they apply to features."""
    return factors.view(*factors.shape, 1, 1).to(features.dtype)


class Convolution(ABC):
    """A way to convolve by a frozen weight, and its adjoint."""

    @abstractmethod
    def forward(self, x: Tensor, enter: Tensor, leave: Tensor) -> Tensor:
        """leave · conv(enter · x): (batch, inputs, h, w), (batch, inputs), (batch, outputs)."""

    @abstractmethod
    def adjoint(self, gradient: Tensor, leave: Tensor, x: Tensor) -> Tensor:
        """adjoint(leave · gradient), shaped like x; the gradient may be overwritten."""


@final
class Direct(Convolution):
    """By PyTorch's convolution; weight (outputs, inputs, 3, 3)."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight

    def forward(self, x: Tensor, enter: Tensor, leave: Tensor) -> Tensor:
        y = F.conv2d(x * _over(enter, x), self._weight.to(x.dtype), padding=1)
        return y.mul_(_over(leave, y))

    def adjoint(self, gradient: Tensor, leave: Tensor, x: Tensor) -> Tensor:
        gradient.mul_(_over(leave, gradient))
        weight = self._weight.to(gradient.dtype)
        # Of x only the shape counts, but `torch.nn.grad.conv2d_input` would fill one to pass it.
        d_x: Tensor = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, *_PLAIN, (True, False, False)
        )[0]
        return d_x


@final
class Doubling(Convolution):
    """To twice the height and width: by stride 2, transposed, then low-pass."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight.transpose(0, 1)

    def forward(self, x: Tensor, enter: Tensor, leave: Tensor) -> Tensor:
        weight = self._weight.to(x.dtype)
        y = smooth(F.conv_transpose2d(x * _over(enter, x), weight, stride=2), 1)
        return y.mul_(_over(leave, y))

    def adjoint(self, gradient: Tensor, leave: Tensor, x: Tensor) -> Tensor:
        gradient.mul_(_over(leave, gradient))
        return F.conv2d(smooth(gradient, 2), self._weight.to(gradient.dtype), stride=2)


@final
class Winograd(Convolution):
    """With a quarter of the products; `kernels` from `winograd.transform`."""

    def __init__(self, kernels: Tensor) -> None:
        self._kernels = kernels

    def forward(self, x: Tensor, enter: Tensor, leave: Tensor) -> Tensor:
        return winograd.convolve(x, self._kernels, before=enter, after=leave)

    def adjoint(self, gradient: Tensor, leave: Tensor, x: Tensor) -> Tensor:
        return winograd.convolve_back(gradient, self._kernels, before=leave)


class _Layer(torch.autograd.Function):
    """y = φ(leave · conv(enter · x) + strength · noise + bias).

    leave = GAIN · demodulation(enter, energy).
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        enter: Tensor,
        energy: Tensor,
        noise: Tensor,
        strength: Tensor,
        bias: Tensor,
        convolution: Convolution,
    ) -> Tensor:
        leave = demodulation(enter, energy).mul_(GAIN)
        y = convolution.forward(x, enter, leave)
        y.add_((noise * strength).to(y.dtype))
        y.add_(_over(bias[None], y))
        F.leaky_relu_(y, SLOPE)
        ctx.save_for_backward(x, enter, energy, leave, noise, strength, bias, y)
        ctx.convolution = convolution
        return y

    @staticmethod
    # PyTorch gives this decorator no types.
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        gradient = gradients[0]
        x, enter, energy, leave, noise, strength, bias, y = ctx.saved_tensors
        for_x, for_enter, _, for_noise, *_ = ctx.needs_input_grad
        inner = torch.ops.aten.leaky_relu_backward(gradient, y, SLOPE, True)
        d_noise = d_enter = d_x = None
        if for_enter:
            maps = torch.cat((noise * strength, torch.ones_like(noise)), 1)
            rows = inner.permute(_ROWS).flatten(1, 2)
            pair = torch.bmm(maps.flatten(2).to(inner.dtype).expand(len(rows), -1, -1), rows)
            by_noise, by_one = pair.to(leave.dtype).unbind(1)
            whole = (gradient * y).sum((2, 3), dtype=leave.dtype)
            # Σ inner · leave · conv, which is leave · d_leave. With leave = GAIN · q^(-1/2),
            # q = enter² · energy: d leave / d q = -leave³ / 2 GAIN².
            by_conv = whole.sub_(by_noise).addcmul_(bias, by_one, value=-1)
            d_enter = (by_conv.mul_(leave.square()) @ energy).mul_(enter).div_(-(GAIN**2))
        if for_noise:
            d_noise = inner.sum(1, keepdim=True, dtype=noise.dtype).sum_to_size(noise.shape)
            d_noise.mul_(strength)
        if for_x or for_enter:
            d_x = ctx.convolution.adjoint(inner, leave, x)
            if d_enter is not None:
                d_enter += (x * d_x).sum((2, 3), dtype=enter.dtype)
            d_x.mul_(_over(enter, d_x))
        return d_x, d_enter, None, d_noise, None, None, None


def layer(
    x: Tensor,
    enter: Tensor,
    energy: Tensor,
    noise: Tensor,
    strength: Tensor,
    bias: Tensor,
    convolution: Convolution,
) -> Tensor:
    """y = φ(leave · conv(enter · x) + strength · noise + bias), φ a leaky ReLU.

    x (batch, inputs, h, w), enter (batch, inputs), energy (outputs, inputs), noise (batch or 1, 1,
    H, W), strength (), bias (outputs); leave = GAIN · demodulation(enter, energy). Channels lie
    last in memory. Features may be bfloat16 while the rest is float32, and where autocast is on
    they are of the type that it asks for.
    """
    kind = x.device.type
    if torch.is_autocast_enabled(kind):
        x = x.to(torch.get_autocast_dtype(kind))
        enter = enter.to(strength)
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast(kind, enabled=False):  # its casts would be unknown to the derivative
        # PyTorch gives `Function.apply` no types.
        result: Tensor = _Layer.apply(x, enter, energy, noise, strength, bias, convolution)  # type: ignore[no-untyped-call]
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
