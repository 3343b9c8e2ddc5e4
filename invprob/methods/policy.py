"""Every choice that invprob makes for the user, in one table.

`TABLE` lists, for each choice, the values that it can take. The first row whose condition holds
decides, and its words are the reason that a run prints and records (`choices.json`). A value that
the user gave always wins. `examples/SETTINGS.md` has the measurements behind the thresholds.
"""

import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from invprob.calls import checked
from invprob.losses import is_image
from invprob.methods.adaptation import ADAPTATION
from invprob.methods.choices import ASKED, Asked, Choices
from invprob.methods.decision import Case, Row, measured, otherwise, percent, sigma
from invprob.methods.problem import Problem
from invprob.options import AUTO, options_of
from invprob.priors.stylegan.shapes import SIZES

F = TypeVar("F", bound=Callable[..., Any])
WIDTH = 100  # of lines in docstrings

# Measured numbers as a share of the numbers in the image.
LBFGS_SHARE = 0.2  # from here on L-BFGS beats Adam with coarse to fine, and determines P_c and B
ADAM_SHARE = 0.5  # below this, P_c and B that Adam moves spoil the image
# Numbers of a measurement that depend on the image, as a share of all its numbers.
VISIBLE_SHARE = 0.5  # below this, LPIPS compares the edges of what is hidden
# Standard deviation of Gaussian noise.
SLIGHT_SIGMA = 0.05  # up to here, P_c and B gain more than fitting the noise costs

# Learning rate of the noise maps of `w-plus-s-b`, relative to the other variables.
FAST_NOISE, SLOW_NOISE = 10.0, 1.0

# Weight λ of total variation in ||A x - y||² / n + λ TV(x).
TV_CLEAN = 0.005
TV_PER_SIGMA = 1.8
TV_USUAL_SIGMA = 0.1  # stands for noise that is not Gaussian

# λ of TV(x) + ||A x - y||² / (2 λ), TV joint over the channels, for each unit of sigma. Of five
# pictures denoised at sigma 0.05 to 1, each is within 0.7 dB of its best λ (`--fidelity`).
TV_FIDELITY = 1.35

# λ of ||A x - y||² + λ ||∇x||² for each unit of sigma: of 5, 10, 20 and 40 times
# sigma², the best for four pictures at sigma 0.05 to 1 lie near this line (`--smoothness`).
SMOOTHNESS = 9.0


@checked
def choose(problem: Problem, asked: Asked) -> Choices:
    """Make every choice that was left open, each by the first row of `TABLE` that holds.

    Args:
        problem: what is to be solved.
        asked: what the user asked for; a value given there is taken as it is.

    Returns:
        For each choice that the method has, a value and a reason.
    """
    made: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for name, rows in TABLE.items():
        made[name] = getattr(asked, name)
        if made[name] == AUTO:
            case = Case(problem, asked, made)
            row = next(row for row in rows if row.when(case))
            made[name], reasons[name] = row.chosen(case), row.reason(case)
        elif made[name] is not None:
            reasons[name] = ASKED
    return Choices(**made, reasons=reasons)


def explanation(*names: str) -> str:
    """Return the rows of some choices as a list in Markdown.

    Args:
        names: the choices, such as "optimiser". Without one: all.

    Returns:
        A line for each choice, and below it a line for each of its rows. Choices that are made for
        the same reasons are listed together.
    """
    together: dict[tuple[str, ...], list[str]] = {}
    for name in TABLE:
        if name in names or not names:
            together.setdefault(tuple(row.because for row in TABLE[name]), []).append(name)
    lines = []
    for reasons, alike in together.items():
        lines.append("- " + " and ".join(f"`{name}`" for name in alike))
        values = zip(*([row.shown for row in TABLE[name]] for name in alike), strict=True)
        for made, because in zip(values, reasons, strict=True):
            lines += textwrap.wrap(
                f"{' and '.join(made)}: {because}",
                WIDTH,
                initial_indent="  - ",
                subsequent_indent="    ",
            )
    return "\n".join(lines)


