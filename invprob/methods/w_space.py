"""From the mean w, as published: Image2StyleGAN(++), the projector, PIE, StyleFlow, robust."""

from typing import Annotated, Literal

from invprob.losses import FeatureMisfit, MultiScalePerceptual, PerceptualTerm, Term
from invprob.methods.problem import Rate, Recipe, Setting, Steps, free_noise, in_stages
from invprob.priors.parts import FreeContent, FreeNoise, Frozen, W, WPlus, WPlusPlus
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.registry import register
from invprob.schedules import constant, cosine_trapezoid
from invprob.solver.optimisers import Adam, NormalisedGradientDescent
from invprob.solver.task import Stage

Start = Annotated[
    Literal["mean", "uniform"], "mean w, or U(-1, 1) as for images unlike the generator's"
]


def _features_and_data(setting: Setting) -> tuple[list[Term], tuple[str, ...]]:
    """MSE and the features of VGG16; LPIPS of another network in their place."""
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


@register.method("i2s")
def i2s(
    setting: Setting,
    *,
    begin: Start = "mean",
    learning_rate: Rate = 0.01,
    steps: Steps = 400,
) -> Recipe:
    """Image2StyleGAN (ICCV 2019): W+ × constant × stored noise, features of VGG16 + MSE.

    Adam 0.01 constant, 5000 steps, all weights 1 [R]. Where the network is another than VGG16, its
    LPIPS stands in for the features, and the run says so.
    """
    terms, notes = _features_and_data(setting)
    prior = StyleGANPrior(setting.generator, style=WPlus(begin=begin))
    stage = Stage(prior, terms, Adam(learning_rate), constant(), steps)
    return Recipe((stage,), notes=notes)


@register.method("i2s++")
def i2s_plus_plus(
    setting: Setting,
    *,
    second: Annotated[
        Literal["noise", "content"], "what the second stage frees: B, or S as in the text of Fig. 9"
    ] = "noise",
    begin: Start = "mean",
    learning_rate: Rate = 0.01,
    second_rate: Annotated[float, "learning rate of the second stage"] = 0.1,
    steps: Steps = 400,
) -> Recipe:
    """Image2StyleGAN++ (CVPR 2020): W+ × constant × stored noise, then B (or S) with w+ held.

    The first stage is `i2s`; the two are never moved at once, which the paper found unstable.
    5000 and 3000 steps, MSE alone in the second stage; a rate of 5 there is recalled [R], and ours
    is 0.1. The paper under study calls this row (W+, B) in Table 1 and (W+, S) in Fig. 9.
    """
    terms, notes = _features_and_data(setting)
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
    noise_regulariser: Annotated[float, "weight of the noise autocorrelation penalty"] = 1e5,
    jitter: Annotated[float, "noise added to w at first, in units of its total deviation"] = 0.05,
    learning_rate: Rate = 0.1,
    steps: Steps = 400,
) -> Recipe:
    """The StyleGAN2 projector (Karras et al., CVPR 2020): W × constant × B kept white.

    LPIPS alone + 1e5·autocorrelation of the noise maps, which return to mean 0 and variance 1 after
    each step; w is shaken by 0.05·deviation·(1 - t/0.75)² at first. Adam, at most 0.1, ramps of 5 %
    and 25 %, 1000 steps, as in NVIDIA's code; its VGG16 distance differs from ours by a factor.
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

    The hierarchical optimisation of PIE alone, with the losses of `i2s`: its identity, edit and
    recognition terms need StyleRig's network and a licensed face model, which cannot be offered.
    1000 + 1000 steps of 0.01 are ours, after a third party's hierarchical Image2StyleGAN; PIE's
    weights are not known to us.
    """
    terms, notes = _features_and_data(setting)
    return in_stages(
        [
            Stage(StyleGANPrior(setting.generator, style=style), terms, adam, constant(), 1000)
            for style, adam in ((W(), Adam(learning_rate)), (WPlus(), Adam(learning_rate)))
        ],
        steps,
        notes=(*notes, "PIE's terms of a face model are not offered: only its W, then W+"),
    )


@register.method("styleflow")
def styleflow(
    setting: Setting,
    *,
    learning_rate: Rate = 0.01,
    steps: Steps = 400,
) -> Recipe:
    """StyleFlow (TOG 2021), inversion only: W+ × constant × stored noise, as `i2s`.

    Table 1 lists it as W+ without regulariser. Its flow edits attributes that a closed face service
    once gave and plays no part in an inversion; it is not offered.
    """
    return i2s(setting, learning_rate=learning_rate, steps=steps)


@register.method("robust")
def robust(
    setting: Setting,
    *,
    w_rate: Annotated[float, "step length in W"] = 0.08,
    w_plus_rate: Annotated[float, "step length in W+"] = 0.02,
    w_plus_plus_rate: Annotated[float, "step length in W++"] = 0.005,
    steps: Steps = 450,
) -> Recipe:
    """Robust unsupervised restoration (CVPR 2023): W, then W+, then W++ × constant × stored noise.

    LPIPS at every level of a pyramid + 0.1·L1 at its top, normalised gradient descent, three times
    150 steps; the one setting of all its tasks, from the published code. W++ gives every input
    channel of every convolution its own scale.
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
