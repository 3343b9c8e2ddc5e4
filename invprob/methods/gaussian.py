"""Methods that model W as a Gaussian before its last activation: PULSE, ILO, P-norm+, Wulff."""

import math
from typing import Annotated, Literal

from invprob.errors import ArgumentError
from invprob.losses import DeadZoneMisfit, Term
from invprob.methods.problem import Rate, Setting, Steps, WhiteningFloor
from invprob.methods.recipe import Recipe, in_stages
from invprob.priors.parts import (
    FreeFeatures,
    FreeNoise,
    GaussianZ,
    LearnedConstant,
    Part,
    Rows,
    W,
    WPlus,
)
from invprob.priors.parts.constraints import Constraint, L1Ball, Spheres, WhitenedBox
from invprob.priors.parts.penalties import Geocross, Mahalanobis, PNorm
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.priors.stylegan.statistics import Whitening
from invprob.registry import register
from invprob.schedules import constant, cosine_trapezoid, one_cycle_drop
from invprob.solver.optimisers import Adam
from invprob.solver.task import Stage


@register.method("pulse")
def pulse(
    setting: Setting,
    *,
    rows: Annotated[Rows, "one z for all layers, or one for each"] = "each",
    free_maps: Annotated[
        int, "how many noise maps are free, from the coarsest on; the rest stay at their N(0, 1)"
    ] = 5,
    geocross: Annotated[
        float, "weight of the squared angles between the rows of w, at least 0"
    ] = 0.05,
    epsilon: Annotated[
        float, "mean squared misfit below which the data term is flat, at least 0"
    ] = 8e-3,
    learning_rate: Rate = 0.4,
    steps: Steps = 100,
) -> Recipe:
    """PULSE (CVPR 2020): Gaussianised Z+ on spheres × constant × first 5 maps on spheres.

    The loss is 25 · max(MSE, ε) + 0.05 · geocross. The published code has 100 and ε = 2e-3 for
    images in [0, 1], which are 25 and 8e-3 for images in [-1, 1]. Adam at 0.4, 100 steps and the
    schedule `linear1cycledrop` are those of that code, which was made for StyleGAN1 and for bicubic
    reduction; here any operator may have measured. Unlike that code, this method returns the last
    image even if the misfit stays above ε.
    """
    sphere = (Spheres(),)
    style = GaussianZ(
        setting.statistics,
        rows,
        penalise="w",
        constraints=sphere,
        penalties=(Geocross(geocross),),
    )
    noise = FreeNoise(first=free_maps, constraints=sphere)
    prior = StyleGANPrior(setting.generator, style=style, noise=noise)
    terms: list[Term] = [DeadZoneMisfit(epsilon, 25.0)]
    stage = Stage(prior, terms, Adam(learning_rate), one_cycle_drop(), steps)
    return Recipe((stage,), notes=setting.without_likelihood("a squared misfit with a dead zone"))


ROUNDS = (50, 50, 25, 25)  # steps of each round in the published configuration


@register.method("ilo")
def ilo(
    setting: Setting,
    *,
    rounds: Annotated[int, "rounds, from 1 (latents alone) to 4"] = 4,
    skip: Annotated[
        Literal["kept", "dropped"],
        "the RGB image made below the features: kept, or dropped as in the published code",
    ] = "kept",
    ball: Annotated[
        float | None,
        "largest mean distance, per element, that features and z move in a round; None: no limit",
    ] = None,
    geocross: Annotated[
        float, "weight of the squared angles between the rows of z, at least 0"
    ] = 0.01,
    learning_rate: Rate = 0.1,
    steps: Steps = 150,
) -> Recipe:
    """ILO (ICML 2021): Gaussianised Z+ × features ever higher up × first maps, on spheres.

    Round 0 moves z+ and 5 noise maps. Round k adds the features that enter the block of 4 · 2^k
    pixels and two more maps, with a fresh Adam. The loss is MSE + LPIPS + 0.01 · geocross. In each
    round the learning rate falls from a quarter on. The published configuration has rounds of 50,
    50, 25 and 25 steps, and of 300, 200 and 100 for compressed sensing; its radii of the l1 balls
    at 1024 pixels are about 0.1, 0.03 and 0.05 per element, and are off by default. Geocross sees
    the rows of z that are in use.

    Raises:
        ArgumentError: `rounds` is not from 1 to 4, or another option is out of range.
    """
    if not 1 <= rounds <= len(ROUNDS):
        raise ArgumentError(f"rounds must be 1 to {len(ROUNDS)}, not {rounds}")
    stages = []
    for number in range(rounds):
        layer = max(2 * number - 1, 0)
        prior = StyleGANPrior(
            setting.generator,
            style=_latents(setting, layer, ball if number else None, geocross),
            content=_features(setting, layer, ball, skip),
            noise=FreeNoise(first=5 + 2 * number, constraints=(Spheres(),)),
        )
        terms = setting.data_and_perceptual(1.0)
        fall = cosine_trapezoid(0.05, 0.75)
        stages.append(Stage(prior, terms, Adam(learning_rate), fall, ROUNDS[number]))
    return in_stages(stages, steps)


