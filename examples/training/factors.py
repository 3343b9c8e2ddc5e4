"""Give each factor of a rendered face its own coordinates of z, so that z stays N(0, I).

`laws()` restates how the renderer draws its factors, each given those drawn before it. A number x
with distribution function F becomes the normal score of F(x); where F jumps (an expression that is
often exactly zero, a value at its clip) the place inside the jump is drawn afresh. A name becomes
the largest of Gumbel variables shifted by log-probabilities, and each Gumbel variable the normal
score of its own distribution function. Sampling z ~ N(0, I) and going back therefore draws factors
exactly as the renderer does, and parents (sex, ancestry, age) act on their children.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
Factors = dict[str, NDArray[Any]]
Given = Mapping[str, NDArray[Any]]
RACES = ("african", "asian", "caucasian")


class Law(ABC):
    """A factor's distribution given earlier ones, tied to `width` coordinates of z."""

    name: str
    width: int = 1

    @abstractmethod
    def encode(self, factors: Given, rng: np.random.Generator) -> Array:
        """(count, width) coordinates that decode to the factor; ties are drawn afresh."""

    @abstractmethod
    def decode(self, z: Array, factors: Factors) -> None:
        """Put the factor that the coordinates stand for into `factors`."""


@dataclass(frozen=True)
class Number(Law):
    """A number with distribution function `cdf`, quantiles `ppf`, clipped to `[low, high]`."""

    name: str
    cdf: Callable[[Array, Given], Array]
    ppf: Callable[[Array, Given], Array]
    low: float = -np.inf
    high: float = np.inf

    def encode(self, factors: Given, rng: np.random.Generator) -> Array:
        """Normal score of the distribution function, uniform inside a jump."""
        x = factors[self.name]
        below = np.where(x <= self.low, 0.0, self.cdf(x, factors))
        above = np.where(x >= self.high, 1.0, self.cdf(x, factors))
        return _score(below + (above - below) * rng.random(len(x)))[:, None]

    def decode(self, z: Array, factors: Factors) -> None:
        """Quantile of the coordinate, clipped."""
        x = self.ppf(special.ndtr(z[:, 0]), factors)
        factors[self.name] = np.clip(x, self.low, self.high)


@dataclass(frozen=True)
class Sometimes(Law):
    """Zero with a probability, else drawn from a `Number`; `present` gives P(not zero)."""

    name: str
    number: Number
    present: Callable[[Given], Array]

    def encode(self, factors: Given, rng: np.random.Generator) -> Array:
        """Zero takes the lower part of the distribution, the number the upper part."""
        x, present = factors[self.name], self.present(factors)
        inner = special.ndtr(self.number.encode(factors, rng)[:, 0])
        zero = rng.random(len(x)) * (1 - present)
        return _score(np.where(x == 0, zero, 1 - present + present * inner))[:, None]

    def decode(self, z: Array, factors: Factors) -> None:
        """Zero or a quantile of the number."""
        present = self.present(factors)
        u = special.ndtr(z[:, 0])
        inner = (u - (1 - present)) / np.where(present > 0, present, 1)
        self.number.decode(_score(inner)[:, None], factors)
        factors[self.name] = np.where(inner > 0, factors[self.name], 0.0)


@dataclass(frozen=True)
class Name(Law):
    """One of several names, held as an index; `chances` gives (count, names) probabilities."""

    name: str
    names: Sequence[str]
    chances: Callable[[Given], Array]

    @property
    def width(self) -> int:  # type: ignore[override]
        """One coordinate a name."""
        return len(self.names)

    def encode(self, factors: Given, rng: np.random.Generator) -> Array:
        """Gumbel variables given which of them, shifted by log-probabilities, is the largest."""
        p = self.chances(factors)
        with np.errstate(divide="ignore"):
            shift = np.log(p / p.sum(1, keepdims=True))
        free = rng.gumbel(size=p.shape)
        index = factors[self.name].astype(np.int64)[:, None]
        largest = rng.gumbel(size=(len(p), 1))  # the maximum of all is a standard Gumbel variable
        others = -np.logaddexp(-largest, -(free + shift))  # those below it, truncated there
        gumbel = np.where(np.isfinite(shift), others - np.where(np.isfinite(shift), shift, 0), free)
        top = largest - np.take_along_axis(shift, index, 1)
        np.put_along_axis(gumbel, index, top, 1)
        return np.asarray(np.clip(special.ndtri_exp(-np.exp(-gumbel)), -5, 5))

    def decode(self, z: Array, factors: Factors) -> None:
        """The index of the largest shifted Gumbel variable."""
        p = self.chances(factors)
        with np.errstate(divide="ignore"):
            shift = np.log(p / p.sum(1, keepdims=True))
        factors[self.name] = (shift - np.log(-special.log_ndtr(z))).argmax(1)


