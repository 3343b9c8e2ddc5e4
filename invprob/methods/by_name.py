"""From the name of a method to a recipe (`make`), and on to a solution (`restore`)."""

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from invprob.callbacks import Callback
from invprob.errors import ArgumentError, ShapeError
from invprob.losses import check_stochastic, with_fresh_noise
from invprob.measurements import Measurements
from invprob.methods.choices import Asked, DataTerm, Init
from invprob.methods.coarse import coarse_to_fine
from invprob.methods.encoder_start import EncoderStart
from invprob.methods.policy import TABLE, choose
from invprob.methods.problem import Problem, Recipe, Setting
from invprob.operators.noise import Noise
from invprob.perceptual.distance import PerceptualDistance
from invprob.priors.encoder_files import load_encoder
from invprob.priors.generator_files import load_generator
from invprob.priors.stylegan.generator import Generator
from invprob.registry import AUTO, build, options_of, register, suggest
from invprob.solver.restarts import solve_restarts
from invprob.solver.rule import Rule
from invprob.solver.solution import Solution
from invprob.solver.task import Initial
from invprob.types import Shape


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
    may_stop: bool = False,
    **options: Any,
) -> Recipe:
    """Build the recipe of a named method.

    What is left open is chosen by `invprob.methods.policy`; `Recipe.choices` says what and why.

    Args:
        name: The registered name of the method.
        generator: The generator to search. None serves for a method that searches none.
        image_shape: Shape of one image, (channels, height, width).
        measurement_shape: Shape of one measurement. None: that of an image.
        observed: How many numbers of a measurement depend on the image (`Operator.observed`).
            None: all of them.
        smooth: Whether gradients are exact (`Operator.smooth`).
        perceptual: The perceptual network. None: no perceptual term.
        noise: The noise in the measurements, where it is known.
        data_term: How the prediction is compared with the measurement. "misfit": by squares.
            "likelihood": by that of the noise. "stochastic": by squares, after fresh noise was
            added to the prediction.
        init: Where the search begins. "default": at the start of the method. "encoder": at the
            style rows that the encoder of the generator finds in the measurements.
        coarse: The size in pixels at which the search begins; it is doubled up to the size of the
            generator. That size itself: at once. None: the policy chooses.
        may_stop: Whether a rule or a time limit may stop the run before its last step.
        **options: Options of the method, by name.

    Returns:
        The recipe.

    Raises:
        UnknownNameError: There is no method of that name.
        ArgumentError: An option is unknown or out of range, two of them contradict each other, or
            the data term needs to know the noise.
        EncoderError: The generator has no encoder.
        ShapeError: The generator draws images of another shape.
    """
    _check_words(init, data_term)
    if data_term != "misfit" and noise is None:
        raise ArgumentError(
            f"the data term {data_term!r} needs to know the noise, and these measurements name "
            "none; name it when measuring (--noise), or use the misfit (--data-term misfit)"
        )
    measured = measurement_shape or image_shape
    if data_term == "stochastic":
        check_stochastic(measured)
    problem = Problem(tuple(image_shape), measured, perceptual, noise, data_term, observed, smooth)
    choices = choose(problem, _asked(name, options, coarse, init, may_stop))
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
    initial = recipe.initial
    if init == "encoder":
        if not needs_generator(name) or generator is None:
            raise ArgumentError(
                f"the method {name!r} searches no generator, so no encoder finds its start; take "
                "the default one (--init default)"
            )
        initial = _with_encoder(initial, generator)
    stages = recipe.stages
    if choices.coarse is not None and (generator is None or choices.coarse != generator.resolution):
        if initial is not None:
            raise ArgumentError(
                "coarse begins where the method does by itself, not where an encoder or another "
                "search would have it; leave one out"
            )
        stages = coarse_to_fine(stages, choices.coarse)
    if data_term == "stochastic" and noise is not None:
        stages = tuple(replace(s, terms=with_fresh_noise(s.terms, noise)) for s in stages)
    return replace(recipe, stages=stages, initial=initial, choices=choices)


