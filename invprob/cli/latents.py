"""`invprob edit`, `invprob interpolate` and `invprob perturb`: what to do with a solution."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from invprob.cli.common import AsJson, Quiet, load_plugins
from invprob.cli.printing import print_json
from invprob.cli.run_options import Given, takes_settings
from invprob.run.config import RunConfig

if TYPE_CHECKING:
    from invprob.latents.distance import Distance
    from invprob.report.figure import Figure, Target

Solved = Annotated[
    Path, typer.Argument(metavar="RUN|FILE", help="The folder of a finished run, or a solution.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The sheet, .png or .webp. The numbers (.json) and the latents (.safetensors) get the "
        "same name. Default: COMMAND-NNN.png.",
    ),
]
Replace = Annotated[bool, typer.Option("--overwrite", help="Replace files.")]
OfImage = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="One image of a run that has several. Default: all."),
]
Animation = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Also write the first row as an animation, .gif or .webp."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(edit)
    app.command()(interpolate)
    app.command()(perturb)


@takes_settings("perceptual", "lpips_weights", "seed", "plugins")
def edit(
    solution: Solved,
    given: Given,
    direction: Annotated[
        list[str],
        typer.Option(
            metavar="NAME|FILE",
            help="A direction (see `invprob directions`), a row of the sheet. May be repeated.",
        ),
    ],
    strength: Annotated[
        str,
        typer.Option(
            metavar="A..B",
            help="How far to go: A..B in nine steps, A..B:N in N steps, or numbers with spaces.",
        ),
    ] = "-2..2",
    together: Annotated[
        bool, typer.Option("--together", help="Follow all directions at once, in one row.")
    ] = False,
    rows: Annotated[
        str | None,
        typer.Option(metavar="ROWS", help="The style rows that move, such as 0-3,5. Default: all."),
    ] = None,
    retouch: Annotated[
        Literal["keep", "drop"],
        typer.Option(help="keep or drop what free pixels added to the generator's image."),
    ] = "keep",
    image: OfImage = None,
    out: Out = None,
    animation: Animation = None,
    overwrite: Replace = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Edit a solution: w+ = w* + strength · direction.

    Under each image stand three numbers. The first is PSNR to the solution outside the region in
    which the direction changes the generator's own images. The second is the distance to the
    solution, LPIPS where there is a network. The third is how much the image changes, relative to
    the generator's own images: far below 1, the direction means little for this image.
    """
    from invprob.cli.numbers import read_rows, read_strengths
    from invprob.latents.direction import together as at_once
    from invprob.latents.find import find_direction
    from invprob.latents.latents import Latents
    from invprob.report.edits import draw_edits
    from invprob.run.solutions import find_solution

    load_plugins(given.get("plugins", ()))
    strengths = read_strengths(strength)
    target = _target(out, "edit", animation, overwrite=overwrite)
    found = find_solution(solution)
    places = found.places(image)
    latents = Latents.of(found.solution).chosen(places)
    directions = [find_direction(name, latents.generator) for name in direction]
    if rows is not None:
        directions = [one.within(read_rows(rows)) for one in directions]
    if together:
        directions = [at_once(directions)]
    images = found.solution.image[places]
    if retouch == "drop" and latents.retouch is not None:
        latents = latents.without_retouch()
        images = latents.draw()
    figure = draw_edits(
        latents,
        images,
        [found.names[place] for place in places],
        directions,
        strengths,
        _distance(given),
        seed=given.get("seed", RunConfig.seed),
    )
    _animate(figure, len(strengths), animation)
    _finish(figure, target, as_json=as_json, quiet=quiet)


