"""Mean, covariance and principal components of a generator's W, streamed in float64.

The statistics are those of v = LReLU_5(w), the mapping network's last layer before its activation:
there the distribution is close to a Gaussian (PULSE and II2S both use it). The activation's gain
stays inside the mean and the covariance.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.priors.stylegan.fused_layer import SLOPE
from invprob.priors.stylegan.generator import Generator
from invprob.types import Vectors


def before_activation(w: Vectors) -> Vectors:
    """v = LReLU_5(w): undo the leaky ReLU of slope 0.2, up to its gain."""
    return F.leaky_relu(w, 1 / SLOPE)


def after_activation(v: Vectors) -> Vectors:
    """w = LReLU_0.2(v), the inverse of `before_activation`."""
    return F.leaky_relu(v, SLOPE)


@dataclass(frozen=True)
class Statistics:
    """Moments of w and v, all float64, of `count` draws.

    `mean_w` (width,) and the scalar `std_w`, the root of the total variance of w; `mean` (width,),
    `covariance` (width, width) of v; `components` (width, width), orthonormal rows by falling
    `deviations` (width,), the standard deviations of v along them.
    """

    count: int
    mean_w: Tensor
    std_w: Tensor
    mean: Tensor
    covariance: Tensor
    components: Tensor
    deviations: Tensor

    @property
    def diagonal(self) -> Tensor:
        """Standard deviation of each coordinate of v, (width,): the diagonal fit."""
        return self.covariance.diagonal().clamp_min(0).sqrt()

    def effective_rank(self, floor: float = 1e-2) -> int:
        """How many principal components have a standard deviation above `floor`."""
        return int((self.deviations > floor).sum())

    def whiten(self, w: Vectors, *, floor: float = 0.0) -> Vectors:
        """P-norm+ coordinates of w: principal components of v over their standard deviations.

        A `floor` (1e-2 is a good one) keeps near-null directions from dominating the norm.
        """
        return Whitening(self, floor)(w)


class Whitening:
    """w to P-norm+ coordinates and back, for rows of any number of leading axes.

    v = LReLU_5(w) is centred, turned to its principal components and divided by their standard
    deviations, none below `floor`: the published code has none, and there directions in which W
    hardly varies dominate the norm.
    """

    def __init__(self, statistics: Statistics, floor: float = 0.0) -> None:
        if not floor >= 0:
            raise ArgumentError(f"the floor of standard deviations must be >= 0, not {floor}")
        self.statistics = statistics
        deviations = statistics.deviations.clamp_min(floor)
        if not deviations.min() > 0:
            raise ArgumentError(
                "W does not vary along every axis, so whitening needs a floor of its standard "
                "deviations; take 0.01"
            )
        self._doubles = (
            statistics.mean,
            statistics.components.T / deviations,
            deviations[:, None] * statistics.components,
        )
        self._moved: tuple[Tensor, Tensor, Tensor] = self._doubles

    def __call__(self, w: Tensor) -> Tensor:
        mean, forth, _ = self._like(w)
        return (before_activation(w) - mean) @ forth

    def inverse(self, coordinates: Tensor) -> Tensor:
        """The w of whitened coordinates."""
        mean, _, back = self._like(coordinates)
        return after_activation(coordinates @ back + mean)

    def _like(self, tensor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The matrices where and as precise as a tensor is; moved once, not at each step."""
        kept = self._moved[0]
        if (kept.device, kept.dtype) != (tensor.device, tensor.dtype):
            mean, forth, back = (matrix.to(tensor) for matrix in self._doubles)
            self._moved = (mean, forth, back)
        return self._moved


def statistics_of(batches: Iterable[Vectors]) -> Statistics:
    """Accumulate moments over batches of w, (count, width) each, in one pass.

    Raises `ArgumentError` for fewer than two draws in all.
    """
    w_moments, v_moments = _Moments(), _Moments()
    for w in batches:
        double = w.detach().cpu().double()
        w_moments.add(double)
        v_moments.add(before_activation(double))
    if v_moments.count < 2:
        raise ArgumentError(f"batches must hold at least two draws of w, not {v_moments.count}")
    return statistics_from(
        count=v_moments.count,
        mean_w=w_moments.mean,
        std_w=w_moments.covariance().trace().sqrt(),
        mean=v_moments.mean,
        covariance=v_moments.covariance(),
    )


def statistics_from(
    *, count: int, mean_w: Tensor, std_w: Tensor, mean: Tensor, covariance: Tensor
) -> Statistics:
    """Complete moments by the principal components of the covariance."""
    variances, vectors = torch.linalg.eigh(covariance)
    return Statistics(
        count=count,
        mean_w=mean_w,
        std_w=std_w,
        mean=mean,
        covariance=covariance,
        components=vectors.T.flip(0),
        deviations=variances.flip(0).clamp_min(0).sqrt(),
    )


def sample_statistics(
    generator: Generator,
    rng: torch.Generator,
    *,
    count: int = 100_000,
    batch: int = 5_000,
    progress: Callable[[int, int], None] | None = None,
) -> Statistics:
    """Statistics of `count` draws of w = mapping(z), z ~ N(0, I) from `rng`.

    `progress` hears after each batch how many draws of how many are done.
    """

    def heard() -> Iterator[Vectors]:
        done = 0
        for w in draws_of_w(generator, rng, count=count, batch=batch):
            yield w
            done += len(w)
            if progress is not None:
                progress(done, count)

    return statistics_of(heard())


@torch.no_grad()
def draws_of_w(
    generator: Generator, rng: torch.Generator, *, count: int, batch: int = 5_000
) -> Iterator[Vectors]:
    """`count` draws of w = mapping(z), z ~ N(0, I) from `rng`, in batches of (batch, width)."""
    for start in range(0, count, batch):
        z = torch.randn(min(batch, count - start), generator.z_width, generator=rng)
        yield generator.mapping(z.to(generator.mean_w))


class _Moments:
    """Mean and scatter of batches, merged so that a large mean costs no precision."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = torch.zeros(())
        self.scatter = torch.zeros(())

    def add(self, rows: Tensor) -> None:
        """Merge (n, width) rows (Chan, Golub and LeVeque 1979)."""
        new, mean = rows.shape[0], rows.mean(0)
        scatter = (rows - mean).T @ (rows - mean)
        if self.count == 0:
            self.count, self.mean, self.scatter = new, mean, scatter
            return
        total, gap = self.count + new, mean - self.mean
        self.scatter = self.scatter + scatter + torch.outer(gap, gap) * (self.count * new / total)
        self.mean = self.mean + gap * (new / total)
        self.count = total

    def covariance(self) -> Tensor:
        """Covariance with divisor n."""
        return self.scatter / self.count
