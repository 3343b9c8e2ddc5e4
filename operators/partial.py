"""An operator of which some units are left out, so that they can judge what the others restore."""

import math
from typing import Any

import torch
from torch import Tensor

from invprob.calls import checked
from invprob.draws import permutation
from invprob.errors import ArgumentError
from invprob.fast.derived import Derived
from invprob.operators.base import LinearOperator, Operator
from invprob.operators.checks import seeded
from invprob.operators.each import Each, each
from invprob.operators.structure import Structure, structure
from invprob.operators.units import NEVER, numbers
from invprob.types import Images, Measured, Spec


@structure("partial")
class Partial(Structure):
    """An operator with 0 in the place of what is left out. Made by `hold_out`.

    Of n units (`Operator.units`) k = max(1, round(share · n)) are left out: in ascending order of
    their labels the first k of `randperm(n)`, drawn from `torch.Generator().manual_seed(seed)` on
    the CPU. What remains is not rescaled.
    """

    kept: Tensor  # bool, measurement_shape

    def __init__(self, operator: Operator, share: float, seed: int) -> None:
        super().__init__(operator.image_shape, operator.measurement_shape)
        self.operator, self.share, self.seed = operator, share, seed
        self.register_buffer("kept", ~_chosen(_units(operator), share, seed), persistent=False)
        self._cast = Derived()

    @property
    def hidden(self) -> Tensor:
        """Which numbers are left out, bool of the measurement's shape."""
        return ~self.kept

    def forward(self, image: Images) -> Measured:
        """What the operator measures, without what is left out."""
        return self.without(self.whole()(image))

    def surrogate(self, image: Images) -> Measured:
        """The operator's surrogate, without what is left out."""
        return self.without(self.whole().surrogate(image))

    def without(self, measurement: Measured) -> Measured:
        """Put 0 in the place of what is left out.

        Args:
            measurement: (batch, *measurement_shape).
        """
        self.check_measurement(measurement)
        return measurement * self._cast.of(self.kept, measurement)

    @property
    def smooth(self) -> bool:
        """Whether the operator is smooth."""
        return self.whole().smooth

    def observed(self) -> Tensor:
        """What the operator observes and is not left out."""
        return self.whole().observed() & self.kept.cpu()

    @property
    def measured(self) -> int:
        """What is observed, and no more than the operator measured."""
        return min(super().measured, self.whole().measured)

    def units(self) -> Tensor:
        """The operator's, without what is left out already."""
        return torch.where(self.kept.cpu(), _units(self.whole()), NEVER)

    def for_images(self, rows: slice) -> Operator:
        """The same of what the operator is for those images."""
        return hold_out(self.whole().for_images(rows), self.share, self.seed)

    def spec(self) -> dict[str, Any]:
        """The spec of the operator, the share and the seed."""
        whole = self.whole().spec()
        return {"type": self.kind, "operator": whole, "share": self.share, "seed": self.seed}

    @classmethod
    def rebuilt(cls, settings: Spec) -> Operator:
        """The operator in the spec, with the same units left out; raises `ArgumentError`."""
        share, seed = settings.get("share"), settings.get("seed")
        if not isinstance(share, float) or not isinstance(seed, int):
            raise ArgumentError(f"a partial operator has a share and a seed, got {share}, {seed}")
        return hold_out(Operator.from_spec(settings.get("operator", {})), share, seed)

    def describe(self) -> str:
        """The description of the operator, and how much of it is left out."""
        return f"{self.whole().describe()} less {100 * self.share:g} %"

    def names(self) -> tuple[str, ...]:
        """The names of the operator."""
        return self.whole().names()

    def whole(self) -> Operator:
        """The operator, with nothing left out."""
        assert isinstance(self.operator, Operator)
        return self.operator


class LinearPartial(Partial, LinearOperator):
    """A linear operator with 0 in the place of what is left out. Made by `hold_out`."""

    def adjoint(self, measurement: Measured) -> Images:
        """The operator's adjoint of what is kept."""
        whole = self.whole()
        assert isinstance(whole, LinearOperator)
        return whole.adjoint(self.without(measurement))


@checked
def hold_out(operator: Operator, share: float, seed: int) -> Operator:
    """Leave some units of an operator out, each image's own where it has an operator of its own.

    An operator that offers no units loses single numbers.

    Args:
        operator: what measures.
        share: the share of the units that is left out, in (0, 1); at least one unit is.
        seed: what they are drawn from.

    Returns:
        A `Partial`, or `Each` of them. It is linear if the operator is.

    Raises:
        ArgumentError: the share is outside (0, 1), or leaves no unit.
    """
    if isinstance(operator, Each):
        return each(hold_out(part, share, seed) for part in operator.parts())
    kind = LinearPartial if isinstance(operator, LinearOperator) else Partial
    return kind(operator, share, seed)


def left_out(operator: Operator) -> Tensor:
    """Which numbers `hold_out` left out: bool, (measurement_shape), or (batch, ...) of an `Each`.

    Raises:
        ArgumentError: nothing was left out of this operator.
    """
    if isinstance(operator, Partial):
        return operator.hidden
    if isinstance(operator, Each):
        return torch.stack([left_out(part) for part in operator.parts()])
    raise ArgumentError(f"nothing is left out of {operator!r}; use hold_out first")


def _units(operator: Operator) -> Tensor:
    """The operator's units, or single numbers, of what is observed of every image."""
    units = operator.units()
    labels = numbers(operator.measurement_shape) if units is None else units
    return torch.where(operator.observed().all(0), labels, NEVER)


def _chosen(units: Tensor, share: float, seed: int) -> Tensor:
    """Which numbers belong to the units that are left out."""
    labels = units[units != NEVER].unique()
    if not 0 < share < 1:  # NaN fails every comparison
        raise ArgumentError(f"the share left out must be in (0, 1), got {share}")
    count = max(1, round(share * len(labels)))
    if count >= len(labels):
        least = math.ceil(share * max(len(labels), 1))
        raise ArgumentError(
            f"a share of {share:g} leaves nothing of the {len(labels)} parts of a measurement that "
            f"can be left out; leave less out, or measure more than {least} of them"
        )
    out = labels[permutation(len(labels), seeded(seed))[:count]]
    return torch.isin(units, out)
