"""Methods by their names: `make` returns a recipe, `restore` a solution."""

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from invprob.ambient import undisturbed
from invprob.callbacks import Callback
from invprob.calls import checked
from invprob.errors import ArgumentError
from invprob.losses import Term, check_stochastic, with_fresh_noise
from invprob.measurements import Measurements
from invprob.methods.choices import Asked, DataTerm, Init
from invprob.methods.coarse import coarse_to_fine
from invprob.methods.contest import hold, split_for, timed
from invprob.methods.encoder_start import EncoderStart
from invprob.methods.policy import TABLE, choose
from invprob.methods.problem import Problem, Setting
from invprob.methods.recipe import Recipe
from invprob.operators.base import Operator
from invprob.operators.noise import Noise
from invprob.options import AUTO, options_of
from invprob.perceptual.distance import PerceptualDistance
from invprob.priors.encoder_files import load_encoder
from invprob.priors.generator_files import load_generator
from invprob.priors.stylegan.generator import Generator
from invprob.progress import Progress
from invprob.registry import build, register, suggest
from invprob.schedules import Schedule
from invprob.solver.fit import check_image_shapes
from invprob.solver.restarts import solve_restarts
from invprob.solver.rule import Rule
from invprob.solver.solution import Solution
from invprob.solver.task import Initial
from invprob.types import Shape


@checked
@undisturbed()
def make(
    name: str,
    generator: Generator | None,
    image_shape: Shape,
    *,
    measurement_shape: Shape | None = None,
    observed: int | None = None,
    smooth: bool = True,
    linear: bool = True,
    unknown: Sequence[str] = (),
    perceptual: PerceptualDistance | None = None,
    noise: Noise | None = None,
    data_term: DataTerm = "misfit",
    init: Init = "default",
    coarse: int | None = None,
    may_stop: bool = False,
    terms: Sequence[Term] = (),
    schedule: Schedule | None = None,
    **options: Any,
) -> Recipe:
    """Return the recipe of a method.

    Options that are left open are chosen by `invprob.methods.policy`; `Recipe.choices` holds the
    choices and their reasons.

    Args:
        name: the registered name of the method.
        generator: the generator to search. None serves for a method that searches none.
        image_shape: shape of one image, (channels, height, width).
        measurement_shape: shape of one measurement. None: that of an image.
        observed: how many numbers of a measurement depend on the image (`Operator.measured`).
            None: all of them.
        smooth: whether the operator has exact gradients (`Operator.smooth`).
        linear: whether the operator is linear (`Operator.linear`).
        unknown: what of the detector's gain and offset is estimated with the image
            (`Units.unknown`).
        perceptual: the perceptual network. None: no perceptual term.
        noise: the noise in the measurements. None: no noise is known.
        data_term: how the prediction is compared with the measurement. "misfit" takes squared
            differences, "likelihood" the negative log-likelihood of the noise, and "stochastic"
            squared differences after fresh noise was added to the prediction.
        init: where the search begins. "default" is the start of the method, "encoder" the style
            rows that the generator's encoder finds in the measurements.
        coarse: size in pixels at which the search begins, a power of two from 8. It is doubled up
            to the size of the generator; that size itself begins there at once. None: the policy
            chooses.
        may_stop: whether a rule or a time limit may stop the run before its last step.
        terms: terms of the loss besides those of the method.
        schedule: the scale of the learning rate over each stage. None: that of the method.
        **options: options of the method, by name.

    Returns:
        The recipe.

    Raises:
        UnknownNameError: no method has that name.
        ArgumentError: an option is unknown or out of range, two of them contradict each other, or
            the data term needs to know the noise.
        EncoderError: the generator has no encoder, and one is needed.
        ShapeError: the generator draws images of another shape.
    """
    _check_words(init, data_term)
    _check_unknown(name, unknown)
    problem = Problem(
        tuple(image_shape),
        measurement_shape or image_shape,
        perceptual,
        noise,
        data_term,
        observed,
        smooth,
        linear and "gain" not in unknown,  # else what the detector makes of it is not
    )
    if data_term == "stochastic":
        check_stochastic(problem.measurement_shape)
    asked = _asked(name, options, coarse, init)
    choices = choose(
        problem,
        replace(asked, may_stop=may_stop, terms=bool(terms), schedule=schedule is not None),
    )
    if choices.perceptual != "available":
        problem = replace(problem, network=None)
    recipe: Recipe = build(
        "method",
        name,
        {
            **_given(problem, name, generator),
            **options,
            **{option: getattr(choices, option) for option in open_options(name)},
        },
    )
    if recipe.contest is not None:
        return replace(recipe, choices=choices)
    recipe = recipe.besides(terms) if terms else recipe
    recipe = recipe if schedule is None else recipe.scheduled(schedule)
    initial = recipe.initial
    if init == "encoder":
        if not needs_generator(name) or generator is None:
            raise ArgumentError(
                f"the method {name!r} searches no generator, so there is no encoder to find a "
                "start; use its own start (--init default)"
            )
        initial = _with_encoder(initial, generator)
    stages = recipe.stages
    if choices.coarse is not None and (generator is None or choices.coarse != generator.resolution):
        if initial is not None:
            raise ArgumentError(
                "coarse cannot be combined with a start that is found in the measurements, by an "
                "encoder or by the method; leave one out"
            )
        stages = coarse_to_fine(stages, choices.coarse)
    if data_term == "stochastic" and noise is not None:
        stages = tuple(replace(s, terms=with_fresh_noise(s.terms, noise)) for s in stages)
    return replace(recipe, stages=stages, initial=initial, choices=choices)


