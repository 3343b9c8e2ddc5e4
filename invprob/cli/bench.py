"""`invprob bench`: many runs from one sweep file, with tables and plots."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from invprob.cli.common import AsJson, Quiet
from invprob.cli.printing import print_json
from invprob.cli.run_options import Given, takes_settings

if TYPE_CHECKING:
    from invprob.bench.progress import SweepDisplay
    from invprob.bench.runner import SweepResult
    from invprob.bench.sweep import Sweep


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(bench)


@takes_settings(
    prior="the sweep's",
    steps="the sweep's",
    seconds="the sweep's; with it, each run gets as many steps as fit into that time",
    perceptual="the sweep's",
    lpips_weights="the sweep's",
)
def bench(
    given: Given,
    file: Annotated[
        Path, typer.Argument(metavar="SWEEP.toml", help="The sweep file: what to combine and run.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The folder for runs and tables. Default: bench/NAME, or bench/NAME-SCALE.",
        ),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Run this scale of the sweep, such as smoke."),
    ] = None,
    images: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH", help="More images: a file, a folder or a pattern. May be repeated."
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            metavar="N",
            min=1,
            help="How many processes run at once. Default: the sweep's number, or 1.",
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Repeat the runs that failed.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the sweep and list its runs, but run nothing.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Run every combination in a sweep file, and write table.md, table.csv, runs.csv, plots
    and report.html.

    The same command continues an interrupted sweep and makes the runs of new entries in the file.
    """
    from invprob.bench.plots import MISSING, can_draw
    from invprob.bench.read import read_sweep
    from invprob.bench.runner import run_sweep
    from invprob.report.comparison import write_comparison

    sweep = read_sweep(file)
    if scale is not None:
        sweep = sweep.scaled(scale)
    sweep = _changed(sweep, images or [], given)
    if dry_run:
        return _list_runs(sweep, as_json=as_json)
    name = sweep.name if scale is None else f"{sweep.name}-{scale}"
    out = out or Path("bench") / name
    display = _display(quiet=quiet or as_json)
    summary = run_sweep(
        sweep, out, jobs=jobs, retry_failed=retry_failed, display=display, draw=write_comparison
    )
    if not can_draw():
        display.message(MISSING)
    return _report(summary, as_json=as_json, quiet=quiet)


def _changed(sweep: "Sweep", images: Sequence[str], given: Given) -> "Sweep":
    """The sweep with more images, and with the settings of the command line."""
    from invprob.bench.sweep import Pictures

    if "seconds" in given and "steps" not in given:
        given = {**given, "steps": None}  # the file's steps are meant for its own time
    more = tuple(
        Pictures(label=_label(path), paths=(str(Path(path).expanduser()),), place="--images")
        for path in images
    )
    changed = sweep.with_settings(given)
    return dataclasses.replace(changed, pictures=(*sweep.pictures, *more))


def _label(path: str) -> str:
    """The label of a set of images: its file or folder, or the beginning of its pattern."""
    return Path(path).stem.strip("*?_-. ") or Path(path).parent.name or "images"


def _list_runs(sweep: "Sweep", *, as_json: bool) -> int:
    from invprob.bench.plan import make_plan

    plan = make_plan(sweep)
    if as_json:
        runs = [{"id": run.id, **run.at, "definition": run.definition} for run in plan.runs]
        print_json({"runs": runs, "skipped": list(plan.skipped)})
        return 0
    for reason in plan.skipped:
        typer.echo(f"invprob: {reason}", err=True)
    for run in plan.runs:
        typer.echo(run.id)
    typer.echo(f"{len(plan.runs)} runs", err=True)
    return 0


def _report(summary: "SweepResult", *, as_json: bool, quiet: bool) -> int:
    """Print the counts of runs and, in the last line, the table; returns the exit status."""
    table = summary.out / "table.md"
    if as_json:
        print_json(
            {
                "folder": str(summary.out),
                "runs": summary.total,
                "finished": summary.finished,
                "failed": summary.failed,
                "interrupted": summary.interrupted,
                "written": [str(path) for path in summary.written],
            }
        )
    elif not quiet:
        failed = f", {summary.failed} failed (see {table})" if summary.failed else ""
        typer.echo(f"{summary.finished} of {summary.total} runs finished{failed}")
    if summary.interrupted:
        typer.echo("invprob: interrupted; to continue: the same command", err=True)
        return 130
    if summary.failed and not (as_json or quiet):
        typer.echo("invprob: to repeat failed runs: the same command with --retry-failed", err=True)
    if not as_json:
        typer.echo(str(table))
    return 1 if summary.failed else 0


def _display(*, quiet: bool) -> "SweepDisplay":
    """A bar on a terminal, else a line for each run; nothing if `quiet`."""
    from invprob.bench.progress import SilentSweep
    from invprob.cli.sweep_display import SweepBar, SweepLines

    if quiet:
        return SilentSweep()
    return SweepBar() if sys.stderr.isatty() else SweepLines()
