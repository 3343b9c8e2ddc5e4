"""Heads on fresh draws: SPHInX (Subramanyam et al., ICML 2022) and its ablation of Fig. 2."""

from typing import Annotated, Literal

from invprob.errors import ArgumentError
from invprob.methods.choices import Content, DescentName, NoiseMaps
from invprob.methods.policy import explains_choices
from invprob.methods.problem import Rate, Recipe, Setting, Steps, free_noise
from invprob.priors.parts import (
    Draws,
    FreeNoise,
    LearnedConstant,
    MappedStyles,
    ProjectedContent,
    ProjectedStyles,
    Readout,
    Rows,
    StoredNoise,
)
from invprob.priors.parts.heads import HeadShape, Preset
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.registry import Auto, register
from invprob.solver.optimisers import Adam, Optimiser

Around = Annotated[Literal["mean", "zero"], "what the heads' outputs are added to"]
Reading = Annotated[Readout, "how the heads settle: mean_w, last, fresh or zero"]
Width = Annotated[int | None, "bottleneck width (App. D: 16, 32, 64, 128); default: the preset's"]
HeadOptimiser = Annotated[
    DescentName, Auto("l-bfgs has no learning rate and keeps the first draws")
]
HeadRate = Annotated[float | None, "maximum learning rate of Adam; default: 0.003"]


def _search(
    setting: Setting, optimiser: DescentName, learning_rate: float | None
) -> tuple[Optimiser, Draws]:
    """The optimiser, and the codes of the heads that go with it."""
    if optimiser == "adam":
        return Adam(0.003 if learning_rate is None else learning_rate), "fresh"
    if learning_rate is not None:
        raise ArgumentError("l-bfgs has no learning_rate; leave one of the two out")
    return setting.lbfgs(), "kept"


@register.method("sphinx")
@explains_choices
def sphinx(
    setting: Setting,
    *,
    preset: Annotated[Preset, "head widths: paper (d=16) or official (d=32)"] = "paper",
    d: Width = None,
    around: Around = "mean",
    content: Annotated[Content, Auto("content: the head P_c, or the learned constant")],
    noise_maps: Annotated[NoiseMaps, Auto("noise maps: free (B), or those stored")],
    noise_regulariser: Annotated[float, "weight of the noise autocorrelation penalty"] = 0.0,
    noise_rate: Annotated[float, "learning rate of the noise maps, relative"] = 30.0,
    readout: Reading = "mean_w",
    optimiser: HeadOptimiser,
    learning_rate: HeadRate = None,
    steps: Steps = 400,
) -> Recipe:
    """SPHInX (ICML 2022): P_s × P_c × B, heads trained on fresh draws (algorithm 1).

    Loss 1.0·MSE + 1.5·LPIPS, the published code's weights; the paper gives none. Paper: d = 16,
    Adam, at most 1e-3 on a trapezoid, 10 000 steps. Unlike the paper, P_c and B are free only where
    data of little noise hold them, heads add to the mean, and w is the mean over 64 draws; the
    paper's are `around` zero, `content` head, `noise_maps` free, `readout` last, `noise_rate` 1.
    L-BFGS is ours; with it heads keep the codes of the start, and are read out there.
    """
    search, codes = _search(setting, optimiser, learning_rate)
    shape = HeadShape.preset(preset, setting.generator.style_width, d)
    prior = StyleGANPrior(
        setting.generator,
        style=ProjectedStyles(shape, readout=readout, around=around, codes=codes),
        content=ProjectedContent(shape, readout=readout, around=around, codes=codes)
        if content == "head"
        else LearnedConstant(),
        noise=free_noise(noise_regulariser, noise_rate) if noise_maps == "free" else StoredNoise(),
    )
    return setting.one_stage(prior, search, steps)


@register.method("sphinx-style")
@explains_choices
def sphinx_style(
    setting: Setting,
    *,
    preset: Annotated[Preset, "head widths: paper (d=16) or official (d=32)"] = "paper",
    d: Width = None,
    around: Around = "mean",
    readout: Reading = "mean_w",
    optimiser: HeadOptimiser,
    learning_rate: HeadRate = None,
    steps: Steps = 400,
) -> Recipe:
    """SPHInX, style alone (ICML 2022): P_s × constant × stored noise."""
    return sphinx(
        setting,
        preset=preset,
        d=d,
        around=around,
        content="constant",
        noise_maps="stored",
        readout=readout,
        optimiser=optimiser,
        learning_rate=learning_rate,
        steps=steps,
    )


@register.method("sphinx-official")
def sphinx_official(
    setting: Setting,
    *,
    d: Width = None,
    learning_rate: Rate = 1e-3,
    steps: Steps = 400,
) -> Recipe:
    """SPHInX as published in code (2022): P_s × P_c × B, d = 32, only P_s on a schedule.

    What the code does where the paper says otherwise: d = 32, bottleneck widths 256, 128, 32, a
    content code of 8 channels, P_c and B at a constant rate, heads around zero, 5000 steps of at
    most 1e-3. Its image is that of the last draw. Unlike the code, the image is drawn after the
    last step, so that it belongs to the variables that are returned.
    """
    shape = HeadShape.preset("official", setting.generator.style_width, d)
    prior = StyleGANPrior(
        setting.generator,
        style=ProjectedStyles(shape, readout="last"),
        content=ProjectedContent(shape, readout="last", scheduled=False),
        noise=FreeNoise(scheduled=False),
    )
    return setting.one_stage(prior, Adam(learning_rate), steps)


Codes = Annotated[Rows, "codes: one z for all layers, or one each"]


def _mapping(
    setting: Setting,
    weights: Literal["own", "new"],
    rows: Rows,
    readout: Readout,
    learning_rate: float,
    steps: int,
) -> Recipe:
    style = MappedStyles(weights, rows, readout=readout)
    return setting.one_stage(
        StyleGANPrior(setting.generator, style=style), Adam(learning_rate), steps
    )


@register.method("mapping-finetuned")
def mapping_finetuned(
    setting: Setting,
    *,
    rows: Codes = "each",
    readout: Reading = "mean_w",
    learning_rate: Rate = 1.0,
    steps: Steps = 400,
) -> Recipe:
    """Ablation (ICML 2022, Fig. 2): fine-tuned mapping network as head × constant × stored noise.

    The learning rate is that of the variables of training, which equalisation scales down; it is
    ours, the paper names none.
    """
    return _mapping(setting, "own", rows, readout, learning_rate, steps)


@register.method("mapping-reinit")
def mapping_reinit(
    setting: Setting,
    *,
    rows: Codes = "each",
    readout: Reading = "mean_w",
    learning_rate: Rate = 1.0,
    steps: Steps = 400,
) -> Recipe:
    """Ablation (ICML 2022, Fig. 2): a new mapping network as head × constant × stored noise.

    Weights N(0, 1) / 0.01 at an equalised rate, as before training; see `mapping-finetuned`.
    """
    return _mapping(setting, "new", rows, readout, learning_rate, steps)