@checked
def needs_generator(name: str) -> bool:
    """Return whether a method searches a generator.

    Such a method has a parameter `setting`; one that does without has a parameter `problem`.

    Args:
        name: the registered name of the method.

    Raises:
        UnknownNameError: no method has that name.
    """
    return "setting" in inspect.signature(register.method[name]).parameters


@checked
def open_options(name: str) -> list[str]:
    """Return the names of the options that a method leaves to the policy (`registry.Auto`).

    Args:
        name: the registered name of the method.

    Raises:
        UnknownNameError: no method has that name.
    """
    return [option.name for option in options_of(register.method[name]) if option.auto]


@checked
@undisturbed()
def restore(
    measurements: Measurements,
    method: str = "sphinx-adapted",
    generator: Generator | str | Path = "faces-128",
    *,
    perceptual: PerceptualDistance | None = None,
    data_term: DataTerm = "misfit",
    init: Init = "default",
    coarse: int | None = None,
    steps: int | None = None,
    restarts: int = 1,
    seed: int = 0,
    terms: Sequence[Term] = (),
    schedule: Schedule | None = None,
    progress: bool = False,
    callbacks: Sequence[Callback] = (),
    options: Mapping[str, Any] | None = None,
) -> Solution:
    """Restore images from measurements with a named method.

    This is `make` and `solve_restarts` in one. With the method `auto` the candidates are solved
    first, each as the arguments say; `invprob.methods.contest` has the contest.

    Args:
        measurements: what was measured of the images.
        method: the registered name of the method.
        generator: a generator, its name or its file. A method that searches none ignores it.
        perceptual: the perceptual network. None: no perceptual term.
        data_term: "misfit", "likelihood" or "stochastic"; see `make`.
        init: "default" or "encoder"; see `make`.
        coarse: size in pixels at which the search begins; see `make`. If there is a `Rule` among
            the callbacks, None begins at the full size: a run that stops early would otherwise
            leave a coarse image.
        steps: optimisation steps, split over the stages of the method. None: its own number.
        restarts: how many seeds to solve from, at least 1. Each image keeps the solution that fits
            its measurements best.
        seed: the number from which every random draw derives, from 0 to 2**63 - 1.
        terms: terms of the loss besides those of the method.
        schedule: the scale of the learning rate over each stage, in place of the method's. It needs
            an optimiser that has a learning rate.
        progress: whether to show how far the solve is, as `Progress` does.
        callbacks: observers of the solve, and rules that stop it. Of `auto` they watch the solve
            from all measurements, and rules are refused.
        options: options of the method, by name.

    Returns:
        The solution: images of shape (batch, channels, height, width) in [-1, 1], and how they
        were found.

    Raises:
        UnknownNameError: no method or generator has that name.
        ArgumentError: an option is unknown or out of range, or two of them contradict each other.
        EncoderError: the generator has no encoder, and one is needed.
        ShapeError: the generator draws images of another shape than those that were measured.
        RunError: every candidate of `auto` failed.
    """
    network, ruled = None, any(isinstance(callback, Rule) for callback in callbacks)
    if needs_generator(method):
        network = generator if isinstance(generator, Generator) else load_generator(generator)
    operator = measurements.operator()
    watched = (*callbacks, Progress()) if progress else callbacks

    def recipe_of(name: str, given: Mapping[str, Any]) -> Recipe:
        searches = needs_generator(name)  # else there is nothing to begin coarsely or by an encoder
        return make(
            name,
            network,
            measurements.image_shape,
            measurement_shape=operator.measurement_shape,
            observed=operator.measured,
            smooth=operator.smooth,
            linear=operator.linear,
            unknown=measurements.units.unknown,
            perceptual=perceptual,
            noise=measurements.noise(),
            data_term=data_term,
            init=init if searches or name == method else "default",
            coarse=coarse if searches or name == method else None,
            may_stop=ruled,
            terms=terms,
            schedule=schedule,
            **given,
        )

    def solve(
        recipe: Recipe, known: Measurements, by: Operator, watchers: Sequence[Callback]
    ) -> Solution:
        task = recipe.task(known, by, steps=steps, seed=seed, restarts=restarts)
        return solve_restarts(task, callbacks=watchers)

    recipe = recipe_of(method, options or {})
    if recipe.contest is None:
        return solve(recipe, measurements, operator, watched)
    if ruled or terms or schedule is not None:
        raise ArgumentError(
            f"a rule, terms and a schedule are for one solve, and {method} solves by several "
            "methods; leave them out, or name one of its candidates as the method"
        )
    recipes = {one.method: recipe_of(one.method, {}) for one in recipe.contest.candidates}
    split = split_for(recipe.contest, measurements, operator, seed)
    decision = hold(
        recipe.contest.candidates,
        split.misfit,
        lambda name: timed(
            lambda: solve(
                recipes[name],
                split.seen,
                split.seen_operator,
                [Progress(f"trying {name}")] if progress else (),
            )
        ),
    )
    solution = decision.solution(
        {name: solve(recipes[name], measurements, operator, watched) for name in decision.members}
    )
    told = replace(solution.outcome, sentence=f"{solution.outcome}; {decision}")
    return replace(solution, outcome=told)


