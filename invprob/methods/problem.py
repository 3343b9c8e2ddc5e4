"""What a method is given (`Problem`, `Setting`), and what it returns (`Recipe`)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, TypeAlias

from invprob.errors import ArgumentError
from invprob.losses import DataMisfit, NegativeLogLikelihood, PerceptualTerm, Term
from invprob.measurements import Measurements
from invprob.methods.choices import Choices, DataTerm, DescentName
from invprob.operators.base import Operator
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
from invprob.solver.task import Initial, Stage, Task, allot
from invprob.types import Shape

Descent = Annotated[DescentName, "adam, or l-bfgs, which has no learning rate; for smooth losses"]
Rate = Annotated[float, "maximum learning rate of Adam"]
Steps = Annotated[int, "optimisation steps at full size; coarse to fine: half of them at each size"]
Floor = Annotated[float, "least standard deviation of W along an axis; 0: as published"]

ON_DATA = (
    "this method's own loss is perceptual, and no perceptual network serves here: it runs on the "
    "data term instead"
)


@dataclass(frozen=True)
class Problem:
    """What a method is made for: the shapes on both sides of the operator, noise, network."""

    image_shape: Shape
    measurement_shape: Shape
    network: PerceptualDistance | None = None  # for the loss; `make` leaves out one of no use
    noise: Noise | None = None
    compare: DataTerm = "misfit"
    observed: int | None = None  # how many measurements say something; None: all
    smooth: bool = True  # whether gradients are those of what is predicted

    @property
    def noisy(self) -> bool:
        """Whether the measurements are known to be noisy."""
        return self.noise is not None

    @property
    def sigma(self) -> float | None:
        """The standard deviation of Gaussian noise; None without noise, and for any other."""
        return self.noise.sigma if isinstance(self.noise, GaussianNoise) else None

    @property
    def stochastic(self) -> bool:
        """Whether fresh noise is added to the prediction at each step."""
        return self.compare == "stochastic"

    @property
    def measured(self) -> int:
        """How many numbers of the measurement depend on the image."""
        return math.prod(self.measurement_shape) if self.observed is None else self.observed

    @property
    def share(self) -> float:
        """How many numbers were measured for each of the image's."""
        return self.measured / math.prod(self.image_shape)

    @property
    def visible(self) -> float:
        """Which share of the measurement depends on the image."""
        return self.measured / math.prod(self.measurement_shape)

    def data_term(self, weight: float = 1.0) -> Term:
        """The misfit, or the likelihood where that was chosen."""
        if self.compare == "likelihood":
            assert self.noise is not None  # as `make` sees to
            return NegativeLogLikelihood(self.noise, weight)
        return DataMisfit(weight)

    def without_likelihood(self, kept: str) -> tuple[str, ...]:
        """A note for the recipe where a likelihood was chosen and the method keeps its own term."""
        if self.compare != "likelihood":
            return ()
        return (f"this method has {kept} in place of the likelihood that was asked for",)

    def terms(self) -> list[Term]:
        """1.0 · data term + 1.5 · LPIPS, the latter where a network serves."""
        terms = [self.data_term()]
        if self.network is not None:
            terms.append(PerceptualTerm(self.network))
        return terms

    def perceptual_only(
        self, term: Callable[[PerceptualDistance], Term] | None = None
    ) -> tuple[list[Term], tuple[str, ...]]:
        """A perceptual term alone (default: LPIPS of weight 1), or else the data term and a note.

        The note is for the recipe, which so says that it runs on something else.
        """
        if self.network is None:
            return [self.data_term()], (ON_DATA,)
        made = PerceptualTerm(self.network, 1.0) if term is None else term(self.network)
        return [made], ()

    def optimiser(self, name: DescentName, learning_rate: float) -> Optimiser:
        """Adam, or L-BFGS, which has no learning rate."""
        return Adam(learning_rate) if name == "adam" else self.lbfgs()

    def lbfgs(self) -> Optimiser:
        """L-BFGS; raises `ArgumentError` where the loss is not the same smooth one at each step."""
        if self.stochastic:
            raise ArgumentError(
                "l-bfgs needs a loss that is the same at each step, which the stochastic data term "
                "is not; take adam or another data term"
            )
        if not self.smooth:
            raise ArgumentError(
                "l-bfgs needs gradients that are those of the loss, which they are not of an "
                "operator that rounds; take adam"
            )
        return LBFGS()

    def one_stage(self, prior: Prior, optimiser: Optimiser, steps: int) -> "Recipe":
        """These terms and the cosine trapezoid, from beginning to end."""
        return Recipe((Stage(prior, self.terms(), optimiser, cosine_trapezoid(), steps),))


@dataclass(frozen=True, kw_only=True)
class Setting(Problem):
    """A problem together with a generator, for the methods that search one."""

    generator: Generator

    @cached_property
    def statistics(self) -> Statistics:
        """Moments of the generator's W: those that ship beside it, or drawn now."""
        return statistics_for(self.generator)


@dataclass(frozen=True)
class Recipe:
    """Everything a `Task` needs besides measurements and operator."""

    stages: tuple[Stage, ...]
    initial: Initial | None = None
    notes: tuple[str, ...] = ()  # what a user should know of what was built, a line each
    choices: Choices = field(default_factory=Choices)  # which `make` enters

    @property
    def steps(self) -> int:
        """The method's own number of steps."""
        return sum(stage.steps for stage in self.stages)

    @property
    def prior(self) -> Prior:
        """The prior of the last stage, which draws the solution."""
        return self.stages[-1].prior

    def task(
        self,
        measurements: Measurements,
        operator: Operator,
        *,
        steps: int | None = None,
        seed: int = 0,
        restarts: int = 1,
    ) -> Task:
        """What to solve; `steps` None takes the method's own, any other is split over stages."""
        stages = allot(self.stages, steps)
        return Task(measurements, operator, stages, seed, self.initial, restarts)


Method: TypeAlias = Callable[..., Recipe]


def free_noise(noise_regulariser: float, noise_rate: float = 1.0) -> FreeNoise:
    """Free noise maps B, or an `ArgumentError` that calls weight and rate as a method does."""
    if not noise_regulariser >= 0:
        raise ArgumentError(f"noise_regulariser must be at least 0, not {noise_regulariser}")
    if not noise_rate > 0:
        raise ArgumentError(f"noise_rate must be positive, not {noise_rate}")
    return FreeNoise(regulariser=noise_regulariser, lr_scale=noise_rate)


def in_stages(
    stages: Sequence[Stage],
    steps: int,
    *,
    initial: Initial | None = None,
    notes: Sequence[str] = (),
) -> Recipe:
    """A recipe of `steps` in all, split in the proportions of the stages' own numbers."""
    return Recipe(allot(stages, steps), initial=initial, notes=tuple(notes))
