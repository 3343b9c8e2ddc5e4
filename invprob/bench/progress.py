"""How far a sweep is, and the display that shows it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from invprob.bench.records import Record


@dataclass(frozen=True)
class State:
    """How far a sweep is.

    Attributes:
        done: Runs that ended, and the shares of those that are running.
        total: All runs.
        failed: Runs that failed or diverged.
        remaining: Seconds left, if there is an estimate.
        means: For each method the mean PSNR (dB) so far, and over how many runs.
    """

    done: float
    total: int
    failed: int
    remaining: float | None
    means: Mapping[str, tuple[float, int]]


class SweepDisplay(ABC):
    """Shows what a sweep does."""

    @abstractmethod
    def message(self, text: str) -> None:
        """Show a line that the user should know."""

    @abstractmethod
    def state(self, state: State) -> None:
        """Show how far the sweep is."""

    @abstractmethod
    def ended(self, record: Record) -> None:
        """Called when a run ended."""

    def end(self) -> None:
        """Called after the last state."""


@final
class SilentSweep(SweepDisplay):
    """Shows nothing."""

    def message(self, text: str) -> None:
        del text

    def state(self, state: State) -> None:
        del state

    def ended(self, record: Record) -> None:
        del record
