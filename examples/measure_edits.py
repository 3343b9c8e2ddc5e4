"""Measure how far edits of a restored face move the factors that their directions are named after.

    invprob solve --operator circulant --ratio 0.05 --out face
    python examples/measure_edits.py face --assets FACES --weights squeezenet.pth

FACES is the folder of the renderer whose faces the generator was trained on. A predictor of its
factors is fitted to images that the generator draws, whose factors their codes z state. It then
says how far a factor moves from strength -2 to 2: for the restored face, and for random images of
the generator. What free pixels added to the restored face is kept, unless `--retouch drop`.
"""

from pathlib import Path
from typing import Annotated, Literal

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
    run: Annotated[Path, typer.Argument(help="A run folder, or a solution file.")],
    assets: Annotated[Path, typer.Option(help="Folder that holds render_faces.py.")],
    weights: Annotated[Path, typer.Option(help="Weights of the predictor's trunk.")],
    count: Annotated[int, typer.Option(help="How many directions, the strongest first.")] = 8,
    labelled: Annotated[int, typer.Option(help="How many renders were trained on.")] = 40_000,
    fitted: Annotated[int, typer.Option(help="How many images the predictor is fitted to.")] = 4000,
    held_out: Annotated[int, typer.Option(help="How many it is tested on.")] = 500,
    samples: Annotated[int, typer.Option(help="How many random images are edited.")] = 32,
    retouch: Annotated[
        Literal["keep", "drop"], typer.Option(help="What becomes of the free pixels' part.")
    ] = "keep",
) -> None:
    """Print a row for each direction."""
    found = find_solution(run)
    latents = Latents.of(found.solution)
    if retouch == "drop":
        latents = latents.without_retouch()
    generator = latents.generator
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
    print("| direction | generator's own | restored face | ratio | R² of the predictor |")
    print("| --- | --- | --- | --- | --- |")
    for column, (name, certainty) in enumerate(zip(names, known, strict=True)):
        far = moved(own, directions[name], predictor)[:, column]
        here = moved(latents, directions[name], predictor)[:, column]
        ratio = float(here.mean() / far.mean())
        print(
            f"| {name} | {float(far.mean()):.2f} ± {float(far.std()):.2f} | "
            f"{float(here.mean()):.2f} | {ratio:.2f} | {certainty:.2f} |",
            flush=True,
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
