"""Controls without a generator: what the measurements are worth with smoothness alone."""

from typing import Annotated, Literal

from invprob.losses.duals import DIFFERENCES, DataDual, TotalVariationDual
from invprob.measurements import Measurements
from invprob.methods.policy import explains_choices
from invprob.methods.problem import Problem, Rate, Recipe, Steps
from invprob.operators.base import LinearOperator, Operator
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


@register.method("tv")
@explains_choices
def total_variation(
    problem: Problem,
    *,
    fidelity: Annotated[float, Auto("λ, how far the image may be from the measurements, >= 0")],
    tolerance: Annotated[float, "change a step, in grey levels of [-1, 1], that ends it"] = 3e-5,
    steps: Steps = 2000,
) -> Recipe:
    """Total variation (Rudin, Osher & Fatemi, 1992), solved to convergence; linear operators.

    Minimises TV(x) + ||A x - y||² / (2 λ) over images in [-1, 1], and, where λ is 0, TV(x) subject
    to A x = y. The variation is isotropic and joint over the channels. The algorithm is the
    primal-dual one of Chambolle & Pock (2011). It uses no generator.
    """
    dual_step = 1 / (2 * DIFFERENCES**2 * PRIMAL_STEP)  # τ σ ||K||² = 1 for two maps of norm √8
    stage = Stage(
        Pixels(problem.image_shape),
        [TotalVariationDual(dual_step), DataDual(fidelity, dual_step)],
        PrimalDual(PRIMAL_STEP, tolerance),
        constant(),
        steps,
    )
    notes = problem.without_likelihood("the squared misfit")
    return Recipe((stage,), initial=_pseudo_inverse, notes=notes)


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
def deep_image_prior(problem: Problem, *, learning_rate: Rate = 0.01, steps: Steps = 500) -> Recipe:
    """An untrained network on fixed noise (Ulyanov et al., CVPR 2018): no generator at all.

    The weights of the network are fitted to the measurements. The network draws smooth images
    sooner than noise, so the number of steps matters.
    """
    prior = DeepImagePrior(problem.image_shape)
    return Recipe((Stage(prior, [problem.data_term()], Adam(learning_rate), constant(), steps),))


def _pseudo_inverse(measurements: Measurements, operator: Operator) -> dict[str, Images]:
    """The start at A⁺y; for an operator that is not linear the prior's own."""
    if not isinstance(operator, LinearOperator):
        return {}
    device = next((value.device for value in operator.buffers()), measurements.values.device)
    return {"image": operator.pinv(measurements.values.to(device)).clamp(-1, 1)}
