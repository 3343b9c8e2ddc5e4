"""The observers of a run: one writes trace and checkpoints, one shows how far the run is."""

import itertools
import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from invprob.callbacks import Callback, Iterate, Snapshot, Stop
from invprob.run.folder import Checkpoint, RunFolder
from invprob.types import Images, PerImage

Fidelity = Callable[[Images], PerImage]  # PSNR against a truth that the solver does not know


@dataclass(frozen=True)
class Status:
    """How far a run is. Loss, misfit and PSNR are means over the images at hand.

    Args:
        taken: how many steps have been taken.
        steps: how many steps there will be.
        loss: the objective.
        misfit: its data term. None: the objective has none of that name.
        psnr: in dB. None: the truth is not known.
        remaining: how many seconds are left at this pace.
    """

    taken: int
    steps: int
    loss: float
    misfit: float | None
    psnr: float | None
    remaining: float | None


class Display(ABC):
    """Where a run says what it does. An author writes `folder`, `message` and `status`."""

    @abstractmethod
    def folder(self, path: Path) -> None:
        """Called once, before the first step, with the folder of the run."""

    @abstractmethod
    def message(self, text: str) -> None:
        """Show what the user should know, in one line."""

    @abstractmethod
    def status(self, status: Status) -> None:
        """Show the progress; called a few times a second at most."""

    def end(self) -> None:
        """Called when there will be no further status."""


@final
class Silent(Display):
    """Shows nothing."""

    def folder(self, path: Path) -> None:
        """Show nothing."""
        del path

    def message(self, text: str) -> None:
        """Show nothing."""
        del text

    def status(self, status: Status) -> None:
        """Show nothing."""
        del status


@final
class Recorder(Callback):
    """Writes the trace, and a checkpoint at step 0, every few seconds and at the end.

    Losses stay on the device until they are written, so that recording does not make the solve wait
    for the device. Where writing is slow it is done less often, but at least every `LONGEST`
    seconds.

    Args:
        folder: where to write.
        images: the images at hand. Where they are not all, each line of the trace names the first.
        total: how many images there are.
        seconds: how long the run had taken before.
    """

    SHORTEST, LONGEST = 0.5, 60.0  # seconds between two checkpoints
    SHARE = 0.05  # of the time that writing may take

    def __init__(self, folder: RunFolder, images: range, total: int, *, seconds: float) -> None:
        self._interval = self.SHORTEST
        self._folder = folder
        self._images = images
        self._about = {} if len(images) == total else {"first": images.start}
        self._earlier = seconds
        self.lines = folder.trace_length()
        self._began = self._written = time.monotonic()
        self._rows: list[tuple[int, dict[str, Tensor]]] = []
        self._snapshot: Callable[[], Snapshot] | None = None

    @property
    def seconds(self) -> float:
        """How long the run has taken so far, earlier sessions included."""
        return self._earlier + time.monotonic() - self._began

    def on_start(self, taken: int, steps: int, snapshot: Callable[[], Snapshot]) -> None:
        del steps
        self._began = time.monotonic()
        self._snapshot = snapshot
        if taken == 0:
            self._write()
        self._folder.keep()

    def on_step(self, iterate: Iterate) -> None:
        self._rows.append((iterate.taken, {**iterate.losses, "total": iterate.total}))
        if time.monotonic() - self._written >= self._interval:
            self._write()

    def on_end(self) -> None:
        self._write()

    def _write(self) -> None:
        """Write the trace, then the checkpoint: on resuming, the trace is cut to the checkpoint."""
        assert self._snapshot is not None
        began = time.monotonic()
        lines = self._new_lines()
        self._folder.append_trace(lines)
        self.lines += len(lines)
        images = (self._images.start, self._images.stop)
        self._folder.save_checkpoint(Checkpoint(self._snapshot(), self.seconds, images, self.lines))
        self._written = time.monotonic()
        pause = (self._written - began) / self.SHARE
        self._interval = min(self.LONGEST, max(self.SHORTEST, pause))

    def _new_lines(self) -> list[str]:
        """A line for each step; steps with the same terms are copied from the device at once."""
        lines = []
        for names, rows in itertools.groupby(self._rows, lambda row: tuple(row[1])):
            steps, losses = zip(*rows, strict=True)
            table = torch.stack([torch.stack(list(row.values())) for row in losses]).cpu()
            for step, row in zip(steps, table, strict=True):
                named = dict(zip(names, map(_numbers, row), strict=True))
                lines.append(json.dumps({**self._about, "step": step, **named}))
        self._rows.clear()
        return lines


@final
class TimeBudget(Callback):
    """Stops a solve once the run has taken `seconds`, earlier sessions included."""

    def __init__(self, recorder: Recorder, seconds: float) -> None:
        self._recorder, self._seconds = recorder, seconds

    def on_step(self, iterate: Iterate) -> Stop | None:
        del iterate
        if self._recorder.seconds < self._seconds:
            return None
        return Stop(f"the time budget of {self._seconds:g} s was used up")


@final
class Watcher(Callback):
    """Shows on a display how a solve goes, five times a second at most.

    Args:
        display: where to show it.
        fidelity: the PSNR of images. None: the truth is not known.
        interval: the least number of seconds between two updates.
    """

    def __init__(
        self, display: Display, fidelity: Fidelity | None = None, *, interval: float = 0.2
    ) -> None:
        self._display, self._fidelity, self._interval = display, fidelity, interval
        self._first = 0
        self._began = self._shown = time.monotonic()

    def on_start(self, taken: int, steps: int, snapshot: Callable[[], Snapshot]) -> None:
        del steps, snapshot
        self._first = taken
        self._began = time.monotonic()

    def on_step(self, iterate: Iterate) -> None:
        now = time.monotonic()
        if now - self._shown < self._interval and iterate.taken < iterate.steps:
            return
        pace = (now - self._began) / (iterate.taken - self._first)
        misfit = iterate.losses.get("misfit")
        self._display.status(
            Status(
                taken=iterate.taken,
                steps=iterate.steps,
                loss=float(iterate.total.mean()),
                misfit=None if misfit is None else float(misfit.mean()),
                psnr=None
                if self._fidelity is None
                else float(self._fidelity(iterate.image).mean()),
                remaining=pace * (iterate.steps - iterate.taken),
            )
        )
        self._shown = time.monotonic()

    def on_end(self) -> None:
        self._display.end()


def _numbers(values: Tensor) -> list[float | None]:
    """Values for JSON, which has no NaN, with the nine digits that float32 holds."""
    return [float(f"{v:.9g}") if math.isfinite(v) else None for v in values.tolist()]
