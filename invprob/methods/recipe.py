"""What a method makes and of what: setting, recipe, and the way from a name to a solution."""

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from invprob.callbacks import Callback
from invprob.errors import ArgumentError, ShapeError
from invprob.losses import (
    DataMisfit,
    NegativeLogLikelihood,
    PerceptualTerm,
    Term,
    check_stochastic,
    is_image,
    with_fresh_noise,
)
from invprob.measurements import Measurements
from invprob.methods.coarse import coarse_to_fine
from invprob.methods.encoder_start import EncoderStart
from invprob.operators.base import Operator
from invprob.operators.noise import GaussianNoise, Noise
from invprob.perceptual.distance import PerceptualDistance
from invprob.priors.base import Prior
from invprob.priors.encoder_files import load_encoder
from invprob.priors.generator_files import load_generator
from invprob.priors.parts import FreeNoise
from invprob.priors.stylegan.extras import statistics_for
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.statistics import Statistics
from invprob.registry import build, register, suggest
from invprob.schedules import cosine_trapezoid
from invprob.solver.lbfgs import LBFGS
from invprob.solver.optimisers import Adam, Optimiser
from invprob.solver.restarts import solve_restarts
from invprob.solver.solution import Solution
from invprob.solver.stopping import Rule
from invprob.solver.task import Initial, Stage, Task, allot
from invprob.types import Shape


@dataclass(frozen=True)
class Problem:
    """What a method is made for: shapes on both sides of the operator, noise, network."""

    image_shape: Shape
    measurement_shape: Shape
    perceptual: PerceptualDistance | None = None
    noisy: bool = False
    likelihood: Noise | None = None
    renoise: Noise | None = None
    sigma: float | None = None  # of Gaussian noise
    observed: int | None = None  # how many measurements say something; None: all
    smooth: bool = True  # whether gradients are those of what is predicted

    @property
    def share(self) -> float:
        """How many numbers were measured for each of the image's."""
        measured = math.prod(self.measurement_shape) if self.observed is None else self.observed
        return measured / math.prod(self.image_shape)

    @property
    def few(self) -> bool:
        """Whether fewer numbers were measured than half the image's, in which much is hidden."""
        return self.share < ENOUGH

    @property
    def determined(self) -> bool:
        """Whether data are many and without noise, so that fitting them to the last helps."""
        return not self.few and not self.noisy

    @property
    def network(self) -> PerceptualDistance | None:
        """The perceptual network, where it compares image with like image.

        Compared with a noisy image, LPIPS would ask a clean one for the noise as well; and of one
        that is mostly hidden it sees the edges of what is not.
        """
        alike = self.renoise is not None or not self.noisy
        seen = self.observed is None or self.observed >= ENOUGH * math.prod(self.measurement_shape)
        return self.perceptual if is_image(self.measurement_shape) and alike and seen else None

    def data_term(self, weight: float = 1.0) -> Term:
        """The misfit, or the likelihood where that was chosen."""
        if self.likelihood is None:
            return DataMisfit(weight)
        return NegativeLogLikelihood(self.likelihood, weight)

    def without_likelihood(self, kept: str) -> tuple[str, ...]:
        """A note for the recipe where a likelihood was chosen and the method keeps its own term."""
        if self.likelihood is None:
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

    @property
    def steady(self) -> bool:
        """Whether the loss is the same smooth function at each step, as L-BFGS needs it."""
        return self.smooth and self.renoise is None

    def optimiser(self, name: "Descent", learning_rate: float) -> Optimiser:
        """Adam, or L-BFGS, which has no learning rate."""
        return Adam(learning_rate) if name == "adam" else self.lbfgs()

    def lbfgs(self) -> Optimiser:
        """L-BFGS; raises `ArgumentError` where the loss is not `steady`."""
        if self.renoise is not None:
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
    coarse: int | None = None  # pixels a side to begin with (a method: unless told otherwise)

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


