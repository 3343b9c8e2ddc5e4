"""Noise: what an instrument adds to a measurement; kept apart from the operators."""

import math
from abc import ABC, abstractmethod
from typing import Annotated

import torch
from torch import nn

from invprob.errors import ArgumentError, ContractError
from invprob.registry import build, register
from invprob.specs import Recorded
from invprob.types import Measured, Spec


class Noise(Recorded, nn.Module, ABC):
    """A random disturbance of a measurement, drawn from a generator that the caller gives."""

    @abstractmethod
    def forward(self, measurement: Measured, rng: torch.Generator) -> Measured:
        """Disturb (batch, *measured), keeping shape, dtype and device.

        One disturbance is drawn for one image, on the CPU and in float64, and meets every image of
        the batch: image b of a batch is what it would be alone.
        """

    def __call__(self, measurement: Measured, rng: torch.Generator) -> Measured:
        """Apply `forward`."""
        noisy: Measured = super().__call__(measurement, rng)
        return noisy

    @staticmethod
    def from_spec(spec: Spec) -> "Noise":
        """Build the noise that `spec` names; raises `ArgumentError`, `UnknownNameError`."""
        settings = dict(spec)
        kind = settings.pop("type", None)
        if not isinstance(kind, str):
            raise ArgumentError(f"a noise's spec names its type as a word, got {kind!r}")
        built = build("noise", kind, settings)
        if not isinstance(built, Noise):
            raise ContractError(f"{kind!r} is registered as noise, but is no Noise")
        return built


@register.noise("gaussian")
class GaussianNoise(Noise):
    """Add independent normal values to every element of the measurement as it stands.

    y + sigma·n with n ~ N(0, 1). Raises `ArgumentError` unless sigma is finite and not negative.
    """

    def __init__(
        self, *, sigma: Annotated[float, "standard deviation, in the measurement's own units"]
    ) -> None:
        super().__init__()
        if not (math.isfinite(sigma) and sigma >= 0):
            raise ArgumentError(f"sigma must be a finite number of at least 0, got {sigma}")
        self.sigma = float(sigma)

    def forward(self, measurement: Measured, rng: torch.Generator) -> Measured:
        """Add one draw to all images of the batch."""
        draw = torch.randn(measurement.shape[1:], generator=rng, dtype=torch.float64)
        return measurement + (self.sigma * draw).to(measurement)

    def extra_repr(self) -> str:
        """The standard deviation."""
        return f"sigma={self.sigma}"
