"""Observers of a solve: they see every step, may ask to stop, and may choose what is returned."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from invprob.calls import checked
from invprob.contracts import Contract
from invprob.kinds import remedy
from invprob.types import Images, Measured, PerImage

Snapshot: TypeAlias = dict[str, Tensor]  # all that a solve needs to go on; safetensors can hold it


def copied(value: Tensor) -> Tensor:
    """A copy on the CPU that shares no memory and is contiguous, as safetensors wants it."""
    return value.detach().cpu().clone(memory_format=torch.contiguous_format)


@dataclass(frozen=True)
class Iterate:
    """What is known after a step.

    Image, prediction and losses are those that the step evaluated, before it moved the free
    variables. They lie on the device of the solve: a callback that reads their values makes the
    solve wait for the device.

    Args:
        taken: how many steps have been taken.
        steps: how many steps the solve will take.
        image: what the prior drew, (batch, *image_shape).
        prediction: what the operator made of the image, (batch, *measurement_shape). Noise that a
            stochastic data term adds is not in it.
        losses: the weighted terms by name, each (batch,).
        total: their sum, (batch,).
        code: the state of the free variables after the step; not a copy.
        snapshot: makes a copy of all that the solve needs to go on from here.
        stage: the number of the stage, counted from 0 over all restarts.
    """

    taken: int
    steps: int
    image: Images
    prediction: Measured
    losses: Mapping[str, PerImage]
    total: PerImage
    code: Mapping[str, Tensor]
    snapshot: Callable[[], Snapshot]
    stage: int = 0


@checked
@dataclass(frozen=True)
class Stop:
    """A callback's wish to end the solve, and why: the end of "stopped after 7 of 9 steps: ..."."""

    reason: str


@remedy("an object of a class derived from invprob.Callback")
class Callback(Contract, ABC):
    """An observer of a solve. An author writes `on_step`; the other methods do nothing by default.

    A callback that remembers what a resumed solve needs returns it from `state`, which is a part of
    every snapshot. Such callbacks come before those that take snapshots.
    """

    def on_start(self, taken: int, steps: int, snapshot: Callable[[], Snapshot]) -> Stop | None:
        """Called once, before the first step.

        Args:
            taken: how many steps were taken before, above 0 where a solve is resumed.
            steps: how many steps the solve will take, those included.
            snapshot: makes a copy of all that the solve needs to go on from where it is.

        Returns:
            `Stop` to end the solve at once, as a resumed one may have been about to; else None.
        """
        del taken, steps, snapshot
        return None

    @abstractmethod
    def on_step(self, iterate: Iterate) -> Stop | None:
        """Called after every step.

        Args:
            iterate: what is known after the step.

        Returns:
            `Stop` to end the solve, else None.
        """

    def choose_(self, code: nn.Module) -> None:
        """Change the free variables from which the solution is read, in place.

        Called at the end, of each stage where there are several. By default the solution is read
        from the variables after the last step.

        Args:
            code: the free variables; a copy.
        """
        del code

    def state(self) -> dict[str, Tensor]:
        """What `restore` needs, by name; by default nothing."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Return to an earlier state. Called before `on_start`, if there was any state.

        Args:
            state: what `state` returned.
        """
        del state

    def on_end(self) -> None:
        """Called once after the last step, also where the solve stopped early."""


def first_stop(wishes: Sequence[Stop | None]) -> Stop | None:
    """The first wish of several callbacks to end the solve, once all were asked."""
    return next((wish for wish in wishes if wish is not None), None)


def gather_states(callbacks: Sequence[Callback]) -> dict[str, Tensor]:
    """The states of several callbacks, by their place in the sequence."""
    return {
        f"{place}.{name}": value
        for place, callback in enumerate(callbacks)
        for name, value in callback.state().items()
    }


def restore_states(callbacks: Sequence[Callback], states: Mapping[str, Tensor]) -> None:
    """Give each callback its part of what `gather_states` returned."""
    for place, callback in enumerate(callbacks):
        prefix = f"{place}."
        state = {
            name.removeprefix(prefix): value
            for name, value in states.items()
            if name.startswith(prefix)
        }
        if state:
            callback.restore(state)
