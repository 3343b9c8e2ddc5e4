"""Several operators of one image, their measurements flattened and put end to end."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from invprob.calls import checked
from invprob.errors import ArgumentError, ShapeError
from invprob.operators.base import Operator
from invprob.operators.structure import (
    Applied,
    Composite,
    LinearComposite,
    all_linear,
    structure,
)
from invprob.operators.units import NEVER
from invprob.types import Images, Measured


@structure("stack")
class Stack(Composite):
    """Several operators of one image: x to (A₁x, A₂x, …), flattened, end to end. Made by `stack`.

    Its parts are in the order of their measurements.
    """

    def __init__(self, operators: Sequence[Operator]) -> None:
        _check_that_images_are_alike(operators)
        length = sum(math.prod(part.measurement_shape) for part in operators)
        super().__init__(operators, operators[0].image_shape, (length,))

    @classmethod
    def of(cls, operators: Iterable[Operator]) -> "Stack":
        """The same as `stack`."""
        return stack(operators)

    def through(self, apply: Applied, image: Images) -> Measured:
        """Apply each part to the image, and put the flattened results end to end."""
        return torch.cat([apply(part, image).flatten(1) for part in self.parts()], 1)

    def observed(self) -> Tensor:
        """What each operator observes, end to end."""
        own = [part.observed().flatten(1) for part in self.parts()]
        images = max(map(len, own))
        return torch.cat([seen.expand(images, -1) for seen in own], 1)

    @property
    def measured(self) -> int:
        """What all operators measured together."""
        return sum(part.measured for part in self.parts())

    def units(self) -> Tensor | None:
        """Those of each operator; None where one of them has none."""
        labels: list[Tensor] = []
        first = 0
        for part in self.parts():
            own = part.units()
            if own is None:
                return None
            labels.append(torch.where(own == NEVER, NEVER, own + first).flatten())
            first += max(0, int(own.max()) + 1)
        return torch.cat(labels)

    def doubts(self, measurement: Measured) -> tuple[str, ...]:
        """Those of each operator about its own measurements."""
        shares = zip(self.parts(), self.split(measurement), strict=True)
        return tuple(doubt for part, share in shares for doubt in part.doubts(share))

    def split(self, measurement: Measured) -> list[Measured]:
        """Take a measurement apart.

        Args:
            measurement: (batch, length), what the stack measured.

        Returns:
            What each operator measured, in its own shape.

        Raises:
            ArgumentError: the measurement is no tensor of floating-point numbers.
            ShapeError: it has another shape.
        """
        self.check_measurement(measurement)
        shapes = [part.measurement_shape for part in self.parts()]
        pieces = measurement.split([math.prod(shape) for shape in shapes], 1)
        return [
            piece.reshape(len(piece), *shape) for piece, shape in zip(pieces, shapes, strict=True)
        ]

    def extra_repr(self) -> str:
        """The operators."""
        return ", ".join(map(repr, self.parts()))


class LinearStack(LinearComposite, Stack):
    """Several linear operators of one image. Made by `stack`."""

    def adjoint(self, measurement: Measured) -> Images:
        """A₁'y₁ + A₂'y₂ + …, with the share y_k of the measurement that A_k made."""
        shares = zip(self.parts(), self.split(measurement), strict=True)
        return torch.stack([part.adjoint(share) for part, share in shares]).sum(0)


@checked
def stack(operators: Iterable[Operator]) -> Stack:
    """Measure one image by several operators: x to (A₁x, A₂x, …), flattened, end to end.

    Args:
        operators: one or more operators that read images of one shape.

    Returns:
        A `LinearStack` if all of them are linear. Its measurements are (batch, length), where
        length is the sum of the sizes of the operators' measurements.

    Raises:
        ArgumentError: there is no operator.
        ShapeError: the operators do not read images of one shape.
    """
    parts = list(operators)
    return LinearStack(parts) if all_linear(parts) else Stack(parts)


def _check_that_images_are_alike(operators: Sequence[Operator]) -> None:
    if not operators:
        raise ArgumentError("a stack needs at least one operator")
    first = operators[0]
    for part in operators[1:]:
        if part.image_shape != first.image_shape:
            raise ShapeError(
                f"{first!r} reads {first.image_shape}, but {part!r} reads "
                f"{part.image_shape}; stack operators of one image"
            )
