"""Methods that move the weights of the generator as well: our own, IAGAN and pivotal tuning."""

import math
from typing import Annotated, Literal

from invprob.errors import ArgumentError
from invprob.losses import DataMisfit, Term
from invprob.losses.duals import DIFFERENCES, DataDual
from invprob.losses.reference import ReferenceVariationDual
from invprob.losses.variation import ColourVariation
from invprob.losses.wavelets import FRAMELET, WaveletDual
from invprob.methods.choices import Finish, WeightsChoice
from invprob.methods.policy import explains_choices
from invprob.methods.problem import Rate, Setting, Steps
from invprob.methods.recipe import Recipe, in_stages
from invprob.options import Auto
from invprob.priors.parts import FreeWeights, Frozen, ProjectedStyles, W, WPlus, Z
from invprob.priors.parts.constraints import Spheres
from invprob.priors.parts.heads import HeadShape
from invprob.priors.parts.local_weights import LocalWeights
from invprob.priors.retouched import Retouched
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.registry import register
from invprob.schedules import constant, cosine_trapezoid, linear_trapezoid
from invprob.solver.optimisers import Adam
from invprob.solver.primal_dual import PrimalDual
from invprob.solver.task import Stage

TOGETHER = linear_trapezoid(ramp_up=0.07, ramp_down=0.4)  # while weights and styles move together
BETAS = (0.9, 0.99)  # of Adam then: a second moment that follows a run of few steps

PRIMAL_STEP = 0.1  # τ, as in `tv`
DUAL_STEP = 1 / (3 * DIFFERENCES**2 * PRIMAL_STEP)  # τ σ ||K||² = 1 for three maps of norm √8
TOLERANCE = 3e-5  # of a converged image, in grey levels of [-1, 1]

WeightRate = Annotated[
    float, Auto("learning rate of a weight tensor, relative to its root mean square, above 0")
]


@register.method("sphinx-adapted")
@explains_choices
def sphinx_adapted(
    setting: Setting,
    *,
    weights: Annotated[WeightsChoice, Auto("the weights of the synthesis network in stage 2")],
    weight_rate: WeightRate,
    variation: Annotated[float, Auto("weight of the total variation in stage 2, at least 0")],
    finish: Annotated[Finish, Auto("stage 3: free pixels, or none")],
    fidelity: Annotated[float, Auto("λ of stage 3, how far A x may be from y, at least 0")],
    reference: Annotated[
        float, Auto("α of stage 3, from 0 (no reference) to 1 (the generator's edges alone)")
    ],
    learning_rate: Rate = 0.003,
    steps: Steps = 850,
) -> Recipe:
    """SPHInX, then the generator adapts: P_s × constant × stored noise, then weights, then pixels.

    1. The style head P_s of SPHInX finds a first image, from coarse to fine.
    2. The style rows w+ and the weights of the synthesis network move together, as in IAGAN (AAAI
       2020) and pivotal tuning (TOG 2022). The loss is data term + `variation` · total variation
       joint over the channels.
    3. The pixels x are free, and x₀ is the image so far: min (1 - α) R(x) + α TV(x - x₀) +
       ||A x - y||² / (2 λ), solved to convergence, with R of the method `wavelet` (PICCS, Med.
       Phys. 2008). The solution keeps the styles and weights of stage 2 beside the pixels.

    There is no perceptual term.

    Raises:
        ArgumentError: an option is out of range, the weights are to move in bfloat16, or free
            pixels were asked for where the operator is not linear or the data term not the misfit.
    """
    _check_rates(learning_rate=learning_rate, weight_rate=weight_rate)
    if not 0 <= reference <= 1:
        raise ArgumentError(f"reference must be in [0, 1], not {reference}")
    if finish == "pixels" and not setting.linear:
        raise ArgumentError(
            "free pixels at the end need a linear operator, which this one is not; leave them out "
            "(finish = none)"
        )
    if finish == "pixels" and setting.compare != "misfit":
        raise ArgumentError(
            f"free pixels at the end are found by the squared misfit, not by {setting.compare!r}; "
            "leave them out (finish = none), or take the misfit (data_term = misfit)"
        )
    shape = HeadShape.preset("paper", setting.generator.style_width)
    heads = StyleGANPrior(setting.generator, style=ProjectedStyles(shape, around="mean"))
    prior = StyleGANPrior(
        setting.generator,
        style=WPlus(),
        weights=_free(setting, weight_rate, learning_rate) if weights == "free" else None,
    )
    stages = [
        Stage(heads, [setting.data_term()], Adam(learning_rate), cosine_trapezoid(), 100),
        Stage(
            prior,
            [setting.data_term(), ColourVariation(variation)],
            Adam(learning_rate, BETAS),
            TOGETHER,
            150,
        ),
    ]
    terms: list[Term] = [
        WaveletDual(FRAMELET, 1, DUAL_STEP, 1 - reference),
        ReferenceVariationDual(reference, DUAL_STEP),
        DataDual(fidelity, DUAL_STEP),
    ]
    if finish == "pixels":
        optimiser = PrimalDual(PRIMAL_STEP, TOLERANCE)
        stages.append(Stage(Retouched(prior), terms, optimiser, constant(), 600))
    return in_stages(stages, steps)


