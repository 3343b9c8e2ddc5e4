"""Several solves in a row that callbacks see as one run."""

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
    """Passes on what each solve says, counted over all of them; `stop` is what was last asked."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks = callbacks
        self.stop: Stop | None = None
        self._began = False

    @property
    @abstractmethod
    def before(self) -> int:
        """Steps of the solves before this one."""

    @property
    @abstractmethod
    def steps(self) -> int:
        """Steps of all solves."""

    @abstractmethod
    def stage(self, inside: int) -> int:
        """Number of a stage of this solve, counted over all of them."""

    @abstractmethod
    def add_to(self, inside: Snapshot) -> Snapshot:
        """This solve's snapshot with what is known of those before; `taken` is over all."""

    def snapshot(self) -> Snapshot:
        """The whole run's."""
        return self.add_to(self._inside())

    def on_start(self, taken: int, steps: int, snapshot: Callable[[], Snapshot]) -> Stop | None:
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
        for each in self.callbacks:
            each.choose_(code)

    def state(self) -> dict[str, Tensor]:
        return gather_states(self.callbacks)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        restore_states(self.callbacks, state)
