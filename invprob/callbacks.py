"""Observers of a solve: they read each iterate, may ask to stop, and may choose what is kept."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from invprob.types import Images, Measured, PerImage

Snapshot: TypeAlias = dict[str, Tensor]  # all a solve needs to go on; safetensors can hold it


def copied(value: Tensor) -> Tensor:
    """A copy on the CPU that shares nothing and lies in the order of its axes, for safetensors."""
    return value.detach().cpu().clone(memory_format=torch.contiguous_format)


@dataclass(frozen=True)
class Iterate:
    """What is known once `taken` of `steps` steps are done.

    `image`, `prediction` and `losses` (weighted terms by name; `total` is their sum) belong to the
    evaluation that the last step started from. They lie on the solve's device: reading their values
    is what waits for it. `prediction` is the operator's (its surrogate's), before a term adds noise
    to it. `code` is the free variables' state after the step, not a copy, and
    `snapshot()` a copy of everything. `stage` counts the stages of a solve that has several.
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


@dataclass(frozen=True)
class Stop:
    """A callback's wish to end the solve, and why."""

    reason: str


class Callback(ABC):
    """Something that watches a solve.

    What it remembers and a resumed solve needs is its `state`, which is a part of every snapshot;
    callbacks that have some come before those that take snapshots.
    """

    def on_start(self, taken: int, steps: int, snapshot: Callable[[], Snapshot]) -> Stop | None:
        """Called once before the first step; `taken` is positive where a solve goes on.

        Returning `Stop` ends the solve at once: where it goes on, it may have been about to end.
        """
        del taken, steps, snapshot
        return None

    @abstractmethod
    def on_step(self, iterate: Iterate) -> Stop | None:
        """Called after every step; returning `Stop` ends the solve."""

    def choose_(self, code: nn.Module) -> None:
        """Change, in place, the free variables that the solution is read from, once all is over.

        In a solve of several stages it is called at the end of each. By default they stay those
        after the last step.
        """
        del code

    def state(self) -> dict[str, Tensor]:
        """What `restore` takes; by default nothing."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a `state`; called before `on_start`, where there was some."""
        del state

    def on_end(self) -> None:
        """Called once after the last step, also when the solve stopped early."""


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
    """Give the callbacks back what `gather_states` took."""
    for place, callback in enumerate(callbacks):
        prefix = f"{place}."
        state = {
            name.removeprefix(prefix): value
            for name, value in states.items()
            if name.startswith(prefix)
        }
        if state:
            callback.restore(state)
