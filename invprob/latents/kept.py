"""What an edit of an image keeps, and how much it does, beside the generator's own images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.draws import normal
from invprob.errors import ArgumentError
from invprob.latents.direction import Direction
from invprob.latents.distance import Distance
from invprob.latents.edit import Strip, edit
from invprob.latents.latents import Latents
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.types import Images

SAMPLES = 8  # of the generator, which say where a direction acts
WITHIN = 0.8  # share of the squared change that lies inside the region
TRUNCATION = 0.7  # of the samples


@checked
@dataclass(frozen=True, eq=False)
class Region:
    """Where a direction changes images of the generator, and how much.

    Args:
        mask: (height, width), true for the pixels that hold 80 % of the mean squared change.
        changes: the root mean square change of such images for each strength.
    """

    mask: Tensor
    changes: tuple[float, ...]

    @property
    def share(self) -> float:
        """The share of the image that lies inside."""
        return float(self.mask.double().mean())


@checked
@undisturbed()
@torch.no_grad()
def region_of(
    generator: Generator, direction: Direction, strengths: Sequence[float], rng: torch.Generator
) -> Region:
    """Where a direction acts: the change of images that the generator draws at random.

    So the region does not depend on the solution that is edited.

    Args:
        generator: the network.
        direction: the direction.
        strengths: how far the images are moved.
        rng: source of the images.
    """
    z = normal((SAMPLES, generator.z_width), rng).to(generator.mean_w)
    w = generator.mean_w.lerp(generator.mapping(z), TRUNCATION)
    styles = w[:, None].expand(-1, generator.num_layers, -1)
    own = Latents(generator, SynthesisInputs(styles=styles))
    before = own.draw()
    edited = edit(own, direction, strengths, before).images.clamp(-1, 1)
    gap = edited - before.clamp(-1, 1).repeat_interleave(len(strengths), 0)
    squares = gap.square().mean(1).unflatten(0, (SAMPLES, len(strengths))).mean(0)
    change = squares.mean(0)
    ordered, places = change.flatten().sort(descending=True)
    inside = ordered.cumsum(0) - ordered < WITHIN * ordered.sum()
    mask = torch.zeros_like(ordered, dtype=torch.bool).scatter(0, places, inside)
    changes = squares.flatten(1).mean(1).sqrt().tolist()
    return Region(mask.view_as(change), tuple(changes))


@checked
@dataclass(frozen=True)
class Kept:
    """What one edited image keeps of the image before.

    Args:
        outside: PSNR in dB to the image before, outside the region; None where nothing differs or
            nothing lies outside.
        distance: how far the edited image lies from the one before; see `Distance`.
        effect: the root mean square change, relative to that of the generator's own images for the
            same strength; None where these do not change, as for a strength of 0.
    """

    outside: float | None
    distance: float
    effect: float | None


@checked
@undisturbed()
@torch.no_grad()
def kept(
    images: Images, strip: Strip, number: int, region: Region, distance: Distance
) -> list[Kept]:
    """Compare the edits of one image with it.

    Args:
        images: the images before, (batch, channel, height, width).
        strip: what `edit` made of them.
        number: of the image.
        region: where the direction acts for the same strengths, see `region_of`.
        distance: between images.

    Returns:
        A row for each strength.

    Raises:
        ArgumentError: there is no image of this number, or the region is of other strengths.
    """
    if not 0 <= number < len(images):
        raise ArgumentError(f"number must be from 0 to {len(images) - 1}, not {number}")
    if len(region.changes) != len(strip.positions):
        raise ArgumentError(
            f"region must be that of the strip's {len(strip.positions)} strengths, not of "
            f"{len(region.changes)}"
        )
    edited = strip.of_image(number)
    before = images[number : number + 1].expand_as(edited)
    change = (edited.clamp(-1, 1) - before.clamp(-1, 1)).square().mean(1)
    outer = ~region.mask
    apart = distance(edited, before)
    rows = []
    for expected, squares, far in zip(region.changes, change, apart, strict=True):
        error = float(squares[outer].mean()) if bool(outer.any()) else 0.0
        rows.append(
            Kept(
                outside=10 * math.log10(4 / error) if error else None,
                distance=float(far),
                effect=float(squares.mean().sqrt()) / expected if expected else None,
            )
        )
    return rows
