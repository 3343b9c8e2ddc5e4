"""The contract of a part: one input of the synthesis network, as free variables.

A StyleGAN prior is style × content × noise. A `Part` is a choice of free variables for one of them.
`Part.start` returns a `StartedPart`, which owns the variables of some images and turns them into
inputs of the network at each step.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic

import torch
from torch import Tensor, nn
from typing_extensions import TypeVar

import invprob.draws as draws
from invprob.contracts import Contract
from invprob.errors import ArgumentError, PriorError
from invprob.priors.base import ParamGroup
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.types import PerImage


class Part(Contract, ABC):
    """A choice of free variables for one input of the synthesis network.

    A part holds settings alone, so that one part can serve many solves.

    Args:
        lr_scale: factor of the optimiser's learning rate for the variables, positive.
        scheduled: whether the learning-rate schedule applies to them.

    Raises:
        ArgumentError: `lr_scale` is not positive.
    """

    def __init__(self, lr_scale: float = 1.0, *, scheduled: bool = True) -> None:
        if not lr_scale > 0:
            raise ArgumentError(f"lr_scale must be positive, not {lr_scale}")
        self.lr_scale = lr_scale
        self.scheduled = scheduled

    @abstractmethod
    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> "StartedPart":
        """Make the variables of `batch` independent images, the same for each.

        Args:
            generator: the frozen network whose input the part is.
            batch: number of images.
            rng: source of the random numbers at the start.

        Returns:
            The variables, at their start.
        """


P = TypeVar("P", bound=Part, default=Any)


@dataclass(frozen=True)
class _Shared(Generic[P]):
    """What a started part refers to and does not own.

    As it is no module, the generator's weights are no state of the part; and a copy of the part
    refers to the same generator.
    """

    part: P
    generator: Generator

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Shared[P]":
        return self


class StartedPart(Contract, nn.Module, ABC, Generic[P]):
    """The free variables of a part for some images, and the inputs that they become.

    Its parameters and buffers are all its state. Each parameter has a leading batch axis, and
    variables of different images never mix.

    Args:
        part: the settings.
        generator: the network whose input is made. Part and generator are shared, not copied.
    """

    def __init__(self, part: P, generator: Generator) -> None:
        super().__init__()
        self._shared = _Shared(part, generator)

    @property
    def part(self) -> P:
        """The settings that the variables were started with."""
        return self._shared.part

    @property
    def generator(self) -> Generator:
        """The network whose input is made."""
        return self._shared.generator

    @abstractmethod
    def draw(self, rng: torch.Generator) -> SynthesisInputs:
        """The part's inputs at one step, differentiable in the variables.

        Args:
            rng: source of what is drawn afresh at each step, one draw for the whole batch.

        Returns:
            The inputs that this part makes, for the batch or for one image that all share; the
            other inputs are None.
        """

    def settle(self, rng: torch.Generator) -> SynthesisInputs:
        """The inputs that a solution keeps; by default those that a step would draw.

        Args:
            rng: source of random numbers, with which the last step has drawn.

        Returns:
            As `draw`.
        """
        return self.draw(rng)

    def groups(self) -> list[ParamGroup]:
        """The variables as one group with the part's learning-rate scale; none without any."""
        parameters = list(self.parameters())
        if not parameters:
            return []
        return [ParamGroup(parameters, self.part.lr_scale, self.part.scheduled)]

    def regularisers(self) -> Mapping[str, PerImage]:
        """Terms of the variables that are added to the loss, weighted, by name; by default none."""
        return {}

    def project_(self) -> None:
        """Restore the constraints of the variables after a step; by default there are none."""

    def anneal_(self, progress: float) -> None:
        """Set what changes over a stage; by default nothing does.

        Args:
            progress: the share of the stage's steps that are done, in [0, 1).
        """

    @abstractmethod
    def adopt_(self, inputs: SynthesisInputs) -> None:
        """Move the variables to where they make the given inputs, or as near as they can.

        Args:
            inputs: what another solution was drawn from. Variables whose input is None there stay.

        Raises:
            PriorError: the variables cannot make such inputs.
        """


@torch.no_grad()
def copy_(target: Tensor, found: Tensor) -> None:
    """Copy a tensor of a solution, of the batch or of one image.

    Raises:
        PriorError: its shape differs.
    """
    if found.shape[1:] != target.shape[1:] or len(found) not in (1, len(target)):
        raise PriorError(
            f"a tensor of shape {tuple(target.shape)} cannot start from one of shape "
            f"{tuple(found.shape)}"
        )
    target.copy_(found)


def repeated(tensor: Tensor, batch: int) -> Tensor:
    """A tensor (1, ...) for each image of a batch, without copying it."""
    return tensor.expand(batch, *tensor.shape[1:])


def normal(shape: tuple[int, ...], like: Tensor, rng: torch.Generator) -> Tensor:
    """Gaussian numbers N(0, 1), drawn on the CPU, so that every device gets the same.

    Args:
        shape: of the numbers.
        like: tensor whose device and type they get.
        rng: source of the numbers, on the CPU.
    """
    return draws.normal(shape, rng).to(like)
