"""Projection heads: SPHInX (Subramanyam et al., ICML 2022) and its ablation of Fig. 2."""

from typing import Annotated, Literal

from invprob.errors import ArgumentError
from invprob.methods.choices import Content, DescentName, NoiseMaps
from invprob.methods.policy import explains_choices
from invprob.methods.problem import NoiseWeight, Rate, Setting, Steps, free_noise
from invprob.methods.recipe import Recipe
from invprob.options import Auto
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
from invprob.registry import register
from invprob.solver.optimisers import Adam, Optimiser

ADAM_RATE = 0.003

HeadWidths = Annotated[Preset, "widths of the heads: of the paper (d = 16) or its code (d = 32)"]
Bottleneck = Annotated[
    int | None, "width d of the bottleneck, at least 1 (App. D: 16 to 128); None: the preset's"
]
HeadCentre = Annotated[
    Literal["mean", "zero"], "what the outputs of the heads are added to: the mean w, or zero"
]
HeadReadout = Annotated[
    Readout,
    "how the image is drawn: mean_w averages w over 64 draws, last takes the draw of the last "
    "step, fresh a new draw, zero takes z = 0",
]
HeadOptimiser = Annotated[
    DescentName,
    Auto("what moves the variables; l-bfgs keeps the first draw, and has no learning rate"),
]
HeadRate = Annotated[float | None, f"largest learning rate of Adam, above 0; None: {ADAM_RATE}"]


@register.method("sphinx")
@explains_choices
def sphinx(
    setting: Setting,
    *,
    preset: HeadWidths = "paper",
    d: Bottleneck = None,
    around: HeadCentre = "mean",
    content: Annotated[Content, Auto("the content: a head P_c, or the generator's constant")],
    noise_maps: Annotated[NoiseMaps, Auto("the noise maps: free (B), or the generator's")],
    noise_regulariser: NoiseWeight = 0.0,
    noise_rate: Annotated[
        float, "learning rate of free noise maps relative to that of the heads, above 0"
    ] = 30.0,
    readout: HeadReadout = "mean_w",
    optimiser: HeadOptimiser,
    learning_rate: HeadRate = None,
    steps: Steps = 400,
) -> Recipe:
    """SPHInX (ICML 2022): P_s × P_c × B, heads trained on fresh draws (algorithm 1).

    Every step draws a random z. The head P_s maps it to styles and the head P_c to content, and
    Adam moves the heads and the noise maps B. The loss is 1.0 · data term + 1.5 · LPIPS. These are
    the weights of the published code; the paper names none.

    The defaults differ from the paper. P_c and B are free only where the measurements determine
    them. The heads are added to the mean w, the image is drawn from a mean of draws, the noise maps
    move faster, and L-BFGS may take the place of Adam. For the setting of the paper take `around`
    zero, `content` head, `noise_maps` free, `noise_rate` 1, `readout` last, `learning_rate` 1e-3
    and 10,000 steps.

    Raises:
        ArgumentError: an option is out of range, or L-BFGS is given a learning rate or a loss that
            does not suit it.
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
    preset: HeadWidths = "paper",
    d: Bottleneck = None,
    around: HeadCentre = "mean",
    readout: HeadReadout = "mean_w",
    optimiser: HeadOptimiser,
    learning_rate: HeadRate = None,
    steps: Steps = 400,
) -> Recipe:
    """SPHInX, style alone (ICML 2022): P_s × constant × stored noise.

    This is `sphinx` with `content` constant and `noise_maps` stored.
    """
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
    d: Bottleneck = None,
    learning_rate: Rate = 1e-3,
    steps: Steps = 400,
) -> Recipe:
    """SPHInX as published in code (2022): P_s × P_c × B, d = 32, only P_s on a schedule.

    The published code departs from the paper. It has d = 32, a bottleneck of widths 256, 128 and
    32, a content code of 8 channels, a constant learning rate for P_c and B, and takes 5000 steps.
    Its heads are added to zero, and its image is that of the last draw. Unlike that code, this
    method draws the image after the last step, so that it belongs to the variables that are
    returned.
    """
    shape = HeadShape.preset("official", setting.generator.style_width, d)
    prior = StyleGANPrior(
        setting.generator,
        style=ProjectedStyles(shape, readout="last"),
        content=ProjectedContent(shape, readout="last", scheduled=False),
        noise=FreeNoise(scheduled=False),
    )
    return setting.one_stage(prior, Adam(learning_rate), steps)


CodeRows = Annotated[Rows, "one z for all layers, or one for each"]


@register.method("mapping-finetuned")
def mapping_finetuned(
    setting: Setting,
    *,
    rows: CodeRows = "each",
    readout: HeadReadout = "mean_w",
    learning_rate: Rate = 1.0,
    steps: Steps = 400,
) -> Recipe:
    """Ablation (ICML 2022, Fig. 2): fine-tuned mapping network as head × constant × stored noise.

    The layers of the network are equalised as in training, which scales the learning rate down. The
    paper names no learning rate.
    """
    return _mapping(setting, "own", rows, readout, learning_rate, steps)


@register.method("mapping-reinit")
def mapping_reinit(
    setting: Setting,
    *,
    rows: CodeRows = "each",
    readout: HeadReadout = "mean_w",
    learning_rate: Rate = 1.0,
    steps: Steps = 400,
) -> Recipe:
    """Ablation (ICML 2022, Fig. 2): a new mapping network as head × constant × stored noise.

    The weights begin as in the training of StyleGAN2, at N(0, 1) / 0.01 in equalised layers, which
    scale the learning rate down. The paper names no learning rate.
    """
    return _mapping(setting, "new", rows, readout, learning_rate, steps)


def _search(
    setting: Setting, optimiser: DescentName, learning_rate: float | None
) -> tuple[Optimiser, Draws]:
    """The optimiser, and the draws of the heads: kept for L-BFGS, which needs a fixed loss."""
    if optimiser == "adam":
        return Adam(ADAM_RATE if learning_rate is None else learning_rate), "fresh"
    if learning_rate is not None:
        raise ArgumentError("l-bfgs has no learning_rate; take adam, or leave the rate out")
    return setting.lbfgs(), "kept"


def _mapping(
    setting: Setting,
    weights: Literal["own", "new"],
    rows: Rows,
    readout: Readout,
    learning_rate: float,
    steps: int,
) -> Recipe:
    """A search that trains a mapping network as a style head."""
    style = MappedStyles(weights, rows, readout=readout)
    prior = StyleGANPrior(setting.generator, style=style)
    return setting.one_stage(prior, Adam(learning_rate), steps)
