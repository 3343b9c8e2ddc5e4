"""A convolution of `torch.nn` that is fast where its weight is frozen."""

from functools import partial
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from invprob import packed, winograd
from invprob.derived import Derived


class _Winograd(torch.autograd.Function):
    """`winograd.convolve` and a bias; the gradient is the input's alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernels: Tensor, bias: Tensor) -> Tensor:
        ctx.kernels = kernels
        return winograd.convolve(x, kernels, bias=bias)

    @staticmethod
    # PyTorch gives this decorator no types.
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor, None, None]:
        return winograd.convolve_back(gradients[0], ctx.kernels), None, None


class _Packed(torch.autograd.Function):
    """`packed.convolve` with stride 1 and a bias; the gradient is the input's alone."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        there: Tensor,
        back: packed.Layout,
        weight: Tensor,
        bias: Tensor,
        padding: int,
    ) -> Tensor:
        y = packed.convolve(x, there, bias=bias, padding=padding)
        ctx.back, ctx.padding = back.of(weight, tuple(y.shape)), weight.shape[2] - 1 - padding
        return y

    @staticmethod
    # PyTorch gives this decorator no types.
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor, None, None, None, None, None]:
        d_x = packed.convolve(gradients[0], ctx.back, padding=ctx.padding)
        return d_x, None, None, None, None, None


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
            kernels = self._kernels.of(weight, transform=winograd.transform)
            # PyTorch gives `Function.apply` no types.
            y: Tensor = _Winograd.apply(input, kernels, bias)  # type: ignore[no-untyped-call]
        elif packed.suits(input, weight):
            there = self._there.of(weight, tuple(input.shape))
            y = _Packed.apply(  # type: ignore[no-untyped-call]
                input, there, self._back, weight, bias, self._margin
            )
        else:
            y = super().forward(input)
        return y
