"""`invprob solve` and `invprob resume`."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from invprob.cli.common import (
    FREE_OPTIONS,
    AsJson,
    Fit,
    Grey,
    Label,
    NoiseName,
    OperatorPerImage,
    Operators,
    OperatorSeed,
    PartsCommand,
    Plugins,
    Quiet,
    Resolution,
    Samples,
    Seed,
    Spec,
    Words,
    declared_options,
    load_plugins,
    print_json,
)

if TYPE_CHECKING:
    from invprob.cli.display import Told
    from invprob.run.config import RunConfig
    from invprob.run.results import Finished


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(cls=PartsCommand, context_settings=FREE_OPTIONS)(solve)
    app.command()(resume)


def solve(
    context: typer.Context,
    words: Words = None,
    operator: Operators = None,
    spec: Spec = None,
    noise: NoiseName = None,
    measurements: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Measurements made before, instead of an image."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A run's config.toml; options given here win over it."),
    ] = None,
    sample: Samples = None,
    prior: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="The generator. Default: faces-128."),
    ] = None,
    resolution: Resolution = None,
    label: Label = None,
    method: Annotated[
        str | None, typer.Option(metavar="NAME", help="How it is searched. Default: sphinx.")
    ] = None,
    data_term: Annotated[
        str | None,
        typer.Option(
            metavar="misfit|likelihood|stochastic",
            help="How prediction and measurement are compared: squared, by the noise's likelihood, "
            "or squared with fresh noise on the prediction at each step. Default: misfit.",
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="default|encoder",
            help="Where the search begins: the method's own start, or the style rows that the "
            "generator's encoder finds in the measurements. Default: default.",
        ),
    ] = None,
    coarse: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="Begin with the generator cut to this size, and double it; its own size: at once. "
            "Default: the method's own, for sphinx a quarter where little is measured.",
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(metavar="N", help="Optimisation steps. Default: the method's.")
    ] = None,
    restarts: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Solve from N seeds, keep what fits the data best. Default: 1."
        ),
    ] = None,
    stop: Annotated[
        str | None,
        typer.Option(
            metavar="none|discrepancy|plateau|held-out",
            help="What ends a solve before its steps are spent. Default: none, or the config's.",
        ),
    ] = None,
    seed: Seed = None,
    operator_seed: OperatorSeed = None,
    per_image: OperatorPerImage = False,
    fit: Fit = None,
    grey: Grey = False,
    perceptual: Annotated[
        str | None,
        typer.Option(
            metavar="auto|none|alex|squeeze|vgg|st-vgg",
            help="The perceptual network. Default: auto, what is on disk.",
        ),
    ] = None,
    lpips_weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights of the perceptual network.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="auto|cpu|cuda|cuda:N|mps", help="Default: auto.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="float32|tf32|bf16",
            help="How exactly the generator's convolutions multiply. Default: float32.",
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="normal|low",
            help="low: hold less and compute parts twice, for the same result. Default: normal.",
        ),
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(
            metavar="auto|N",
            help="Images solved at once. Default: auto, as memory allows, on a CPU 32 at most.",
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="CPU threads. Default: PyTorch's choice.")
    ] = None,
    plugin: Plugins = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Default: runs/NAME-OPERATOR-METHOD-NNN."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run that lies in --out.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Restore images from their measurements; without IMAGE, a face that ships with the package."""
    from invprob.cli.options import read_parts
    from invprob.run.config import Named, RunConfig
    from invprob.run.operator_file import read_spec

    plugins = load_plugins(plugin)
    base = None if config is None else RunConfig.load(config)
    if base is not None:
        load_plugins([Path(path) for path in base.plugins])
    usual = Named("sphinx") if base is None else base.method
    rule = None if base is None or stop is not None else base.stop
    without = stop == "none"
    stop = None if without else stop
    parts = read_parts(
        words or [],
        operators=operator or [],
        noise=noise,
        method=method or usual.name,
        stop=stop if rule is None else rule.name,
        declared=declared_options(context),
    )
    searched = parts.method or usual
    if method is None:
        searched = Named(usual.name, {**usual.settings, **searched.settings})
    stopped = parts.stop
    if rule is not None and stopped is not None:
        stopped = Named(rule.name, {**rule.settings, **stopped.settings})
    given: dict[str, Any] = {
        "images": parts.words,
        "samples": tuple(sample or ()),
        "measurements": None if measurements is None else str(measurements),
        "operators": parts.operators,
        "spec": None if spec is None else json.dumps(read_spec(spec)),
        "noise": parts.noise,
        "grey": grey or None,
        "fit": fit,
        "prior": prior,
        "resolution": resolution,
        "label": label,
        "method": searched,
        "data_term": data_term,
        "init": init,
        "coarse": coarse,
        "steps": steps,
        "restarts": restarts,
        "stop": stopped,
        "seed": seed,
        "operator_seed": operator_seed,
        "per_image": per_image or None,
        "perceptual": perceptual,
        "lpips_weights": None if lpips_weights is None else str(lpips_weights),
        "device": device,
        "precision": precision,
        "memory": memory,
        "batch": _batch(batch),
        "threads": threads,
        "plugins": plugins,
    }
    given = {name: value for name, value in given.items() if value is not None and value != ()}
    if without:
        given["stop"] = None
    return _show(_merged(base, given), out, overwrite=overwrite, as_json=as_json, quiet=quiet)


