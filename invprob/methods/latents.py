"""Plain latents: Z, Z+ and W+, with or without content S and noise maps B."""

from typing import Annotated, Literal

from invprob.losses import ProjectedGradient
from invprob.methods.policy import explains_choices
from invprob.methods.problem import Descent, NoiseWeight, Rate, Setting, Steps, free_noise
from invprob.methods.recipe import Recipe
from invprob.options import Auto
from invprob.priors.parts import (
    FreeContent,
    GaussianZ,
    Part,
    Rows,
    WPlus,
    Z,
)
from invprob.priors.parts.constraints import Spheres
from invprob.priors.parts.penalties import Gaussian
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.registry import register
from invprob.schedules import cosine_trapezoid
from invprob.solver.optimisers import Adam
from invprob.solver.task import Stage


@register.method("w-plus")
def w_plus(
    setting: Setting,
    *,
    optimiser: Descent = "adam",
    learning_rate: Rate = 0.03,
    steps: Steps = 400,
) -> Recipe:
    """W+ (Abdal et al., ICCV 2019): W+ × constant × stored noise, from the mean w.

    The loss and the schedule are those of SPHInX, whose baseline (W+) this is. For the settings of
    Image2StyleGAN take `i2s`.
    """
    prior = StyleGANPrior(setting.generator, style=WPlus())
    return setting.one_stage(prior, setting.optimiser(optimiser, learning_rate), steps)


@register.method("w-plus-s")
def w_plus_s(
    setting: Setting,
    *,
    optimiser: Descent = "adam",
    learning_rate: Rate = 0.02,
    steps: Steps = 400,
) -> Recipe:
    """(W+, S) (ICML 2022, a baseline of SPHInX): W+ × S × stored noise.

    S is a free tensor of 4 × 4 pixels in place of the generator's learned constant.
    """
    prior = StyleGANPrior(setting.generator, style=WPlus(), content=FreeContent())
    return setting.one_stage(prior, setting.optimiser(optimiser, learning_rate), steps)


@register.method("w-plus-s-b")
@explains_choices
def w_plus_s_b(
    setting: Setting,
    *,
    noise_regulariser: NoiseWeight = 0.0,
    noise_rate: Annotated[
        float, Auto("learning rate of the noise maps relative to the other variables, above 0")
    ],
    optimiser: Descent = "adam",
    learning_rate: Rate = 0.02,
    steps: Steps = 400,
) -> Recipe:
    """(W+, S, B) (ICML 2022, the strongest plain baseline of SPHInX): W+ × S × B.

    In the paper the noise maps move as fast as the rest, which is `noise_rate` 1.
    """
    prior = StyleGANPrior(
        setting.generator,
        style=WPlus(),
        content=FreeContent(),
        noise=free_noise(noise_regulariser, noise_rate),
    )
    return setting.one_stage(prior, setting.optimiser(optimiser, learning_rate), steps)


@register.method("z-plus-s-b")
def z_plus_s_b(
    setting: Setting,
    *,
    through: Annotated[
        Literal["gaussian", "mapping"],
        "how z becomes w: by a Gaussian fit of W, as in ILO, or by the mapping network",
    ] = "gaussian",
    noise_regulariser: NoiseWeight = 0.0,
    learning_rate: Rate = 0.1,
    steps: Steps = 400,
) -> Recipe:
    """(Z+, S, B) (ICML 2022, a baseline of SPHInX): Z+ × S × B.

    In the paper this baseline is ILO without its rounds and balls. As in ILO every z keeps its
    norm, and the learning rate is 0.1 at most.
    """
    sphere = (Spheres(),)
    style: Part = Z("each", constraints=sphere)
    if through == "gaussian":
        style = GaussianZ(setting.statistics, constraints=sphere)
    prior = StyleGANPrior(
        setting.generator,
        style=style,
        content=FreeContent(),
        noise=free_noise(noise_regulariser),
    )
    return setting.one_stage(prior, Adam(learning_rate), steps)


@register.method("pgd-z")
def pgd_z(
    setting: Setting,
    *,
    rows: Annotated[Rows, "one z for all layers, or one for each"] = "one",
    gaussian: Annotated[
        float, "weight of ||z||² (Bora et al.), at least 0; with 0 each z keeps its norm"
    ] = 0.0,
    learning_rate: Rate = 0.1,
    steps: Steps = 400,
) -> Recipe:
    """Gradient descent in Z (Bora et al., ICML 2017): Z × constant × stored noise.

    The mapping network sees the direction of z alone, so each z returns to the sphere of radius
    sqrt(width) after every step. The paper is older than StyleGAN2; schedule and learning rate are
    those of the StyleGAN2 projector, which takes 1000 steps.
    """
    style = (
        Z(rows, penalties=(Gaussian(gaussian),)) if gaussian else Z(rows, constraints=(Spheres(),))
    )
    prior = StyleGANPrior(setting.generator, style=style)
    return setting.one_stage(prior, Adam(learning_rate), steps)


@register.method("pgd-projected")
def pgd_projected(
    setting: Setting,
    *,
    step: Annotated[float, "η of the gradient step x - η Aᵀ(A x - y), above 0"] = 0.5,
    inner: Annotated[int, "steps of the search for z after each gradient step, at least 1"] = 20,
    learning_rate: Rate = 0.1,
    steps: Steps = 400,
) -> Recipe:
    """Projected gradient descent (Shah & Hegde, ICASSP 2018): Z × constant × stored noise.

    x <- P_G(x - η Aᵀ(A x - y)), with the projection P_G(v) = G(argmin_z ||G(z) - v||²). Each
    projection is a search for z that goes on from the z before. There is no perceptual term,
    because the algorithm has none. Adam keeps its moments from one projection to the next.
    """
    prior = StyleGANPrior(setting.generator, style=Z(constraints=(Spheres(),)))
    terms = [ProjectedGradient(step, inner)]
    stage = Stage(prior, terms, Adam(learning_rate), cosine_trapezoid(), steps)
    notes = setting.without_likelihood("gradient steps of the misfit")
    if setting.stochastic:
        notes = ("the gradient steps of this method take no fresh noise: they use the misfit",)
    return Recipe((stage,), notes=notes)
