"""Noise that replaces single elements, whatever they were."""

from typing import Annotated

import torch

from invprob.draws import uniform
from invprob.errors import ArgumentError
from invprob.operators.noise import Noise
from invprob.registry import register
from invprob.types import Measured


@register.noise("salt-and-pepper")
class SaltAndPepperNoise(Noise):
    """Replace a share of the elements by -1 or 1, as dead and hot pixels do.

        y becomes -1 or 1, each with probability share / 2, and stays y otherwise

    Each element of each channel is replaced by itself. There is no likelihood.

    Raises:
        ArgumentError: the share is outside [0, 1].
    """

    of_light = True

    def __init__(
        self, *, share: Annotated[float, "probability that an element is replaced, from 0 to 1"]
    ) -> None:
        super().__init__()
        if not 0 <= share <= 1:
            raise ArgumentError(f"share must be from 0 to 1, got {share}")
        self.share = float(share)

    def forward(self, measurement: Measured, rng: torch.Generator) -> Measured:
        """Replace the same elements in all images of the batch."""
        draw = uniform(measurement.shape[1:], rng, torch.float64)
        values = torch.where(draw < self.share / 2, -1.0, 1.0).to(measurement)
        return torch.where((draw < self.share).to(measurement.device), values, measurement)

    def extra_repr(self) -> str:
        """The share."""
        return f"share={self.share}"
