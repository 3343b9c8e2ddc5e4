"""Several operators of one image, their measurements flattened and put end to end."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn

from invprob.errors import ArgumentError, ShapeError
from invprob.operators.base import STRUCTURES, LinearOperator, Operator
from invprob.operators.composition import rebuilt_parts
from invprob.types import Images, Measured, Shape


class Stack(Operator):
    """Several operators of one image, of which one at least is not linear; made by `stack`."""

    def __init__(self, operators: Iterable[Operator]) -> None:
        parts = _same_images(operators)
        super().__init__(parts[0].image_shape, _stacked_shape(parts))
        self.operators = nn.ModuleList(parts)

    def forward(self, image: Images) -> Measured:
        """Put the flattened measurements end to end."""
        return torch.cat([part(image).flatten(1) for part in self.parts()], 1)

    def surrogate(self, image: Images) -> Measured:
        """Put the flattened measurements of the surrogates end to end."""
        return torch.cat([part.surrogate(image).flatten(1) for part in self.parts()], 1)

    @property
    def observed(self) -> int:
        """What all operators observe together."""
        return sum(part.observed for part in self.parts())

    @property
    def smooth(self) -> bool:
        """Whether all of the operators are."""
        return all(part.smooth for part in self.parts())

    def parts(self) -> tuple[Operator, ...]:
        """The operators, in the order of their measurements."""
        return tuple(part for part in self.operators if isinstance(part, Operator))

    def split(self, measurement: Measured) -> list[Measured]:
        """What each operator measured, in its own shape; raises `ShapeError`."""
        return list(_pieces(self, measurement))

    def for_images(self, rows: slice) -> Operator:
        """The stack of what each operator is for those images."""
        return stack(part.for_images(rows) for part in self.parts())

    def spec(self) -> dict[str, Any]:
        """The specs of the operators, in the order of their measurements."""
        return {"type": "stack", "operators": [part.spec() for part in self.parts()]}

    def extra_repr(self) -> str:
        """The operators."""
        return ", ".join(map(repr, self.parts()))


class LinearStack(LinearOperator):
    """Several linear operators of one image; made by `stack`."""

    def __init__(self, operators: Iterable[LinearOperator]) -> None:
        parts = _same_images(operators)
        super().__init__(parts[0].image_shape, _stacked_shape(parts))
        self.operators = nn.ModuleList(parts)

    def forward(self, image: Images) -> Measured:
        """Put the flattened measurements end to end."""
        return torch.cat([part(image).flatten(1) for part in self.parts()], 1)

    def surrogate(self, image: Images) -> Measured:
        """Put the flattened measurements of the surrogates end to end."""
        return torch.cat([part.surrogate(image).flatten(1) for part in self.parts()], 1)

    def adjoint(self, measurement: Measured) -> Images:
        """Add up what the operators' adjoints make of their shares."""
        shares = zip(self.parts(), self.split(measurement), strict=True)
        return torch.stack([part.adjoint(share) for part, share in shares]).sum(0)

    @property
    def observed(self) -> int:
        """What all operators observe together."""
        return sum(part.observed for part in self.parts())

    def parts(self) -> tuple[LinearOperator, ...]:
        """The operators, in the order of their measurements."""
        return tuple(part for part in self.operators if isinstance(part, LinearOperator))

    def split(self, measurement: Measured) -> list[Measured]:
        """What each operator measured, in its own shape; raises `ShapeError`."""
        return list(_pieces(self, measurement))

    def for_images(self, rows: slice) -> Operator:
        """The stack of what each operator is for those images."""
        return stack(part.for_images(rows) for part in self.parts())

    def spec(self) -> dict[str, Any]:
        """The specs of the operators, in the order of their measurements."""
        return {"type": "stack", "operators": [part.spec() for part in self.parts()]}

    def extra_repr(self) -> str:
        """The operators."""
        return ", ".join(map(repr, self.parts()))


def stack(operators: Iterable[Operator]) -> Stack | LinearStack:
    """Measure one image by several operators: x to (A₁x, A₂x, …), flattened, end to end.

    Linear if all are. Raises `ArgumentError` for none, `ShapeError` where they do not read images
    of one shape.
    """
    parts = list(operators)
    linear = [part for part in parts if isinstance(part, LinearOperator)]
    return LinearStack(linear) if len(linear) == len(parts) else Stack(parts)


STRUCTURES["stack"] = lambda settings: stack(rebuilt_parts(settings))


def _same_images(operators: Iterable[Operator]) -> list[Operator]:
    parts = list(operators)
    if not parts:
        raise ArgumentError("a stack needs at least one operator")
    for part in parts[1:]:
        if part.image_shape != parts[0].image_shape:
            raise ShapeError(
                f"{parts[0]!r} reads {parts[0].image_shape}, but {part!r} reads "
                f"{part.image_shape}; stack operators of one image"
            )
    return parts


def _stacked_shape(parts: Iterable[Operator]) -> Shape:
    return (sum(math.prod(part.measurement_shape) for part in parts),)


def _pieces(operator: Stack | LinearStack, measurement: Measured) -> Iterator[Measured]:
    if tuple(measurement.shape[1:]) != operator.measurement_shape or measurement.ndim == 0:
        raise ShapeError(
            f"{operator!r} makes measurements of shape (batch, {operator.measurement_shape[0]}), "
            f"got {tuple(measurement.shape)}"
        )
    lengths = [math.prod(part.measurement_shape) for part in operator.parts()]
    for part, piece in zip(operator.parts(), measurement.split(lengths, 1), strict=True):
        yield piece.reshape(len(piece), *part.measurement_shape)
