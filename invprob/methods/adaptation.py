"""The choices of `sphinx-adapted`: whether its weights move, and how its stages are weighted.

`examples/SETTINGS.md` has the measurements behind the numbers.
"""

from collections.abc import Mapping

from invprob.methods.decision import Case, Row, measured, otherwise, percent, sigma

WEIGHT_RATE = 0.003  # relative to the root mean square of a tensor
SLOW_WEIGHT_RATE = 0.001
FEW_SHARE = 0.02  # measured numbers as a share of the image; with fewer, fast weights fit anything
VARIATION = 0.001  # weight of total variation beside the data term; more spoils blurs and holes
# The misfit is the negative log-likelihood times 2 sigma²; a regulariser grows with that factor.
VARIATION_PER_VARIANCE = 1.5


def variation(case: Case) -> float:
    """Return the weight of total variation for the noise of a case."""
    return max(VARIATION, VARIATION_PER_VARIANCE * (case.problem.sigma or 0.0) ** 2)


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
            lambda c: c.share < FEW_SHARE,
            f"less than {percent(FEW_SHARE)} of the image was measured, and fast weights would fit "
            "it by another image",
            measured,
        ),
        Row(
            WEIGHT_RATE,
            otherwise,
            f"at least {percent(FEW_SHARE)} of the image was measured",
            measured,
        ),
    ),
    "variation": (
        Row(
            variation,
            lambda c: c.problem.sigma is not None,
            "the weight grows with the variance of the noise",
            sigma,
            f"{VARIATION_PER_VARIANCE} · sigma², at least {VARIATION}",
        ),
        Row(VARIATION, otherwise, "the sigma of the noise is 0 or not known"),
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
            "pixels",
            otherwise,
            "the measurements then hold as exactly as their noise allows",
        ),
    ),
}
