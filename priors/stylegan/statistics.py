"""Mean, covariance and principal components of a generator's W, in float64.

They are those of v = LReLU_5(w), which undoes the mapping network's last activation: v is close to
Gaussian (PULSE and II2S use it). The activation's gain stays in mean and covariance.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.draws import normal
from invprob.errors import ArgumentError
from invprob.kinds import remedy
from invprob.priors.stylegan.fused_layer import SLOPE
from invprob.priors.stylegan.generator import Generator
from invprob.types import Vectors


def before_activation(w: Vectors) -> Vectors:
    """v = LReLU_5(w): undo the leaky ReLU of slope 0.2, up to its gain."""
    return F.leaky_relu(w, 1 / SLOPE)


def after_activation(v: Vectors) -> Vectors:
    """w = LReLU_0.2(v), the inverse of `before_activation`."""
    return F.leaky_relu(v, SLOPE)


@remedy("statistics_for(generator)")
@dataclass(frozen=True)
class Statistics:
    """Moments of w and v, in float64.

    Attributes:
        count: number of draws.
        mean_w: mean of w, (width,).
        std_w: root of the total variance of w, ().
        mean: mean of v, (width,).
        covariance: of v, (width, width).
        components: principal components of v, orthonormal rows (width, width).
        deviations: standard deviations of v along the components, (width,), falling.
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
        """The whitened coordinates of w; see `Whitening`."""
        return Whitening(self, floor)(w)


class Whitening:
    """Maps w to the coordinates of P-norm+ and back (Zhu et al., arXiv:2012.09036).

    v = LReLU_5(w) is centred, turned to its principal components and divided by their standard
    deviations. It maps tensors (..., width).

    Args:
        statistics: of the generator's W.
        floor: lower bound of the standard deviations. Without one, as in the published code,
            directions in which W hardly varies dominate the norm; 0.01 suits.

    Raises:
        ArgumentError: the floor is negative, or 0 while W does not vary along every axis.
    """

    def __init__(self, statistics: Statistics, floor: float = 0.0) -> None:
        if not floor >= 0:
            raise ArgumentError(f"the floor of standard deviations must be >= 0, not {floor}")
        self.statistics = statistics
        deviations = statistics.deviations.clamp_min(floor)
        if not deviations.min() > 0:
            raise ArgumentError(
                "W does not vary along every axis, so whitening needs a floor of its standard "
                "deviations, such as 0.01"
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
        """The matrices on a tensor's device and of its type; moved once, not at each step."""
        kept = self._moved[0]
        if (kept.device, kept.dtype) != (tensor.device, tensor.dtype):
            mean, forth, back = (matrix.to(tensor) for matrix in self._doubles)
            self._moved = (mean, forth, back)
        return self._moved


def statistics_of(batches: Iterable[Vectors]) -> Statistics:
    """The statistics of draws of w, in one pass.

    Args:
        batches: draws of w, (n, width) each.

    Raises:
        ArgumentError: there are fewer than two draws in all.
    """
    w_moments, v_moments = Moments(), Moments()
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
    """The statistics of given moments, completed by the principal components of v.

    Args:
        count: number of draws.
        mean_w: mean of w, (width,).
        std_w: root of the total variance of w, ().
        mean: mean of v, (width,).
        covariance: of v, (width, width).
    """
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


@undisturbed()
def sample_statistics(
    generator: Generator,
    rng: torch.Generator,
    *,
    count: int = 100_000,
    batch: int = 5_000,
    progress: Callable[[int, int], None] | None = None,
) -> Statistics:
    """Statistics of w = mapping(z), z ~ N(0, I).

    Args:
        generator: the network whose W it is.
        rng: source of z.
        count: number of draws.
        batch: how many to map at once.
        progress: called after each batch with the draws that are done and `count`.
    """

    def reported() -> Iterator[Vectors]:
        done = 0
        for w in draws_of_w(generator, rng, count=count, batch=batch):
            yield w
            done += len(w)
            if progress is not None:
                progress(done, count)

    return statistics_of(reported())


@torch.no_grad()
def draws_of_w(
    generator: Generator, rng: torch.Generator, *, count: int, batch: int = 5_000
) -> Iterator[Vectors]:
    """Draws of w = mapping(z), z ~ N(0, I).

    Args:
        generator: the network whose W it is.
        rng: source of z.
        count: number of draws.
        batch: how many to map at once.

    Yields:
        w in batches, (n, width).
    """
    for start in range(0, count, batch):
        z = normal((min(batch, count - start), generator.z_width), rng)
        yield generator.mapping(z.to(generator.mean_w))


class Moments:
    """Mean and scatter matrix of rows, merged batch by batch without loss of precision."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = torch.zeros((), dtype=torch.float32, device="cpu")
        self.scatter = torch.zeros((), dtype=torch.float32, device="cpu")

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
