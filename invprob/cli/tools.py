"""`invprob sample`, `inspect` and `check`: generators and operators by themselves."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from invprob.cli.common import (
    FREE_OPTIONS,
    AsJson,
    Quiet,
    declared_options,
    load_plugins,
    print_json,
)
from invprob.cli.settings import Given, takes_settings
from invprob.run.config import RunConfig

if TYPE_CHECKING:
    from invprob.operators.base import Operator


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(sample)
    app.command()(inspect)
    app.command(context_settings=FREE_OPTIONS)(check)


@takes_settings("prior", "resolution", "label", "seed")
def sample(
    given: Given,
    out: Annotated[Path, typer.Option(metavar="FILE", help="A PNG file.")] = Path("samples.png"),
    count: Annotated[int, typer.Option(metavar="N", help="How many images.")] = 24,
    truncation: Annotated[
        float, typer.Option(metavar="T", help="1: as they come; 0: the mean image.")
    ] = 1.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Draw a sheet of images from a generator."""
    from invprob.errors import FileError
    from invprob.priors.generator_files import load_generator
    from invprob.report.sheet import draw_samples, write_sheet

    if out.suffix.lower() != ".png":
        raise FileError(f"{str(out)!r} must end in .png")
    if out.exists() and not overwrite:
        raise FileError(f"{str(out)!r} exists; choose another --out, or replace it: --overwrite")
    generator = load_generator(
        given.get("prior", RunConfig.prior),
        resolution=given.get("resolution"),
        label=given.get("label"),
    )
    seed = given.get("seed", RunConfig.seed)
    write_sheet(draw_samples(generator, count, truncation=truncation, seed=seed), out)
    typer.echo(str(out))


def inspect(
    file: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A generator.")],
    as_json: AsJson = False,
) -> None:
    """Say what a generator file of any known format holds, after checking every tensor of it.

    Nothing in the file is executed. NaN and infinite weights are told, where `solve` refuses them.
    """
    from invprob.priors.describe import describe_file

    about = describe_file(file)
    for warning in about.pop("warnings"):
        warnings.warn(warning, stacklevel=1)
    if as_json:
        print_json(about)
        return
    for name, value in about.items():
        told = ", ".join(map(str, value)) if isinstance(value, list) else value
        typer.echo(f"{name}\t{told}")


@takes_settings("spec", "operator_seed", "plugins")
def check(
    context: typer.Context,
    given: Given,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="OPERATOR", help="A registered operator, and options of its own."),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(metavar="C,H,W", help="Images of this shape. Default: the example's."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Examine an operator by the laws of the contract; 1 where one is broken.

    Options that are not given are those of the operator's small example.
    """
    from invprob.testing import examine_operator

    load_plugins(given.get("plugins", ()))
    examined = _examined(context, words or [], shape, given)
    verdicts = list(examine_operator(examined))
    told = {True: "kept", False: "BROKEN", None: "not examined"}
    broken = any(verdict.kept is False for verdict in verdicts)
    if as_json:
        laws = [
            {"law": verdict.law, "kept": verdict.kept, "detail": verdict.detail}
            for verdict in verdicts
        ]
        print_json({"operator": repr(examined), "spec": examined.spec(), "laws": laws})
        return int(broken)
    if not quiet:
        typer.echo(repr(examined))
    for verdict in verdicts:
        if not quiet or verdict.kept is False:
            detail = " ".join(verdict.detail.split())
            typer.echo(f"{told[verdict.kept]}\t{verdict.law}\t{detail}".rstrip())
    return int(broken)


def _examined(
    context: typer.Context,
    words: list[str],
    shape: str | None,
    given: Given,
) -> "Operator":
    """The operator that the words or the file describe."""
    from invprob.cli.options import read_operator
    from invprob.errors import ArgumentError
    from invprob.run.build import build_example
    from invprob.run.operator_file import read_spec, rebuild

    if "spec" in given:
        if words or shape is not None or "operator_seed" in given:
            raise ArgumentError("--spec says all of the operator: give nothing beside it")
        return rebuild(read_spec(Path(given["spec"])), given["spec"])
    named = read_operator(words, declared=declared_options(context))
    return build_example(
        named.name,
        image_shape=None if shape is None else _shape(shape),
        settings=named.settings,
        operator_seed=given.get("operator_seed"),
    )


def _shape(text: str) -> tuple[int, ...]:
    from invprob.errors import ArgumentError

    try:
        return tuple(int(length) for length in text.split(","))
    except ValueError:
        raise ArgumentError(
            f"--shape must be whole numbers, such as 3,37,31, got {text!r}"
        ) from None
