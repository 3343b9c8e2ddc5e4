"""Progress: a bar on a terminal, a line now and then elsewhere; all of it on the error stream."""

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from torch import Tensor

from invprob.run.watch import Display, Status


class RunDisplay(Display):
    """A display that remembers the folder of the run."""

    path: Path | None = None

    def folder(self, path: Path) -> None:
        """Remember the folder."""
        self.path = path


def display_for(*, quiet: bool) -> RunDisplay:
    """The display that suits the error stream."""
    if quiet:
        return SilentDisplay()
    return BarDisplay() if sys.stderr.isatty() else LineDisplay()


@final
class SilentDisplay(RunDisplay):
    """Prints nothing."""

    def message(self, text: str) -> None:
        """Print nothing."""

    def status(self, status: Status) -> None:
        """Print nothing."""


@final
class LineDisplay(RunDisplay):
    """Prints a line for each tenth of the steps, and when `most_seconds` have passed."""

    def __init__(self, *, most_seconds: float = 15.0) -> None:
        self._most_seconds = most_seconds
        self._shown = 0
        self._when = time.monotonic()

    def message(self, text: str) -> None:
        """Print the line."""
        print(text, file=sys.stderr, flush=True)

    def status(self, status: Status) -> None:
        """Print the numbers if a tenth of the steps or some seconds passed."""
        if status.taken < self._shown:  # the next images begin
            self._shown = 0
        late = time.monotonic() - self._when >= self._most_seconds
        far = status.taken - self._shown >= status.steps / 10
        if late or far or status.taken == status.steps:
            self._shown, self._when = status.taken, time.monotonic()
            self.message(" · ".join((f"step {status.taken}/{status.steps}", *numbers(status))))


@final
class BarDisplay(RunDisplay):
    """Shows a progress bar with the numbers beside it."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("step {task.completed}/{task.total}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            auto_refresh=False,
            transient=True,
        )
        self._task: TaskID | None = None

    def message(self, text: str) -> None:
        """Print the line above the bar."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def status(self, status: Status) -> None:
        """Move the bar."""
        if self._task is None:
            self._task = self._progress.add_task("", total=status.steps, numbers="")
            self._progress.start()
        shown = " · ".join(numbers(status, eta=False))
        self._progress.update(
            self._task,
            completed=status.taken,
            total=status.steps,
            numbers=shown,
            refresh=True,
        )

    def end(self) -> None:
        """Remove the bar."""
        self._progress.stop()


def numbers(status: Status, *, eta: bool = True) -> list[str]:
    """The numbers that are known after a step, each with its name."""
    found = [f"loss {status.loss:.3g}"]
    if status.misfit is not None:
        found.append(f"data misfit {status.misfit:.3g}")
    if status.psnr is not None:
        found.append(f"PSNR {status.psnr:.2f} dB")
    if eta and status.remaining is not None and status.taken < status.steps:
        found.append(f"{status.remaining:.0f} s left")
    return found


def track(batches: Iterable[Tensor], total: int, what: str, *, quiet: bool) -> Iterator[Tensor]:
    """Pass batches on, with a bar of the rows done where the error stream is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield from batches
        return
    columns = (TextColumn(what), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total)
        for batch in batches:
            yield batch
            progress.advance(task, len(batch))
