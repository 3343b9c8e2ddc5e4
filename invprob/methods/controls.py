"""Controls without a generator: what the measurements are worth without one."""

import math
from typing import Annotated, Literal

from invprob.errors import ArgumentError
from invprob.losses import Term
from invprob.losses.duals import DIFFERENCES, DataDual, GradientDual, TotalVariationDual
from invprob.losses.wavelets import WaveletDual
from invprob.measurements import Measurements
from invprob.methods.policy import explains_choices
from invprob.methods.problem import Problem, Rate, Steps
from invprob.methods.recipe import Recipe
from invprob.operators.base import LinearOperator, Operator
from invprob.operators.placement import device_of
from invprob.options import Auto
from invprob.priors.deep_image_prior import DeepImagePrior
from invprob.priors.pixels import Pixels
from invprob.registry import register
from invprob.schedules import constant, cosine_trapezoid
from invprob.solver.optimisers import Adam
from invprob.solver.primal_dual import PrimalDual
from invprob.solver.task import Stage
from invprob.types import Images

PRIMAL_STEP = 0.1  # τ; of 0.01 to 0.3 the fastest for masks, projections, downsampling and boxes
DUAL_STEP = 1 / (2 * DIFFERENCES**2 * PRIMAL_STEP)  # τ σ ||K||² = 1 for two maps of norm √8

Fidelity = Annotated[float, Auto("λ, how far the image may be from the measurements, >= 0")]
Tolerance = Annotated[float, "change a step, in grey levels of [-1, 1], that ends it"]


@register.method("tv")
@explains_choices
def total_variation(
    problem: Problem,
    *,
    fidelity: Fidelity,
    tolerance: Tolerance = 3e-5,
    steps: Steps = 2000,
) -> Recipe:
    """Total variation (Rudin, Osher & Fatemi, 1992), solved to convergence; linear operators.

    Minimises TV(x) + ||A x - y||² / (2 λ) over images in [-1, 1], and, where λ is 0, TV(x) subject
    to A x = y. The variation is isotropic and joint over the channels. The algorithm is the
    primal-dual one of Chambolle & Pock (2011). It uses no generator.
    """
    return _primal_dual(problem, TotalVariationDual(DUAL_STEP), fidelity, tolerance, steps)


@register.method("wavelet")
@explains_choices
def wavelet(
    problem: Problem,
    *,
    wavelet: Annotated[
        str, "framelet (piecewise linear), or an orthogonal wavelet by its name in PyWavelets"
    ] = "framelet",
    levels: Annotated[int, "levels of the transform, at least 1"] = 1,
    fidelity: Fidelity,
    tolerance: Tolerance = 3e-5,
    steps: Steps = 2000,
) -> Recipe:
    """Least l1 norm of undecimated wavelet details, solved to convergence; linear operators.

    Minimises R(x) + ||A x - y||² / (2 λ) over images in [-1, 1], and, where λ is 0, R(x) subject to
    A x = y. R sums the lengths of the details over positions and bands, where a length is joint
    over the channels; a level weighs a quarter of the level before. This is the analysis model of
    Cai, Osher & Shen (Multiscale Model. Simul. 2009) with their piecewise linear tight frame, by
    the algorithm of `tv`. It uses no generator.
    """
    term = WaveletDual(wavelet, levels, DUAL_STEP)
    return _primal_dual(problem, term, fidelity, tolerance, steps)


@register.method("tikhonov")
@explains_choices
def tikhonov(
    problem: Problem,
    *,
    smoothness: Annotated[float, Auto("λ, how smooth the image is made, >= 0")],
    tolerance: Tolerance = 3e-5,
    steps: Steps = 2000,
) -> Recipe:
    """The smoothest image (Tikhonov, 1963), solved to convergence; linear operators.

    Minimises ||A x - y||² + λ ||∇x||² over images in [-1, 1], and, where λ is 0, ||∇x||² subject to
    A x = y. The algorithm is that of `tv`. It uses no generator.
    """
    _check_smoothness(smoothness)
    return _primal_dual(problem, GradientDual(DUAL_STEP), smoothness, tolerance, steps)


