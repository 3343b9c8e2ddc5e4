"""How well a generator can draw given images: inversion of held-out images and of the samples.

    python examples/invert_renders.py --images held-out --weights squeezenet.pth [--prior faces-128]

First, W+ and (W+, S, B) invert images of the generator's own kind that it was not trained on. Then,
for pictures of other kinds, SPHInX with and without noise maps is compared with both, as in the
paper. PSNR in dB, misfit + LPIPS, all images of a part solved at once.
"""

import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor
from training.data import find_images, read_images

import invprob
from invprob.metrics import psnr
from invprob.operators import Identity
from invprob.perceptual.distance import PerceptualDistance, find_perceptual
from invprob.priors import load_generator
from invprob.run.samples import load_sample

OUTSIDE = ("astronaut", "retina", "cat")
OWN: list[tuple[str, str, dict[str, Any]]] = [
    ("W+", "w-plus", {}),
    ("(W+, S, B)", "w-plus-s-b", {"noise_rate": 1.0}),
]
FOREIGN: list[tuple[str, str, dict[str, Any]]] = [
    ("SPHInX", "sphinx", {"optimiser": "adam"}),
    ("SPHInX without B", "sphinx", {"optimiser": "adam", "noise_maps": "stored"}),
    *OWN,
]


def main(
    images: Annotated[Path, typer.Option(help="Folder of held-out images.")],
    weights: Annotated[
        Path | None, typer.Option(help="Weights of the LPIPS trunk; default: what is on disk.")
    ] = None,
    prior: Annotated[str, typer.Option(help="Generator, by name or file.")] = "faces-128",
    count: Annotated[
        int, typer.Option(help="How many held-out images; 0: leave this part out.")
    ] = 16,
    steps: Annotated[int, typer.Option(help="Steps of each solve.")] = 300,
    seeds: Annotated[
        int,
        typer.Option(help="How many seeds for pictures of other kinds; 0: leave this part out."),
    ] = 2,
) -> None:
    """Print one line for each method."""
    generator = load_generator(prior)
    network = find_perceptual("auto", weights)
    if not isinstance(network, PerceptualDistance):
        print(f"misfit alone: {network}")
    perceptual = network if isinstance(network, PerceptualDistance) else None
    size = generator.resolution
    if count:
        held_out = read_images(find_images(images)[:count], size).float() / 127.5 - 1
        print(f"{len(held_out)} images of {images.name}, {prior}, {steps} steps: median PSNR")
        for label, method, options in OWN:
            scores, seconds = solved(held_out, method, options, generator, perceptual, steps, 0)
            print(f"{scores.median():.2f}  {label} ({seconds:.0f} s)", flush=True)
    if not seeds:
        return
    foreign = torch.cat([load_sample(name, size=size) for name in OUTSIDE])
    print(f"{'  '.join(OUTSIDE)}, {prior}, {steps} steps, mean of {seeds} seeds")
    for label, method, options in FOREIGN:
        runs = [
            solved(foreign, method, options, generator, perceptual, steps, seed)
            for seed in range(seeds)
        ]
        mean = torch.stack([scores for scores, _ in runs]).mean(0)
        told = "  ".join(f"{value:.2f}" for value in mean.tolist())
        print(f"{told}  mean {mean.mean():.2f}  {label} ({runs[0][1]:.0f} s)", flush=True)


def solved(
    truth: Tensor,
    method: str,
    options: dict[str, Any],
    generator: Any,
    perceptual: PerceptualDistance | None,
    steps: int,
    seed: int,
) -> tuple[Tensor, float]:
    """Return the PSNR of each image, and the seconds that it took."""
    begin = time.perf_counter()
    measurements = invprob.measure(truth, Identity(generator.image_shape))
    solution = invprob.restore(
        measurements,
        method,
        generator,
        perceptual=perceptual,
        steps=steps,
        seed=seed,
        options=options,
    )
    return psnr(solution.image, truth), time.perf_counter() - begin


if __name__ == "__main__":
    typer.run(main)