def needs_generator(name: str) -> bool:
    """Whether the method of that name searches a generator: it asks for a `setting`.

    One that asks for a `problem` does without. Raises `UnknownNameError`.
    """
    return "setting" in inspect.signature(register.method[name]).parameters


def open_options(name: str) -> list[str]:
    """Names of the options that the method of that name leaves to the policy (`registry.Auto`).

    Raises `UnknownNameError`.
    """
    return [option.name for option in options_of(register.method[name]) if option.auto]


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

    Args:
        measurements: What was measured.
        method: The registered name of the method.
        generator: A generator, its name, or its file. A method that searches none ignores it.
        perceptual: The perceptual network. None: no perceptual term.
        data_term: "misfit", "likelihood" or "stochastic"; see `make`.
        init: "default" or "encoder"; see `make`.
        coarse: The size in pixels at which the search begins; see `make`. With a `Rule` among the
            callbacks the policy begins at the full size, because a run that stops early would leave
            a coarse image.
        steps: Optimisation steps, split over the stages of the method. None: its own number.
        restarts: How many seeds to solve from. Each image keeps the solution that fits its
            measurements best.
        seed: What every random draw derives from.
        callbacks: Observers of the solve.
        options: Options of the method, by name.

    Returns:
        The solution.

    Raises:
        UnknownNameError: There is no method or generator of that name.
        ArgumentError: An option is unknown or out of range, or two of them contradict each other.
        EncoderError: The generator has no encoder, and `init` or the method needs one.
        ShapeError: The generator draws images of another shape than those measured.
    """
    network = None
    if needs_generator(method):
        network = generator if isinstance(generator, Generator) else load_generator(generator)
    operator = measurements.operator()
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
        may_stop=any(isinstance(callback, Rule) for callback in callbacks),
        **(options or {}),
    )
    task = recipe.task(measurements, operator, steps=steps, seed=seed, restarts=restarts)
    return solve_restarts(task, callbacks=callbacks)


def _check_words(init: str, data_term: str) -> None:
    for name, word, known in (
        ("init", init, get_args(Init)),
        ("data_term", data_term, get_args(DataTerm)),
    ):
        if word not in known:
            raise ArgumentError(
                f"{name} must be {' or '.join(known)}, got {word!r}.{suggest(word, known)}"
            )


def _asked(
    name: str, options: Mapping[str, Any], coarse: int | None, init: Init, may_stop: bool
) -> Asked:
    """What the options of a method and the settings of a run leave to the policy."""
    open_ones = open_options(name)
    unknown = [option for option in open_ones if option not in TABLE]
    if unknown:
        raise ArgumentError(
            f"the method {name!r} leaves {unknown[0]!r} open, for which invprob.methods.policy has "
            f"no rule; give it a default. Known: {', '.join(TABLE)}."
        )
    defaults = {option.name: option.default for option in options_of(register.method[name])}
    return Asked(
        **{option: options.get(option, AUTO) for option in open_ones},
        coarse=AUTO if coarse is None else coarse,
        learning_rate=options.get("learning_rate"),
        readout=options.get("readout", defaults.get("readout")),
        init=init,
        may_stop=may_stop,
    )


def _given(problem: Problem, name: str, generator: Generator | None) -> dict[str, Problem]:
    """The argument of a method: the problem, or with the generator a setting."""
    if not needs_generator(name):
        return {"problem": problem}
    if generator is None:
        raise ArgumentError(f"the method {name!r} searches a generator: give one")
    if tuple(generator.image_shape) != problem.image_shape:
        raise ShapeError(
            f"the generator {generator.source} draws {generator.image_shape}, but the measurements "
            f"are of images of shape {problem.image_shape}; measure at the generator's size"
        )
    fields = {item.name: getattr(problem, item.name) for item in dataclasses.fields(problem)}
    return {"setting": Setting(**fields, generator=generator)}


def _with_encoder(initial: Initial | None, generator: Generator) -> Initial:
    """Style rows that the toolkit encoder finds, and what the method's own start finds besides."""
    rows = EncoderStart(load_encoder(generator, "toolkit"))
    if initial is None:
        return rows
    return lambda measurements, operator: {
        **rows(measurements, operator),
        **initial(measurements, operator),
    }
