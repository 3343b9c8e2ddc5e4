"""Operators made of operators: chains `A @ B`, and adjoints as operators of their own."""

import itertools
from collections.abc import Iterable
from typing import Any

from torch import nn

from invprob.errors import ArgumentError, ShapeError
from invprob.operators.base import STRUCTURES, LinearOperator, Operator
from invprob.types import Images, Measured, Spec


class Composed(Operator):
    """Several operators of which one at least is not linear, applied from the last to the first."""

    def __init__(self, operators: Iterable[Operator]) -> None:
        parts = _chain(operators)
        super().__init__(parts[-1].image_shape, parts[0].measurement_shape)
        self.operators = nn.ModuleList(parts)

    def forward(self, image: Images) -> Measured:
        """Apply the operators one after the other."""
        for part in reversed(self.leaves()):
            image = part(image)
        return image

    def surrogate(self, image: Images) -> Measured:
        """Apply the operators' surrogates one after the other."""
        for part in reversed(self.leaves()):
            image = part.surrogate(image)
        return image

    @property
    def observed(self) -> int:
        """What passes the narrowest of the operators."""
        return min(part.observed for part in self.leaves())

    @property
    def smooth(self) -> bool:
        """Whether all of the operators are."""
        return all(part.smooth for part in self.leaves())

    def leaves(self) -> tuple[Operator, ...]:
        """The operators, in reading order."""
        return tuple(part for part in self.operators if isinstance(part, Operator))

    def for_images(self, rows: slice) -> Operator:
        """The same chain of what each operator is for those images."""
        return compose(part.for_images(rows) for part in self.leaves())

    def spec(self) -> dict[str, Any]:
        """The specs of the operators, in reading order."""
        return {"type": "compose", "operators": [part.spec() for part in self.leaves()]}


class LinearComposed(LinearOperator):
    """Several linear operators, applied from the last to the first."""

    def __init__(self, operators: Iterable[LinearOperator]) -> None:
        parts = _chain(operators)
        super().__init__(parts[-1].image_shape, parts[0].measurement_shape)
        self.operators = nn.ModuleList(parts)

    def forward(self, image: Images) -> Measured:
        """Apply the operators one after the other."""
        for part in reversed(self.leaves()):
            image = part(image)
        return image

    def surrogate(self, image: Images) -> Measured:
        """Apply the operators' surrogates one after the other."""
        for part in reversed(self.leaves()):
            image = part.surrogate(image)
        return image

    def adjoint(self, measurement: Measured) -> Images:
        """Apply the adjoints in the opposite order."""
        for part in self.leaves():
            measurement = part.adjoint(measurement)
        return measurement

    @property
    def observed(self) -> int:
        """What passes the narrowest of the operators."""
        return min(part.observed for part in self.leaves())

    def leaves(self) -> tuple[LinearOperator, ...]:
        """The operators, in reading order."""
        return tuple(part for part in self.operators if isinstance(part, LinearOperator))

    def for_images(self, rows: slice) -> Operator:
        """The same chain of what each operator is for those images."""
        return compose(part.for_images(rows) for part in self.leaves())

    def spec(self) -> dict[str, Any]:
        """The specs of the operators, in reading order."""
        return {"type": "compose", "operators": [part.spec() for part in self.leaves()]}


class Adjoint(LinearOperator):
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
        return {"type": "adjoint", "operator": self._of().spec()}

    def _of(self) -> LinearOperator:
        assert isinstance(self.operator, LinearOperator)
        return self.operator


def compose(operators: Iterable[Operator]) -> Operator:
    """Compose operators given in reading order: the last sees the image first.

    Raises `ShapeError` where one does not write what the one before it reads.
    """
    parts = [leaf for operator in operators for leaf in operator.leaves()]
    if len(parts) == 1:
        return parts[0]
    linear = [part for part in parts if isinstance(part, LinearOperator)]
    return LinearComposed(linear) if len(linear) == len(parts) else Composed(parts)


def rebuilt_parts(settings: Spec) -> list[Operator]:
    """The operators of a spec that lists them; raises `ArgumentError` where it does not."""
    parts = settings.get("operators")
    if not isinstance(parts, list):
        raise ArgumentError(f"a spec of several operators lists them as 'operators', got {parts!r}")
    return [Operator.from_spec(part) for part in parts]


def _rebuilt_adjoint(settings: Spec) -> Operator:
    inner = Operator.from_spec(settings.get("operator", {}))
    if isinstance(inner, LinearOperator):
        return inner.H
    raise ArgumentError(f"{inner!r} is not linear, so it has no adjoint")


STRUCTURES["compose"] = lambda settings: compose(rebuilt_parts(settings))
STRUCTURES["adjoint"] = _rebuilt_adjoint


def _chain(operators: Iterable[Operator]) -> list[Operator]:
    parts = list(operators)
    if not parts:
        raise ArgumentError("a composition needs at least one operator")
    for outer, inner in itertools.pairwise(parts):
        if outer.image_shape != inner.measurement_shape:
            raise ShapeError(
                f"{outer!r} reads {outer.image_shape}, but {inner!r} writes "
                f"{inner.measurement_shape}; compose operators whose shapes meet"
            )
    return parts
