"""How far images lie apart: LPIPS where a network is at hand, else grey levels."""

from dataclasses import dataclass
from typing import final

import torch

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.errors import ShapeError
from invprob.perceptual.distance import Absent, PerceptualDistance
from invprob.types import Images, PerImage

AT_ONCE = 16  # pairs that the network compares in one pass


@final
@checked
@dataclass(frozen=True, eq=False)
class Distance:
    """A distance between images.

    Args:
        network: LPIPS. None: the root mean square difference, in units of [-1, 1].
    """

    network: PerceptualDistance | None = None

    @classmethod
    def of(cls, network: PerceptualDistance | Absent) -> "Distance":
        """The distance of a network, or the other one where there is none."""
        return cls(network if isinstance(network, PerceptualDistance) else None)

    @property
    def label(self) -> str:
        """What the numbers are, in words."""
        return "RMS difference" if self.network is None else self.network.label

    @undisturbed()
    @torch.no_grad()
    def __call__(self, images: Images, others: Images) -> PerImage:
        """The distance of each image from the other one, (batch,).

        Args:
            images: (batch, channel, height, width), which are clipped to [-1, 1].
            others: as many images of the same shape.

        Raises:
            ShapeError: the shapes differ.
        """
        if images.shape != others.shape:
            raise ShapeError(
                f"images and others must have one shape, not {tuple(images.shape)} and "
                f"{tuple(others.shape)}"
            )
        one, other = images.clamp(-1, 1), others.clamp(-1, 1)
        if self.network is None:
            return (one - other).square().flatten(1).mean(1).sqrt()
        pairs = zip(one.split(AT_ONCE), other.split(AT_ONCE), strict=True)
        return torch.cat([self.network(left, right) for left, right in pairs])


@checked
@dataclass(frozen=True)
class Smoothness:
    """How evenly images follow one another along a path.

    Args:
        steps: the distance of each image from the next one.
        straight: the distance of the first image from the last one.
    """

    steps: tuple[float, ...]
    straight: float

    @property
    def length(self) -> float:
        """The length of the path: the sum of its steps."""
        return sum(self.steps)

    @property
    def jump(self) -> float:
        """The largest step relative to the mean one; 1 where all are equal."""
        return max(self.steps) * len(self.steps) / self.length if self.length else 1.0


@checked
def smoothness(images: Images, distance: Distance) -> Smoothness:
    """Measure a path of at least two images, (positions, channel, height, width).

    Raises:
        ShapeError: there are fewer.
    """
    if len(images) < 2:
        raise ShapeError(f"images must be two or more along a path, not {len(images)}")
    steps = distance(images[:-1], images[1:])
    straight = distance(images[:1], images[-1:])
    return Smoothness(tuple(map(float, steps)), float(straight))
