"""Methods that take W for a Gaussian behind its last activation: PULSE, ILO, P-norm+, Wulff."""

import math
from typing import Annotated, Literal

from invprob.errors import ArgumentError
from invprob.losses import DeadZoneMisfit, PerceptualTerm, Term
from invprob.methods.problem import Floor, Rate, Recipe, Setting, Steps, in_stages
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
    rows: Annotated[Rows, "z: one for all layers, or one each"] = "each",
    free_maps: Annotated[int, "noise maps that are free; the rest stay N(0, 1)"] = 5,
    geocross: Annotated[float, "weight of the squared angles between rows of w"] = 0.05,
    epsilon: Annotated[float, "mean squared misfit below which nothing pulls"] = 8e-3,
    learning_rate: Rate = 0.4,
    steps: Steps = 100,
) -> Recipe:
    """PULSE (CVPR 2020): Gaussianised Z+ on spheres × constant × first 5 maps on spheres.

    100·max(MSE, ε) + 0.05·geocross on w, in images in [0, 1] with ε = 2e-3: 25 and 8e-3 in ours in
    [-1, 1]. Adam 0.4, 100 steps, `linear1cycledrop`; all as in the published code, which made them
    for StyleGAN1. The operator is whatever measured, not only bicubic reduction. Unlike the code,
    the last image is returned even where the misfit stays above ε.
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
    return Recipe((stage,), notes=setting.without_likelihood("its squared misfit with a dead zone"))


ROUNDS = (50, 50, 25, 25)  # steps of the published configuration


@register.method("ilo")
def ilo(
    setting: Setting,
    *,
    rounds: Annotated[int, "layers to go up through: 1 (latents alone) to 4"] = 4,
    skip: Annotated[
        Literal["kept", "dropped"], "the RGB image made below the layer: kept, or as published"
    ] = "kept",
    ball: Annotated[
        float | None, "l1 radius of what features and z move in a round, per element; default: none"
    ] = None,
    geocross: Annotated[float, "weight of the squared angles between rows of z"] = 0.01,
    learning_rate: Rate = 0.1,
    steps: Steps = 150,
) -> Recipe:
    """ILO (ICML 2021): Gaussianised Z+ × features ever higher up × first maps, on spheres.

    Round 0 moves z+ and 5 noise maps; round k adds the features that enter the block of 4·2^k px
    and two more maps, with a fresh Adam. MSE + LPIPS + 0.01·geocross, rate 0.1 falling from a
    quarter of each round on, rounds of 50, 50, 25, 25 steps (the published configuration; 300, 200,
    100 for compressed sensing). Geocross sees the rows of z that are in use: the published code
    slices the batch there instead, which makes it NaN for one image. Published radii of the l1
    balls, 1000, 1000, 6000 at 1024 px, are about 0.1, 0.03, 0.05 an element; they are off there.
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
        terms: list[Term] = [setting.data_term()]
        if setting.network is not None:
            terms.append(PerceptualTerm(setting.network, 1.0))
        fall = cosine_trapezoid(0.05, 0.75)
        stages.append(Stage(prior, terms, Adam(learning_rate), fall, ROUNDS[number]))
    return in_stages(stages, steps)


def _ball(per_element: float | None, elements: int) -> list[Constraint]:
    return [] if per_element is None else [L1Ball(per_element * elements)]


def _latents(setting: Setting, layer: int, ball: float | None, geocross: float) -> Part:
    generator = setting.generator
    constraints = [Spheres(), *_ball(ball, generator.num_layers * generator.style_width)]
    return GaussianZ(
        setting.statistics, constraints=constraints, penalties=[Geocross(geocross, first=layer)]
    )


def _features(
    setting: Setting, layer: int, ball: float | None, skip: Literal["kept", "dropped"]
) -> Part:
    if not layer:
        return LearnedConstant()
    elements = math.prod(setting.generator.feature_shape(layer))
    return FreeFeatures(layer, skip=skip, constraints=_ball(ball, elements))


@register.method("p-norm+")
def p_norm_plus(
    setting: Setting,
    *,
    form: Annotated[
        Literal["l2", "clip"], "penalty of the later paper, or clipping of the first"
    ] = "l2",
    weight: Annotated[float, "weight of the squared P-norm+, where the form is l2"] = 1e-3,
    bound: Annotated[float, "largest whitened coordinate, where the form is clip"] = 3.0,
    floor: Floor = 1e-2,
    learning_rate: Rate = 0.01,
    steps: Steps = 400,
) -> Recipe:
    """P-norm+ (Zhu et al., arXiv:2012.09036): W+ near its Gaussian × constant × stored noise.

    MSE + LPIPS + 1e-3·mean of squared whitened coordinates, Adam 0.01 constant, 1300 steps, from
    the mean w (published code). That code draws the noise maps afresh at each step; here they are
    fixed, so that the solution draws its image. A floor of 0 is the code's: there directions in
    which W hardly varies dominate. The bound of the clipping form is ours.
    """
    whitening = Whitening(setting.statistics, floor)
    style = (
        WPlus(penalties=(PNorm(whitening, weight),))
        if form == "l2"
        else WPlus(constraints=(WhitenedBox(whitening, bound),))
    )
    terms = [setting.data_term()]
    if setting.network is not None:
        terms.append(PerceptualTerm(setting.network, 1.0))
    prior = StyleGANPrior(setting.generator, style=style)
    return Recipe((Stage(prior, terms, Adam(learning_rate), constant(), steps),))


@register.method("wulff")
def wulff(
    setting: Setting,
    *,
    rows: Annotated[Rows, "w: one for all layers, or one each"] = "each",
    weight: Annotated[float, "weight of the squared Mahalanobis distance"] = 2e-6,
    floor: Floor = 1e-2,
    learning_rate: Rate = 0.1,
    steps: Steps = 400,
) -> Recipe:
    """Wulff & Torralba (arXiv:2009.06529): W+ or W near its Gaussian × constant × stored noise.

    LPIPS + λ (v - μ)ᵀ Σ⁻¹ (v - μ), v = LReLU_5(w), mean over the rows; the projector's schedule. λ
    and steps of the paper are not known to us [R]: λ is that of `p-norm+` at a width of 512.
    """
    penalty = Mahalanobis(Whitening(setting.statistics, floor), weight)
    style: Part = W(penalties=(penalty,)) if rows == "one" else WPlus(penalties=(penalty,))
    terms, notes = setting.perceptual_only()
    prior = StyleGANPrior(setting.generator, style=style)
    stage = Stage(prior, terms, Adam(learning_rate), cosine_trapezoid(), steps)
    return Recipe((stage,), notes=notes)
