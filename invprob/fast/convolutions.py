"""The ways to convolve by a frozen weight, each with its adjoint.

Features are (batch, channels, h, w), weights (outputs, inputs, k, k). A way is given the weight at
each call and keeps what it derives from it.
"""

from abc import abstractmethod
from functools import partial
from typing import final

import torch.nn.functional as F
from torch import Tensor

from invprob.fast import packed, winograd
from invprob.fast.derived import Derived
from invprob.fast.filters import smooth
from invprob.fast.linear_map import affine_map, linear_map
from invprob.fast.modulated import Gradients, Modulated, Wanted, per_channel, through_scale
from invprob.types import Shape


class Way(Modulated):
    """One way to compute a convolution by a frozen weight, and its adjoint."""

    @abstractmethod
    def can(self, x: Tensor, weight: Tensor) -> bool:
        """Whether this way gives the right result for features like x."""

    def pays(self, x: Tensor, weight: Tensor) -> bool:
        """Whether it is then faster than PyTorch's own convolution."""
        return True

    @abstractmethod
    def forward(
        self, x: Tensor, weight: Tensor, scale: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        """conv(scale · x) + bias, with scale (batch, inputs) and bias (outputs); no gradient."""

    @abstractmethod
    def adjoint(self, gradient: Tensor, weight: Tensor) -> Tensor:
        """The adjoint of conv: (batch, outputs, H, W) -> (batch, inputs, h, w); no gradient."""

    def modulated(self, x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        return self.forward(x, weight, scale)

    def gradients(
        self, gradient: Tensor, x: Tensor, weight: Tensor, scale: Tensor, wanted: Wanted
    ) -> Gradients:
        if not (wanted.x or wanted.scale):
            return Gradients(None, None, None)
        return Gradients(*through_scale(self.adjoint(gradient, weight), x, scale, wanted), None)

    def differentiable(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """conv(x) + bias, with a gradient to x alone."""
        forward = partial(self.forward, weight=weight, bias=bias)
        return affine_map(x, forward, partial(self._linear, weight), partial(self._back, weight))

    def _linear(self, weight: Tensor, x: Tensor) -> Tensor:
        return linear_map(x, partial(self.forward, weight=weight), partial(self._back, weight))

    def _back(self, weight: Tensor, y: Tensor) -> Tensor:
        return linear_map(y, partial(self.adjoint, weight=weight), partial(self._linear, weight))


@final
class Direct(Way):
    """PyTorch's convolution, everywhere."""

    def __init__(self, padding: int) -> None:
        self._padding = padding

    def can(self, x: Tensor, weight: Tensor) -> bool:
        return True

    def forward(
        self, x: Tensor, weight: Tensor, scale: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        return F.conv2d(_scaled(x, scale), weight.to(x.dtype), bias, padding=self._padding)

    def adjoint(self, gradient: Tensor, weight: Tensor) -> Tensor:
        return F.conv_transpose2d(gradient, weight.to(gradient.dtype), padding=self._padding)

    def differentiable(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        # Known to autograd, so that autocast applies and gradients have gradients.
        return F.conv2d(x, weight, bias, padding=self._padding)


@final
class Packed(Way):
    """oneDNN's convolution by a weight that was laid out once, in float32 on a CPU."""

    def __init__(self, size: int, padding: int) -> None:
        self._padding, self._adjoint_padding = padding, size - 1 - padding
        self._weight = packed.Layout(partial(packed.pack, padding=padding))
        self._adjoint_weight = packed.Layout(partial(packed.pack_adjoint, padding=padding))

    def can(self, x: Tensor, weight: Tensor) -> bool:
        return packed.available(x, weight)

    def forward(
        self, x: Tensor, weight: Tensor, scale: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        laid_out = self._weight.of(weight, tuple(x.shape))
        return packed.convolve(_scaled(x, scale), laid_out, bias=bias, padding=self._padding)

    def adjoint(self, gradient: Tensor, weight: Tensor) -> Tensor:
        laid_out = self._adjoint_weight.of(weight, tuple(gradient.shape))
        return packed.convolve(gradient, laid_out, padding=self._adjoint_padding)


@final
class Winograd(Way):
    """A 3x3 convolution with padding 1 by a quarter of the products, on a CPU."""

    def __init__(self) -> None:
        self._kernels = Derived()

    def can(self, x: Tensor, weight: Tensor) -> bool:
        return winograd.available(x, weight)

    def pays(self, x: Tensor, weight: Tensor) -> bool:
        return winograd.pays(x, weight)

    def forward(
        self, x: Tensor, weight: Tensor, scale: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        return winograd.convolve(x, self._transformed(weight), scale=scale, bias=bias)

    def adjoint(self, gradient: Tensor, weight: Tensor) -> Tensor:
        return winograd.convolve_back(gradient, self._transformed(weight))

    def _transformed(self, weight: Tensor) -> Tensor:
        return self._kernels.of(weight, transform=winograd.transform)


@final
class DirectDoubling(Way):
    """To twice the height and width: transposed convolution of stride 2, then low-pass."""

    def can(self, x: Tensor, weight: Tensor) -> bool:
        return True

    def forward(
        self, x: Tensor, weight: Tensor, scale: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        turned = weight.transpose(0, 1).to(x.dtype)
        return _plus(smooth(F.conv_transpose2d(_scaled(x, scale), turned, stride=2), 1), bias)

    def adjoint(self, gradient: Tensor, weight: Tensor) -> Tensor:
        turned = weight.transpose(0, 1).to(gradient.dtype)
        return F.conv2d(smooth(gradient, 2), turned, stride=2)


@final
class PackedDoubling(Way):
    """The same by weights that were laid out once, in float32 on a CPU."""

    def __init__(self) -> None:
        self._weight = packed.Layout(_pack_doubling)
        self._adjoint_weight = packed.Layout(_pack_halving)

    def can(self, x: Tensor, weight: Tensor) -> bool:
        return packed.available(x, weight)

    def forward(
        self, x: Tensor, weight: Tensor, scale: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        laid_out = self._weight.of(weight, tuple(x.shape))
        return _plus(smooth(packed.convolve_transposed(_scaled(x, scale), laid_out), 1), bias)

    def adjoint(self, gradient: Tensor, weight: Tensor) -> Tensor:
        smoothed = smooth(gradient, 2)
        laid_out = self._adjoint_weight.of(weight, tuple(smoothed.shape))
        return packed.convolve(smoothed, laid_out, stride=2)


def _scaled(x: Tensor, scale: Tensor | None) -> Tensor:
    return x if scale is None else x * per_channel(scale, x)


def _plus(y: Tensor, bias: Tensor | None) -> Tensor:
    return y if bias is None else y + per_channel(bias[None], y)


def _pack_doubling(weight: Tensor, given: Shape) -> Tensor:
    return packed.pack_transposed(weight.transpose(0, 1), given)


def _pack_halving(weight: Tensor, given: Shape) -> Tensor:
    return packed.pack(weight.transpose(0, 1), given, stride=2)
