"""Methods with an encoder of the measurements: pSp, IDInvert, BDInvert, what is left of StyleRig.

The encoders are ours, trained on the generator's own samples (`invprob train-encoder`): they are no
reproductions of the published ones, which saw real images, and fall back to the mean far from them.
"""

from typing import Annotated, Literal

from invprob.losses import PerceptualTerm, Term
from invprob.methods.encoder_start import EncoderStart
from invprob.methods.problem import Floor, Rate, Recipe, Setting, Steps
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

    With our encoder in place of pSp's, and on what the operator can be undone to where the
    measurement is no image. `--steps` is accepted and none is taken.
    """
    prior = StyleGANPrior(setting.generator, style=WPlus())
    stage = Stage(prior, [setting.data_term()], Adam(), constant(), 0)
    return Recipe((stage,), initial=EncoderStart(load_encoder(setting.generator, "toolkit")))


@register.method("idinvert")
def idinvert(
    setting: Setting,
    *,
    domain: Annotated[float, "weight of mean (w - E(G(w)))²"] = 2.0,
    learning_rate: Rate = 0.01,
    steps: Steps = 100,
) -> Recipe:
    """IDInvert (ECCV 2020): W+ from E(y), kept where E(G(w)) = w × constant × stored noise.

    MSE + 5e-5·features of VGG16 + 2·mean (w - E(G(w)))², Adam 0.01 constant, 100 steps (published
    code; 1000 in the paper). Features: one layer of VGG16 on images in 0-255 there; here LPIPS of
    weight 1 where a network serves. Our encoder saw no real images and no critic, and the
    generator is not theirs, so the domain it guides to is that of the generator's samples.
    """
    encoder = load_encoder(setting.generator, "toolkit")
    prior = DomainGuided(setting.generator, encoder, domain)
    terms = _data_and_lpips(setting, 1.0)
    stage = Stage(prior, terms, Adam(learning_rate), constant(), steps)
    return Recipe((stage,), initial=EncoderStart(encoder))


@register.method("bdinvert")
def bdinvert(
    setting: Setting,
    *,
    start: Annotated[
        Literal["encoder", "mean"], "base code F: E(y), or that of the mean w"
    ] = "encoder",
    skip: Annotated[
        Literal["dropped", "kept"], "the RGB image made below the base code, where F is the mean's"
    ] = "dropped",
    base: Annotated[float, "weight of mean (F - F0)²"] = 10.0,
    p_norm: Annotated[float, "weight of the squared P-norm+ of w+"] = 0.01,
    floor: Floor = 1e-2,
    learning_rate: Rate = 0.01,
    steps: Steps = 400,
) -> Recipe:
    """BDInvert (ICCV 2021): detail code W+ × base code F at 16 px × stored noise.

    MSE + 10·LPIPS + 10·mean (F - F0)² + 0.01·P-norm+², Adam 0.01 constant, 1200 steps (published
    code). F replaces all below 16 px, RGB image included, and begins at our encoder's, smaller than
    theirs and trained in the same way on the generator's samples.
    """
    whitening = Whitening(setting.statistics, floor)
    prior = StyleGANPrior(
        setting.generator,
        style=WPlus(penalties=(PNorm(whitening, p_norm),)),
        content=FreeFeatures(BASE_LAYER, skip=skip, penalties=(Distance(base),)),
    )
    stage = Stage(prior, _data_and_lpips(setting, 10.0), Adam(learning_rate), constant(), steps)
    if start == "mean":
        return Recipe((stage,))
    return Recipe((stage,), initial=EncoderStart(load_encoder(setting.generator, "base-code")))


@register.method("stylerig")
def stylerig(
    setting: Setting,
    *,
    cycle: Annotated[float, "weight of mean (w - E(G(w)))²"] = 1.0,
    learning_rate: Rate = 0.01,
    steps: Steps = 400,
) -> Recipe:
    """StyleRig (CVPR 2020), its cycle alone: W+ with w = E(G(w)) × constant × stored noise, no rig.

    StyleRig's network and losses need a licensed 3D face model and its regressor, which cannot be
    offered, and it inverts nothing itself. What is left of it here is the idea of a cycle: what the
    image says of itself must be what made it. From the mean w; weight and rate are ours.
    """
    prior = DomainGuided(setting.generator, load_encoder(setting.generator, "toolkit"), cycle)
    stage = Stage(prior, setting.terms(), Adam(learning_rate), constant(), steps)
    note = "StyleRig's 3D face model is not offered: this is W+ with a cycle through our encoder"
    return Recipe((stage,), notes=(note,))


def _data_and_lpips(setting: Setting, weight: float) -> list[Term]:
    network = setting.network
    lpips = [] if network is None else [PerceptualTerm(network, weight)]
    return [setting.data_term(), *lpips]
