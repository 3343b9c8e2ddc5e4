"""Observers of a solve: they read each iterate and may ask to stop; they change nothing."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from invprob.types import Images, Measured, PerImage

Snapshot: TypeAlias = dict[str, Tensor]  # all a solve needs to go on; safetensors can hold it


@dataclass(frozen=True)
class Iterate:
    """What is known once `taken` of `steps` steps are done.

    `image`, `prediction` and `losses` (weighted terms by name; `total` is their sum) belong to the
    evaluation that the last step started from. They lie on the solve's device: reading their values
    is what waits for it. `snapshot()` copies the state after the step.
    """

    taken: int
    steps: int
    image: Images
    prediction: Measured
    losses: Mapping[str, PerImage]
    total: PerImage
    snapshot: Callable[[], Snapshot]


@dataclass(frozen=True)
class Stop:
    """A callback's wish to end the solve, and why."""

    reason: str


class Callback(ABC):
    """Something that watches a solve."""

    def on_start(self, taken: int, steps: int, snapshot: Callable[[], Snapshot]) -> Stop | None:
        """Called once before the first step; `taken` is positive where a solve goes on.

        Returning `Stop` ends the solve at once: where it goes on, it may have been about to end.
        """
        del taken, steps, snapshot
        return None

    @abstractmethod
    def on_step(self, iterate: Iterate) -> Stop | None:
        """Called after every step; returning `Stop` ends the solve."""

    def on_end(self) -> None:
        """Called once after the last step, also when the solve stopped early."""
