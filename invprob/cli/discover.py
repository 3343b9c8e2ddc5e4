"""`invprob discover`: the direction along which a picture becomes its variants."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from invprob.cli.common import FREE_OPTIONS, AsJson, PartsCommand, Quiet, load_plugins
from invprob.cli.printing import print_json
from invprob.cli.run_options import Given, read_settings, takes_settings
from invprob.run.config import Named, RunConfig

if TYPE_CHECKING:
    from invprob.run.variants import Varied


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=PartsCommand, context_settings=FREE_OPTIONS)(discover)


@takes_settings(
    *("samples", "fit", "white", "operators", "noise", "operator_seed", "prior", "resolution"),
    *("label", "seed", "perceptual", "lpips_weights", "device", "threads", "plugins"),
    steps="400",
)
def discover(
    context: typer.Context,
    given: Given,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGE VARIANT...",
            help="A picture and its variants, in the order of their attribute; with --by the "
            "picture alone.",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:OPTION]",
            help="Make the variants by an operator, such as rotate, scale or brightness. OPTION is "
            "what varies, where the operator has several numbers; others may be set: "
            "saturate:gain,knee=0.1.",
        ),
    ] = None,
    values: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBERS",
            help="The values of the operator, two or more, with spaces. The first makes the image "
            "itself, such as 0 of 0 22.5 45.",
        ),
    ] = None,
    latents: Annotated[
        Literal["heads", "w-plus"],
        typer.Option(
            help="heads: projection heads, with the options of the method sphinx, such as "
            "--content head. w-plus: free style rows."
        ),
    ] = "heads",
    tau: Annotated[
        float,
        typer.Option(
            metavar="T", help="By how much the scale should grow from variant to variant."
        ),
    ] = 2.0,
    strengths: Annotated[
        str | None,
        typer.Option(
            metavar="A..B",
            help="The scales at which the traversal is drawn: A..B, A..B:N or numbers with spaces. "
            "Default: from a step below 0 to half as far again as the last learned scale.",
        ),
    ] = None,
    attribute: Annotated[
        Literal["auto", "rotation", "zoom", "brightness", "none"],
        typer.Option(
            help="What is measured along the direction, by registration. auto: what --by rotate, "
            "scale and brightness change."
        ),
    ] = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The sheet, .png or .webp. The numbers (.json), the latents (.safetensors) and "
            "the direction (-direction.safetensors) get the same name. Default: discover-NNN.png.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find the direction along which a picture becomes its variants (SPHInX, appendix B).

    The picture and its variants are inverted together: w* + scale · direction draws each of them,
    with a scale of 0 for the picture itself. The direction and the scales are learned. With
    --operator not the pictures are inverted, but what the operator measures of each.

    The file of the direction is for `invprob edit --direction FILE`.
    """
    from invprob.cli.display import display_for
    from invprob.cli.numbers import read_strengths
    from invprob.errors import ArgumentError
    from invprob.latents.direction_files import save_directions
    from invprob.latents.registration import SMALLEST
    from invprob.report.discoveries import draw_discovery
    from invprob.report.figure import Target
    from invprob.run.discovering import METHODS, build_discovery

    places = None if strengths is None else read_strengths(strengths)
    load_plugins(given.get("plugins", ()))
    varied, numbers = _variants(by, values)
    settings = read_settings(context, words, given, method=METHODS[latents])
    config = _config(settings, alone=by is not None)
    sheet = Target.of(out, "discover", overwrite=overwrite).sheet
    direction_file = sheet.with_name(f"{sheet.stem}-direction.safetensors")
    target = Target.of(sheet, "discover", [direction_file], overwrite=overwrite)
    display = display_for(quiet=quiet or as_json)
    job = build_discovery(config, varied, numbers, tau)
    own = None if varied is None else varied.attribute
    measured = {"auto": own, "none": None}.get(attribute, attribute)
    if measured is not None and min(job.pictures.shape[-2:]) < SMALLEST:
        raise ArgumentError(
            f"{measured} is measured in pictures of {SMALLEST} pixels or more a side; take a "
            "larger --resolution, or measure nothing: --attribute none"
        )
    for note in job.notes:
        display.message(note)
    discovery = job.solve(display)
    about: dict[str, Any] = {
        "latents": latents,
        "tau": tau,
        "steps": discovery.solution.steps,
        "seed": config.seed,
        "prior": config.prior,
        "by": by,
        "values": list(numbers),
    }
    figure = draw_discovery(discovery, job.pictures, job.names, places, measured, about)
    save_directions(discovery.directions, discovery.latents.generator, direction_file)
    paths = [direction_file, *target.write(figure)]
    if as_json:
        print_json({"files": [str(path) for path in paths], **figure.numbers})
        return
    if not quiet:
        for line in figure.lines:
            typer.echo(line)
        typer.echo(f"the direction, for `invprob edit --direction`: {direction_file}")
    typer.echo(str(sheet))


def _variants(by: str | None, values: str | None) -> "tuple[Varied | None, tuple[float, ...]]":
    """The operator that makes variants, and its values; neither where variants are files."""
    from invprob.cli.numbers import read_numbers
    from invprob.errors import ArgumentError

    if by is None:
        if values is not None:
            raise ArgumentError("--values are those of an operator; name it, such as --by rotate")
        return None, ()
    varied = _varied(by)
    if values is None:
        raise ArgumentError(
            f'--by {by} needs the values of {varied.option}, such as --values "0 22.5 45"'
        )
    return varied, read_numbers(values, "values")


def _varied(text: str) -> "Varied":
    """The operator and the option that `rotate`, `translate:dx` or `saturate:gain,knee=0` names."""
    from invprob.cli.everyday import registered
    from invprob.cli.options import parse
    from invprob.errors import ArgumentError
    from invprob.registry import options_of, suggest
    from invprob.run.variants import varied

    name, _, rest = text.partition(":")
    options = {option.name: option for option in options_of(registered("operator", name))}
    fixed: dict[str, Any] = {}
    free: list[str] = []
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        key = key.strip().replace("-", "_")
        if key not in options:
            raise ArgumentError(
                f"--by {text}: the operator {name!r} has no option {key!r}."
                f"{suggest(key, options)} Options: {', '.join(options) or 'none'}."
            )
        if equals:
            fixed[key] = parse(options[key], value.strip())
        else:
            free.append(key)
    if len(free) > 1:
        raise ArgumentError(
            f"--by {text}: one option varies, and {' and '.join(free)} have no value; set the "
            f"others, such as {name}:{free[0]},{free[1]}=1"
        )
    return varied(Named(name, fixed), *free)


def _config(settings: dict[str, Any], *, alone: bool) -> RunConfig:
    """The settings of a run that inverts the pictures."""
    from invprob.run.inputs import expand
    from invprob.run.samples import DEFAULT

    images = expand(settings.get("images", ()))
    if alone and not images and "samples" not in settings:
        settings = {"samples": (DEFAULT,), **settings}
    operators = settings.get("operators", (Named("identity"),))
    return RunConfig(**{**settings, "images": images, "operators": operators})