def resume(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Go on with an interrupted run; it ends as if it had never been interrupted."""
    from invprob.cli.display import display
    from invprob.report.comparison import write_comparison
    from invprob.run.execute import resume as go_on

    told = display(quiet=quiet)
    try:
        finished = go_on(folder, display=told, draw=write_comparison)
    except KeyboardInterrupt:
        return _interrupted(told)
    if finished.again and not (quiet or as_json):
        typer.echo("this run is finished; nothing was left to do")
    return _report(finished, as_json=as_json, quiet=quiet)


def _batch(text: str | None) -> int | None:
    from invprob.errors import ArgumentError

    if text is None or text == "auto":
        return None
    if not text.isdecimal():
        raise ArgumentError(f"--batch must be auto or a whole number, got {text!r}")
    return int(text)


def _merged(base: "RunConfig | None", given: dict[str, Any]) -> "RunConfig":
    """What was given, over a file's settings or the defaults."""
    from invprob.run.config import RunConfig
    from invprob.run.samples import DEFAULT

    pictured = any(name in given for name in ("images", "samples", "measurements"))
    if base is None:
        return RunConfig(**(given if pictured else {"samples": (DEFAULT,), **given}))
    if pictured:  # other pictures replace those of the file, of whatever kind
        given = {"images": (), "samples": (), "measurements": None, **given}
    if "spec" in given or "operators" in given:
        given = {"operators": (), "spec": None, **given}
    return dataclasses.replace(base, **given)


def _show(
    config: "RunConfig", out: Path | None, *, overwrite: bool, as_json: bool, quiet: bool
) -> int:
    from invprob.cli.display import display
    from invprob.report.comparison import write_comparison
    from invprob.run.execute import start

    told = display(quiet=quiet)
    try:
        finished = start(config, out=out, overwrite=overwrite, display=told, draw=write_comparison)
    except KeyboardInterrupt:
        return _interrupted(told)
    return _report(finished, as_json=as_json, quiet=quiet)


def _interrupted(told: "Told") -> int:
    told.end()
    if told.path is not None and told.path.exists():
        typer.echo(f"invprob: interrupted; go on with: invprob resume {told.path}", err=True)
    else:
        typer.echo("invprob: interrupted before the first step; nothing was written", err=True)
    return 130


def _report(finished: "Finished", *, as_json: bool, quiet: bool) -> int:
    """Print the scores and, in the last line, the folder; 1 where the solve failed."""
    if as_json:
        about = {"folder": str(finished.path), **finished.scores}
        print_json({**about, "images": finished.images} if finished.images else about)
    else:
        if not quiet:
            for name, scores in finished.images.items():
                typer.echo(f"{name}: {_sentence(scores)}")
            mean = "mean: " if finished.images else ""
            typer.echo(mean + _sentence(finished.scores))
            typer.echo(_ending(finished))
        typer.echo(str(finished.path))
    return 1 if finished.diverged else 0


def _ending(finished: "Finished") -> str:
    """How the solve went, how long it took, and for several images their rate."""
    seconds = finished.scores["seconds"]
    said = f"{finished.scores['outcome']}, in {seconds:.1f} s"
    if not finished.images or not seconds:
        return said
    return f"{said}: {3600 * len(finished.images) / seconds:.0f} images an hour"


def _sentence(scores: dict[str, Any]) -> str:
    """Scores in one line."""
    said = []
    if scores["psnr"] is not None:
        others = [
            f"{what} {scores[key]:.2f}"
            for key, what in (("psnr_pinv", "pseudo-inverse"), ("psnr_mean", "mean image"))
            if scores[key] is not None
        ]
        said.append(f"PSNR {scores['psnr']:.2f} dB" + (f" ({', '.join(others)})" if others else ""))
    if scores["ssim"] is not None:
        said.append(f"SSIM {scores['ssim']:.3f}")
    if scores["lpips"] is not None:
        said.append(f"{scores['lpips_network']} {scores['lpips']:.3f}")
    if scores["data_misfit"] is not None:
        said.append(f"data misfit {scores['data_misfit']:.3g}")
    return " · ".join(said)
