"""A sheet of directions: the same samples of a generator, moved along each of them."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from invprob.draws import normal
from invprob.latents.direction import Direction
from invprob.latents.edit import edit
from invprob.latents.latents import Latents
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.report.strips import StripRow
from invprob.streams import stream
from invprob.types import Images

STRENGTHS = (-3.0, -1.5, 0.0, 1.5, 3.0)
SAMPLES = 2
TRUNCATION = 0.7  # of the samples
LARGEST = 256  # pixels that a sheet needs of an image


@torch.no_grad()
def direction_rows(
    generator: Generator, directions: Sequence[Direction], *, seed: int = 0
) -> list[StripRow]:
    """A row of a sheet for each direction, with two samples from -3 to 3.

    Args:
        generator: what draws the samples.
        directions: of the generator.
        seed: what the samples are derived from.
    """
    z = normal((SAMPLES, generator.z_width), stream(seed, "sample")).to(generator.mean_w)
    w = generator.mean_w.lerp(generator.mapping(z), TRUNCATION)
    styles = w[:, None].expand(-1, generator.num_layers, -1)
    samples = Latents(generator, SynthesisInputs(styles=styles))
    own = samples.draw()
    texts = [(f"{strength:+g}" if strength else "0",) for strength in STRENGTHS] * SAMPLES
    return [
        StripRow(direction.name, _small(edit(samples, direction, STRENGTHS, own).images), texts)
        for direction in directions
    ]


def _small(images: Images) -> Images:
    """The images at no more pixels than a sheet needs: those of all rows are kept at once."""
    factor = images.shape[-1] // LARGEST
    return images if factor < 2 else F.avg_pool2d(images, factor)
