"""`invprob gallery`: a picture of what each operator does to an image."""

from pathlib import Path
from typing import Annotated

import typer

from invprob.cli.common import AsJson, Quiet, load_plugins
from invprob.cli.printing import print_json
from invprob.cli.run_options import Given, takes_settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(gallery)


@takes_settings("plugins")
def gallery(
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for the pictures.")],
    given: Given,
    image: Annotated[
        Path | None, typer.Argument(metavar="IMAGE", help="An image file. Default: the sample.")
    ] = None,
    sample: Annotated[
        str, typer.Option(metavar="NAME", help="An image that ships with the package.")
    ] = "face",
    size: Annotated[int, typer.Option(metavar="N", help="The side of the image, in pixels.")] = 128,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace pictures.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draw what each operator makes of an image: NAME.png for each, gallery.png for all."""
    from invprob.errors import FileError
    from invprob.files import file_error
    from invprob.registry import register as registers
    from invprob.report.gallery import SHEET, exhibit, write_exhibit, write_sheet
    from invprob.run.images import load_image
    from invprob.run.samples import sample_path

    load_plugins(given.get("plugins", ()))
    picture = load_image(sample_path(sample) if image is None else image, size=size)
    if out.exists() and not (out.is_dir() and (overwrite or not any(out.iterdir()))):
        raise FileError(f"{str(out)!r} is not an empty folder; choose another, or --overwrite")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise file_error(out, error, "make") from None
    shown, left_out = [], {}
    for name in registers.operator:
        try:
            shown.append(exhibit(name, picture))
        except Exception as error:  # an author's operator may fail in any way
            left_out[name] = " ".join(f"{type(error).__name__}: {error}".split())
            continue
        write_exhibit(shown[-1], out / f"{name}.png")
    write_sheet(shown, out / SHEET)
    if as_json:
        drawn = [{"name": one.name, "file": str(out / f"{one.name}.png")} for one in shown]
        print_json({"sheet": str(out / SHEET), "drawn": drawn, "left_out": left_out})
        return
    for name, reason in left_out.items():
        typer.echo(f"invprob: {name} was left out: {reason}", err=True)
    if not quiet:
        typer.echo(f"{len(shown)} operators on {image or sample}")
    typer.echo(str(out / SHEET))
