"""Plain latents: Z, Z+ and W+, with or without content S and noise maps B."""

from typing import Annotated, Literal

from invprob.losses import ProjectedGradient
from invprob.methods.policy import explains_choices
from invprob.methods.problem import Descent, Rate, Recipe, Setting, Steps, free_noise
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
from invprob.registry import Auto, register
from invprob.schedules import cosine_trapezoid
from invprob.solver.optimisers import Adam
from invprob.solver.task import Stage

NoiseRate = Annotated[
    float, Auto("learning rate of the noise maps, relative; auto: 10 where data suffice, else 1")
]
NoiseWeight = Annotated[float, "weight of the noise autocorrelation penalty"]
OneOrEach = Annotated[Rows, "one latent for all layers, or one each"]


@register.method("w-plus")
def w_plus(
    setting: Setting,
    *,
    optimiser: Descent = "adam",
    learning_rate: Rate = 0.03,
    steps: Steps = 400,
) -> Recipe:
    """W+ (Abdal et al., ICCV 2019): W+ × constant × stored noise, from the mean w.

    With SPHInX's loss and schedule: the paper's baseline (W+). Image2StyleGAN's own choices are
    `i2s`.
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
    """(W+, S) (ICML 2022, a baseline of SPHInX): W+ × S × stored noise."""
    prior = StyleGANPrior(setting.generator, style=WPlus(), content=FreeContent())
    return setting.one_stage(prior, setting.optimiser(optimiser, learning_rate), steps)


@register.method("w-plus-s-b")
@explains_choices
def w_plus_s_b(
    setting: Setting,
    *,
    noise_regulariser: NoiseWeight = 0.0,
    noise_rate: NoiseRate,
    optimiser: Descent = "adam",
    learning_rate: Rate = 0.02,
    steps: Steps = 400,
) -> Recipe:
    """(W+, S, B) (ICML 2022, the strongest plain baseline of SPHInX): W+ × S × B.

    The paper's noise maps move as fast as the rest (`noise_rate` 1); here faster where noiseless
    data suffice to hold them, as those of `sphinx` do.
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
        Literal["gaussian", "mapping"], "z to w by a Gaussian fit, as ILO does, or by the network"
    ] = "gaussian",
    noise_regulariser: NoiseWeight = 0.0,
    learning_rate: Rate = 0.1,
    steps: Steps = 400,
) -> Recipe:
    """(Z+, S, B) (ICML 2022, a baseline of SPHInX): Z+ × S × B.

    The paper's is ILO without rounds and balls; like there, every z keeps its norm, and
    the rate is at most 0.1.
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
    rows: OneOrEach = "one",
    gaussian: Annotated[float, "weight of ||z||² (Bora et al.); any frees z from its sphere"] = 0.0,
    learning_rate: Rate = 0.1,
    steps: Steps = 400,
) -> Recipe:
    """Gradient descent in Z (Bora et al., ICML 2017): Z × constant × stored noise.

    Table 1's row PGD as it is run in practice. The mapping network sees the direction of z alone:
    each z is brought back to the sphere of radius sqrt(width). The paper gives no hyper-parameters;
    1000 steps of at most 0.1 is our reading of the StyleGAN2 projector.
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
    step: Annotated[float, "η of the gradient step x - η Aᵀ(A x - y)"] = 0.5,
    inner: Annotated[int, "steps of the search for z after each"] = 20,
    learning_rate: Rate = 0.1,
    steps: Steps = 400,
) -> Recipe:
    """Projected gradient descent (Shah & Hegde, ICASSP 2018): Z × constant × stored noise.

    x <- P_G(x - η Aᵀ(A x - y)), where the projection P_G(v) = G(argmin_z ||G(z) - v||²) is searched
    by `inner` steps from the z before. η = 0.5 and tens of inner steps are recalled [R]. Where A is
    an image operator that a network can compare, LPIPS is not used: the algorithm has no such term.
    Adam keeps its moments from one projection to the next.
    """
    prior = StyleGANPrior(setting.generator, style=Z(constraints=(Spheres(),)))
    terms = [ProjectedGradient(step, inner)]
    stage = Stage(prior, terms, Adam(learning_rate), cosine_trapezoid(), steps)
    notes = setting.without_likelihood("gradient steps of the misfit")
    if setting.stochastic:
        notes = ("its gradient steps take no fresh noise: the data term is the plain misfit",)
    return Recipe((stage,), notes=notes)
