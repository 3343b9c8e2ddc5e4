"""Methods with an encoder of the measurements: pSp, IDInvert, BDInvert, and a part of StyleRig.

The encoders are those of `invprob train-encoder`, which learn from images that the generator drew.
They do not reproduce the published encoders, which learned from photographs. For a photograph
unlike the generator's images they find little more than the mean w.
"""

from typing import Annotated, Literal

from invprob.methods.encoder_start import EncoderStart
from invprob.methods.problem import Rate, Setting, Steps, WhiteningFloor
from invprob.methods.recipe import Recipe
from invprob.priors.domain import DomainGuided
from invprob.priors.encoder_files import load_encoder
from invprob.priors.encoders import BASE_LAYER
from invprob.priors.parts import FreeFeatures, WPlus
from invprob.priors.parts.penalties import Distance, PNorm
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.priors.stylegan.statistics import Whitening
from invprob.registry import register
from invprob.schedules import constant
from invprob.solver.optimisers import Adam
from invprob.solver.task import Stage


@register.method("psp")
def psp(setting: Setting) -> Recipe:
    """pSp (CVPR 2021), encoder alone: W+ = E(y) × constant × stored noise, no step taken.

    The encoder is that of `invprob train-encoder` in place of pSp's. If the measurement is not an
    image, the encoder sees the pseudo-inverse. The number of steps of a run has no effect.
    """
    prior = StyleGANPrior(setting.generator, style=WPlus())
    stage = Stage(prior, [setting.data_term()], Adam(), constant(), 0)
    return Recipe((stage,), initial=EncoderStart(load_encoder(setting.generator, "toolkit")))


@register.method("idinvert")
def idinvert(
    setting: Setting,
    *,
    domain: Annotated[float, "weight of mean (w - E(G(w)))², at least 0"] = 2.0,
    learning_rate: Rate = 0.01,
    steps: Steps = 100,
) -> Recipe:
    """IDInvert (ECCV 2020): W+ from E(y), kept where E(G(w)) = w × constant × stored noise.

    The loss is MSE + LPIPS + 2 · mean (w - E(G(w)))², with Adam at a constant 0.01 for 100 steps.
    The published code compares one layer of VGG16 features, with weight 5e-5 for images in
    [0, 255], in place of LPIPS. The paper takes 1000 steps. The encoder saw images of the generator
    and no photographs, so the domain to which it guides is that of the generator's images.
    """
    encoder = load_encoder(setting.generator, "toolkit")
    prior = DomainGuided(setting.generator, encoder, domain)
    terms = setting.data_and_perceptual(1.0)
    stage = Stage(prior, terms, Adam(learning_rate), constant(), steps)
    return Recipe((stage,), initial=EncoderStart(encoder))


@register.method("bdinvert")
def bdinvert(
    setting: Setting,
    *,
    start: Annotated[
        Literal["encoder", "mean"], "start of the base code F: E(y), or that of the mean w"
    ] = "encoder",
    skip: Annotated[
        Literal["dropped", "kept"], "the RGB image made below F, if F starts at that of the mean w"
    ] = "dropped",
    base: Annotated[float, "weight of mean (F - F0)², at least 0"] = 10.0,
    p_norm: Annotated[float, "weight of the squared P-norm+ of w+, at least 0"] = 0.01,
    floor: WhiteningFloor = 1e-2,
    learning_rate: Rate = 0.01,
    steps: Steps = 400,
) -> Recipe:
    """BDInvert (ICCV 2021): detail code W+ × base code F at 16 px × stored noise.

    The loss is MSE + 10 · LPIPS + 10 · mean (F - F0)² + 0.01 · squared P-norm+, with Adam at a
    constant 0.01; the published code takes 1200 steps. F replaces all that the generator computes
    below 16 pixels, the RGB image included. The encoder is smaller than the published one, and
    trained in the same way on images of the generator.
    """
    whitening = Whitening(setting.statistics, floor)
    prior = StyleGANPrior(
        setting.generator,
        style=WPlus(penalties=(PNorm(whitening, p_norm),)),
        content=FreeFeatures(BASE_LAYER, skip=skip, penalties=(Distance(base),)),
    )
    stage = Stage(prior, setting.data_and_perceptual(10.0), Adam(learning_rate), constant(), steps)
    if start == "mean":
        return Recipe((stage,))
    return Recipe((stage,), initial=EncoderStart(load_encoder(setting.generator, "base-code")))


@register.method("stylerig")
def stylerig(
    setting: Setting,
    *,
    cycle: Annotated[float, "weight of mean (w - E(G(w)))², at least 0"] = 1.0,
    learning_rate: Rate = 0.01,
    steps: Steps = 400,
) -> Recipe:
    """StyleRig (CVPR 2020), its cycle alone: W+ with w = E(G(w)) × constant × stored noise, no rig.

    StyleRig itself does not restore images, and its network and losses need a licensed 3D face
    model, which cannot be offered. What is left is its cycle: the encoder must find in the image
    the w that drew it. The search starts at the mean w. The weight is not from the paper.
    """
    prior = DomainGuided(setting.generator, load_encoder(setting.generator, "toolkit"), cycle)
    stage = Stage(prior, setting.terms(), Adam(learning_rate), constant(), steps)
    note = "StyleRig's 3D face model is left out: this is W+ with a cycle through an encoder"
    return Recipe((stage,), notes=(note,))
