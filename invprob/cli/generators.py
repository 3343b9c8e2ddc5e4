"""`invprob sample` and `invprob inspect`: what a generator draws, and what its file holds."""

import warnings
from pathlib import Path
from typing import Annotated

import typer

from invprob.cli.common import AsJson
from invprob.cli.printing import print_json
from invprob.cli.run_options import Given, takes_settings
from invprob.run.config import RunConfig


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(sample)
    app.command()(inspect)


@takes_settings("prior", "resolution", "label", "seed")
def sample(
    given: Given,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The PNG file to write.")] = Path(
        "samples.png"
    ),
    count: Annotated[int, typer.Option(metavar="N", help="How many images are drawn.")] = 24,
    truncation: Annotated[
        float,
        typer.Option(
            metavar="T",
            help="How far draws lie from the mean image: 0 draws the mean image itself, 1 leaves "
            "draws as they are.",
        ),
    ] = 1.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Draw images from a generator, on one sheet."""
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
    """Describe a generator file of any known format, after checking every tensor in it.

    No code in the file is run. NaN and infinite weights are reported; `solve` refuses them.
    """
    from invprob.priors.describe import describe_file

    about = describe_file(file)
    for warning in about.pop("warnings"):
        warnings.warn(warning, stacklevel=1)
    if as_json:
        print_json(about)
        return
    for name, value in about.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else value
        typer.echo(f"{name}\t{text}")
