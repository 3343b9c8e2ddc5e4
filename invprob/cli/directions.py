"""`invprob directions`: the directions that ship with a generator, and new ones without labels."""

import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from invprob.cli.common import AsJson, Quiet, load_plugins
from invprob.cli.printing import print_json
from invprob.cli.run_options import Given, takes_settings
from invprob.run.config import RunConfig

if TYPE_CHECKING:
    from invprob.latents import Direction
    from invprob.priors.stylegan.generator import Generator

OUT = Path("directions.safetensors")
COUNT = 10


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(directions)


@takes_settings("prior", "resolution", "label", "seed", "plugins")
def directions(
    given: Given,
    by: Annotated[
        Literal["pca", "sefa"] | None,
        typer.Option(
            help="Find directions: pca takes the principal components of W (GANSpace), sefa "
            "factorises the weights (SeFa). Default: list those that have a name."
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option(metavar="N", help=f"How many are found. Default: {COUNT}.")
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(
            metavar="ROWS",
            help="The style rows that they move, such as 0-3,5; coarse first. Default: all.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The file of what was found; a sheet of samples (.png) gets the same name. "
            f"Default: {OUT}.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List the directions that a generator's images can be edited along, or find new ones.

    `invprob edit` takes a name of the list, and FILE:NAME for one that was found. What a direction
    without a label does, the sheet shows.
    """
    from invprob.priors.generator_files import load_generator

    load_plugins(given.get("plugins", ()))
    if by is None:
        _refuse({"--count": count, "--rows": rows, "--out": out, "--overwrite": overwrite or None})
    out = OUT if out is None else out
    sheet = out.with_suffix(".png")
    if by is not None:
        _check_files(out, sheet, overwrite=overwrite)
    generator = load_generator(
        given.get("prior", RunConfig.prior),
        resolution=given.get("resolution"),
        label=given.get("label"),
    )
    if by is None:
        _list(generator, as_json=as_json)
        return
    found = _found(by, generator, COUNT if count is None else count, rows)
    _write(found, generator, out, sheet, given.get("seed", RunConfig.seed))
    files = [str(out), str(sheet)]
    if as_json:
        print_json({"directions": [_about(one) for one in found], "files": files})
        return
    if not quiet:
        for one in found:
            typer.echo(f"{one.name}\t{_facts(one.facts)}")
        typer.echo(
            f"strength 1 is {found[0].unit}; try: invprob edit RUN --direction "
            f"{shlex.quote(f'{out}:{found[0].name}')}"
        )
    for file in files:
        typer.echo(file)


def _found(by: str, generator: "Generator", count: int, rows: str | None) -> "list[Direction]":
    from invprob.cli.numbers import read_rows
    from invprob.latents import factorised_directions, principal_directions

    find = {"pca": principal_directions, "sefa": factorised_directions}[by]
    return [*find(generator, count, None if rows is None else read_rows(rows))]


def _write(
    found: "list[Direction]", generator: "Generator", out: Path, sheet: Path, seed: int
) -> None:
    """Write the directions, and then what they do to samples."""
    from invprob.latents import save_directions
    from invprob.report.directions import TRUNCATION, direction_rows
    from invprob.report.strips import write_strips

    save_directions(found, generator, out)
    caption = [
        f"Samples of {generator.source}, truncation {TRUNCATION:g}, seed {seed}. Under each image: "
        "strength."
    ]
    write_strips(direction_rows(generator, found, seed=seed), sheet, caption)


def _refuse(options: Mapping[str, object]) -> None:
    """Options that mean nothing where directions are listed are a mistake."""
    from invprob.errors import ArgumentError

    for option, value in options.items():
        if value is not None:
            raise ArgumentError(f"{option} is for finding directions: add --by pca or --by sefa")


def _check_files(out: Path, *others: Path, overwrite: bool) -> None:
    """Check where the files go, before anything is computed."""
    from invprob.errors import FileError

    if out.suffix.lower() != ".safetensors":
        raise FileError(f"{str(out)!r} must end in .safetensors")
    for path in (out, *others):
        if path.exists() and not (overwrite and path.is_file()):
            raise FileError(
                f"{str(path)!r} exists; choose another --out, or replace it: --overwrite"
            )
    if not out.parent.is_dir():
        raise FileError(f"{str(out)!r} cannot be written: make the folder {str(out.parent)!r}")


# ---------------------------------------------------------------------------------------- the list


def _list(generator: "Generator", *, as_json: bool) -> None:
    """Print a table on a terminal, else lines with tabs for other programs, or JSON."""
    from invprob.latents import known_directions

    known = known_directions(generator).values()
    if as_json:
        print_json([_about(one) for one in known])
    elif not known:
        name = f"--prior {generator.source}"
        typer.echo(
            f"no directions come with {generator.source!r}; find some: invprob directions {name} "
            "--by pca",
            err=True,
        )
    elif not sys.stdout.isatty():
        for one in known:
            typer.echo("\t".join((one.name, *_measured(one.facts), one.unit)))
    else:
        _print_table(known)


def _print_table(known: "Iterable[Direction]") -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("name", style="bold", no_wrap=True)
    table.add_column("moved", justify="right")
    table.add_column("others", justify="right")
    table.add_column("a strength of 1", style="dim")
    for one in known:
        table.add_row(one.name, *_measured(one.facts), one.unit)
    Console().print(table)


def _about(direction: "Direction") -> dict[str, Any]:
    return {"name": direction.name, "unit": direction.unit, **direction.facts}


def _measured(facts: Mapping[str, Any]) -> tuple[str, str]:
    """By how much a direction was measured to move its factor, and the others."""
    moved, others = (facts.get(name) for name in ("moved", "others"))
    return ("–" if moved is None else f"{moved:.2f}", "–" if others is None else f"{others:.2f}")


def _facts(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in facts.items())
