"""What a method is given: a `Problem`, or a `Setting` with a generator."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, TypeAlias

from invprob.calls import checked
from invprob.errors import ArgumentError
from invprob.losses import DataMisfit, NegativeLogLikelihood, PerceptualTerm, Term
from invprob.methods.choices import DataTerm, DescentName
from invprob.methods.recipe import Recipe
from invprob.operators.noise import GaussianNoise, Noise
from invprob.perceptual.distance import PerceptualDistance
from invprob.priors.base import Prior
from invprob.priors.parts import FreeNoise
from invprob.priors.stylegan.extras import statistics_for
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.statistics import Statistics
from invprob.schedules import cosine_trapezoid
from invprob.solver.lbfgs import LBFGS
from invprob.solver.optimisers import Adam, Optimiser
from invprob.solver.task import Stage
from invprob.types import Shape

# Options that several methods have.
Descent = Annotated[
    DescentName,
    "what moves the free variables; l-bfgs has no learning rate, and needs a smooth loss",
]
Rate = Annotated[float, "largest learning rate of Adam, above 0"]
Steps = Annotated[
    int, "optimisation steps at the full size, at least 1; coarse to fine takes half at each size"
]
NoiseWeight = Annotated[float, "weight of the autocorrelation of the noise maps, at least 0"]
WhiteningFloor = Annotated[
    float, "least standard deviation of W that whitening divides by, at least 0; published: 0"
]

ON_DATA = (
    "this method has a perceptual loss alone, and no perceptual network can be used here: it runs "
    "on the data term instead"
)


@checked
@dataclass(frozen=True)
class Problem:
    """What a method is made for: what was measured of an image, and how to compare with it.

    Args:
        image_shape: shape of one image, (channels, height, width).
        measurement_shape: shape of one measurement.
        network: the perceptual network that may enter the loss. None: there is none, or it cannot
            compare prediction and measurement.
        noise: the noise in the measurements. None: no noise is known.
        compare: how the prediction is compared with the measurement, see `make`.
        observed: how many numbers of a measurement depend on the image. None: all of them.
        smooth: whether the operator has exact gradients (`Operator.smooth`).
        linear: whether the operator is linear (`Operator.linear`).

    Raises:
        ArgumentError: the comparison needs to know the noise, and there is none.
    """

    image_shape: Shape
    measurement_shape: Shape
    network: PerceptualDistance | None = None
    noise: Noise | None = None
    compare: DataTerm = "misfit"
    observed: int | None = None
    smooth: bool = True
    linear: bool = True

    def __post_init__(self) -> None:
        if self.compare != "misfit" and self.noise is None:
            raise ArgumentError(
                f"the data term {self.compare!r} needs to know the noise, and these measurements "
                "name none; name it when measuring (--noise), or use the misfit "
                "(--data-term misfit)"
            )

    @property
    def noisy(self) -> bool:
        """Whether the measurements are known to be noisy."""
        return self.noise is not None

    @property
    def sigma(self) -> float | None:
        """Standard deviation of Gaussian noise; None without noise, and for other noise."""
        return self.noise.sigma if isinstance(self.noise, GaussianNoise) else None

    @property
    def stochastic(self) -> bool:
        """Whether every step adds fresh noise to the prediction."""
        return self.compare == "stochastic"

    @property
    def measured(self) -> int:
        """How many numbers of a measurement depend on the image."""
        return math.prod(self.measurement_shape) if self.observed is None else self.observed

    @property
    def share(self) -> float:
        """Measured numbers as a share of the numbers in the image; it may exceed 1."""
        return self.measured / math.prod(self.image_shape)

    @property
    def visible(self) -> float:
        """Share of a measurement that depends on the image, from 0 to 1."""
        return self.measured / math.prod(self.measurement_shape)

    def data_term(self, weight: float = 1.0) -> Term:
        """Return the term that compares the prediction with the measurement.

        Args:
            weight: weight of the term, at least 0.

        Returns:
            The negative log-likelihood of the noise if that was asked for, else the misfit.

        Raises:
            ArgumentError: the likelihood of this noise cannot guide a solver.
        """
        if self.compare != "likelihood":
            return DataMisfit(weight)
        assert self.noise is not None  # see __post_init__
        return NegativeLogLikelihood(self.noise, weight)

    def without_likelihood(self, kept: str) -> tuple[str, ...]:
        """Return a note for a method that keeps its own data term.

        Args:
            kept: the term that the method keeps, in words.

        Returns:
            One note if the user asked for the likelihood, else none.
        """
        if self.compare != "likelihood":
            return ()
        return (f"this method keeps {kept} in place of the likelihood that was asked for",)

    def terms(self) -> list[Term]:
        """Return the loss of SPHInX: 1.0 · data term + 1.5 · LPIPS, if there is a network."""
        return self.data_and_perceptual(1.5)

    def data_and_perceptual(self, weight: float) -> list[Term]:
        """Return the data term, and LPIPS if there is a network.

        Args:
            weight: weight of LPIPS, at least 0.

        Returns:
            One term or two.
        """
        if self.network is None:
            return [self.data_term()]
        return [self.data_term(), PerceptualTerm(self.network, weight)]

    def perceptual_only(
        self, term: Callable[[PerceptualDistance], Term] | None = None
    ) -> tuple[list[Term], tuple[str, ...]]:
        """Return a perceptual term alone; without a network the data term takes its place.

        Args:
            term: makes the term of a network. None: LPIPS with weight 1.

        Returns:
            The terms, and the notes of the recipe, which say if the data term took the place.
        """
        if self.network is None:
            return [self.data_term()], (ON_DATA,)
        return [PerceptualTerm(self.network, 1.0) if term is None else term(self.network)], ()

    def optimiser(self, name: DescentName, learning_rate: float) -> Optimiser:
        """Return an optimiser by its name.

        Args:
            name: "adam" or "l-bfgs".
            learning_rate: the largest learning rate of Adam. L-BFGS ignores it.

        Returns:
            The optimiser.

        Raises:
            ArgumentError: L-BFGS does not suit the loss, or the learning rate is not positive.
        """
        return Adam(learning_rate) if name == "adam" else self.lbfgs()

    def lbfgs(self) -> Optimiser:
        """Return L-BFGS.

        Raises:
            ArgumentError: the loss changes from step to step, or has no exact gradient.
        """
        if self.stochastic:
            raise ArgumentError(
                "l-bfgs needs a loss that is the same at each step, but the stochastic data term "
                "is not; take adam or another data term"
            )
        if not self.smooth:
            raise ArgumentError(
                "l-bfgs needs the exact gradient of the loss, which does not exist for an operator "
                "that rounds; take adam"
            )
        return LBFGS()

    def one_stage(self, prior: Prior, optimiser: Optimiser, steps: int) -> Recipe:
        """Return a recipe of one stage, with the loss and the schedule of SPHInX.

        Args:
            prior: the prior, whose free variables move.
            optimiser: what moves them.
            steps: optimisation steps.

        Returns:
            The recipe.
        """
        return Recipe((Stage(prior, self.terms(), optimiser, cosine_trapezoid(), steps),))


@checked
@dataclass(frozen=True, kw_only=True)
class Setting(Problem):
    """A problem together with a generator, for the methods that search one.

    Args:
        generator: the generator, whose images have the shape of the problem.
    """

    generator: Generator

    def check_adaptation(self) -> None:
        """Check that the weights of the generator can move.

        Raises:
            ArgumentError: its features are rounded to bfloat16.
        """
        if self.generator.precision == "bf16":
            raise ArgumentError(
                "weights that move need float32, because bfloat16 rounds away what they learn; use "
                "--precision float32, or a method that keeps the weights, such as sphinx"
            )

    @cached_property
    def statistics(self) -> Statistics:
        """Moments of the generator's W: those stored beside its file, or else estimated now."""
        return statistics_for(self.generator)


Method: TypeAlias = Callable[..., Recipe]


def free_noise(noise_regulariser: float, noise_rate: float = 1.0) -> FreeNoise:
    """Return free noise maps B.

    Args:
        noise_regulariser: weight of the penalty on their autocorrelation, at least 0.
        noise_rate: their learning rate relative to the other variables, above 0.

    Raises:
        ArgumentError: a number is out of range; it is named as the option of a method.
    """
    if not noise_regulariser >= 0:
        raise ArgumentError(f"noise_regulariser must be at least 0, not {noise_regulariser}")
    if not noise_rate > 0:
        raise ArgumentError(f"noise_rate must be positive, not {noise_rate}")
    return FreeNoise(regulariser=noise_regulariser, lr_scale=noise_rate)
