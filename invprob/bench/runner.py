"""A sweep from its plan to its tables: finished runs are kept, and the others are made."""

import dataclasses
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from invprob.bench.page import write_sweep_report
from invprob.bench.plan import Plan, Planned, make_plan
from invprob.bench.plots import write_plots
from invprob.bench.pool import cores, work_through
from invprob.bench.progress import SilentSweep, State, SweepDisplay
from invprob.bench.records import Record, load_records, save_record
from invprob.bench.studying import FOLDER, make_studies
from invprob.bench.sweep import COPY, Sweep
from invprob.bench.tables import TABLES, write_tables
from invprob.bench.worker import Assignment, Result
from invprob.errors import FileError, RunError
from invprob.files import atomic_write, file_error
from invprob.report.page import REPORT
from invprob.run.folder import is_run_folder
from invprob.run.opening import locked
from invprob.run.results import Draw


@dataclass(frozen=True)
class SweepResult:
    """How many runs of a sweep there are, finished and failed.

    `written` are tables, plots and the report.
    """

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
) -> SweepResult:
    """Make the runs of a sweep that `out` does not hold yet, then write tables, plots and a report.

    Interrupted runs are continued. Ctrl-C ends the sweep, and the tables are still written.

    Args:
        sweep: What to run.
        out: The folder of the sweep; it is made if it is not there.
        jobs: How many processes run at once and share the processors. Default: the sweep's number,
            or 1.
        retry_failed: Whether failed runs are repeated.
        display: Shows the progress.
        draw: Writes the comparison picture of a run. Processes import it by its name.

    Raises:
        InvprobError: if something in the sweep cannot be built; nothing has run then.
        RunError: if `out` is in use, or holds runs of other settings.
    """
    display = display or SilentSweep()
    plan = make_plan(sweep)
    for reason in plan.skipped:
        display.message(reason)
    if plan.no_network is not None:
        display.message(f"LPIPS is left out: {plan.no_network}")
    _make(out)
    with locked(out):
        return _Session(plan, out, jobs, retry_failed, display, draw).run()


class _Session:
    """One call of `run_sweep`."""

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

    def run(self) -> SweepResult:
        """Make the runs, then write tables and plots."""
        _copy(self._plan.sweep, self._out)
        interrupted = False
        try:
            self._work()
            make_studies(self._plan, self._records, self._out, self._save, self._display.message)
        except KeyboardInterrupt:
            interrupted = True
            self._note_interrupted()
        finally:
            self._display.end()
        written = write_tables(self._plan, self._records, self._out)
        written += write_plots(self._plan, self._records, self._out)
        if self._records:
            written.append(self._out / REPORT)
            write_sweep_report(self._out, written[-1])
        if not (self._todo or interrupted):
            self._display.message("nothing was left to do")
        states = [record.status for record in self._records.values()]
        return SweepResult(
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
        return not is_run_folder(self._folder(run.id))  # the user removed it to repeat the run

    def _work(self) -> None:
        runs = {run.id: run for run in self._todo}
        assignments = [self._assignment(run) for run in self._todo]
        began, first = time.monotonic(), len(self._plan.runs) - len(assignments)
        with closing(work_through(assignments, self._jobs)) as events:
            for event in events:
                run = runs[event.assignment.id]
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

    def _assignment(self, run: Planned) -> Assignment:
        threads = self._plan.sweep.setting("threads") or max(1, cores() // self._jobs)
        config = dataclasses.replace(run.config, threads=threads)
        record = self._records.get(run.id)
        anew = record is None or record.status in ("failed", "diverged")
        folder = self._folder(run.id)
        return Assignment(run.id, config, folder, anew and is_run_folder(folder), self._draw)

    def _started(self, run: Planned) -> Record:
        """The record of a run that begins or continues; the seconds of a lost session are lost."""
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
    """The record of a run whose process ended."""
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
    """Make the folders; raises `RunError` if `out` holds something else."""
    known = {COPY, FOLDER, REPORT, "records", "runs", "plots", "lock", *TABLES}
    try:
        if out.is_dir() and (foreign := {one.name for one in out.iterdir()} - known):
            raise RunError(
                f"{str(out)!r} is not the folder of a sweep: it holds {sorted(foreign)[0]!r}; "
                "choose another --out"
            )
        for folder in (out, out / "records", out / "runs"):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise file_error(out, error, "made") from None


def _copy(sweep: Sweep, out: Path) -> None:
    """Copy the sweep file, so that people can see what ran last."""
    try:
        text = Path(sweep.source).read_text("utf-8")
    except OSError as error:
        raise FileError(f"{sweep.source!r} is gone: {error}") from None
    with atomic_write(out / COPY) as temporary:
        temporary.write_text(text, "utf-8")
