"""Measure how far edits of a restored face move the factors that their directions are named after.

    invprob solve --operator circulant --ratio 0.05 --out face
    invprob solve --operator circulant --ratio 0.05 --method sphinx --out heads
    python examples/measure_edits.py face heads --assets FACES --weights squeezenet.pth

FACES is the folder of the renderer whose faces the generator was trained on. A predictor of its
factors is fitted to images that the generator draws, whose factors their codes z state. It then
says how far a factor moves from strength -2 to 2: for random images of the generator, and for each
restored face relative to these. Where free pixels added something to a face there are two numbers:
with it, and without it (`--retouch drop`).
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor
from training.face_factors import load_renderer
from training.labels import LabelPredictor, explained
from training.supervision import FaceCodes

from invprob.latents import Direction, Latents, edit
from invprob.latents.find import known_directions
from invprob.perceptual.distance import PerceptualDistance, find_perceptual
from invprob.priors import Generator
from invprob.priors.stylegan import SynthesisInputs
from invprob.priors.stylegan.extras import load_extras
from invprob.run.solutions import find_solution
from invprob.streams import stream

STRENGTHS = (-2.0, 2.0)
TRUNCATION = 0.7  # of the random images


def main(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, or solution files.")],
    assets: Annotated[Path, typer.Option(help="Folder that holds render_faces.py.")],
    weights: Annotated[Path, typer.Option(help="Weights of the predictor's trunk.")],
    count: Annotated[int, typer.Option(help="How many directions, the strongest first.")] = 8,
    labelled: Annotated[int, typer.Option(help="How many renders were trained on.")] = 40_000,
    fitted: Annotated[int, typer.Option(help="How many images the predictor is fitted to.")] = 4000,
    held_out: Annotated[int, typer.Option(help="How many it is tested on.")] = 500,
    samples: Annotated[int, typer.Option(help="How many random images are edited.")] = 32,
) -> None:
    """Print a row for each direction."""
    faces: dict[str, Latents] = {}
    for run in runs:
        latents = Latents.of(find_solution(run).solution)
        faces[run.name] = latents
        if latents.retouch is not None:
            faces[f"{run.name} without pixels"] = latents.without_retouch()
    generator = next(iter(faces.values())).generator
    extras = load_extras(generator.source, generator).directions
    strongest = sorted(extras.values(), key=lambda one: one.moved, reverse=True)
    codes = FaceCodes(load_renderer(assets), 0, range(labelled), generator.style_width)
    columns = codes.columns()
    names = [one.name for one in strongest if one.name in columns][:count]
    places = [columns[name][0] for name in names]

    network = find_perceptual("auto", weights)
    assert isinstance(network, PerceptualDistance)
    predictor = LabelPredictor(network)
    z, features = codes.pairs(fitted + held_out, np.random.default_rng(0))
    seen = predictor.describe(drawn(generator, part) for part in z.split(50))
    labels = features[:, places]
    predictor.fit(seen[:fitted], labels[:fitted], ridge=0.03)
    known = explained(predictor.predict(seen[fitted:]), labels[fitted:])

    own = random_images(generator, samples)
    directions = known_directions(generator)
    print(f"| direction | R² | random images | {' | '.join(faces)} |")
    print("|" + " --- |" * (3 + len(faces)))
    for column, (name, certainty) in enumerate(zip(names, known, strict=True)):
        far = moved(own, directions[name], predictor)[:, column]
        shares = [
            float(moved(face, directions[name], predictor)[:, column].mean() / far.mean())
            for face in faces.values()
        ]
        spread = f"{float(far.mean()):.2f} ± {float(far.std()):.2f}, least {float(far.min()):.2f}"
        cells = [f"{certainty:.2f}", spread]
        print(
            f"| {' | '.join([name, *cells, *(f'{share:.2f}' for share in shares)])} |", flush=True
        )


@torch.no_grad()
def drawn(generator: Generator, z: Tensor) -> Tensor:
    """Draw images with one w for all layers and the stored noise maps."""
    rows = generator.mapping(z)[:, None].expand(-1, generator.num_layers, -1)
    return generator.synthesis(rows)


@torch.no_grad()
def random_images(generator: Generator, count: int) -> Latents:
    """Images of the generator, drawn at random."""
    z = torch.randn(count, generator.z_width, generator=stream(0, "samples"))
    w = generator.mean_w.lerp(generator.mapping(z), TRUNCATION)
    styles = w[:, None].expand(-1, generator.num_layers, -1)
    return Latents(generator, SynthesisInputs(styles=styles))


def moved(latents: Latents, direction: Direction, predictor: LabelPredictor) -> Tensor:
    """How far the factors of each image move from the first strength to the last, (batch, n)."""
    strip = edit(latents, direction, STRENGTHS)
    factors = predictor.predict(predictor.describe(strip.images.split(50)))
    return factors[1::2] - factors[0::2]


if __name__ == "__main__":
    typer.run(main)
