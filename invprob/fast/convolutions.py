"""Ways to convolve features by a layer's frozen 3x3 weight, each with its adjoint."""

from abc import ABC, abstractmethod
from functools import partial
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from invprob.fast import packed, winograd
from invprob.fast.derived import Derived
from invprob.fast.filters import smooth
from invprob.types import Shape

_PLAIN = ((1, 1), (1, 1), (1, 1), False, (0, 0), 1)  # stride, padding, dilation, ..., groups


def over(factors: Tensor, features: Tensor) -> Tensor:
    """Factors (batch or 1, channels) as they apply to features."""
    return factors.view(*factors.shape, 1, 1).to(features.dtype)


class Convolution(ABC):
    """A way to convolve by a frozen weight, and its adjoint."""

    @abstractmethod
    def forward(self, x: Tensor, enter: Tensor) -> Tensor:
        """conv(enter · x) of (batch, inputs, h, w), (batch, inputs)."""

    @abstractmethod
    def adjoint(self, gradient: Tensor, x: Tensor) -> Tensor:
        """adjoint(gradient), shaped like x."""


@final
class Direct(Convolution):
    """By PyTorch's convolution; weight (outputs, inputs, 3, 3)."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight

    def forward(self, x: Tensor, enter: Tensor) -> Tensor:
        return F.conv2d(x * over(enter, x), self._weight.to(x.dtype), padding=1)

    def adjoint(self, gradient: Tensor, x: Tensor) -> Tensor:
        weight = self._weight.to(gradient.dtype)
        # Of x only the shape counts, but `torch.nn.grad.conv2d_input` would fill one to pass it.
        d_x: Tensor = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, *_PLAIN, (True, False, False)
        )[0]
        return d_x


@final
class Packed(Convolution):
    """The same by `there` from `packed.pack` and `back` from `packed.pack_adjoint`."""

    def __init__(self, there: Tensor, back: Tensor) -> None:
        self._there, self._back = there, back

    def forward(self, x: Tensor, enter: Tensor) -> Tensor:
        return packed.convolve(x * over(enter, x), self._there, padding=1)

    def adjoint(self, gradient: Tensor, x: Tensor) -> Tensor:
        return packed.convolve(gradient, self._back, padding=1)


@final
class Winograd(Convolution):
    """The same with a quarter of the products; `kernels` from `winograd.transform`."""

    def __init__(self, kernels: Tensor) -> None:
        self._kernels = kernels

    def forward(self, x: Tensor, enter: Tensor) -> Tensor:
        return winograd.convolve(x, self._kernels, scale=enter)

    def adjoint(self, gradient: Tensor, x: Tensor) -> Tensor:
        return winograd.convolve_back(gradient, self._kernels)


@final
class Doubling(Convolution):
    """To twice the height and width: by stride 2, transposed, then low-pass."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight.transpose(0, 1)

    def forward(self, x: Tensor, enter: Tensor) -> Tensor:
        weight = self._weight.to(x.dtype)
        return smooth(F.conv_transpose2d(x * over(enter, x), weight, stride=2), 1)

    def adjoint(self, gradient: Tensor, x: Tensor) -> Tensor:
        return F.conv2d(smooth(gradient, 2), self._weight.to(gradient.dtype), stride=2)


@final
class PackedDoubling(Convolution):
    """The same by `there` from `packed.pack_transposed` and `back` from `packed.pack`."""

    def __init__(self, there: Tensor, back: Tensor) -> None:
        self._there, self._back = there, back

    def forward(self, x: Tensor, enter: Tensor) -> Tensor:
        return smooth(packed.convolve_transposed(x * over(enter, x), self._there), 1)

    def adjoint(self, gradient: Tensor, x: Tensor) -> Tensor:
        return packed.convolve(smooth(gradient, 2), self._back, stride=2)


class Ways:
    """What the ways of one weight need beside it, made when first taken."""

    def __init__(self) -> None:
        self._kernels = Derived()
        self._there = packed.Layout(partial(packed.pack, padding=1))
        self._back = packed.Layout(partial(packed.pack_adjoint, padding=1))
        self._double = packed.Layout(_pack_doubling)
        self._halve = packed.Layout(_pack_halving)

    def fastest(self, weight: Tensor, x: Tensor) -> Convolution:
        """The way that is fastest for features like x."""
        if winograd.suits(x, weight):
            return Winograd(self._kernels.of(weight, transform=winograd.transform))
        if packed.suits(x, weight):
            given, made = tuple(x.shape), (len(x), len(weight), *x.shape[2:])
            return Packed(self._there.of(weight, given), self._back.of(weight, made))
        return Direct(weight)

    def fastest_doubling(self, weight: Tensor, x: Tensor) -> Convolution:
        """The way that is fastest to twice the size."""
        if packed.suits(x, weight):
            batch, _, height, width = given = tuple(x.shape)
            made = (batch, len(weight), 2 * height + 1, 2 * width + 1)
            return PackedDoubling(self._double.of(weight, given), self._halve.of(weight, made))
        return Doubling(weight)


def _pack_doubling(weight: Tensor, given: Shape) -> Tensor:
    return packed.pack_transposed(weight.transpose(0, 1), given)


def _pack_halving(weight: Tensor, given: Shape) -> Tensor:
    return packed.pack(weight.transpose(0, 1), given, stride=2)
