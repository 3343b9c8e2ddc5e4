"""Noise: the random part of a measurement, which an operator leaves out."""

import math
from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn

from invprob.calls import checked
from invprob.draws import normal, uniform
from invprob.errors import ArgumentError, ContractError
from invprob.kinds import remedy, shown
from invprob.operators.door import check_numbers
from invprob.registry import build, register
from invprob.specs import Recorded
from invprob.types import Measured, PerImage, Spec

Likelihood: TypeAlias = Literal["none", "flat", "smooth"]


@remedy("GaussianNoise(sigma=0.1) or another one of invprob.operators")
class Noise(Recorded, nn.Module, ABC):
    """A random disturbance of a measurement, drawn from a generator that the caller gives.

    An author writes `forward`. A noise with a likelihood also writes `negative_log_likelihood` and
    sets `likelihood`. One whose `forward` has no useful gradient writes `surrogate`. One that makes
    sense of some measurements only writes `check`. Draw by `invprob.draws`. A whole noise::

        @invprob.register.noise("offset")
        class OffsetNoise(invprob.Noise):
            \"\"\"Add the same normal value to all elements.\"\"\"

            def __init__(self, *, sigma: Annotated[float, "standard deviation"]) -> None:
                super().__init__()
                self.sigma = sigma

            def forward(self, measurement: Tensor, rng: torch.Generator) -> Tensor:
                return measurement + self.sigma * normal((), rng).to(measurement)

    Attributes:
        likelihood: "smooth" where the gradient of the likelihood leads to the clean measurement,
            "flat" where it does not, "none" where there is no likelihood.
        of_light: whether its options are shares of the light between black and white.
    """

    likelihood: ClassVar[Likelihood] = "none"
    of_light: ClassVar[bool] = False

    @abstractmethod
    def forward(self, measurement: Measured, rng: torch.Generator) -> Measured:
        """Disturb the measurements of a batch.

        Draw one disturbance, on the CPU and in float64, and apply it to all images of the batch, so
        that each is disturbed as it would be alone.

        Args:
            measurement: (batch, *measured), without noise.
            rng: a generator on the CPU, from which everything random is drawn.

        Returns:
            The noisy measurements, with the shape, dtype and device of the clean ones.
        """

    def surrogate(self, measurement: Measured, rng: torch.Generator) -> Measured:
        """A differentiable stand-in for a `forward` that has no useful gradient, such as counting.

        By default it is `forward` itself.

        Args:
            measurement: (batch, *measured), without noise.
            rng: a generator on the CPU, from which everything random is drawn.

        Returns:
            Noisy measurements or what is near to them, of the same shape.
        """
        return self(measurement, rng)

    def negative_log_likelihood(self, clean: Measured, observed: Measured) -> PerImage:
        """-log p(observed | clean), constants included, which can be differentiated in `clean`.

        Args:
            clean: (batch, *measured), what would be measured without noise.
            observed: (batch, *measured), what was measured.

        Returns:
            One number for each image, (batch,), in nats, summed over the elements.

        Raises:
            ArgumentError: this noise has no likelihood.
        """
        del clean, observed
        raise ArgumentError(f"{self!r} has no likelihood; compare with the data misfit instead")

    def scaled(self, factor: float) -> "Noise":
        """The same noise, after measurement and noise were multiplied by a factor.

        Args:
            factor: above 0.

        Returns:
            The noise in these units.

        Raises:
            ArgumentError: the noise has no such form.
        """
        del factor
        raise ArgumentError(f"{self!r} cannot be brought to other units; take gaussian noise")

    def check(self, measurement: Measured) -> None:
        """Refuse measurements of which such noise makes no sense; by default none.

        Args:
            measurement: (batch, *measured), without noise.

        Raises:
            ArgumentError: the values lie outside the range that the noise needs.
        """

    def __call__(self, measurement: Measured, rng: torch.Generator) -> Measured:
        """Apply `forward`; raises `ArgumentError` for other than real floating-point numbers."""
        check_numbers(measurement, "measurement", self)
        noisy: Measured = super().__call__(measurement, rng)
        return noisy

    @staticmethod
    @checked
    def from_spec(spec: Spec) -> "Noise":
        """Build the noise that a spec describes.

        Args:
            spec: what `spec()` returned, perhaps read from a JSON file: `type` and options.

        Returns:
            Noise with the same options.

        Raises:
            ArgumentError: the spec has no `type`, or an option is refused.
            UnknownNameError: no noise is registered under the `type`.
            ContractError: what is registered under the `type` is no `Noise`.
        """
        settings = dict(spec)
        kind = settings.pop("type", None)
        if not isinstance(kind, str):
            raise ArgumentError(f"a noise's spec names its type as a word, got {shown(kind)}")
        built = build("noise", kind, settings)
        if not isinstance(built, Noise):
            raise ContractError(f"{kind!r} is registered as noise, but is no Noise")
        return built


