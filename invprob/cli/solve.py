"""`invprob solve` and `invprob resume`."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from invprob.cli.common import FREE_OPTIONS, AsJson, PartsCommand, Quiet, Words, load_plugins
from invprob.cli.printing import print_scores
from invprob.cli.run_options import Given, read_settings, takes_settings
from invprob.run.config import SETTINGS, USUAL_METHOD, RunConfig

if TYPE_CHECKING:
    from invprob.cli.display import RunDisplay
    from invprob.run.results import Finished


NoReport: TypeAlias = Annotated[
    bool, typer.Option("--no-report", help="Write no report.html (see `invprob report`).")
]
INPUTS = ("images", "samples", "measurements", "measured")  # settings that name what to restore


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(cls=PartsCommand, context_settings=FREE_OPTIONS)(solve)
    app.command()(resume)


@takes_settings()
def solve(
    context: typer.Context,
    given: Given,
    words: Words = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The config.toml of a run. Options given here win over it."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The folder for the result. Default: runs/NAME-OPERATOR-METHOD-NNN.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run that lies in --out.")
    ] = False,
    no_report: NoReport = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Restore images from their measurements; without IMAGE, a face that ships with the package.

    An IMAGE is the truth: it is measured first, and the result is compared with it. A picture that
    is small, blurred or noisy already is a measurement: name it with --measured, and what made it
    so with --operator and --noise. A file that `invprob measure` wrote is named with
    --measurements.

    These scores are printed. PSNR (in dB, higher is better), SSIM (at most 1) and LPIPS (lower is
    better) compare the result with the truth. The data misfit compares it with the measurements:
    the sum of squared differences, divided by the number of image elements, so its scale depends on
    the operator. For comparison there is the PSNR of the pseudo-inverse, which is the least-squares
    solution without a prior, and that of the mean image, which the generator draws from its mean
    latent code.
    """
    from invprob.cli.display import display_for
    from invprob.report.comparison import write_comparison
    from invprob.run.launch import start

    base = None if config is None else RunConfig.load(config)
    if base is not None:
        load_plugins(base.plugins)
    settings = read_settings(
        context,
        words,
        given,
        method=USUAL_METHOD if base is None else base.method,
        stop=None if base is None else base.stop,
    )
    display = display_for(quiet=quiet or as_json)
    try:
        finished = start(
            _over(base, settings),
            out=out,
            overwrite=overwrite,
            display=display,
            draw=write_comparison,
        )
    except KeyboardInterrupt:
        return _interrupted(display)
    if not no_report:
        _report(finished)
    return print_scores(finished, as_json=as_json, quiet=quiet)


def resume(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")],
    no_report: NoReport = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Continue an interrupted run; it ends as if it had never been interrupted."""
    from invprob.cli.display import display_for
    from invprob.report.comparison import write_comparison
    from invprob.run.launch import resume as resume_run

    display = display_for(quiet=quiet or as_json)
    try:
        finished = resume_run(folder, display=display, draw=write_comparison)
    except KeyboardInterrupt:
        return _interrupted(display)
    if not (no_report or finished.again):
        _report(finished)
    if finished.again and not (quiet or as_json):
        typer.echo("this run is finished; nothing was left to do")
    return print_scores(finished, as_json=as_json, quiet=quiet)


def _report(finished: "Finished") -> None:
    """Write the report of a run that has just ended into its folder; without it, it did end."""
    from invprob.errors import InvprobError
    from invprob.report.page import REPORT
    from invprob.report.run_page import write_run_report
    from invprob.run.shown import Showing

    try:
        write_run_report(finished.path, finished.path / REPORT, Showing.of(finished.comparisons))
    except InvprobError as error:
        typer.echo(f"invprob: the run is finished, but there is no report: {error}", err=True)


def _over(base: RunConfig | None, settings: dict[str, Any]) -> RunConfig:
    """The settings given, over those of a file or the defaults."""
    from invprob.run.samples import DEFAULT

    images_given = any(name in settings for name in INPUTS)
    if base is None:
        return RunConfig(**(settings if images_given else {"samples": (DEFAULT,), **settings}))
    if images_given:  # other images replace those of the file, of whatever kind
        settings = {**{name: SETTINGS[name].default for name in INPUTS}, **settings}
    if "spec" in settings or "operators" in settings:
        settings = {"operators": (), "spec": None, **settings}
    plugins = tuple(dict.fromkeys((*base.plugins, *settings.get("plugins", ()))))
    return dataclasses.replace(base, **{**settings, "plugins": plugins})


def _interrupted(display: "RunDisplay") -> int:
    """Take progress away, and say how to continue."""
    display.end()
    if display.path is not None and display.path.exists():
        typer.echo(f"invprob: interrupted; to continue: invprob resume {display.path}", err=True)
    else:
        typer.echo("invprob: interrupted before the first step; nothing was written", err=True)
    return 130
