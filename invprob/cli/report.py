"""`invprob report`: a run or a sweep as one HTML page."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(report)


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder of a run, or of a sweep.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The page. Default: report.html in the folder."),
    ] = None,
) -> None:
    """Write a page about a run or a sweep: one HTML file that needs no network.

    A run's page compares its pictures and says how far to trust them and how to repeat it; the run
    may be unfinished. A sweep's page has a table that sorts and filters, and plots. `solve` and
    `bench` write the page at their end; a page that is there is replaced.
    """
    from invprob.bench.page import is_sweep_folder, write_sweep_report
    from invprob.errors import FileError
    from invprob.report.page import REPORT
    from invprob.report.run_page import write_run_report

    out = folder / REPORT if out is None else out
    if out.suffix.lower() not in (".html", ".htm"):
        raise FileError(f"{str(out)!r} must end in .html, because the report is a page")
    if is_sweep_folder(folder):
        write_sweep_report(folder, out)
    else:
        write_run_report(folder, out)
    typer.echo(str(out))
