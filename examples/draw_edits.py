"""Draw what edit directions do, and paths between samples.

    python examples/draw_edits.py [--prior faces-128] [--names smile,age,yaw] [--out edits.png]

Each row moves one sample along one direction, from -2 to 2 standard deviations of the factor. The
last rows go from one sample to another in W.
"""

from pathlib import Path
from typing import Annotated

import torch
import typer
from training.data import write_sheet

from invprob.errors import InvprobError
from invprob.latents import Latents, edit, find_direction, interpolate
from invprob.priors import load_generator
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.streams import stream

NAMES = "smile,age,sex,yaw,pitch,light_azimuth,hair_brightness,darkness,mouth_open"


def main(
    prior: Annotated[str, typer.Option(help="Generator, by name or file.")] = "faces-128",
    names: Annotated[str, typer.Option(help="Directions, separated by commas.")] = NAMES,
    paths: Annotated[int, typer.Option(help="Rows between two samples.")] = 3,
    columns: Annotated[int, typer.Option(help="Images in each row.")] = 9,
    reach: Annotated[float, typer.Option(help="Standard deviations at the ends of a row.")] = 2.0,
    truncation: Annotated[float, typer.Option(help="Of the samples.")] = 0.7,
    seed: Annotated[int, typer.Option(help="Of the samples.")] = 0,
    out: Annotated[Path, typer.Option(help="A PNG or WebP file.")] = Path("edits.png"),
) -> None:
    """Write one picture."""
    try:
        generator = load_generator(prior)
        wanted = [find_direction(name, generator) for name in names.split(",") if name]
    except InvprobError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    count = len(wanted) + 2 * paths
    z = torch.randn(count, generator.style_width, generator=stream(seed, "edits"))
    w = generator.mean_w.lerp(generator.mapping(z), truncation)
    styles = w[:, None].expand(-1, generator.num_layers, -1)
    samples = [Latents(generator, SynthesisInputs(styles=one[None])) for one in styles]
    strengths = torch.linspace(-reach, reach, columns).tolist()
    shares = torch.linspace(1, 0, columns).tolist()
    rows = [edit(one, way, strengths) for one, way in zip(samples, wanted, strict=False)]
    ends = samples[len(wanted) :]
    rows += [interpolate(*pair, shares) for pair in zip(ends[::2], ends[1::2], strict=True)]
    write_sheet(torch.cat([row.images for row in rows]), out, columns)
    print(out)


if __name__ == "__main__":
    typer.run(main)
