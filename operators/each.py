"""An operator of its own for each image of a batch, such as a random draw of its own."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

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

Part = TypeVar("Part", bound=Operator)


@structure("each")
class Each(Composite):
    """Image i of a batch is measured by operator i. Made by `each`.

    A batch has as many images as there are operators: `forward` raises `ShapeError` for any other.
    """

    def __init__(self, operators: Sequence[Operator]) -> None:
        _check_that_shapes_are_alike(operators)
        super().__init__(operators, operators[0].image_shape, operators[0].measurement_shape)

    @classmethod
    def of(cls, operators: Iterable[Operator]) -> "Each":
        """The same as `each`."""
        return each(operators)

    def through(self, apply: Applied, image: Images) -> Measured:
        """Apply operator i to image i."""
        return torch.cat([apply(part, own) for part, own in _pairs(self.parts(), image)])

    def observed(self) -> Tensor:
        """What operator i observes, in row i."""
        return torch.cat([part.observed() for part in self.parts()])

    @property
    def measured(self) -> int:
        """What the operator that measured least measured."""
        return min(part.measured for part in self.parts())

    def units(self) -> Tensor | None:
        """What all images have in common, never what one of them lacks; None where they differ.

        `hold_out` goes by the units of each image instead.
        """
        own = [part.units() for part in self.parts()]
        offered = [units for units in own if units is not None]
        if len(offered) < len(own):
            return None
        labels = torch.stack(offered)
        shared = labels.amin(0) != NEVER
        alike = bool((labels == labels[0])[:, shared].all())
        return torch.where(shared, labels[0], NEVER) if alike else None

    def doubts(self, measurement: Measured) -> tuple[str, ...]:
        """Those of each operator about its own image, equal ones once."""
        pairs = _pairs(self.parts(), measurement)
        return tuple(dict.fromkeys(doubt for part, own in pairs for doubt in part.doubts(own)))

    def for_images(self, rows: slice) -> "Each":
        """The operators of those images."""
        return each(self.parts()[rows])

    def names(self) -> tuple[str, ...]:
        """The names of one operator if all have the same, else the name of the structure."""
        names = {part.names() for part in self.parts()}
        return names.pop() if len(names) == 1 else super().names()

    def extra_repr(self) -> str:
        """The first operator, and how many there are."""
        return f"{len(self.operators)} of {self.parts()[0]!r}"


class LinearEach(LinearComposite, Each):
    """Image i of a batch is measured by the linear operator i. Made by `each`."""

    def adjoint(self, measurement: Measured) -> Images:
        """Apply to measurement i the adjoint of operator i."""
        return torch.cat([part.adjoint(own) for part, own in _pairs(self.parts(), measurement)])

    def pinv(
        self, measurement: Measured, *, iterations: int = 200, tolerance: float = 1e-6
    ) -> Images:
        """Apply to measurement i the pseudo-inverse of operator i."""
        pairs = _pairs(self.parts(), measurement)
        found = [part.pinv(own, iterations=iterations, tolerance=tolerance) for part, own in pairs]
        return torch.cat(found)

    def norm(self, *, iterations: int = 1000, tolerance: float = 1e-7, seed: int = 0) -> float:
        """The largest of the operators' norms."""
        return max(
            part.norm(iterations=iterations, tolerance=tolerance, seed=seed)
            for part in self.parts()
        )


@checked
def each(operators: Iterable[Operator]) -> Each:
    """Measure image i of a batch by operator i: as many images as operators, solved at once.

    Args:
        operators: one for each image of the batch, all of the same image and measurement shape.

    Returns:
        A `LinearEach` if all of them are linear.

    Raises:
        ArgumentError: there is no operator.
        ShapeError: the shapes of the operators differ.
    """
    parts = list(operators)
    return LinearEach(parts) if all_linear(parts) else Each(parts)


def _check_that_shapes_are_alike(operators: Sequence[Operator]) -> None:
    if not operators:
        raise ArgumentError("name an operator for each image; there is none")
    first = operators[0]
    shapes = (first.image_shape, first.measurement_shape)
    for part in operators[1:]:
        if (part.image_shape, part.measurement_shape) != shapes:
            raise ShapeError(
                f"images of a batch are measured alike in shape, but {first!r} and {part!r} differ"
            )


def _pairs(parts: tuple[Part, ...], batch: Tensor) -> Iterator[tuple[Part, Tensor]]:
    """Each operator with its image or measurement, which keeps a batch axis of one."""
    if len(batch) != len(parts):
        raise ShapeError(
            f"there are {len(parts)} operators, one for each image of a batch, but {len(batch)} "
            "images; take those of some images with `for_images`"
        )
    return zip(parts, batch.split(1), strict=True)
