"""A convolution of `torch.nn` that is fast where its weight is frozen."""

from collections.abc import Callable
from functools import partial
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from invprob.fast import packed, winograd
from invprob.fast.derived import Derived

Way = Callable[[Tensor], Tensor]


class _Convolved(torch.autograd.Function):
    """`there`, whose adjoint is `back`; the gradient is the input's alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, there: Way, back: Way) -> Tensor:
        ctx.back = back
        return there(x)

    @staticmethod
    # PyTorch gives this decorator no types.
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor, None, None]:
        return ctx.back(gradients[0]), None, None


@final
class FrozenConv2d(nn.Conv2d):
    """Like PyTorch's, with square kernels; where its weight is frozen, by what is fastest.

    Where it goes a way of its own it cannot be differentiated twice.
    """

    def __init__(
        self, inputs: int, outputs: int, size: int, stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__(inputs, outputs, size, stride, padding)
        self._step, self._size, self._margin = stride, size, padding
        self._kernels = Derived()
        self._there = packed.Layout(partial(packed.pack, padding=padding))
        self._back = packed.Layout(partial(packed.pack_adjoint, padding=padding))

    def forward(self, input: Tensor) -> Tensor:
        """(batch, inputs, h, w) -> (batch, outputs, H, W)."""
        weight, bias = self.weight, self.bias
        if bias is None or bias.requires_grad or self._step != 1:
            return super().forward(input)
        if (self._size, self._margin) == (3, 1) and winograd.suits(input, weight):
            ways = self._winograd(bias)
        elif packed.suits(input, weight):
            ways = self._packed(bias)
        else:
            return super().forward(input)
        # PyTorch gives `Function.apply` no types.
        y: Tensor = _Convolved.apply(input, *ways)  # type: ignore[no-untyped-call]
        return y

    def _winograd(self, bias: Tensor) -> tuple[Way, Way]:
        kernels = self._kernels.of(self.weight, transform=winograd.transform)
        return (
            lambda x: winograd.convolve(x, kernels, bias=bias),
            lambda gradient: winograd.convolve_back(gradient, kernels),
        )

    def _packed(self, bias: Tensor) -> tuple[Way, Way]:
        padding, margin = self._margin, self._size - 1 - self._margin

        def there(x: Tensor) -> Tensor:
            weight = self._there.of(self.weight, tuple(x.shape))
            return packed.convolve(x, weight, bias=bias, padding=padding)

        def back(gradient: Tensor) -> Tensor:
            weight = self._back.of(self.weight, tuple(gradient.shape))
            return packed.convolve(gradient, weight, padding=margin)

        return there, back
