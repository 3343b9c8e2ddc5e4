"""A sweep from its plan to its tables: what is finished is kept, the rest is done."""

import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import final

from invprob.bench.plan import Plan, Planned, make_plan
from invprob.bench.plots import write_plots
from invprob.bench.pool import cores, work_through
from invprob.bench.records import Record, load_records, save_record
from invprob.bench.sweep import Sweep
from invprob.bench.tables import write_tables
from invprob.bench.worker import Result, Task
from invprob.errors import FileError, RunError
from invprob.files import atomic_write, file_error
from invprob.run.folder import is_run_folder, locked
from invprob.run.results import Draw

COPY = "sweep.toml"


@dataclass(frozen=True)
class State:
    """How far a sweep is; `done` counts runs and parts of runs, `means` are of PSNR by method."""

    done: float
    total: int
    failed: int
    remaining: float | None  # seconds
    means: Mapping[str, tuple[float, int]]


class SweepDisplay(ABC):
    """Where a sweep says what it does."""

    @abstractmethod
    def message(self, text: str) -> None:
        """Say something that the user should know, in one line."""

    @abstractmethod
    def state(self, state: State) -> None:
        """Show how far the sweep is."""

    @abstractmethod
    def ended(self, record: Record) -> None:
        """Learn that a run ended."""

    def end(self) -> None:
        """Called when there will be no further state."""


@final
class SilentSweep(SweepDisplay):
    """Say nothing."""

    def message(self, text: str) -> None:
        del text

    def state(self, state: State) -> None:
        del state

    def ended(self, record: Record) -> None:
        del record


@dataclass(frozen=True)
class Summary:
    """What a sweep came to; `written` are tables and plots."""

    out: Path
    total: int
    finished: int
    failed: int
    interrupted: bool
    written: Sequence[Path]


def run_sweep(
    sweep: Sweep,
    out: Path,
    *,
    jobs: int | None = None,
    retry_failed: bool = False,
    display: SweepDisplay | None = None,
    draw: Draw | None = None,
) -> Summary:
    """Make the runs of a sweep that `out` does not hold yet, then write tables and plots.

    Interrupted runs go on; failed ones are left alone unless `retry_failed`. Ctrl-C ends it in good
    order, tables included. `jobs` processes, by default the sweep's or one, share the processors.
    `draw` writes each run's comparison picture; processes find it by its name.

    Raises `InvprobError` before anything runs where the sweep cannot be built, `RunError` where
    `out` is in use or holds runs of another definition.
    """
    display = display or SilentSweep()
    plan = make_plan(sweep)
    for reason in plan.skipped:
        display.message(reason)
    if plan.no_network is not None:
        display.message(f"there will be no LPIPS: {plan.no_network}")
    _make(out)
    with locked(out):
        return _Session(plan, out, jobs, retry_failed, display, draw).run()