@register.noise("gaussian")
class GaussianNoise(Noise):
    """Add independent normal values to all elements of the measurement.

        y + sigma · n,   n ~ N(0, 1)

    Raises:
        ArgumentError: sigma is negative or not finite.
    """

    likelihood = "smooth"

    def __init__(
        self,
        *,
        sigma: Annotated[float, "standard deviation, in the units of the measurement, at least 0"],
    ) -> None:
        super().__init__()
        self.sigma = _at_least_zero("sigma", sigma)

    def forward(self, measurement: Measured, rng: torch.Generator) -> Measured:
        """Add one draw to all images of the batch."""
        return measurement + (self.sigma * _normal(measurement, rng)).to(measurement)

    def scaled(self, factor: float) -> Noise:
        """Noise of factor · sigma."""
        return GaussianNoise(sigma=factor * self.sigma)

    def negative_log_likelihood(self, clean: Measured, observed: Measured) -> PerImage:
        """(observed - clean)² / 2 sigma² + log(sigma √(2π)); `ArgumentError` where sigma is 0."""
        spread = torch.full_like(clean, _above_zero("sigma", self.sigma))
        return _normal_nll(observed - clean, spread)

    def extra_repr(self) -> str:
        """The standard deviation."""
        return f"sigma={self.sigma}"


@register.noise("uniform")
class UniformNoise(Noise):
    """Add independent uniform values to all elements, as coarse rounding does.

        y + width · u,   u uniform in [-1, 1)

    The likelihood is flat within `width` and zero outside, so that it cannot guide a solver.

    Raises:
        ArgumentError: width is negative or not finite.
    """

    likelihood = "flat"

    def __init__(
        self,
        *,
        width: Annotated[float, "largest disturbance, in the units of the measurement, at least 0"],
    ) -> None:
        super().__init__()
        self.width = _at_least_zero("width", width)

    def forward(self, measurement: Measured, rng: torch.Generator) -> Measured:
        """Add one draw to all images of the batch."""
        draw = uniform(measurement.shape[1:], rng, torch.float64)
        return measurement + (self.width * (2 * draw - 1)).to(measurement)

    def scaled(self, factor: float) -> Noise:
        """Noise of factor · width."""
        return UniformNoise(width=factor * self.width)

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
    """Multiply the light of each element by a random factor, as coherent imaging does.

        light · (1 + sigma · n),   light = (y + 1)/2,   n ~ N(0, 1)

    A value of -1 is no light and 1 is full light, so that this is y + sigma · n · (y + 1).

    Raises:
        ArgumentError: sigma is negative or not finite.
    """

    likelihood = "smooth"
    of_light = True

    def __init__(
        self,
        *,
        sigma: Annotated[float, "standard deviation of the factor, whose mean is 1, at least 0"],
    ) -> None:
        super().__init__()
        self.sigma = _at_least_zero("sigma", sigma)

    def forward(self, measurement: Measured, rng: torch.Generator) -> Measured:
        """Multiply by one draw in all images of the batch."""
        return measurement + (self.sigma * _normal(measurement, rng)).to(measurement) * (
            measurement + 1
        )

    def negative_log_likelihood(self, clean: Measured, observed: Measured) -> PerImage:
        """-log p of a normal value of standard deviation sigma · (clean + 1).

        Light below a thousandth of full light counts as a thousandth, so that black is not certain.
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
    """Count photons: replace each element by a Poisson draw (shot noise).

        y becomes 2 k / photons - 1,   k ~ Poisson(photons · (y + 1)/2)

    A value of -1 emits no photons, and 1 emits `photons` on average. Values below -1 emit none. The
    surrogate has the gradient of the mean count.

    Raises:
        ArgumentError: photons is not a finite number above 0.
    """

    likelihood = "smooth"
    of_light = True

    def __init__(
        self, *, photons: Annotated[float, "mean count where the measurement is 1 (white), above 0"]
    ) -> None:
        super().__init__()
        self.photons = _above_zero("photons", _at_least_zero("photons", photons))

    def forward(self, measurement: Measured, rng: torch.Generator) -> Measured:
        """Count the photons of each image, from the same state of the generator."""
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

        Below a thousandth of a photon log(rate) continues as its tangent, so that the gradient
        leads back from a prediction that is too dark. Where nothing was counted, values below -1
        are as good as -1.
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


FAINT = 1e-3  # share of full light, or photons, below which likelihoods are continued

_LOG_ROOT_TAU = math.log(2 * math.pi) / 2


def _normal(measurement: Measured, rng: torch.Generator) -> Tensor:
    return normal(measurement.shape[1:], rng, torch.float64)


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
