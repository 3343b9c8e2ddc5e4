"""A sheet of images that a generator draws at random."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from invprob.draws import normal
from invprob.errors import ArgumentError
from invprob.files import atomic_write
from invprob.priors.stylegan.generator import Generator
from invprob.report.drawing import PAPER, tile
from invprob.streams import stream
from invprob.types import Images

GAP = 6


def draw_samples(
    generator: Generator, count: int, *, truncation: float = 1.0, seed: int = 0
) -> Images:
    """Draw images at random, with w pulled to its mean: w' = mean + truncation · (w - mean).

    Args:
        generator: what draws.
        count: how many images, from 1 to 10,000. Image k is the same whatever their number.
        truncation: 0 draws the mean, 1 what the generator was trained for; up to 2.
        seed: what the draws are derived from.

    Returns:
        The images, (count, channel, height, width) in about [-1, 1].

    Raises:
        ArgumentError: count or truncation is out of range.
    """
    if not 1 <= count <= 10_000:
        raise ArgumentError(f"count must be from 1 to 10,000, got {count}")
    if not 0 <= truncation <= 2:
        raise ArgumentError(f"truncation must be from 0 to 2, got {truncation}")
    images = []
    with torch.no_grad():
        for index in range(count):
            z = normal((1, generator.z_width), stream(seed, "sample", index))
            w = generator.mean_w + truncation * (generator.mapping(z) - generator.mean_w)
            images.append(generator.synthesis(w.unsqueeze(1).expand(-1, generator.num_layers, -1)))
    return torch.cat(images)


def write_sheet(images: Images | Sequence[torch.Tensor], path: Path) -> None:
    """Write images in rows as one PNG, which is about half again as wide as high."""
    tiles = [tile(image, 128 if len(images) > 1 else 256) for image in images]
    across = math.ceil(math.sqrt(1.5 * len(tiles)))
    down = math.ceil(len(tiles) / across)
    width, height = tiles[0].size
    sheet = Image.new("RGB", (GAP + across * (width + GAP), GAP + down * (height + GAP)), PAPER)
    for index, picture in enumerate(tiles):
        row, column = divmod(index, across)
        sheet.paste(picture, (GAP + column * (width + GAP), GAP + row * (height + GAP)))
    with atomic_write(path) as temporary:
        sheet.save(temporary, format="PNG")
