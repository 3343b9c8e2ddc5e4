"""The progress of a sweep: a bar on a terminal, else a line for each run; on the error stream."""

import sys
from typing import final

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from invprob.bench.progress import State, SweepDisplay
from invprob.bench.records import Record


@final
class SweepLines(SweepDisplay):
    """Prints a line for each run that ended, for logs."""

    def __init__(self) -> None:
        self._state: State | None = None

    def message(self, text: str) -> None:
        """Print the line."""
        print(text, file=sys.stderr, flush=True)

    def state(self, state: State) -> None:
        """Remember how far the sweep is."""
        self._state = state

    def ended(self, record: Record) -> None:
        """Print the run's name and scores."""
        left = "" if self._state is None else _left(self._state)
        self.message(" · ".join(filter(None, (summary_of(record), left))))


@final
class SweepBar(SweepDisplay):
    """Shows a bar over all runs, the time left, and the mean PSNR of each method so far."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.fields[runs]} runs"),
            BarColumn(bar_width=32),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            auto_refresh=False,
        )
        self._task = self._progress.add_task("", total=1.0, runs="", left="")
        self._live: Live | None = None

    def message(self, text: str) -> None:
        """Print the line above the bar."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def state(self, state: State) -> None:
        """Move the bar."""
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self._progress.update(
            self._task,
            total=state.total,
            completed=state.done,
            runs=f"{int(state.done)}/{state.total}",
            left=_left(state),
        )
        means = Text(_means(state), overflow="ellipsis", no_wrap=True)
        self._live.update(Group(self._progress, means), refresh=True)

    def ended(self, record: Record) -> None:
        """Print what failed; runs that went well show in the means."""
        if not record.good:
            self.message(summary_of(record))

    def end(self) -> None:
        """Remove the bar."""
        if self._live is not None:
            self._live.stop()


def summary_of(record: Record) -> str:
    """A run's name and scores, or why it failed, in one line."""
    if record.status == "failed":
        return f"{record.id}: failed: {record.error}"
    numbers = []
    for name, title, form in (("psnr", "PSNR", ".2f"), ("ssim", "SSIM", ".3f")):
        value = record.score(name)
        if value is not None:
            numbers.append(f"{title} {value:{form}}")
    seconds = record.score("seconds")
    if seconds is not None:
        numbers.append(f"{seconds:.1f} s")
    how = "" if record.status == "finished" else f" ({record.status}: {record.error})"
    return f"{record.id}: {' · '.join(numbers)}{how}"


def _left(state: State) -> str:
    parts = []
    if state.failed:
        parts.append(f"{state.failed} failed")
    if state.remaining is not None and state.done < state.total:
        minutes, seconds = divmod(round(state.remaining), 60)
        hours, minutes = divmod(minutes, 60)
        parts.append(f"{hours}:{minutes:02}:{seconds:02} left")
    return " · ".join(parts)


def _means(state: State) -> str:
    means = sorted(state.means.items(), key=lambda item: -item[1][0])
    shown = " · ".join(f"{name} {mean:.2f} ({count})" for name, (mean, count) in means)
    return f"mean PSNR, dB: {shown}" if shown else ""
