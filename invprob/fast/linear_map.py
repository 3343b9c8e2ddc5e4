"""Linear and affine maps with known transposes, which PyTorch would differentiate slowly."""

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

Map: TypeAlias = Callable[[Tensor], Tensor]


def linear_map(value: Tensor, apply: Map, transpose: Map) -> Tensor:
    """Apply a linear map whose derivative is known: reverse, forward and under `torch.func`.

    Args:
        value: (batch, ...).
        apply: the map, which treats each item of a batch by itself. PyTorch does not look inside.
        transpose: the transposed map. Second derivatives ask that it can be differentiated.

    Returns:
        The map of the value.
    """
    return affine_map(value, apply, lambda along: linear_map(along, apply, transpose), transpose)


def affine_map(value: Tensor, apply: Map, linear: Map, transpose: Map) -> Tensor:
    """Apply a linear map plus a constant; the derivative is known as for `linear_map`.

    Args:
        value: (batch, ...).
        apply: the map, which treats each item of a batch by itself. PyTorch does not look inside.
        linear: the same without the constant. Second derivatives ask that it can be differentiated.
        transpose: the transpose of `linear`, of which the same holds.

    Returns:
        The map of the value.
    """
    # PyTorch gives `Function.apply` no types.
    result: Tensor = _Affine.apply(value, apply, linear, transpose)  # type: ignore[no-untyped-call]
    return result


class _Affine(torch.autograd.Function):
    """The gradient is the transposed map, and the directional derivative the map itself."""

    @staticmethod
    def forward(value: Tensor, apply: Map, linear: Map, transpose: Map) -> Tensor:
        del linear, transpose
        return apply(value)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, _, ctx.linear, ctx.transpose = inputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return ctx.transpose(gradients[0]), None, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        derivative: Tensor = ctx.linear(tangents[0])
        return derivative

    @staticmethod
    def vmap(  # pyright: ignore[reportIncompatibleMethodOverride]
        info: Any, in_dims: tuple[Any, ...], value: Tensor, apply: Map, linear: Map, transpose: Map
    ) -> tuple[Tensor, int]:
        """Two batch axes are one longer batch."""
        batches = value.movedim(in_dims[0], 0)
        together = affine_map(batches.flatten(0, 1), apply, linear, transpose)
        return together.unflatten(0, batches.shape[:2]), 0
