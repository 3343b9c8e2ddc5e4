"""Measure how far a generator's samples are from images, as a Fréchet distance.

    python examples/frechet_distance.py --images held-out --others more [--prior faces-128] \
        --weights alexnet.pth --weights squeezenet.pth

There are three distances to the images of the first folder, in the feature space of each trunk:
that of the generator's samples; that of the second folder, which holds other images of the same
kind (the floor); and that of the first images after a blur of one pixel.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from torch import Tensor
from training.data import find_images, read_images
from training.frechet import describe, frechet_distance

from invprob.perceptual.distance import PerceptualDistance, find_perceptual
from invprob.priors import Generator, load_generator
from invprob.streams import stream

BATCH = 25


def main(
    images: Annotated[Path, typer.Option(help="Folder of images that were not trained on.")],
    others: Annotated[Path, typer.Option(help="Folder of other images of the same kind.")],
    weights: Annotated[list[Path], typer.Option(help="Weights of a trunk; may repeat.")],
    prior: Annotated[str, typer.Option(help="Generator, by name or file.")] = "faces-128",
    count: Annotated[int, typer.Option(min=2, help="How many images of each set.")] = 10_000,
    truncation: Annotated[float, typer.Option(help="Of the samples.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the samples.")] = 0,
) -> None:
    """Print one line for each trunk."""
    generator = load_generator(prior)
    size = generator.resolution
    here, there = (read_images(find_images(folder)[:count], size) for folder in (images, others))
    drawn = torch.cat(list(sampled(generator, count, truncation, seed)))
    print(f"{len(drawn)} samples of {prior}, {len(here)} and {len(there)} images")
    for path in weights:
        network = find_perceptual("auto", path)
        assert isinstance(network, PerceptualDistance)
        truth = describe(network, pieces(here))
        blur = describe(network, (blurred(piece) for piece in pieces(here)))
        distances = {
            "samples": frechet_distance(describe(network, pieces(drawn)), truth),
            "other images": frechet_distance(describe(network, pieces(there)), truth),
            "blurred": frechet_distance(blur, truth),
        }
        told = "  ".join(f"{name} {value:.3f}" for name, value in distances.items())
        print(f"{network.name}: {told}", flush=True)


def pieces(images: Tensor) -> Iterator[Tensor]:
    """Yield uint8 images as float32 batches in [-1, 1]."""
    return (part.float() / 127.5 - 1 for part in images.split(BATCH))


def blurred(images: Tensor) -> Tensor:
    """Blur with a Gaussian whose standard deviation is one pixel."""
    taps = torch.exp(-torch.arange(-3.0, 4.0).square() / 2)
    taps = taps / taps.sum()
    kernel = torch.outer(taps, taps).expand(3, 1, 7, 7)
    return F.conv2d(F.pad(images, (3, 3, 3, 3), mode="reflect"), kernel, groups=3)


@torch.no_grad()
def sampled(generator: Generator, count: int, truncation: float, seed: int) -> Iterator[Tensor]:
    """Yield samples as uint8 batches, as files hold them, with fresh noise maps for each batch."""
    rng = stream(seed, "frechet samples")
    for start in range(0, count, BATCH):
        z = torch.randn(min(BATCH, count - start), generator.style_width, generator=rng)
        w = generator.mean_w.lerp(generator.mapping(z), truncation)
        noise = [torch.randn(len(z), 1, *shape, generator=rng) for shape in generator.noise_shapes]
        drawn = generator.synthesis(w[:, None].expand(-1, generator.num_layers, -1), None, noise)
        yield ((drawn.clamp(-1, 1) + 1) * 127.5).round().byte()


if __name__ == "__main__":
    typer.run(main)
