"""What lets callbacks see several solves in a row as one; stages and restarts derive from it."""

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from invprob.callbacks import (
    Callback,
    Iterate,
    Snapshot,
    Stop,
    first_stop,
    gather_states,
    restore_states,
)


class Relay(Callback):
    """A callback of each solve that passes everything on to the callbacks of the whole."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks = callbacks
        self.stop: Stop | None = None  # what the callbacks asked for at the last step
        self._began = False

    @property
    @abstractmethod
    def before(self) -> int:
        """Steps of the solves before the present one."""

    @property
    @abstractmethod
    def steps(self) -> int:
        """Steps of all solves."""

    @abstractmethod
    def stage(self, inside: int) -> int:
        """The number, counted over all solves, of stage `inside` of the present one."""

    @abstractmethod
    def add_to(self, inside: Snapshot) -> Snapshot:
        """The whole's snapshot: that of the present solve, and what is known of those before."""

    def snapshot(self) -> Snapshot:
        """A copy of all that the whole needs to go on from here."""
        return self.add_to(self._inside())

    def on_start(self, taken: int, steps: int, snapshot: Callable[[], Snapshot]) -> Stop | None:
        """Begin a solve, and tell the callbacks where it is the first."""
        del steps
        self._inside = snapshot
        if not self._began:
            self._began = True
            starts = [
                each.on_start(self.before + taken, self.steps, self.snapshot)
                for each in self.callbacks
            ]
            self.stop = first_stop(starts)
        return self.stop

    def on_step(self, iterate: Iterate) -> Stop | None:
        """Pass a step on, counted over all solves."""
        whole = dataclasses.replace(
            iterate,
            taken=self.before + iterate.taken,
            steps=self.steps,
            snapshot=self.snapshot,
            stage=self.stage(iterate.stage),
        )
        self.stop = first_stop([each.on_step(whole) for each in self.callbacks])
        return self.stop

    def choose_(self, code: nn.Module) -> None:
        """Let each callback choose."""
        for each in self.callbacks:
            each.choose_(code)

    def state(self) -> dict[str, Tensor]:
        """The states of the callbacks."""
        return gather_states(self.callbacks)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Return the callbacks to earlier states."""
        restore_states(self.callbacks, state)