ON_DATA = (
    "this method's own loss is perceptual, and no perceptual network serves here: it runs on the "
    "data term instead"
)

# Below this many measurements an image element free noise maps that Adam moves spoil the image.
ENOUGH = 0.5

Rate = Annotated[float, "maximum learning rate of Adam"]
Descent = Annotated[
    Literal["adam", "l-bfgs"], "adam, or l-bfgs, which has no learning rate; for smooth losses"
]
Steps = Annotated[int, "optimisation steps"]
Floor = Annotated[float, "least standard deviation of W along an axis; 0: as published"]


def free_noise(noise_regulariser: float, noise_rate: float = 1.0) -> FreeNoise:
    """Free noise maps B, or an `ArgumentError` that calls weight and rate as a method does."""
    if not noise_regulariser >= 0:
        raise ArgumentError(f"noise_regulariser must be at least 0, not {noise_regulariser}")
    if not noise_rate > 0:
        raise ArgumentError(f"noise_rate must be positive, not {noise_rate}")
    return FreeNoise(regulariser=noise_regulariser, lr_scale=noise_rate)


Method: TypeAlias = Callable[..., Recipe]
DataTerm: TypeAlias = Literal["misfit", "likelihood", "stochastic"]
DATA_TERMS = ("misfit", "likelihood", "stochastic")
Init: TypeAlias = Literal["default", "encoder"]
INITS = ("default", "encoder")


def make(
    name: str,
    generator: Generator | None,
    image_shape: Shape,
    *,
    measurement_shape: Shape | None = None,
    observed: int | None = None,
    smooth: bool = True,
    perceptual: PerceptualDistance | None = None,
    noise: Noise | None = None,
    data_term: DataTerm = "misfit",
    init: Init = "default",
    coarse: int | None = None,
    **options: Any,
) -> Recipe:
    """Build the recipe of a named method; `options` are the method's keyword parameters.

    `generator` may be None for a method that does without (`needs_generator`).
    `measurement_shape` None means that of the image, `observed` (`Operator.observed`) None that
    every element of it says something; `smooth` is `Operator.smooth`, `noise` what the measurements
    hold, which fitting them exactly would fit as well. `data_term` is the squared "misfit", the
    noise's "likelihood", or the "stochastic" form, the misfit of a prediction that gets fresh noise
    at each step (SPHInX). `init` is the method's "default" start, or the style rows that an
    "encoder" finds in the measurements. `coarse` is the size, in pixels a side, to begin with
    (`coarse_to_fine`); None leaves it to the method, the generator's own size begins and ends
    there.
    Raises `UnknownNameError` for the name, `ArgumentError` for an option or a data term without the
    noise it needs, `EncoderError` where the generator has no encoder, `ShapeError` where it draws
    another size.
    """
    if init not in INITS:
        raise ArgumentError(
            f"init must be {' or '.join(INITS)}, got {init!r}.{suggest(init, INITS)}"
        )
    if data_term not in DATA_TERMS:
        raise ArgumentError(
            f"data_term must be {', '.join(DATA_TERMS)}, got {data_term!r}."
            f"{suggest(data_term, DATA_TERMS)}"
        )
    if data_term != "misfit" and noise is None:
        raise ArgumentError(
            f"the data term {data_term!r} needs to know the noise, and these measurements name "
            "none; name it when measuring (--noise), or use the misfit (--data-term misfit)"
        )
    measured = measurement_shape or image_shape
    if data_term == "stochastic":
        check_stochastic(measured)
    problem = Problem(
        tuple(image_shape),
        measured,
        perceptual,
        noisy=noise is not None,
        likelihood=noise if data_term == "likelihood" else None,
        renoise=noise if data_term == "stochastic" else None,
        sigma=noise.sigma if isinstance(noise, GaussianNoise) else None,
        observed=observed,
        smooth=smooth,
    )
    given: dict[str, Problem] = {"problem": problem}
    if needs_generator(name):
        given = {"setting": _with_generator(problem, name, generator)}
    recipe: Recipe = build("method", name, {**given, **options})
    initial = recipe.initial
    if init == "encoder":
        if not needs_generator(name) or generator is None:
            raise ArgumentError(
                f"the method {name!r} searches no generator, so no encoder finds its start; take "
                "the default one (--init default)"
            )
        initial = _with_encoder(initial, generator)
    full = None if generator is None else generator.resolution
    if coarse not in (None, full) and initial is not None:
        raise ArgumentError(
            "coarse begins where the method does by itself, not where an encoder or another search "
            "would have it; leave one out"
        )
    size = recipe.coarse if coarse is None and initial is None else coarse
    stages = recipe.stages
    if size is not None and size != full:
        stages = coarse_to_fine(stages, size)
    if data_term == "stochastic" and noise is not None:
        stages = tuple(replace(s, terms=with_fresh_noise(s.terms, noise)) for s in stages)
    return replace(recipe, stages=stages, initial=initial, coarse=size)


