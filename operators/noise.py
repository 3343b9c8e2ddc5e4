"""Noise: what an instrument adds to a measurement; kept apart from the operators."""

import math
from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError, ContractError
from invprob.registry import build, register
from invprob.specs import Recorded
from invprob.types import Measured, PerImage, Spec

Likelihood: TypeAlias = Literal["none", "flat", "smooth"]


class Noise(Recorded, nn.Module, ABC):
    """A random disturbance of a measurement, drawn from a generator that the caller gives.

    An author writes `forward`; `negative_log_likelihood` (with `likelihood`), `surrogate` and
    `check` where there is something to say.
    """

    likelihood: ClassVar[Likelihood] = "none"

    @abstractmethod
    def forward(self, measurement: Measured, rng: torch.Generator) -> Measured:
        """Disturb (batch, *measured), keeping shape, dtype and device.

        One disturbance is drawn for one image, on the CPU and in float64, and meets every image of
        the batch: image b of a batch is what it would be alone.
        """

    def surrogate(self, measurement: Measured, rng: torch.Generator) -> Measured:
        """A differentiable stand-in for a `forward` that has no useful gradient."""
        return self(measurement, rng)

    def negative_log_likelihood(self, clean: Measured, observed: Measured) -> PerImage:
        """-log p(observed | clean) in nats, constants included, summed over each image's elements.

        Differentiable in `clean`. A noise that offers it says so by `likelihood`: "smooth" where
        its gradient leads to the clean measurement, "flat" where it does not. Raises
        `ArgumentError` where there is none.
        """
        del clean, observed
        raise ArgumentError(f"{self!r} has no likelihood; compare with the data misfit instead")

    def check(self, measurement: Measured) -> None:
        """Raise `ArgumentError` where such noise makes no sense of a clean measurement."""

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

    likelihood = "smooth"

    def __init__(
        self, *, sigma: Annotated[float, "standard deviation, in the measurement's own units"]
    ) -> None:
        super().__init__()
        self.sigma = _at_least_zero("sigma", sigma)

    def forward(self, measurement: Measured, rng: torch.Generator) -> Measured:
        """Add one draw to all images of the batch."""
        return measurement + (self.sigma * _normal(measurement, rng)).to(measurement)

    def negative_log_likelihood(self, clean: Measured, observed: Measured) -> PerImage:
        """(observed - clean)² / 2 sigma² + log(sigma √2π); `ArgumentError` where sigma is 0."""
        spread = torch.full_like(clean, _above_zero("sigma", self.sigma))
        return _normal_nll(observed - clean, spread)

    def extra_repr(self) -> str:
        """The standard deviation."""
        return f"sigma={self.sigma}"


@register.noise("uniform")
class UniformNoise(Noise):
    """Add independent uniform values to every element, as a coarse rounding does.

    y + width·u with u uniform in [-1, 1). The likelihood is flat within `width` and infinite
    outside, so that it cannot guide a solver. Raises `ArgumentError` unless width is finite and not
    negative.
    """

    likelihood = "flat"

    def __init__(
        self, *, width: Annotated[float, "largest disturbance, in the measurement's own units"]
    ) -> None:
        super().__init__()
        self.width = _at_least_zero("width", width)

    def forward(self, measurement: Measured, rng: torch.Generator) -> Measured:
        """Add one draw to all images of the batch."""
        draw = torch.rand(measurement.shape[1:], generator=rng, dtype=torch.float64)
        return measurement + (self.width * (2 * draw - 1)).to(measurement)

    def negative_log_likelihood(self, clean: Measured, observed: Measured) -> PerImage:
        """log(2 width) within width, infinite outside; `ArgumentError` where width is 0."""
        width = _above_zero("width", self.width)
        nats = torch.full_like(clean, math.log(2 * width))
        return nats.masked_fill((observed - clean).abs() > width, math.inf).flatten(1).sum(1)

    def extra_repr(self) -> str:
        """The largest disturbance."""
        return f"width={self.width}"


@register.noise("speckle")
class SpeckleNoise(Noise):
    """Multiply the light of every element by a random factor, as coherent imaging does.

    The light of a value y in [-1, 1] is (y + 1)/2, from none at -1 to full at 1; it becomes
    (1 + sigma·n) times as much, n ~ N(0, 1): y + sigma·n·(y + 1). Raises `ArgumentError` unless
    sigma is finite and not negative.
    """

    likelihood = "smooth"

    def __init__(
        self, *, sigma: Annotated[float, "standard deviation of the factor, whose mean is 1"]
    ) -> None:
        super().__init__()
        self.sigma = _at_least_zero("sigma", sigma)

    def forward(self, measurement: Measured, rng: torch.Generator) -> Measured:
        """Multiply by one draw in all images of the batch."""
        return measurement + (self.sigma * _normal(measurement, rng)).to(measurement) * (
            measurement + 1
        )

    def negative_log_likelihood(self, clean: Measured, observed: Measured) -> PerImage:
        """That of a normal value of standard deviation sigma·(clean + 1).

        Light below a thousandth of full counts as a thousandth, so that black is not certain.
        Raises `ArgumentError` where sigma is 0.
        """
        light = (clean + 1).clamp_min(2 * FAINT)
        return _normal_nll(observed - clean, _above_zero("sigma", self.sigma) * light)

    def check(self, measurement: Measured) -> None:
        """Raise `ArgumentError` for values below -1, which are no light."""
        _check_light("speckle", measurement)

    def extra_repr(self) -> str:
        """The standard deviation."""
        return f"sigma={self.sigma}"


