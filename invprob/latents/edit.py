"""Edits: w+ = w* + αD, for some strengths α (SPHInX, ICML 2022, section 4.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.errors import ArgumentError
from invprob.latents.direction import Direction
from invprob.latents.latents import Latents
from invprob.types import Images


@checked
@dataclass(frozen=True, eq=False)
class Strip:
    """Images along a path through latents, with the latents that they were drawn from.

    Args:
        latents: of all images, those of the first solution's image first.
        images: (solutions · positions, channel, height, width).
        positions: where on the path each column lies, such as its strength.
    """

    latents: Latents
    images: Images
    positions: tuple[float, ...]

    def of_image(self, number: int) -> Images:
        """The strip of one image, by its number, (positions, channel, height, width)."""
        count = len(self.positions)
        return self.images[number * count : (number + 1) * count]


@checked
@undisturbed()
@torch.no_grad()
def edit(
    latents: Latents, direction: Direction, strengths: Sequence[float], images: Images | None = None
) -> Strip:
    """Move latents along a direction, w+ = w* + αD, and draw them.

    What free pixels added to the generator's image is added to each edited image, too.

    Args:
        latents: those of a solution, `Latents.of(solution)`.
        direction: D, such as `find_direction("smile", generator)`.
        strengths: α, for each a column.
        images: the solution's images, which a strength of 0 repeats bit for bit. None: they are
            drawn.

    Raises:
        ArgumentError: there is no strength, or one is not finite.
        ShapeError: the direction is of another generator, or the images are not those of the
            latents.
    """
    alpha = torch.tensor(list(strengths), dtype=torch.float64, device="cpu")
    if not len(alpha) or not bool(alpha.isfinite().all()):
        raise ArgumentError(f"strengths must be finite numbers, at least one, not {strengths}")
    if images is not None:
        latents.check_images(images)
    own = latents.draw() if images is None else images
    repeated = latents.chosen([image for image in range(latents.batch) for _ in alpha])
    moved = direction.move(latents.generator, repeated.inputs, alpha.repeat(latents.batch))
    edited = Latents(latents.generator, moved, repeated.retouch)
    still = (alpha == 0).repeat(latents.batch).to(own.device).view(-1, 1, 1, 1)
    drawn = torch.where(still, own.repeat_interleave(len(alpha), 0), edited.draw())
    return Strip(edited, drawn, tuple(alpha.tolist()))