def _ball(per_element: float | None, elements: int) -> list[Constraint]:
    """The l1 ball of a tensor, if there is to be one."""
    return [] if per_element is None else [L1Ball(per_element * elements)]


def _latents(setting: Setting, layer: int, ball: float | None, geocross: float) -> Part:
    """The z+ of a round; rows below its features are not in use, and geocross must not see them."""
    # The published code slices the batch here in place of the rows, which gives NaN for one image.
    generator = setting.generator
    constraints = [Spheres(), *_ball(ball, generator.num_layers * generator.style_width)]
    return GaussianZ(
        setting.statistics, constraints=constraints, penalties=[Geocross(geocross, first=layer)]
    )


def _features(
    setting: Setting, layer: int, ball: float | None, skip: Literal["kept", "dropped"]
) -> Part:
    """The features of a round; in round 0 there are none."""
    if not layer:
        return LearnedConstant()
    elements = math.prod(setting.generator.feature_shape(layer))
    return FreeFeatures(layer, skip=skip, constraints=_ball(ball, elements))


@register.method("p-norm+")
def p_norm_plus(
    setting: Setting,
    *,
    form: Annotated[
        Literal["l2", "clip"],
        "l2: a penalty on whitened coordinates; clip: a bound on them, as in the first version",
    ] = "l2",
    weight: Annotated[float, "weight of the squared P-norm+ in the form l2, at least 0"] = 1e-3,
    bound: Annotated[float, "largest whitened coordinate in the form clip, above 0"] = 3.0,
    floor: WhiteningFloor = 1e-2,
    learning_rate: Rate = 0.01,
    steps: Steps = 400,
) -> Recipe:
    """P-norm+ (Zhu et al., arXiv:2012.09036): W+ near its Gaussian × constant × stored noise.

    The loss is MSE + LPIPS + 1e-3 · mean of the squared whitened coordinates. As in the published
    code, Adam starts at the mean w with a constant rate of 0.01; the code takes 1300 steps. It also
    draws the noise maps afresh at every step; here they are fixed, so that the solution always
    draws the same image. With its floor of 0, directions in which W hardly varies dominate.
    """
    whitening = Whitening(setting.statistics, floor)
    style = (
        WPlus(penalties=(PNorm(whitening, weight),))
        if form == "l2"
        else WPlus(constraints=(WhitenedBox(whitening, bound),))
    )
    prior = StyleGANPrior(setting.generator, style=style)
    terms = setting.data_and_perceptual(1.0)
    return Recipe((Stage(prior, terms, Adam(learning_rate), constant(), steps),))


@register.method("wulff")
def wulff(
    setting: Setting,
    *,
    rows: Annotated[Rows, "one w for all layers, or one for each"] = "each",
    weight: Annotated[float, "weight λ of the squared Mahalanobis distance, at least 0"] = 2e-6,
    floor: WhiteningFloor = 1e-2,
    learning_rate: Rate = 0.1,
    steps: Steps = 400,
) -> Recipe:
    """Wulff & Torralba (arXiv:2009.06529): W+ or W near its Gaussian × constant × stored noise.

    The loss is LPIPS + λ (v - μ)ᵀ Σ⁻¹ (v - μ) with v = LReLU_5(w), as a mean over the rows. The
    schedule is that of the StyleGAN2 projector, and λ that of `p-norm+` at a style width of 512.
    """
    penalty = Mahalanobis(Whitening(setting.statistics, floor), weight)
    style: Part = W(penalties=(penalty,)) if rows == "one" else WPlus(penalties=(penalty,))
    terms, notes = setting.perceptual_only()
    prior = StyleGANPrior(setting.generator, style=style)
    stage = Stage(prior, terms, Adam(learning_rate), cosine_trapezoid(), steps)
    return Recipe((stage,), notes=notes)