def needs_generator(name: str) -> bool:
    """Whether the method of that name searches a generator: it asks for a `setting`.

    One that asks for a `problem` does without. Raises `UnknownNameError`.
    """
    return "setting" in inspect.signature(register.method[name]).parameters


def _with_generator(problem: Problem, name: str, generator: Generator | None) -> Setting:
    if generator is None:
        raise ArgumentError(f"the method {name!r} searches a generator: give one")
    if tuple(generator.image_shape) != problem.image_shape:
        raise ShapeError(
            f"the generator {generator.source} draws {generator.image_shape}, but the measurements "
            f"are of images of shape {problem.image_shape}; measure at the generator's size"
        )
    fields = {item.name: getattr(problem, item.name) for item in dataclasses.fields(problem)}
    return Setting(**fields, generator=generator)


def restore(
    measurements: Measurements,
    method: str = "sphinx",
    generator: Generator | str | Path = "faces-128",
    *,
    perceptual: PerceptualDistance | None = None,
    data_term: DataTerm = "misfit",
    init: Init = "default",
    coarse: int | None = None,
    steps: int | None = None,
    restarts: int = 1,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    options: Mapping[str, Any] | None = None,
) -> Solution:
    """Restore images from measurements with a named method: `make` and `solve_restarts` in one.

    `steps` None takes the method's own number, any other is split over its stages; `options` are
    the method's. A method that does without a generator passes over the one that is given. With a
    `Rule` among the callbacks it begins at the full size unless told otherwise: stopped before, it
    would leave a coarse image.
    """
    network = None
    if needs_generator(method):
        network = generator if isinstance(generator, Generator) else load_generator(generator)
    operator = measurements.operator()
    if coarse is None and network is not None and any(isinstance(c, Rule) for c in callbacks):
        coarse = network.resolution
    recipe = make(
        method,
        network,
        measurements.image_shape,
        measurement_shape=operator.measurement_shape,
        observed=operator.observed,
        smooth=operator.smooth,
        perceptual=perceptual,
        noise=measurements.noise(),
        data_term=data_term,
        init=init,
        coarse=coarse,
        **(options or {}),
    )
    task = recipe.task(measurements, operator, steps=steps, seed=seed, restarts=restarts)
    return solve_restarts(task, callbacks=callbacks)


def in_stages(
    stages: Sequence[Stage],
    steps: int,
    *,
    initial: Initial | None = None,
    notes: Sequence[str] = (),
) -> Recipe:
    """A recipe of `steps` in all, split in the proportions of the stages' own numbers."""
    return Recipe(allot(stages, steps), initial=initial, notes=tuple(notes))


def _with_encoder(initial: Initial | None, generator: Generator) -> Initial:
    """Style rows that the toolkit encoder finds, and what the method's own start finds besides."""
    rows = EncoderStart(load_encoder(generator, "toolkit"))
    if initial is None:
        return rows
    return lambda measurements, operator: {
        **rows(measurements, operator),
        **initial(measurements, operator),
    }