@register.method("pinv")
def pseudo_inverse(problem: Problem) -> Recipe:
    """The pseudo-inverse A⁺y (Moore, 1920; Penrose, 1955), without any step; linear operators.

    Of the images that fit the measurements best it is the one of least norm. It has no prior. The
    number of steps of a run has no effect.
    """
    stage = Stage(Pixels(problem.image_shape), [problem.data_term()], Adam(), constant(), 0)
    return Recipe((stage,), initial=_exact_pseudo_inverse)


@register.method("tv-descent")
@explains_choices
def total_variation_descent(
    problem: Problem,
    *,
    weight: Annotated[float, Auto("weight of total variation, at least 0")],
    begin: Annotated[
        Literal["pinv", "zero"],
        "start at the pseudo-inverse A⁺y, or at grey; without a linear operator at grey",
    ] = "pinv",
    learning_rate: Rate = 0.03,
    steps: Steps = 400,
) -> Recipe:
    """Total variation (Rudin, Osher & Fatemi, 1992) by Adam, for any operator: no generator at all.

    Slow to converge where much is hidden; `tv` is better for linear operators.
    The loss is data term + weight · TV(x) / n for an image x of n numbers.
    """
    prior = Pixels(problem.image_shape, weight)
    stage = Stage(prior, [problem.data_term()], Adam(learning_rate), cosine_trapezoid(), steps)
    return Recipe((stage,), initial=_pseudo_inverse if begin == "pinv" else None)


@register.method("deep-image-prior")
def deep_image_prior(
    problem: Problem,
    *,
    width: Annotated[
        int | None, "filters of each level; published: 128. None: 16 to 64, growing"
    ] = None,
    average: Annotated[
        float, "memory of the average of the images of all steps, in [0, 1); 0: the last image"
    ] = 0.95,
    learning_rate: Rate = 0.01,
    steps: Steps = 500,
) -> Recipe:
    """An untrained network on fixed noise (Ulyanov et al., CVPR 2018): no generator at all.

    The weights of the network are fitted to the measurements. The network draws smooth images
    sooner than noise, so the number of steps matters. The solution is an exponential average of the
    images of all steps (published: a memory of 0.99, over 3,000 steps). The published network has
    128 filters on five levels, and a step of it takes many times as long.
    """
    prior = DeepImagePrior(problem.image_shape, width, average)
    return Recipe((Stage(prior, [problem.data_term()], Adam(learning_rate), constant(), steps),))


def _primal_dual(
    problem: Problem, term: Term, fidelity: float, tolerance: float, steps: int
) -> Recipe:
    """Minimise a term + ||A x - y||² / (2 λ) by the primal-dual method, from A⁺y."""
    stage = Stage(
        Pixels(problem.image_shape),
        [term, DataDual(fidelity, DUAL_STEP)],
        PrimalDual(PRIMAL_STEP, tolerance),
        constant(),
        steps,
    )
    notes = problem.without_likelihood("the squared misfit")
    return Recipe((stage,), initial=_pseudo_inverse, notes=notes)


def _check_smoothness(value: float) -> None:
    """Refuse what the data term would refuse by another name."""
    if not 0 <= value < math.inf:
        raise ArgumentError(f"smoothness must be finite and at least 0, not {value}")


def _exact_pseudo_inverse(measurements: Measurements, operator: Operator) -> dict[str, Images]:
    """A⁺y as it is, which may leave [-1, 1]."""
    if not isinstance(operator, LinearOperator):
        raise ArgumentError(
            "the pseudo-inverse needs a linear operator, which this one is not; take "
            "--method tv-descent"
        )
    values = measurements.values
    return {"image": operator.pinv(values.to(device_of(operator, values.device)))}


def _pseudo_inverse(measurements: Measurements, operator: Operator) -> dict[str, Images]:
    """The start at A⁺y; for an operator that is not linear the prior's own."""
    if not isinstance(operator, LinearOperator):
        return {}
    found = _exact_pseudo_inverse(measurements, operator)
    return {"image": found["image"].clamp(-1, 1)}