def _check_unknown(name: str, unknown: Sequence[str]) -> None:
    """Refuse methods that cannot tell the image from what is not known of the detector."""
    if list(unknown) == ["offset"] and name == "pinv":
        raise ArgumentError(
            "the pseudo-inverse needs to know the offset; take tv, or give the offset as a number"
        )
    if "gain" in unknown and (name == "auto" or not needs_generator(name)):
        tries = "tries methods that have" if name == "auto" else "has"
        raise ArgumentError(
            f"the method {name} {tries} no generator, and without one nothing tells the brightness "
            f"of the image from {' and '.join(unknown)}; take sphinx-adapted, sphinx or ilo, or "
            f"give {' and '.join(unknown)} as numbers"
        )


def _check_words(init: str, data_term: str) -> None:
    for name, word, known in (
        ("init", init, get_args(Init)),
        ("data_term", data_term, get_args(DataTerm)),
    ):
        if word not in known:
            raise ArgumentError(
                f"{name} must be {' or '.join(known)}, got {word!r}.{suggest(word, known)}"
            )


def _asked(name: str, options: Mapping[str, Any], coarse: int | None, init: Init) -> Asked:
    """What a user asked for, by the options of a method and the settings of a run."""
    for option in open_options(name):
        if option not in TABLE:
            raise ArgumentError(
                f"the method {name!r} leaves its option {option!r} to the policy, which has no "
                f"rule for it; give the option a default. Known: {', '.join(TABLE)}."
            )
    defaults = {option.name: option.default for option in options_of(register.method[name])}
    return Asked(
        **{option: options.get(option, AUTO) for option in open_options(name)},
        coarse=AUTO if coarse is None else coarse,
        learning_rate=options.get("learning_rate"),
        readout=options.get("readout", defaults.get("readout")),
        init=init,
    )


def _given(problem: Problem, name: str, generator: Generator | None) -> dict[str, Problem]:
    """The argument of a method: the problem, or a setting with the generator."""
    if not needs_generator(name):
        return {"problem": problem}
    if generator is None:
        raise ArgumentError(f"the method {name!r} searches a generator, and none was given")
    check_image_shapes(
        tuple(generator.image_shape), problem.image_shape, "generator", generator.source
    )
    fields = {item.name: getattr(problem, item.name) for item in dataclasses.fields(problem)}
    return {"setting": Setting(**fields, generator=generator)}


def _with_encoder(initial: Initial | None, generator: Generator) -> Initial:
    """A start at the style rows of the encoder, and at what the method finds besides."""
    rows = EncoderStart(load_encoder(generator, "toolkit"))
    if initial is None:
        return rows
    return lambda measurements, operator: {
        **rows(measurements, operator),
        **initial(measurements, operator),
    }
