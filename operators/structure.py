"""Operators that are built from other operators, and the names that these have in specs.

A structure is a class with the decorator `structure`:

    @structure("stack")
    class Stack(Composite): ...

The name is the `type` of its specs. From it follow that `Operator.from_spec` rebuilds the structure
and that no operator can be registered under this name. `Composite` is the base of structures that
join several operators; its linear side, `LinearComposite`, adds an adjoint.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, TypeAlias, TypeVar

from torch import Tensor, nn

from invprob.errors import ArgumentError
from invprob.operators.base import LinearOperator, Operator
from invprob.registry import register
from invprob.types import Images, Measured, Shape, Spec

STRUCTURES: dict[str, type["Structure"]] = {}

Kind = TypeVar("Kind", bound=type["Structure"])
Applied: TypeAlias = Callable[[Operator, Tensor], Tensor]

_LISTED = 4  # parts that a description names


def structure(kind: str) -> Callable[[Kind], Kind]:
    """Give a structure the name that it has in specs; raises `ArgumentError` if it is taken."""

    def enter(entry: Kind) -> Kind:
        register.operator.reserve(kind)
        entry.kind = kind
        STRUCTURES[kind] = entry
        return entry

    return enter


class Structure(Operator, ABC):
    """An operator whose spec holds something else than a registered name with options."""

    kind: ClassVar[str]

    @classmethod
    @abstractmethod
    def rebuilt(cls, settings: Spec) -> Operator:
        """Build the operator from its spec, of which `type` has been taken away."""

    def names(self) -> tuple[str, ...]:
        """The name of the structure, without those of its parts."""
        return (self.kind,)


class Composite(Structure):
    """Several operators joined into one.

    A subclass writes `through`, which measures an image by the parts, and `of`, which joins a list
    of operators.
    """

    def __init__(self, parts: Sequence[Operator], image_shape: Shape, measured: Shape) -> None:
        super().__init__(image_shape, measured)
        self.operators = nn.ModuleList(parts)

    @classmethod
    @abstractmethod
    def of(cls, operators: Iterable[Operator]) -> Operator:
        """Join the operators; the result is a `LinearOperator` if all of them are."""

    @abstractmethod
    def through(self, apply: Applied, image: Images) -> Measured:
        """Measure an image, where `apply(part, x)` is what a part does to its input x."""

    def parts(self) -> tuple[Operator, ...]:
        """The operators that were joined, in order."""
        return tuple(part for part in self.operators if isinstance(part, Operator))

    def forward(self, image: Images) -> Measured:
        """Measure by the parts."""
        return self.through(lambda part, x: part(x), image)

    def surrogate(self, image: Images) -> Measured:
        """Measure by the surrogates of the parts."""
        return self.through(lambda part, x: part.surrogate(x), image)

    @property
    def smooth(self) -> bool:
        """Whether all parts are smooth."""
        return all(part.smooth for part in self.parts())

    def for_images(self, rows: slice) -> Operator:
        """Join what each part is for those images."""
        return self.of(part.for_images(rows) for part in self.parts())

    def spec(self) -> dict[str, Any]:
        """The specs of the parts, in order."""
        return {"type": self.kind, "operators": [part.spec() for part in self.parts()]}

    @classmethod
    def rebuilt(cls, settings: Spec) -> Operator:
        """Build the parts, then join them; raises `ArgumentError` where none are listed."""
        parts = settings.get("operators")
        if not isinstance(parts, list):
            raise ArgumentError(
                f"a spec of several operators lists them as 'operators', got {parts!r}"
            )
        return cls.of(Operator.from_spec(part) for part in parts)

    def describe(self) -> str:
        """The name of the structure and a description of each part, equal neighbours once."""
        runs = [(text, len(list(run))) for text, run in itertools.groupby(self._described())]
        words = [text if count == 1 else f"{count} of {text}" for text, count in runs[:_LISTED]]
        if len(runs) > _LISTED:
            words.append(f"… ({len(self.parts())} in all)")
        return f"{self.kind}({', '.join(words)})"

    def _described(self) -> list[str]:
        return [part.describe() for part in self.parts()]


class LinearComposite(Composite, LinearOperator):
    """Several linear operators joined into one; a subclass writes `adjoint`."""

    def parts(self) -> tuple[LinearOperator, ...]:
        """The linear operators that were joined, in order."""
        return tuple(part for part in self.operators if isinstance(part, LinearOperator))


def all_linear(operators: Iterable[Operator]) -> bool:
    """Whether each of the operators is linear."""
    return all(isinstance(operator, LinearOperator) for operator in operators)
