"""Chains of operators, `A @ B`, and adjoints as operators of their own."""

import itertools
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from torch import Tensor

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.errors import ArgumentError, ShapeError
from invprob.operators.base import LinearOperator, Operator
from invprob.operators.observed import varies
from invprob.operators.structure import (
    Applied,
    Composite,
    LinearComposite,
    Structure,
    all_linear,
    structure,
)
from invprob.operators.units import pixels, where_observed
from invprob.types import Images, Measured, Spec


@structure("compose")
class Composed(Composite):
    """Several operators in a chain: the last one sees the image first. Made by `compose`."""

    def __init__(self, operators: Sequence[Operator]) -> None:
        _check_that_shapes_meet(operators)
        super().__init__(operators, operators[-1].image_shape, operators[0].measurement_shape)

    @classmethod
    def of(cls, operators: Iterable[Operator]) -> Operator:
        """The same as `compose`."""
        return compose(operators)

    def through(self, apply: Applied, image: Images) -> Measured:
        """Apply the parts from the last to the first."""
        for part in reversed(self.parts()):
            image = apply(part, image)
        return image

    def observed(self) -> Tensor:
        """What the outermost part observes, less what it owes to hidden numbers alone."""
        return self._observed

    @cached_property
    @undisturbed()  # autograd may use it later
    def _observed(self) -> Tensor:
        *outer, innermost = self.parts()
        seen, chain = innermost.observed(), innermost
        for part in reversed(outer):
            chain = compose([part, chain])
            seen = _seen_through(part, seen, chain)
        return seen

    @property
    def measured(self) -> int:
        """What the narrowest of the operators measured."""
        return min(super().measured, *(part.measured for part in self.parts()))

    def units(self) -> Tensor | None:
        """Those of the outermost part that does more than change each number by itself."""
        parts = self.parts()
        labels = next((part for part in parts if not part.pointwise), parts[-1]).units()
        return None if labels is None else where_observed(labels, self)

    def doubts(self, measurement: Measured) -> tuple[str, ...]:
        """Those of the operator that writes the measurement."""
        return self.parts()[0].doubts(measurement)

    def leaves(self) -> tuple[Operator, ...]:
        """The operators, in reading order."""
        return self.parts()

    def describe(self) -> str:
        """The descriptions of the operators, in reading order."""
        return " @ ".join(self._described())

    def names(self) -> tuple[str, ...]:
        """The names of the operators, in reading order."""
        return tuple(name for part in self.parts() for name in part.names())


class LinearComposed(LinearComposite, Composed):
    """Several linear operators in a chain. Made by `compose`."""

    def adjoint(self, measurement: Measured) -> Images:
        """(A B)' y = B'(A' y): apply the adjoints from the first to the last."""
        for part in self.parts():
            measurement = part.adjoint(measurement)
        return measurement


@checked
def compose(operators: Iterable[Operator]) -> Operator:
    """Compose operators given in reading order: the last sees the image first.

    `compose([A, B])` is `A @ B`, with (A @ B)(x) = A(B(x)). Chains within the chain are taken
    apart, so that brackets make no difference.

    Args:
        operators: one or more operators; each reads images of the shape that the next one writes.

    Returns:
        A `LinearOperator` if all of them are; the operator itself if it is the only one.

    Raises:
        ArgumentError: there is no operator.
        ShapeError: an operator does not write what the one before it reads.
    """
    parts = [leaf for operator in operators for leaf in operator.leaves()]
    if len(parts) == 1:
        return parts[0]
    return LinearComposed(parts) if all_linear(parts) else Composed(parts)


@structure("adjoint")
class Adjoint(Structure, LinearOperator):
    """The transpose of a linear operator, itself an operator."""

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__(operator.measurement_shape, operator.image_shape)
        self.operator = operator

    def forward(self, image: Images) -> Measured:
        """Apply the operator's adjoint."""
        return self._of().adjoint(image)

    def adjoint(self, measurement: Measured) -> Images:
        """Apply the operator itself."""
        return self._of()(measurement)

    def observed(self) -> Tensor:
        """The numbers of the image that enter a measurement."""
        return varies(self, len(self._of().observed()))

    def units(self) -> Tensor:
        """Pixels, all channels together."""
        return where_observed(pixels(self.measurement_shape), self)

    @property
    def H(self) -> LinearOperator:
        """The operator itself."""
        return self._of()

    def for_images(self, rows: slice) -> Operator:
        """The adjoint of what the operator is for those images."""
        part = self._of().for_images(rows)
        assert isinstance(part, LinearOperator)
        return part.H

    def spec(self) -> dict[str, Any]:
        """The spec of the operator, marked as transposed."""
        return {"type": self.kind, "operator": self._of().spec()}

    @classmethod
    def rebuilt(cls, settings: Spec) -> Operator:
        """The adjoint of the operator in the spec; raises `ArgumentError` if it has none."""
        inner = Operator.from_spec(settings.get("operator", {}))
        if isinstance(inner, LinearOperator):
            return inner.H
        raise ArgumentError(f"{inner!r} is not linear, so it has no adjoint")

    def describe(self) -> str:
        """The description of the operator, marked as transposed."""
        return f"{self.kind}({self._of().describe()})"

    def _of(self) -> LinearOperator:
        assert isinstance(self.operator, LinearOperator)
        return self.operator


def _seen_through(part: Operator, seen: Tensor, chain: Operator) -> Tensor:
    """What a chain observes, given its outermost part and what the rest of it observes.

    A number of the chain is hidden if its part would look at the image there, but looks at hidden
    numbers alone.
    """
    own = part.observed()
    if part.pointwise:
        return own & seen
    if bool(seen.all()):
        return own
    images = max(len(own), len(seen))
    return own & (varies(chain, images) | ~varies(part, images))


def _check_that_shapes_meet(operators: Sequence[Operator]) -> None:
    if not operators:
        raise ArgumentError("a composition needs at least one operator")
    for outer, inner in itertools.pairwise(operators):
        if outer.image_shape != inner.measurement_shape:
            raise ShapeError(
                f"{outer!r} reads {outer.image_shape}, but {inner!r} writes "
                f"{inner.measurement_shape}; compose operators whose shapes meet"
            )