def explains_choices(method: F) -> F:
    """Add to the docstring of a method what becomes of the options that it leaves open."""
    names = [option.name for option in options_of(method) if option.auto]
    if "content" in names or "weights" in names:
        names.append("coarse")
    method.__doc__ = f"""{inspect.cleandoc(method.__doc__ or "")}

What "auto" becomes, by the first line that holds (`invprob/methods/policy.py`); a run writes its
choices and their reasons into `choices.json`:

{explanation(*names)}
"""
    return method


def part(fixed: str, free: str) -> tuple[Row, ...]:
    """Return the rows of P_c and of B, which are free under the same conditions."""
    return (
        Row(
            fixed,
            lambda c: c.problem.stochastic,
            "the stochastic data term is for noise that must not be fitted",
        ),
        Row(
            fixed,
            lambda c: c.problem.noisy and c.problem.sigma is None,
            "the noise is not Gaussian, and fitting it could cost more than free content and noise "
            "maps gain",
        ),
        Row(
            fixed,
            lambda c: c.problem.sigma is not None and c.problem.sigma > SLIGHT_SIGMA,
            f"the noise is stronger than a sigma of {SLIGHT_SIGMA}, and fitting it would cost more "
            "than free content and noise maps gain",
            sigma,
        ),
        Row(
            fixed,
            lambda c: c.lbfgs and c.share < LBFGS_SHARE,
            f"L-BFGS needs {percent(LBFGS_SHARE)} of the image to determine content and noise "
            "maps, and less was measured",
            measured,
        ),
        Row(
            fixed,
            lambda c: not c.lbfgs and c.share < ADAM_SHARE,
            f"Adam needs {percent(ADAM_SHARE)} of the image to determine content and noise "
            "maps, and less was measured",
            measured,
        ),
        Row(
            free,
            otherwise,
            "enough of the image was measured to determine content and noise maps",
            measured,
        ),
    )


def per_sigma(factor: float) -> tuple[Row, ...]:
    """Return the rows of a λ that is a multiple of the noise's sigma."""
    return (
        Row(0.0, lambda c: not c.problem.noisy, "no noise is known: A x = y is met exactly"),
        Row(
            factor * TV_USUAL_SIGMA,
            lambda c: c.problem.sigma is None,
            f"the noise is not Gaussian, and is taken for a sigma of {TV_USUAL_SIGMA}",
        ),
        Row(
            lambda c: factor * (c.problem.sigma or 0.0),
            otherwise,
            "λ grows with the sigma of the noise",
            sigma,
            f"{factor:g} · sigma",
        ),
    )


def tv_weight(deviation: float, case: Case) -> float:
    """Return λ for noise of a standard deviation.

    The negative log-likelihood is the misfit divided by 2 sigma², and so is its λ.
    """
    weight = max(TV_CLEAN, TV_PER_SIGMA * deviation)
    return weight if case.problem.compare != "likelihood" else weight / (2 * deviation**2)