@dataclass(frozen=True)
class Ancestry(Law):
    """Dirichlet shares: three gamma variables whose sum, which shares leave open, is redrawn."""

    concentration: tuple[float, float, float] = (0.4, 0.4, 0.55)
    name: str = "race"
    width: int = 3

    def encode(self, factors: Given, rng: np.random.Generator) -> Array:
        """Normal scores of three independent gamma variables in the ratio of the shares."""
        shares = np.stack([factors[race] for race in RACES], 1)
        total = rng.gamma(sum(self.concentration), size=(len(shares), 1))
        return _score(special.gammainc(np.array(self.concentration), shares * total))

    def decode(self, z: Array, factors: Factors) -> None:
        """Gamma variables, normalised."""
        gamma = special.gammaincinv(np.array(self.concentration), special.ndtr(z)) + 1e-12
        factors.update(zip(RACES, (gamma / gamma.sum(1, keepdims=True)).T, strict=True))


def encode(laws: Sequence[Law], factors: Given, rng: np.random.Generator) -> Array:
    """(count, coordinates): the coordinates of all laws, in their order."""
    return np.concatenate([law.encode(factors, rng) for law in laws], 1)


def decode(laws: Sequence[Law], z: Array) -> Factors:
    """The factors that coordinates stand for; columns beyond those of the laws are ignored."""
    factors: Factors = {}
    start = 0
    for law in laws:
        law.decode(z[:, start : start + law.width], factors)
        start += law.width
    return factors


def places(laws: Sequence[Law]) -> dict[str, slice]:
    """Which coordinates belong to which law."""
    ends = np.cumsum([law.width for law in laws])
    return {
        law.name: slice(int(end) - law.width, int(end)) for law, end in zip(laws, ends, strict=True)
    }


def normal(name: str, mean: float, sd: float, low: float = -np.inf, high: float = np.inf) -> Number:
    """A clipped normal number."""
    return shifted_normal(name, lambda given: np.array(mean), sd, low, high)


def shifted_normal(
    name: str, mean: Callable[[Given], Array], sd: float, low: float, high: float
) -> Number:
    """A clipped normal number whose mean depends on earlier factors."""
    return Number(
        name,
        lambda x, given: special.ndtr((x - mean(given)) / sd),
        lambda u, given: mean(given) + sd * special.ndtri(np.clip(u, 1e-12, 1 - 1e-12)),
        low,
        high,
    )


def flat(name: str, low: float, high: float) -> Number:
    """A number uniform on an interval."""
    return Number(
        name,
        lambda x, given: (x - low) / (high - low),
        lambda u, given: low + (high - low) * u,
    )


def beta(name: str, a: float, b: float, scale: float = 1.0, offset: float = 0.0) -> Number:
    """A scaled beta variable."""
    return Number(
        name,
        lambda x, given: special.betainc(a, b, np.clip((x - offset) / scale, 0, 1)),
        lambda u, given: offset + scale * special.betaincinv(a, b, u),
    )


def tabled(name: str, values: Array, low: float = -np.inf, high: float = np.inf) -> Number:
    """A number with the distribution of a sorted table of draws."""
    grid = (np.arange(len(values)) + 0.5) / len(values)
    return Number(
        name,
        lambda x, given: np.interp(x, values, grid),
        lambda u, given: np.interp(u, grid, values),
        low,
        high,
    )


def _score(u: Array) -> Array:
    """Normal scores of uniform variables, kept within five standard deviations."""
    return np.asarray(np.clip(special.ndtri(np.clip(u, 1e-7, 1 - 1e-7)), -5, 5))