@register.method("iagan")
@explains_choices
def iagan(
    setting: Setting,
    *,
    space: Annotated[
        Literal["z", "w-plus"], "what the first stage searches; z is that of the paper"
    ] = "w-plus",
    weight_rate: WeightRate,
    learning_rate: Annotated[
        float | None, "largest learning rate of the first stage, above 0; None: 0.1 in z, 0.03"
    ] = None,
    steps: Steps = 600,
) -> Recipe:
    """Image-adaptive GAN (AAAI 2020): W+ (or Z) × constant × stored noise, then weights as well.

    By Hussein, Tirer & Giryes. The first stage searches the latents by the data term alone. The
    second moves latents and weights together. Where the operator is linear and no noise is known, a
    third stage projects the image onto the measurements, x + A⁺(y - A x), by L-BFGS. The paper
    moves all weights at one rate, which does not suit tensors of different size.

    Raises:
        ArgumentError: a rate is not positive, or the weights are to move in bfloat16.
    """
    style = WPlus() if space == "w-plus" else Z(constraints=(Spheres(),))
    rate = (0.03 if space == "w-plus" else 0.1) if learning_rate is None else learning_rate
    _check_rates(learning_rate=rate, weight_rate=weight_rate)
    together = 0.003 if space == "w-plus" else 0.01
    terms = [setting.data_term()]
    prior = StyleGANPrior(
        setting.generator, style=style, weights=_free(setting, weight_rate, together)
    )
    stages = [
        Stage(
            StyleGANPrior(setting.generator, style=style),
            terms,
            Adam(rate),
            cosine_trapezoid(),
            300,
        ),
        Stage(prior, terms, Adam(together, BETAS), TOGETHER, 250, continues=True),
    ]
    if setting.linear and not setting.noisy:
        stages.append(Stage(Retouched(prior), [DataMisfit()], setting.lbfgs(), constant(), 50))
    return in_stages(stages, steps)


@register.method("pti")
@explains_choices
def pti(
    setting: Setting,
    *,
    locality: Annotated[
        float, "weight of the locality regularisation, at least 0; 0 leaves it out and is faster"
    ] = 0.1,
    radius: Annotated[float, "α, how far from the pivot locality is asked for, above 0"] = 30.0,
    weight_rate: WeightRate,
    learning_rate: Rate = 0.1,
    steps: Steps = 800,
) -> Recipe:
    """Pivotal tuning (TOG 2022): W × constant × stored noise, then the weights with w held.

    By Roich et al. The loss is data term + LPIPS, where there is a network. Locality regularisation
    keeps what the trained weights draw near the pivot (section 3.3 of the paper; its squared
    differences alone). The published code takes 450 and up to 350 steps. Its rate of 3e-4 is that
    of equalised weights; here the rate is relative to the size of each tensor.

    Raises:
        ArgumentError: an option is out of range, or the weights are to move in bfloat16.
    """
    setting.check_adaptation()
    _check_rates(learning_rate=learning_rate, weight_rate=weight_rate)
    local = LocalWeights(radius, locality)
    style = W(jitter=0.05 * float(setting.statistics.std_w))
    terms = setting.data_and_perceptual(1.0)
    weights = local if locality else FreeWeights()
    tuned = StyleGANPrior(setting.generator, style=Frozen(W()), weights=weights)
    return in_stages(
        [
            Stage(
                StyleGANPrior(setting.generator, style=style),
                terms,
                Adam(learning_rate),
                cosine_trapezoid(),
                450,
            ),
            Stage(tuned, terms, Adam(weight_rate), constant(), 350),
        ],
        steps,
    )


def _check_rates(**rates: float) -> None:
    """Check learning rates, by the names of their options.

    Raises:
        ArgumentError: a rate is not positive and finite.
    """
    for name, rate in rates.items():
        if not 0 < rate < math.inf:
            raise ArgumentError(f"{name} must be positive and finite, not {rate}")


def _free(setting: Setting, weight_rate: float, learning_rate: float) -> FreeWeights:
    """Free weights whose relative rate is `weight_rate` under an optimiser of another rate.

    Raises:
        ArgumentError: the weights would move in bfloat16.
    """
    setting.check_adaptation()
    return FreeWeights(lr_scale=weight_rate / learning_rate)
