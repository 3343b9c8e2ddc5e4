"""Parts whose inputs are free variables themselves, under constraints and penalties."""

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import TypeVar

from invprob.priors.parts.base import Part, StartedPart, copy_
from invprob.priors.parts.constraints import Constraint
from invprob.priors.parts.penalties import Penalty
from invprob.priors.stylegan.generator import Generator
from invprob.types import PerImage


class FreePart(Part):
    """A part whose variables are tensors that may be constrained and penalised.

    Args:
        constraints: sets to which each tensor returns after a step, one after another.
        penalties: terms added to the loss, each summed over the tensors.
        lr_scale: factor of the optimiser's learning rate, positive.
        scheduled: whether the learning-rate schedule applies.

    Raises:
        ArgumentError: `lr_scale` is not positive.
    """

    def __init__(
        self,
        *,
        constraints: Sequence[Constraint] = (),
        penalties: Sequence[Penalty] = (),
        lr_scale: float = 1.0,
        scheduled: bool = True,
    ) -> None:
        super().__init__(lr_scale, scheduled=scheduled)
        self.constraints, self.penalties = tuple(constraints), tuple(penalties)

    @property
    def anchored(self) -> bool:
        """Whether a constraint or a penalty looks at where the tensors began."""
        anchored = [*(c.anchored for c in self.constraints), *(p.anchored for p in self.penalties)]
        return any(anchored)


F = TypeVar("F", bound=FreePart, default=Any)


class StartedFreePart(StartedPart[F], ABC):
    """Free tensors, perhaps with fixed ones beside them.

    Args:
        part: the settings.
        generator: the network whose input is made.
        tensors: where the free tensors begin, (batch, ...) each.
        fixed: tensors (batch, ...) that are kept with them and do not move.
    """

    def __init__(
        self, part: F, generator: Generator, tensors: Sequence[Tensor], fixed: Sequence[Tensor] = ()
    ) -> None:
        super().__init__(part, generator)
        self.tensors = nn.ParameterList(nn.Parameter(tensor.clone()) for tensor in tensors)
        # The names "held" and "origin" stand in files of solutions and checkpoints.
        self._fixed = self._keep("held", fixed)
        self._origins = self._keep("origin", tensors if part.anchored else ())

    def _keep(self, kind: str, tensors: Sequence[Tensor]) -> list[str]:
        """Register copies of the tensors as buffers; returns their names."""
        names = [f"{kind}{index}" for index in range(len(tensors))]
        for name, tensor in zip(names, tensors, strict=True):
            self.register_buffer(name, tensor.clone())
        return names

    @property
    def fixed(self) -> list[Tensor]:
        """The tensors that do not move."""
        return [self.get_buffer(name) for name in self._fixed]

    @property
    def origins(self) -> list[Tensor]:
        """Where each free tensor began; the tensor itself where no rule of the part is anchored."""
        return [self.get_buffer(name) for name in self._origins] or list(self.tensors)

    @torch.no_grad()
    def move_(self, values: Sequence[Tensor]) -> None:
        """Set the free and then the fixed tensors, and let the free ones begin there.

        Raises:
            PriorError: a value has another shape than its tensor.
        """
        for tensor, value in zip([*self.tensors, *self.fixed], values, strict=True):
            copy_(tensor, value)
        for name, tensor in zip(self._origins, self.tensors, strict=False):
            self.get_buffer(name).copy_(tensor)

    def penalised(self) -> list[Tensor]:
        """What the penalties see, one tensor for each free one; by default the free tensors."""
        return list(self.tensors)

    def regularisers(self) -> Mapping[str, PerImage]:
        return {
            penalty.name: penalty.weight * self._sum(penalty) for penalty in self.part.penalties
        }

    def _sum(self, penalty: Penalty) -> PerImage:
        values = zip(self.penalised(), self.origins, strict=True)
        return torch.stack([penalty(value, origin) for value, origin in values]).sum(0)

    @torch.no_grad()
    def project_(self) -> None:
        for constraint in self.part.constraints:
            for value, origin in zip(self.tensors, self.origins, strict=True):
                constraint.restore_(value, origin)
