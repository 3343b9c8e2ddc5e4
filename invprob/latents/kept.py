"""What an edit of an image keeps, and how much it does, beside the generator's own images."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.draws import normal
from invprob.latents.direction import Direction
from invprob.latents.distance import Distance
from invprob.latents.edit import Strip, edit
from invprob.latents.latents import Latents
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.types import Images

SAMPLES = 16  # of the generator, which say where a direction acts
WITHIN = 0.8  # share of the squared change that lies inside the region
TRUNCATION = 0.7  # of the samples


@checked
@dataclass(frozen=True, eq=False)
class Region:
    """Where a direction changes images of the generator.

    Args:
        mask: (height, width), true for the pixels that hold 80 % of the mean squared change.
        change: the root mean square change of such images for a strength of 1.
    """

    mask: Tensor
    change: float

    @property
    def share(self) -> float:
        """The share of the image that lies inside."""
        return float(self.mask.double().mean())


@checked
@undisturbed()
@torch.no_grad()
def region_of(generator: Generator, direction: Direction, rng: torch.Generator) -> Region:
    """Where a direction acts: the change of the generator's own images from -1 to 1.

    So the region does not depend on the solution that is edited.

    Args:
        generator: the network.
        direction: the direction.
        rng: source of the images.
    """
    z = normal((SAMPLES, generator.z_width), rng).to(generator.mean_w)
    w = generator.mean_w.lerp(generator.mapping(z), TRUNCATION)
    styles = w[:, None].expand(-1, generator.num_layers, -1)
    own = Latents(generator, SynthesisInputs(styles=styles))
    strip = edit(own, direction, (-1.0, 1.0))
    low, high = strip.images[0::2].clamp(-1, 1), strip.images[1::2].clamp(-1, 1)
    change = ((high - low) / 2).square().mean((0, 1))
    ordered, places = change.flatten().sort(descending=True)
    before = ordered.cumsum(0) - ordered
    inside = before < WITHIN * ordered.sum()
    mask = torch.zeros_like(ordered, dtype=torch.bool).scatter(0, places, inside)
    return Region(mask.view_as(change), float(change.mean().sqrt()))


@checked
@dataclass(frozen=True)
class Kept:
    """What one edited image keeps of the image before.

    Args:
        outside: PSNR in dB to the image before, outside the region; None where nothing differs or
            nothing lies outside.
        distance: how far the edited image lies from the one before; see `Distance`.
        effect: the root mean square change, relative to that of the generator's own images for the
            same strength; None for a strength of 0.
    """

    outside: float | None
    distance: float
    effect: float | None


@checked
@undisturbed()
def kept(
    images: Images, strip: Strip, number: int, region: Region, distance: Distance
) -> list[Kept]:
    """Compare the edits of one image with it.

    Args:
        images: the images before, (batch, channel, height, width).
        strip: what `edit` made of them.
        number: of the image.
        region: where the direction acts, `region_of(generator, direction, rng)`.
        distance: between images.

    Returns:
        A row for each strength.
    """
    edited = strip.of_image(number)
    before = images[number : number + 1].expand_as(edited)
    change = (edited.clamp(-1, 1) - before.clamp(-1, 1)).square().mean(1)
    outer = ~region.mask
    apart = distance(edited, before)
    rows = []
    for strength, squares, far in zip(strip.positions, change, apart, strict=True):
        error = float(squares[outer].mean()) if bool(outer.any()) else 0.0
        expected = abs(strength) * region.change
        rows.append(
            Kept(
                outside=10 * math.log10(4 / error) if error else None,
                distance=float(far),
                effect=float(squares.mean().sqrt()) / expected if expected else None,
            )
        )
    return rows
