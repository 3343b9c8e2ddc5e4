"""The contract of a term of the objective.

At every step of a solve the loop draws an image, lets the operator predict its measurements, and
hands both to the terms of the stage. The objective is the weighted sum of what they return.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal, TypeAlias

from invprob.contracts import Contract
from invprob.errors import ArgumentError
from invprob.kinds import remedy
from invprob.operators.base import Operator
from invprob.types import Images, Measured, PerImage

BoundTerm: TypeAlias = Callable[[Images, Measured], PerImage]
"""A term that knows its target: (image, prediction) -> one number for each image.

Args:
    image: what the prior draws, (batch, *image_shape) in about [-1, 1].
    prediction: what the operator makes of the image, (batch, *measurement_shape).

Returns:
    The term of each image, (batch,), not yet weighted, and differentiable in both arguments.

A solve calls it once a step. One that remembers something from step to step is a `torch.nn.Module`
with what it remembers in buffers, which are then a part of every snapshot.
"""

Weight = Annotated[float, "weight of the term in the objective, at least 0"]


@remedy("DataMisfit() or another one of invprob.losses")
class Term(Contract, ABC):
    """A weighted part of the objective. An author writes `__init__` and `bind`.

    Args:
        name: what the term is called in the trace; the terms of a stage have different names.
        weight: weight of the term in the objective, at least 0.

    Attributes:
        detector: what may be unknown of a detector that stands between the operator and the bound
            term (`invprob.losses.Calibrated`): gain and offset; the offset alone, which keeps a
            linear prediction linear in the image; or nothing.

    Raises:
        ArgumentError: the weight is negative or not finite.
    """

    called: ClassVar[tuple[str, ...]] = ("bind",)
    detector: ClassVar[Literal["any", "offset", "none"]] = "any"

    name: str
    weight: float

    def __init__(self, name: str, weight: float) -> None:
        if not (math.isfinite(weight) and weight >= 0):
            raise ArgumentError(f"the weight of {name!r} must be finite and >= 0, not {weight}")
        self.name, self.weight = name, weight

    def __repr__(self) -> str:
        """The class, the name in the trace and the weight."""
        return f"{type(self).__name__}({self.name!r}, weight={self.weight:g})"

    @abstractmethod
    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        """Prepare what depends on the target alone, once a solve.

        Args:
            target: the measurements, (batch, *measurement_shape), on the device and of the dtype of
                the solve. A prediction differs from it only where something is observed.
            operator: what measured them.

        Returns:
            A function of image and prediction that the solve calls once a step.

        Raises:
            ArgumentError: the term makes no sense of such measurements.
        """

    def seeded(self, seed: int) -> "Term":
        """The term for a solve of that seed; by default the term itself.

        Only a term that draws at random overrides this. It draws step k of a stage from
        `stream(seed, name, k)`, so that a resumed solve draws what an uninterrupted one does.

        Args:
            seed: the seed of the stage that will bind the term.

        Returns:
            The term to bind.
        """
        del seed
        return self
