"""The choices of `sphinx-adapted`: whether its weights move, and how its stages are weighted.

`examples/SETTINGS.md` has the measurements behind the numbers.
"""

from collections.abc import Mapping

from invprob.methods.decision import Case, Row, measured, otherwise, percent, sigma

WEIGHT_RATE = 0.003  # relative to the root mean square of a tensor
SLOW_WEIGHT_RATE = 0.001

# Measured numbers as a share of the numbers in the image. Each border lies between two measured
# shares, of which one is better served on its own side.
GUESSED_SHARE = 0.015  # below, the generator guesses; fast weights fit anything
FEW_SHARE = 0.04  # below, texture is mostly invented
MANY_SHARE = 0.15  # from here on, the measurements say more of an edge than the generator

VARIATION = 0.001  # weight of total variation beside the data term; more spoils blurs and holes
FEW_VARIATION = 0.03
# The misfit is the negative log-likelihood times 2 sigma²; a regulariser grows with that factor.
VARIATION_PER_VARIANCE = 1.5

HEAVY_SIGMA = 0.07  # of noise that hides edges
# α of the last stage: the part of the generator's edges in what is minimised.
TRUSTED, USUAL, DOUBTED = 0.5, 0.42, 0.35


def few(case: Case) -> bool:
    """Return whether texture would mostly be invented."""
    return case.share < FEW_SHARE


def variation(case: Case) -> float:
    """Return the weight of total variation for the noise of a case."""
    least = FEW_VARIATION if few(case) else VARIATION
    return max(least, VARIATION_PER_VARIANCE * (case.problem.sigma or 0.0) ** 2)


def heavy(case: Case) -> bool:
    """Return whether the noise is heavy."""
    return (case.problem.sigma or 0.0) >= HEAVY_SIGMA


ADAPTATION: Mapping[str, tuple[Row, ...]] = {
    "weights": (
        Row(
            "trained",
            lambda c: c.problem.stochastic,
            "the stochastic data term is for noise that must not be fitted",
        ),
        Row(
            "free",
            otherwise,
            "an image unlike those of the training needs weights of its own",
        ),
    ),
    "weight_rate": (
        Row(
            SLOW_WEIGHT_RATE,
            lambda c: c.share < GUESSED_SHARE,
            f"less than {percent(GUESSED_SHARE)} of the image was measured, and fast weights would "
            "fit it by another image",
            measured,
        ),
        Row(
            WEIGHT_RATE,
            otherwise,
            f"at least {percent(GUESSED_SHARE)} of the image was measured",
            measured,
        ),
    ),
    "variation": (
        Row(
            variation,
            lambda c: c.problem.sigma is not None,
            "the weight grows with the variance of the noise",
            sigma,
            f"{VARIATION_PER_VARIANCE} · sigma², at least the weight without noise",
        ),
        Row(
            FEW_VARIATION,
            few,
            f"less than {percent(FEW_SHARE)} of the image was measured, and what is not seen "
            "should stay smooth",
            measured,
        ),
        Row(
            VARIATION,
            otherwise,
            f"at least {percent(FEW_SHARE)} of the image was measured",
            measured,
        ),
    ),
    "reference": (
        Row(
            TRUSTED,
            heavy,
            f"the noise has a sigma of at least {HEAVY_SIGMA}, and hides the picture's own edges",
            sigma,
        ),
        Row(
            TRUSTED,
            lambda c: c.share < GUESSED_SHARE,
            f"less than {percent(GUESSED_SHARE)} of the image was measured, and the generator "
            "knows more",
            measured,
        ),
        Row(
            TRUSTED,
            lambda c: c.problem.visible < 1,
            "a part of the image is hidden, and the generator alone says what is there",
            lambda c: f"{percent(c.problem.visible)} is seen",
        ),
        Row(
            USUAL,
            lambda c: c.share < MANY_SHARE,
            f"less than {percent(MANY_SHARE)} of the image was measured",
            measured,
        ),
        Row(
            DOUBTED,
            otherwise,
            f"at least {percent(MANY_SHARE)} of the image was measured, and says more of an edge "
            "than the generator",
            measured,
        ),
    ),
    "finish": (
        Row(
            "none",
            lambda c: not c.problem.linear,
            "the pixels are found by a method for linear operators, which this one is not",
        ),
        Row(
            "none",
            lambda c: c.problem.compare != "misfit",
            "the pixels are found by the squared misfit, and another data term was asked for",
        ),
        Row(
            "none",
            lambda c: c.asked.terms,
            "the loss has terms beside those of the method, and the pixels are found without them",
        ),
        Row(
            "pixels",
            otherwise,
            "the measurements then hold as exactly as their noise allows",
        ),
    ),
}
