"""The contract of a part: one input of a synthesis network, its free variables, what they become.

A StyleGAN prior is style × content × noise. A part makes its variables (`start`), draws its tensors
at each step (`draw`), settles on the tensors that a solution keeps (`settle`), and can go on from
those of another prior (`adopt_`). Tensors go by the names under which a solution keeps them:
"styles" or "scales.{i}"; "content" or "features.{layer}" and perhaps "skip"; "noise.{i}".
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError, PriorError
from invprob.priors.base import ParamGroup
from invprob.priors.parts.constraints import Constraint
from invprob.priors.parts.penalties import Penalty
from invprob.priors.stylegan.generator import Generator
from invprob.types import PerImage

Drawn: TypeAlias = dict[str, Tensor]


class Part(ABC):
    """One input of the synthesis network: which variables it has and how they become tensors."""

    def __init__(self, lr_scale: float = 1.0, *, scheduled: bool = True) -> None:
        if not lr_scale > 0:
            raise ArgumentError(f"lr_scale must be positive, not {lr_scale}")
        self.lr_scale = lr_scale
        self.scheduled = scheduled

    @abstractmethod
    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        """The part's free variables, alike for the images of the batch; perhaps none."""

    @abstractmethod
    def draw(self, variables: nn.Module, generator: Generator, rng: torch.Generator) -> Drawn:
        """The tensors of one step by name, each with the batch or 1 in front."""

    def settle(self, variables: nn.Module, generator: Generator, rng: torch.Generator) -> Drawn:
        """The tensors a solution keeps; by default those that a step would draw."""
        return self.draw(variables, generator, rng)

    def groups(self, variables: nn.Module) -> list[ParamGroup]:
        """The part's parameters, with its learning-rate scale."""
        parameters = list(variables.parameters())
        return [ParamGroup(parameters, self.lr_scale, self.scheduled)] if parameters else []

    def regularisers(self, variables: nn.Module) -> Mapping[str, PerImage]:
        """Terms of the part's variables, weighted; by default none."""
        del variables
        return {}

    def project_(self, variables: nn.Module) -> None:
        """Restore the part's constraints in place; by default there are none."""
        del variables

    def anneal_(self, variables: nn.Module, progress: float) -> None:
        """Set what changes over a stage, at `progress` in [0, 1); by default nothing does."""
        del variables, progress

    @abstractmethod
    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        """Move the variables to where a solution stands, as near as they can.

        What `realised` does not name stays. Raises `PriorError` where they cannot go there.
        """


class Free(nn.Module):
    """Tensors that are free variables themselves, perhaps with some that are held.

    An anchored one also keeps where the tensors began, for constraints and penalties on how far
    they may go.
    """

    def __init__(
        self, tensors: Sequence[Tensor], *, held: Sequence[Tensor] = (), anchored: bool = False
    ) -> None:
        super().__init__()
        self.tensors = nn.ParameterList(nn.Parameter(tensor.clone()) for tensor in tensors)
        self._held = [f"held{index}" for index in range(len(held))]
        for name, tensor in zip(self._held, held, strict=True):
            self.register_buffer(name, tensor.clone())
        self._origins = [f"origin{index}" for index in range(len(tensors) if anchored else 0)]
        for name, tensor in zip(self._origins, tensors, strict=False):
            self.register_buffer(name, tensor.clone())

    @property
    def held(self) -> list[Tensor]:
        """The tensors that are not free."""
        return [self.get_buffer(name) for name in self._held]

    @property
    def origins(self) -> list[Tensor | None]:
        """Where each free tensor began; None unless anchored."""
        if not self._origins:
            return [None] * len(self.tensors)
        return [self.get_buffer(name) for name in self._origins]

    @torch.no_grad()
    def move_(self, values: Sequence[Tensor]) -> None:
        """Set free and held tensors, in this order, and begin anew from there."""
        for tensor, value in zip([*self.tensors, *self.held], values, strict=True):
            copy_(tensor, value)
        for name, tensor in zip(self._origins, self.tensors, strict=False):
            self.get_buffer(name).copy_(tensor)


class FreePart(Part):
    """A part whose tensors are free variables, under constraints and penalties."""

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

    def free(self, tensors: Sequence[Tensor], held: Sequence[Tensor] = ()) -> Free:
        """Variables that remember their start where a constraint or a penalty needs it."""
        anchored = [*(c.anchored for c in self.constraints), *(p.anchored for p in self.penalties)]
        return Free(tensors, held=held, anchored=any(anchored))

    def penalised(self, variables: Free) -> list[Tensor]:
        """The tensors that the penalties see; by default the free ones."""
        return list(variables.tensors)

    def regularisers(self, variables: nn.Module) -> Mapping[str, PerImage]:
        assert isinstance(variables, Free)
        return {
            penalty.name: penalty.weight
            * torch.stack(
                [
                    penalty(value, origin)
                    for value, origin in zip(
                        self.penalised(variables), variables.origins, strict=True
                    )
                ]
            ).sum(0)
            for penalty in self.penalties
        }

    @torch.no_grad()
    def project_(self, variables: nn.Module) -> None:
        assert isinstance(variables, Free)
        for constraint in self.constraints:
            for value, origin in zip(variables.tensors, variables.origins, strict=True):
                constraint.restore_(value, origin)


class Repeated(nn.Module):
    """No variables, but the number of images they would be for."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.batch = batch


class Held(Part):
    """Another part's tensors, which stand still where a stage before left them."""

    def __init__(self, part: Part) -> None:
        super().__init__()
        self.part = part

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        with torch.no_grad():
            drawn = self.part.settle(self.part.start(generator, batch, rng), generator, rng)
        return Buffers(drawn, batch)

    def draw(self, variables: nn.Module, generator: Generator, rng: torch.Generator) -> Drawn:
        del generator, rng
        assert isinstance(variables, Buffers)
        return variables.tensors()

    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        assert isinstance(variables, Buffers)
        for name, tensor in variables.tensors().items():
            if name not in realised:
                raise PriorError(
                    f"{name} is to be held, but what came before gives {', '.join(realised)}"
                )
            copy_(tensor, realised[name])


class Buffers(nn.Module):
    """Tensors by name that are no variables, each with the batch in front."""

    def __init__(self, tensors: Mapping[str, Tensor], batch: int) -> None:
        super().__init__()
        self._names = list(tensors)
        for name, tensor in tensors.items():
            self.register_buffer(name.replace(".", "_"), repeated(tensor.detach(), batch).clone())

    def tensors(self) -> Drawn:
        """The tensors by name."""
        return {name: self.get_buffer(name.replace(".", "_")) for name in self._names}


@torch.no_grad()
def copy_(target: Tensor, found: Tensor) -> None:
    """Copy what a solution keeps, of the batch or of one; raises `PriorError` for other shapes."""
    if found.shape[1:] != target.shape[1:] or len(found) not in (1, len(target)):
        raise PriorError(
            f"a tensor of shape {tuple(found.shape)} cannot be adopted by one of shape "
            f"{tuple(target.shape)}"
        )
    target.copy_(found)


def repeated(tensor: Tensor, batch: int) -> Tensor:
    """One image's tensor for a batch."""
    return tensor.expand(batch, *tensor.shape[1:])


def normal(shape: tuple[int, ...], like: Tensor, rng: torch.Generator) -> Tensor:
    """Draw N(0, 1) on the CPU, so that every device gets the same."""
    return torch.randn(shape, generator=rng).to(like)