class _Session:
    """One call of a sweep."""

    def __init__(
        self,
        plan: Plan,
        out: Path,
        jobs: int | None,
        retry_failed: bool,
        display: SweepDisplay,
        draw: Draw | None,
    ) -> None:
        self._plan, self._out, self._display, self._draw = plan, out, display, draw
        self._jobs = jobs or plan.sweep.processes or 1
        self._records = load_records(out, plan.runs)
        self._todo = [run for run in plan.runs if self._is_open(run, retry_failed)]
        self._began: dict[str, float] = {}
        self._shares: dict[str, float] = {}

    def run(self) -> Summary:
        """Work, then write."""
        _copy(self._plan.sweep, self._out)
        interrupted = False
        try:
            self._work()
        except KeyboardInterrupt:
            interrupted = True
            self._note_interrupted()
        finally:
            self._display.end()
        written = write_tables(self._plan, self._records, self._out)
        written += write_plots(self._plan, self._records, self._out)
        if not (self._todo or interrupted):
            self._display.message("nothing was left to do")
        states = [record.status for record in self._records.values()]
        return Summary(
            out=self._out,
            total=len(self._plan.runs),
            finished=states.count("finished"),
            failed=states.count("failed") + states.count("diverged"),
            interrupted=interrupted,
            written=written,
        )

    def _is_open(self, run: Planned, retry_failed: bool) -> bool:
        record = self._records.get(run.id)
        if record is None or record.status in ("started", "interrupted"):
            return True
        if record.status in ("failed", "diverged"):
            return retry_failed
        return not is_run_folder(self._folder(run.id))  # someone removed it to have it made again

    def _work(self) -> None:
        runs = {run.id: run for run in self._todo}
        tasks = [self._task(run) for run in self._todo]
        began, first = time.monotonic(), len(self._plan.runs) - len(tasks)
        with closing(work_through(tasks, self._jobs)) as events:
            for event in events:
                run = runs[event.task.id]
                if event.result is not None:
                    self._shares.pop(run.id, None)
                    self._save(_ended(self._records[run.id], event.result))
                    self._display.ended(self._records[run.id])
                elif run.id not in self._began:
                    self._began[run.id] = time.monotonic()
                    self._save(self._started(run))
                else:
                    self._shares[run.id] = event.share
                self._display.state(self._state(began, first))

    def _task(self, run: Planned) -> Task:
        threads = self._plan.sweep.setting("threads") or max(1, cores() // self._jobs)
        config = dataclasses.replace(run.config, threads=threads)
        record = self._records.get(run.id)
        anew = record is None or record.status in ("failed", "diverged")
        folder = self._folder(run.id)
        return Task(run.id, config, folder, anew and is_run_folder(folder), self._draw)

    def _started(self, run: Planned) -> Record:
        """The record of a run that begins, or goes on: seconds of sessions that got lost are."""
        before = self._records.get(run.id)
        goes_on = before is not None and before.status in ("started", "interrupted")
        if before is None or not goes_on or not is_run_folder(self._folder(run.id)):
            return Record(run.id, run.at, run.definition, seconds=0.0)
        known = before.seconds if before.status == "interrupted" else None
        return dataclasses.replace(
            before, status="started", seconds=known, sessions=before.sessions + 1
        )

    def _note_interrupted(self) -> None:
        for run_id, began in self._began.items():
            record = self._records[run_id]
            if record.status == "started":
                seconds = record.seconds
                passed = None if seconds is None else seconds + time.monotonic() - began
                self._save(dataclasses.replace(record, status="interrupted", seconds=passed))

    def _save(self, record: Record) -> None:
        self._records[record.id] = record
        save_record(self._out, record)

    def _state(self, began: float, first: int) -> State:
        ended = sum(record.status != "started" for record in self._records.values())
        done = ended + sum(self._shares.values())
        gained, total = done - first, len(self._plan.runs)
        pace = (time.monotonic() - began) / gained if gained > 0 else None
        by_method: dict[str, list[float]] = {}
        for record in self._records.values():
            if record.good and (psnr := record.score("psnr")) is not None:
                by_method.setdefault(record.at["method"], []).append(psnr)
        return State(
            done=done,
            total=total,
            failed=sum(one.status in ("failed", "diverged") for one in self._records.values()),
            remaining=None if pace is None else pace * (total - done),
            means={
                name: (sum(values) / len(values), len(values)) for name, values in by_method.items()
            },
        )

    def _folder(self, run_id: str) -> Path:
        return self._out / "runs" / run_id


def _ended(record: Record, result: Result) -> Record:
    """The record of a run whose process is through."""
    known = record.seconds is not None and result.seconds is not None
    return dataclasses.replace(
        record,
        status=result.status,
        error=result.error,
        traceback=result.traceback,
        scores=result.scores,
        seconds=(record.seconds or 0.0) + (result.seconds or 0.0) if known else None,
        peak_memory=result.peak_memory,
        gpu_memory=result.gpu_memory,
        threads=result.threads,
        pace=result.pace if record.pace is None else record.pace,
    )


def _make(out: Path) -> None:
    """Make the folders; raises `RunError` where `out` is something else."""
    known = {COPY, "records", "runs", "plots", "lock", "table.md", "table.csv", "runs.csv"}
    try:
        if out.is_dir() and (foreign := {one.name for one in out.iterdir()} - known):
            raise RunError(
                f"{str(out)!r} is no folder of a sweep: it holds {sorted(foreign)[0]!r}; choose "
                "another --out"
            )
        for folder in (out, out / "records", out / "runs"):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise file_error(out, error, "made") from None


def _copy(sweep: Sweep, out: Path) -> None:
    """Keep the sweep file as it was at the last call, for people."""
    try:
        text = Path(sweep.source).read_text("utf-8")
    except OSError as error:
        raise FileError(f"{sweep.source!r} is gone: {error}") from None
    with atomic_write(out / COPY) as temporary:
        temporary.write_text(text, "utf-8")
