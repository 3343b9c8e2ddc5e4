"""`invprob train-encoder`: encoders for a generator, from its own samples."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from invprob.cli.common import AsJson, Quiet
from invprob.cli.printing import print_json
from invprob.cli.run_options import Given, takes_settings
from invprob.run.config import RunConfig

if TYPE_CHECKING:
    from invprob.cli.display import RunDisplay
    from invprob.encoder.plan import Plan
    from invprob.encoder.training import EncoderTraining
    from invprob.priors.encoder_files import Kind, Trained


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train-encoder")(train_encoder)


@takes_settings(
    *("resolution", "label", "seed", "perceptual", "lpips_weights", "device", "threads")
)
def train_encoder(
    prior: Annotated[str, typer.Option(metavar="NAME|FILE", help="The generator.")],
    given: Given,
    kind: Annotated[
        str,
        typer.Option(
            metavar="toolkit|base-code|both",
            help="What the encoder learns to find: style rows (for --init encoder, idinvert and "
            "psp), the base code (for bdinvert), or both, one after the other.",
        ),
    ] = "both",
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Training steps. Default: 3000 for toolkit, 1000 for base-code."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The file to write. Default: NAME-encoder.safetensors beside the generator.",
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Continue from the encoders of this file."),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="bfloat16|float32",
            help="The precision in which the networks multiply. Default: bfloat16 where the "
            "processor is faster with it (a short trial tells), else float32.",
        ),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Ignore the checkpoint of an interrupted training.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an encoder of the same kind in the file.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Train encoders on a generator's own samples, for methods that begin with an encoder.

    After an interruption the same command continues. The file holds one encoder of each kind;
    training one kind keeps the other.
    """
    import torch

    from invprob.cli.display import display_for
    from invprob.encoder.plan import named_kinds, usual_precision
    from invprob.encoder.training import EncoderTraining
    from invprob.errors import EncoderError
    from invprob.fast.allocation import keep_freed_memory
    from invprob.perceptual.distance import PerceptualDistance, find_perceptual
    from invprob.priors.encoder_files import encoder_path, load_all, save_encoders
    from invprob.priors.generator_files import find_generator, load_generator
    from invprob.run.build import build_device

    kinds = named_kinds(kind)
    if "threads" in given:
        torch.set_num_threads(given["threads"])
    device = build_device(given.get("device", RunConfig.device))
    generator = load_generator(prior, resolution=given.get("resolution"), label=given.get("label"))
    own = encoder_path(find_generator(prior), generator.options)
    path = own if out is None else out
    trained = load_all(path, generator) if path.exists() else {}
    present = [each for each in kinds if each in trained]
    if present and not overwrite:
        raise EncoderError(
            f"{path} has a {present[0]!r} encoder; choose another --out, or replace it: --overwrite"
        )
    earlier = {} if start is None else load_all(start, generator)
    missing = [each for each in kinds if start is not None and each not in earlier]
    if missing:
        raise EncoderError(
            f"{start} has no {missing[0]!r} encoder to continue from; choose the kind that it has: "
            f"--kind {next(iter(earlier))}"
        )
    perceptual = given.get("perceptual", RunConfig.perceptual)
    network = find_perceptual(perceptual, given.get("lpips_weights"))
    seed = given.get("seed", RunConfig.seed)
    chosen = usual_precision(device) if precision is None else precision
    plans = [_plan(each, steps, seed, chosen) for each in kinds]
    display = display_for(quiet=quiet)
    keep_freed_memory()
    if isinstance(network, PerceptualDistance):
        network.to(device)
    elif perceptual == "auto":
        display.message(f"LPIPS is left out: {network}")
    generator.to(device)
    for each, plan in zip(kinds, plans, strict=True):
        begun = earlier[each].encoder if each in earlier else None
        training = EncoderTraining(generator, plan, network, begun)
        checkpoint = path.with_name(f"{path.name}.{each}.checkpoint")
        try:
            trained[each] = _trained(training, checkpoint, display, restart=restart)
        except KeyboardInterrupt:
            display.end()
            typer.echo("invprob: interrupted; the same command continues", err=True)
            return 130
        save_encoders(trained, generator, path)
        checkpoint.unlink(missing_ok=True)
    if as_json:
        records = {each: dict(trained[each].record) for each in kinds}
        print_json({"file": str(path), "encoders": records})
        return 0
    if not quiet:
        for each in kinds:
            figures = trained[each].record["figures"]
            typer.echo(f"{each}: " + ", ".join(f"{k} {v:.3g}" for k, v in figures.items()))
    typer.echo(str(path))
    return 0


def _plan(kind: "Kind", steps: int | None, seed: int, precision: str) -> "Plan":
    from invprob.encoder.plan import Precision, usual_plan

    return usual_plan(kind, steps=steps, seed=seed, precision=cast(Precision, precision))


def _trained(
    training: "EncoderTraining", checkpoint: Path, display: "RunDisplay", *, restart: bool
) -> "Trained":
    """The trained encoder; training begins at the checkpoint, if there is one."""
    from invprob.encoder.training import load_checkpoint, save_checkpoint, train
    from invprob.run.watch import Status

    plan = training.plan
    if checkpoint.exists() and not restart:
        load_checkpoint(training, checkpoint)
        display.message(f"{plan.kind}: continuing after step {training.taken}")
    display.message(
        f"{plan.kind}: {plan.steps} steps in {plan.precision}; drawing {plan.pool} samples first"
    )
    began, first, steps = time.monotonic(), training.taken, training.plan.steps

    def progress(taken: int, losses: Mapping[str, float]) -> None:
        pace = (time.monotonic() - began) / (taken - first)
        display.status(
            Status(taken, steps, sum(losses.values()), None, None, pace * (steps - taken))
        )

    try:
        train(training, checkpoint=checkpoint, progress=progress)
    except KeyboardInterrupt:
        save_checkpoint(training, checkpoint)
        raise
    display.end()
    return training.finished()