TABLE: Mapping[str, tuple[Row, ...]] = {
    "perceptual": (
        Row(
            None,
            lambda c: c.problem.network is None,
            "there is no perceptual network",
        ),
        Row(
            "scores only",
            lambda c: not is_image(c.problem.measurement_shape),
            "the measurement is not a colour image of 32 pixels or more",
        ),
        Row(
            "scores only",
            lambda c: c.problem.noisy and not c.problem.stochastic,
            "the measurement is noisy, and LPIPS would ask the image for the noise as well",
        ),
        Row(
            "scores only",
            lambda c: c.problem.visible < VISIBLE_SHARE,
            f"less than {percent(VISIBLE_SHARE)} of the measurement is visible, and LPIPS would "
            "compare the edges of what is hidden",
            lambda c: percent(c.problem.visible),
        ),
        Row(
            "available", otherwise, "the prediction and the measurement are images of the same kind"
        ),
    ),
    "optimiser": (
        Row(
            "adam",
            lambda c: not c.problem.smooth,
            "the operator rounds, and L-BFGS needs the exact gradient of the loss",
        ),
        Row(
            "adam",
            lambda c: c.problem.stochastic,
            "the stochastic data term changes at every step, and L-BFGS needs a fixed loss",
        ),
        Row(
            "adam",
            lambda c: c.asked.learning_rate is not None,
            "a learning rate was given, and L-BFGS has none",
        ),
        Row(
            "adam",
            lambda c: c.asked.schedule,
            "a schedule was given, and L-BFGS has no learning rate that it could scale",
        ),
        Row(
            "adam",
            lambda c: c.asked.readout not in (None, "mean_w"),
            "another readout than mean_w was given, and L-BFGS keeps the heads' first draws",
        ),
        Row(
            "adam",
            lambda c: c.share < LBFGS_SHARE,
            f"less than {percent(LBFGS_SHARE)} of the image was measured",
            measured,
        ),
        Row(
            "l-bfgs",
            otherwise,
            f"at least {percent(LBFGS_SHARE)} of the image was measured, and neither the operator "
            "nor an option calls for Adam",
            measured,
        ),
    ),
    "content": part("constant", "head"),
    "noise_maps": part("stored", "free"),
    "noise_rate": (
        Row(SLOW_NOISE, lambda c: c.problem.noisy, "the measurement is noisy"),
        Row(
            SLOW_NOISE,
            lambda c: c.share < ADAM_SHARE,
            f"less than {percent(ADAM_SHARE)} of the image was measured",
            measured,
        ),
        Row(
            FAST_NOISE,
            otherwise,
            f"the measurement is not noisy, and at least {percent(ADAM_SHARE)} of the image was "
            "measured",
            measured,
        ),
    ),
    "weight": (
        Row(TV_CLEAN, lambda c: not c.problem.noisy, "no noise is known"),
        Row(
            lambda c: tv_weight(TV_USUAL_SIGMA, c),
            lambda c: c.problem.sigma is None,
            f"the noise is not Gaussian, and is taken for a sigma of {TV_USUAL_SIGMA}",
            label="as for that sigma",
        ),
        Row(
            lambda c: tv_weight(c.problem.sigma or 0.0, c),
            otherwise,
            "the weight grows with the sigma of the noise",
            sigma,
            f"{TV_PER_SIGMA} · sigma, at least {TV_CLEAN}",
        ),
    ),
    "fidelity": per_sigma(TV_FIDELITY),
    "smoothness": per_sigma(SMOOTHNESS),
    **ADAPTATION,
    "coarse": (
        Row(
            None,
            lambda c: c.asked.weights is None and not c.asked.content == c.asked.noise_maps == AUTO,
            "the content or the noise maps are not left to invprob",
        ),
        Row(None, lambda c: c.lbfgs, "L-BFGS does better at the full size from the beginning"),
        Row(
            None,
            lambda c: c.asked.weights is None and c.share >= ADAM_SHARE,
            f"at least {percent(ADAM_SHARE)} of the image was measured",
            measured,
        ),
        Row(
            None, lambda c: c.asked.init == "encoder", "the encoder finds a start at the full size"
        ),
        Row(
            None,
            lambda c: c.asked.may_stop,
            "the run may stop early, and would leave a coarse image",
        ),
        Row(
            None,
            lambda c: c.quarter < SIZES[0],
            f"a quarter of the size is below {SIZES[0]} pixels, the smallest size of a generator",
        ),
        Row(
            lambda c: c.quarter,
            lambda c: c.asked.weights is not None,
            "the weights adapt later, and end better from a search that began coarsely",
            label="a quarter of the size",
        ),
        Row(
            lambda c: c.quarter,
            otherwise,
            f"Adam searches, and less than {percent(ADAM_SHARE)} of the image was measured",
            measured,
            "a quarter of the size",
        ),
    ),
}
