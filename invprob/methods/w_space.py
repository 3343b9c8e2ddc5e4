"""Searches of W, W+ and W++ as published: Image2StyleGAN, the StyleGAN2 projector, robust."""

from typing import Annotated, Literal

from invprob.losses import FeatureMisfit, MultiScalePerceptual, PerceptualTerm, Term
from invprob.methods.problem import NoiseWeight, Rate, Setting, Steps, free_noise
from invprob.methods.recipe import Recipe, in_stages
from invprob.priors.parts import FreeContent, FreeNoise, Frozen, W, WPlus, WPlusPlus
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.registry import register
from invprob.schedules import constant, cosine_trapezoid
from invprob.solver.optimisers import Adam, NormalisedGradientDescent
from invprob.solver.task import Stage

Start = Annotated[
    Literal["mean", "uniform"],
    "start at the mean w, or at U(-1, 1) for images unlike those of the generator",
]


@register.method("i2s")
def i2s(
    setting: Setting,
    *,
    begin: Start = "mean",
    learning_rate: Rate = 0.01,
    steps: Steps = 400,
) -> Recipe:
    """Image2StyleGAN (ICCV 2019): W+ × constant × stored noise, features of VGG16 + MSE.

    All weights are 1, and Adam has a constant rate of 0.01; the paper takes 5000 steps. If the
    perceptual network is not VGG16, its LPIPS stands in for the features, and the run says so.
    """
    terms, notes = _data_and_features(setting)
    prior = StyleGANPrior(setting.generator, style=WPlus(begin=begin))
    stage = Stage(prior, terms, Adam(learning_rate), constant(), steps)
    return Recipe((stage,), notes=notes)


@register.method("i2s++")
def i2s_plus_plus(
    setting: Setting,
    *,
    second: Annotated[
        Literal["noise", "content"], "what the second stage frees: noise maps B, or content S"
    ] = "noise",
    begin: Start = "mean",
    learning_rate: Rate = 0.01,
    second_rate: Annotated[float, "learning rate of Adam in the second stage, above 0"] = 0.1,
    steps: Steps = 400,
) -> Recipe:
    """Image2StyleGAN++ (CVPR 2020): W+ × constant × stored noise, then B (or S) with w+ held.

    The first stage is `i2s`, and the second has MSE alone; the paper takes 5000 and 3000 steps, and
    found it unstable to move both at once. SPHInX lists this method as (W+, B) in its Table 1, and
    as (W+, S) in its Fig. 9.
    """
    terms, notes = _data_and_features(setting)
    first = StyleGANPrior(setting.generator, style=WPlus(begin=begin))
    held = Frozen(WPlus())
    then = (
        StyleGANPrior(setting.generator, style=held, noise=FreeNoise())
        if second == "noise"
        else StyleGANPrior(setting.generator, style=held, content=FreeContent())
    )
    return in_stages(
        [
            Stage(first, terms, Adam(learning_rate), constant(), 5000),
            Stage(then, [setting.data_term()], Adam(second_rate), constant(), 3000),
        ],
        steps,
        notes=notes,
    )


@register.method("karras")
def karras(
    setting: Setting,
    *,
    noise_regulariser: NoiseWeight = 1e5,
    jitter: Annotated[
        float, "noise added to w at the start, as a share of the deviation of W, at least 0"
    ] = 0.05,
    learning_rate: Rate = 0.1,
    steps: Steps = 400,
) -> Recipe:
    """The StyleGAN2 projector (Karras et al., CVPR 2020): W × constant × B kept white.

    The loss is LPIPS + 1e5 · autocorrelation of the noise maps, which return to mean 0 and variance
    1 after each step. Until three quarters of the steps, noise of 0.05 · deviation · (1 - t/0.75)²
    is added to w. As in the published code, Adam has a rate of 0.1 at most and ramps of 5 % and
    25 %; the code takes 1000 steps. Its distance of VGG16 features differs from LPIPS by a factor.
    """
    terms, notes = setting.perceptual_only()
    style = W(jitter=jitter * float(setting.statistics.std_w))
    prior = StyleGANPrior(setting.generator, style=style, noise=free_noise(noise_regulariser))
    stage = Stage(prior, terms, Adam(learning_rate), cosine_trapezoid(), steps)
    return Recipe((stage,), notes=notes)


@register.method("pie")
def pie(
    setting: Setting,
    *,
    learning_rate: Rate = 0.01,
    steps: Steps = 400,
) -> Recipe:
    """PIE (SIGGRAPH Asia 2020): W, then W+ from it × constant × stored noise, without the rig.

    This is the hierarchical search of PIE with the loss of `i2s`. PIE's own terms for identity,
    edits and recognition need StyleRig's network and a licensed face model, which cannot be
    offered. Half of the steps are taken in W and half in W+.
    """
    terms, notes = _data_and_features(setting)
    return in_stages(
        [
            Stage(StyleGANPrior(setting.generator, style=style), terms, adam, constant(), 1000)
            for style, adam in ((W(), Adam(learning_rate)), (WPlus(), Adam(learning_rate)))
        ],
        steps,
        notes=(
            *notes,
            "PIE's own terms need a licensed face model: this is its search without them",
        ),
    )


@register.method("styleflow")
def styleflow(
    setting: Setting,
    *,
    learning_rate: Rate = 0.01,
    steps: Steps = 400,
) -> Recipe:
    """StyleFlow (TOG 2021), inversion only: W+ × constant × stored noise, as `i2s`.

    SPHInX lists it in Table 1 as W+ without regulariser. The flow of StyleFlow edits attributes of
    a face and plays no part in an inversion; it is not offered.
    """
    return i2s(setting, learning_rate=learning_rate, steps=steps)


@register.method("robust")
def robust(
    setting: Setting,
    *,
    w_rate: Annotated[float, "length of a step in W, above 0"] = 0.08,
    w_plus_rate: Annotated[float, "length of a step in W+, above 0"] = 0.02,
    w_plus_plus_rate: Annotated[float, "length of a step in W++, above 0"] = 0.005,
    steps: Steps = 450,
) -> Recipe:
    """Robust unsupervised restoration (CVPR 2023): W, then W+, then W++ × constant × stored noise.

    The loss is LPIPS at every level of a pyramid + 0.1 · L1 at its top, and normalised gradient
    descent takes 150 steps in each space. These are the settings of the published code for all its
    tasks. W++ gives every input channel of every convolution its own scale.
    """
    terms, notes = setting.perceptual_only(MultiScalePerceptual)
    styles = ((W(), w_rate), (WPlus(), w_plus_rate), (WPlusPlus(), w_plus_plus_rate))
    return in_stages(
        [
            Stage(
                StyleGANPrior(setting.generator, style=style),
                terms,
                NormalisedGradientDescent(rate),
                constant(),
                150,
            )
            for style, rate in styles
        ],
        steps,
        notes=notes,
    )


def _data_and_features(setting: Setting) -> tuple[list[Term], tuple[str, ...]]:
    """MSE and the features of VGG16, or LPIPS of another network, with a note that says so."""
    terms, network = [setting.data_term()], setting.network
    if network is None:
        return terms, ()
    if network.name == "vgg":
        return [*terms, FeatureMisfit(network)], ()
    note = (
        f"Image2StyleGAN compares features of VGG16 (--perceptual vgg); LPIPS of {network.name} "
        "stands in for them"
    )
    return [*terms, PerceptualTerm(network, 1.0)], (note,)
