"""An operator of its own for each image of a batch, such as a random draw of its own."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError, ShapeError
from invprob.operators.base import STRUCTURES, LinearOperator, Operator
from invprob.operators.composition import rebuilt_parts
from invprob.types import Images, Measured


class Each(Operator):
    """Image i of a batch is measured by operator i; one of them at least is not linear.

    Made by `each`. A batch has as many images as there are operators: `forward` raises `ShapeError`
    for any other.
    """

    def __init__(self, operators: Iterable[Operator]) -> None:
        parts = _alike(operators)
        super().__init__(parts[0].image_shape, parts[0].measurement_shape)
        self.operators = nn.ModuleList(parts)

    def forward(self, image: Images) -> Measured:
        """Measure each image by its operator."""
        return torch.cat([part(own) for part, own in _pairs(self.parts(), image)])

    def surrogate(self, image: Images) -> Measured:
        """Apply to each image the surrogate of its operator."""
        return torch.cat([part.surrogate(own) for part, own in _pairs(self.parts(), image)])

    @property
    def observed(self) -> int:
        """What the operator that observes least does."""
        return min(part.observed for part in self.parts())

    @property
    def smooth(self) -> bool:
        """Whether all of the operators are."""
        return all(part.smooth for part in self.parts())

    def parts(self) -> tuple[Operator, ...]:
        """The operators, in the order of the images."""
        return tuple(part for part in self.operators if isinstance(part, Operator))

    def for_images(self, rows: slice) -> Operator:
        """The operators of those images."""
        return each(self.parts()[rows])

    def spec(self) -> dict[str, Any]:
        """The specs of the operators, in the order of the images."""
        return {"type": "each", "operators": [part.spec() for part in self.parts()]}

    def extra_repr(self) -> str:
        """The first operator, and how many there are."""
        return f"{len(self.operators)} of {self.parts()[0]!r}"


class LinearEach(LinearOperator):
    """Image i of a batch is measured by the linear operator i; made by `each`."""

    def __init__(self, operators: Iterable[LinearOperator]) -> None:
        parts = _alike(operators)
        super().__init__(parts[0].image_shape, parts[0].measurement_shape)
        self.operators = nn.ModuleList(parts)

    def forward(self, image: Images) -> Measured:
        """Measure each image by its operator."""
        return torch.cat([part(own) for part, own in _pairs(self.parts(), image)])

    def surrogate(self, image: Images) -> Measured:
        """Apply to each image the surrogate of its operator."""
        return torch.cat([part.surrogate(own) for part, own in _pairs(self.parts(), image)])

    def adjoint(self, measurement: Measured) -> Images:
        """Apply to each measurement the adjoint of its operator."""
        self.check_measurement(measurement)
        return torch.cat([part.adjoint(own) for part, own in _pairs(self.parts(), measurement)])

    def pinv(
        self, measurement: Measured, *, iterations: int = 200, tolerance: float = 1e-6
    ) -> Images:
        """Apply to each measurement the pseudo-inverse of its operator."""
        pairs = _pairs(self.parts(), measurement)
        found = [part.pinv(own, iterations=iterations, tolerance=tolerance) for part, own in pairs]
        return torch.cat(found)

    def norm(self, *, iterations: int = 1000, tolerance: float = 1e-7, seed: int = 0) -> float:
        """The largest of the operators' norms."""
        settings: dict[str, Any] = {"iterations": iterations, "tolerance": tolerance, "seed": seed}
        return max(part.norm(**settings) for part in self.parts())

    @property
    def observed(self) -> int:
        """What the operator that observes least does."""
        return min(part.observed for part in self.parts())

    def parts(self) -> tuple[LinearOperator, ...]:
        """The operators, in the order of the images."""
        return tuple(part for part in self.operators if isinstance(part, LinearOperator))

    def for_images(self, rows: slice) -> Operator:
        """The operators of those images."""
        return each(self.parts()[rows])

    def spec(self) -> dict[str, Any]:
        """The specs of the operators, in the order of the images."""
        return {"type": "each", "operators": [part.spec() for part in self.parts()]}

    def extra_repr(self) -> str:
        """The first operator, and how many there are."""
        return f"{len(self.operators)} of {self.parts()[0]!r}"


def each(operators: Iterable[Operator]) -> Each | LinearEach:
    """Measure image i of a batch by operator i: as many images as operators, solved at once.

    Linear if all are. Raises `ArgumentError` for none, `ShapeError` where their shapes differ.
    """
    parts = list(operators)
    linear = [part for part in parts if isinstance(part, LinearOperator)]
    return LinearEach(linear) if len(linear) == len(parts) else Each(parts)


STRUCTURES["each"] = lambda settings: each(rebuilt_parts(settings))


def _alike(operators: Iterable[Operator]) -> list[Operator]:
    parts = list(operators)
    if not parts:
        raise ArgumentError("name an operator for each image; there is none")
    first = parts[0]
    for part in parts[1:]:
        if (part.image_shape, part.measurement_shape) != (
            first.image_shape,
            first.measurement_shape,
        ):
            raise ShapeError(
                f"images of a batch are measured alike in shape, but {first!r} and {part!r} differ"
            )
    return parts


def _pairs(parts: tuple[Any, ...], batch: Tensor) -> Iterator[tuple[Any, Tensor]]:
    """Each operator with its image or measurement, which keeps a batch axis of one."""
    if len(batch) != len(parts):
        raise ShapeError(
            f"there are {len(parts)} operators, one for each image of a batch, but {len(batch)} "
            "images; take those of some images with `for_images`"
        )
    return zip(parts, batch.split(1), strict=True)