@register.noise("poisson")
class PoissonNoise(Noise):
    """Count photons: every element becomes a Poisson draw, scaled back to the measurement's range.

    A value y in [-1, 1] emits photons·(y + 1)/2 on average, none at -1 and `photons` at 1; a count
    k is written as 2k/photons - 1. Values below -1 emit nothing. Raises `ArgumentError` unless
    photons is finite and positive.
    """

    likelihood = "smooth"

    def __init__(
        self, *, photons: Annotated[float, "mean count where the measurement is 1 (white)"]
    ) -> None:
        super().__init__()
        self.photons = _above_zero("photons", _at_least_zero("photons", photons))

    def forward(self, measurement: Measured, rng: torch.Generator) -> Measured:
        """Count for each image from the same state of the generator."""
        rates = (self.photons / 2 * (measurement.detach().cpu().double() + 1)).clamp_min(0)
        state = rng.get_state()
        counts = torch.empty_like(rates)
        for index, rate in enumerate(rates):
            rng.set_state(state)
            counts[index] = torch.poisson(rate, generator=rng)
        return (2 / self.photons * counts - 1).to(measurement)

    def surrogate(self, measurement: Measured, rng: torch.Generator) -> Measured:
        """The counts, with the gradient of their mean, which is the measurement itself."""
        return measurement + (self(measurement, rng) - measurement).detach()

    def negative_log_likelihood(self, clean: Measured, observed: Measured) -> PerImage:
        """rate - k·log(rate) + log k!, with the rate and the count k of `clean` and `observed`.

        Below a thousandth of a photon log(rate) goes on along its tangent, so that a prediction
        that is too dark is led back; where nothing was counted, all below -1 is as good as -1.
        """
        rate = self.photons / 2 * (clean + 1)
        count = (self.photons / 2 * (observed + 1)).clamp_min(0)
        seen = rate.clamp_min(FAINT)
        log_rate = seen.log() + (rate - seen) / FAINT
        nats = rate.clamp_min(0) - count * log_rate + torch.lgamma(count + 1)
        return nats.flatten(1).sum(1)

    def check(self, measurement: Measured) -> None:
        """Raise `ArgumentError` for values below -1, which are no light."""
        _check_light("poisson", measurement)

    def extra_repr(self) -> str:
        """The mean count."""
        return f"photons={self.photons}"


@register.noise("salt-and-pepper")
class SaltAndPepperNoise(Noise):
    """Replace a share of the elements by -1 or 1, each as likely, as dead and hot pixels do.

    Each element is replaced with probability `share`, whatever its channel; the others stay exactly
    what they are, so that there is no likelihood. Raises `ArgumentError` unless the share lies in
    [0, 1].
    """

    def __init__(self, *, share: Annotated[float, "probability of losing an element"]) -> None:
        super().__init__()
        if not 0 <= share <= 1:
            raise ArgumentError(f"share must be from 0 to 1, got {share}")
        self.share = float(share)

    def forward(self, measurement: Measured, rng: torch.Generator) -> Measured:
        """Replace the same elements in all images of the batch."""
        draw = torch.rand(measurement.shape[1:], generator=rng, dtype=torch.float64)
        values = torch.where(draw < self.share / 2, -1.0, 1.0).to(measurement)
        return torch.where((draw < self.share).to(measurement.device), values, measurement)

    def extra_repr(self) -> str:
        """The share."""
        return f"share={self.share}"


FAINT = 1e-3  # light (of full) or photons below which likelihoods are continued

_LOG_ROOT_TAU = math.log(2 * math.pi) / 2


def _normal(measurement: Measured, rng: torch.Generator) -> Tensor:
    return torch.randn(measurement.shape[1:], generator=rng, dtype=torch.float64)


def _normal_nll(error: Tensor, spread: Tensor) -> PerImage:
    nats = (error / spread).square() / 2 + spread.log() + _LOG_ROOT_TAU
    return nats.flatten(1).sum(1)


def _at_least_zero(name: str, value: float) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise ArgumentError(f"{name} must be a finite number of at least 0, got {value}")
    return float(value)


def _above_zero(name: str, value: float) -> float:
    if value <= 0:
        raise ArgumentError(
            f"{name} must be above 0 here, got {value}; without noise, leave it out"
        )
    return value


def _check_light(kind: str, measurement: Measured) -> None:
    least = float(measurement.min()) if measurement.numel() else 0.0
    if least < -1 - 1e-4:
        raise ArgumentError(
            f"{kind} noise is for images, whose values from -1 to 1 are amounts of light, but the "
            f"measurement goes down to {least:.3g}; clip it first (--operator clip), or take "
            "gaussian noise"
        )