@takes_settings("perceptual", "lpips_weights", "seed", "plugins")
def interpolate(
    first: Solved,
    second: Solved,
    given: Given,
    steps: Annotated[
        int, typer.Option(metavar="N", help="How many images, the two ends included.")
    ] = 9,
    of: Annotated[
        Literal["latents", "heads", "both"],
        typer.Option(
            help="What is mixed: the latents that heads settled on, the parameters of the heads "
            "themselves (the paper's theta), or both, one row each."
        ),
    ] = "latents",
    path: Annotated[
        Literal["linear", "spherical"],
        typer.Option(help="spherical: mix noise maps, which are Gaussian, on a great circle."),
    ] = "linear",
    out: Out = None,
    animation: Animation = None,
    overwrite: Replace = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draw the images between two solutions of one method.

    The length of the path and its largest jump between neighbours are printed, and those of a
    cross-fade of the two pictures for comparison. The distance is LPIPS where there is a network.
    """
    from invprob.report.interpolations import draw_interpolations
    from invprob.run.solutions import find_solution

    load_plugins(given.get("plugins", ()))
    target = _target(out, "interpolate", animation, overwrite=overwrite)
    kinds: Sequence[Literal["latents", "heads"]] = ("latents", "heads") if of == "both" else (of,)
    figure = draw_interpolations(
        find_solution(first),
        find_solution(second),
        steps,
        kinds,
        path,
        _distance(given),
        seed=given.get("seed", RunConfig.seed),
    )
    _animate(figure, steps, animation)
    _finish(figure, target, as_json=as_json, quiet=quiet)


@takes_settings("perceptual", "lpips_weights", "seed", "plugins")
def perturb(
    solutions: Annotated[
        list[Path],
        typer.Argument(metavar="RUN|FILE...", help="Folders of finished runs, or solutions."),
    ],
    given: Given,
    snr: Annotated[
        str,
        typer.Option(metavar="DB", help="Signal-to-noise ratios in dB, with spaces."),
    ] = "40 30 20 10",
    of: Annotated[
        Literal["style", "all"],
        typer.Option(
            help="What gets noise: style rows (or scales), or content, features and noise maps too."
        ),
    ] = "style",
    draws: Annotated[
        int, typer.Option(metavar="N", help="How many times each ratio is tried.")
    ] = 16,
    image: OfImage = None,
    out: Out = None,
    overwrite: Replace = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Put noise on the latents of solutions, and see how far their images move.

    Several solutions are drawn under one another, with the same draws. For each ratio the median
    and the quartiles over the draws are printed: the distance to the solution's own image, LPIPS
    where there is a network, and PSNR to the truth where a run knows it.
    """
    from invprob.cli.numbers import read_numbers
    from invprob.report.perturbations import draw_perturbations
    from invprob.run.solutions import find_solution

    load_plugins(given.get("plugins", ()))
    target = _target(out, "perturb", None, overwrite=overwrite)
    figure = draw_perturbations(
        [find_solution(path) for path in solutions],
        image,
        read_numbers(snr, "snr"),
        _distance(given),
        draws=draws,
        seed=given.get("seed", RunConfig.seed),
        which=of,
    )
    _finish(figure, target, as_json=as_json, quiet=quiet)


def _distance(given: Given) -> "Distance":
    """LPIPS by the network that was asked for, or at hand; else grey levels."""
    from invprob.latents.distance import Distance
    from invprob.perceptual.distance import find_perceptual

    name = given.get("perceptual", RunConfig.perceptual)
    return Distance.of(find_perceptual(name, given.get("lpips_weights")))


def _target(out: Path | None, name: str, animation: Path | None, *, overwrite: bool) -> "Target":
    """Where to write; every name is checked before anything is drawn."""
    from invprob.report.figure import Target
    from invprob.report.strips import ANIMATIONS, check_suffix

    if animation is not None:
        check_suffix(animation, ANIMATIONS)
    others = () if animation is None else (animation,)
    return Target.of(out, name, others, overwrite=overwrite)


def _animate(figure: "Figure", columns: int, animation: Path | None) -> None:
    """Write the first row of a figure as an animation, where one was asked for."""
    from invprob.report.strips import write_animation

    if animation is not None:
        write_animation(figure.solution.image[:columns], animation)


def _finish(figure: "Figure", target: "Target", *, as_json: bool, quiet: bool) -> None:
    """Write the figure, and print its numbers and, in the last line, the sheet."""
    paths = target.write(figure)
    if as_json:
        files: dict[str, Any] = {"files": [str(path) for path in paths]}
        print_json({**files, **figure.numbers})
        return
    if not quiet:
        for line in figure.lines:
            typer.echo(line)
    typer.echo(str(target.sheet))
