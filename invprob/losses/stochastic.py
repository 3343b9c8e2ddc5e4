"""The stochastic data term: any term, behind fresh noise on the prediction."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from invprob.calls import checked
from invprob.errors import ArgumentError
from invprob.losses.base import BoundTerm, Term
from invprob.operators.base import Operator
from invprob.operators.noise import Noise
from invprob.operators.observed import Observed
from invprob.streams import stream
from invprob.types import Images, Measured, PerImage, Shape


class Stochastic(Term):
    """A term behind fresh noise: the stochastic data term of SPHInX (ICML 2022).

    Each step adds a new draw of the noise to the prediction, where something is observed.
    Prediction and measurement are clipped to [-1, 1] before `term` compares them, so that `bind`
    raises `ArgumentError` for measurements that are no images. Step k draws from
    `stream(seed, "renoise", k)`: all terms of a stage see the same draw.

    Args:
        term: what compares prediction and measurement.
        noise: the noise of the measurements.
        seed: what the draws are derived from; a solve puts its own in place of it.
    """

    def __init__(self, term: Term, noise: Noise, seed: int = 0) -> None:
        super().__init__(term.name, term.weight)
        self.term, self.noise, self.seed = term, noise, seed

    def seeded(self, seed: int) -> "Stochastic":
        """The same term with draws of that seed."""
        return Stochastic(self.term.seeded(seed), self.noise, seed)

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        """Bind the clipped measurements."""
        check_stochastic(operator.measurement_shape)
        compare = self.term.bind(target.clamp(-1, 1), operator)
        return _FreshNoise(self, compare, Observed(operator))


@checked
def with_fresh_noise(terms: Sequence[Term], noise: Noise) -> list[Term]:
    """The stochastic form of each term; they share the draws of the noise."""
    return [Stochastic(term, noise) for term in terms]


class _FreshNoise(nn.Module):
    """The bound term; a snapshot holds the number of the next draw."""

    calls: Tensor

    def __init__(self, term: Stochastic, compare: BoundTerm, observed: Observed) -> None:
        super().__init__()
        self._noise, self._seed, self._observed = term.noise, term.seed, observed
        self.compare = compare  # a module where the bound term remembers something
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64, device="cpu"))

    def forward(self, image: Images, prediction: Measured) -> PerImage:
        """Add a fresh draw of the noise to the prediction, clip it and compare."""
        fresh = stream(self._seed, "renoise", int(self.calls))
        self.calls += 1
        noisy = self._observed.only(self._noise.surrogate(prediction, fresh), prediction)
        return self.compare(image, noisy.clamp(-1, 1))


@checked
def check_stochastic(measurement_shape: Shape) -> None:
    """Raise `ArgumentError` unless measurements are images, which may be clipped to [-1, 1]."""
    if len(measurement_shape) != 3:
        raise ArgumentError(
            "the stochastic data term clips to [-1, 1], so it needs measurements that are images "
            f"(channels, height, width), not {measurement_shape}; take another data term"
        )
