"""rosinality/stylegan2-pytorch, and the decoders of pSp and e4e, which have the same names."""

from collections.abc import Mapping
from typing import final

from invprob.errors import GeneratorFileError
from invprob.priors.checkpoints.reading import RawCheckpoint
from invprob.priors.checkpoints.table import (
    COLUMN,
    FIRST,
    MAPPING_RATE,
    Layout,
    Row,
    Shapes,
    fan_in,
    inputs_of,
    mapping_shape,
    scaled,
)
from invprob.priors.shapes import GeneratorConfig


@final
class Rosinality(Layout):
    """Every gain of an equalised learning rate is applied when the network runs: folded in here."""

    mean_w = "latent_avg"

    def config(self, raw: RawCheckpoint) -> GeneratorConfig:
        """`convs` count the blocks, `style` the mapping's layers (the first is a normalisation)."""
        shapes = Shapes(raw.tensors)
        depth = len(shapes.numbers("style.{}.weight"))
        blocks = (len(shapes.numbers("convs.{}.conv.weight")) + 1) // 2 + 1
        if depth == 0:
            raise GeneratorFileError("style.1.weight is missing")
        first, last = shapes.of("style.1.weight", 2), shapes.of(f"style.{depth}.weight", 2)
        seconds = [f"convs.{2 * block - 1}.conv.weight" for block in range(1, blocks)]
        return GeneratorConfig(
            resolution=2 << blocks,
            channels=tuple(shapes.of(name, 5)[1] for name in ("conv1.conv.weight", *seconds)),
            mapping_layers=depth,
            **mapping_shape(first, last, 0),
        )

    def rows(self, raw: RawCheckpoint, config: GeneratorConfig) -> list[Row]:
        """The same table for every file."""
        del raw
        return table(config)

    def filters(self, config: GeneratorConfig) -> Mapping[str, float]:
        """Both axes doubled: the gain is 4."""
        blocks = range(config.num_blocks - 1)
        blurs = [f"convs.{2 * block}.conv.blur.kernel" for block in blocks]
        return dict.fromkeys([*blurs, *(f"to_rgbs.{b}.upsample.kernel" for b in blocks)], 4.0)


def table(config: GeneratorConfig) -> list[Row]:
    """Theirs are (1, outputs, inputs, 3, 3), to be scaled by 1 / sqrt(9 inputs)."""
    rows = [Row("constant", "input.input", FIRST)]
    for index, width in enumerate(config.mapping_widths[:-1]):
        ours, theirs = f"mapping_layers.{index}", f"style.{index + 1}"
        rows.append(Row(f"{ours}.weight", f"{theirs}.weight", scaled(MAPPING_RATE * fan_in(width))))
        rows.append(Row(f"{ours}.bias", f"{theirs}.bias", scaled(MAPPING_RATE)))
    for layer in range(config.num_layers - 1):
        ours, theirs = f"layers.{layer}", f"convs.{layer - 1}" if layer else "conv1"
        rows += _convolution(config, ours, theirs, inputs_of(config, layer), 9)
        rows.append(Row(f"{ours}.bias", f"{theirs}.activate.bias"))
        rows.append(Row(f"{ours}.noise_strength", f"{theirs}.noise.weight", FIRST))
        rows.append(Row(f"{ours}.noise", f"noises.noise_{layer}"))
    for block, inputs in enumerate(config.channels):
        ours, theirs = f"to_rgb.{block}", f"to_rgbs.{block - 1}" if block else "to_rgb1"
        rows += _convolution(config, ours, theirs, inputs, 1)
        rows.append(Row(f"{ours}.bias", f"{theirs}.bias", COLUMN))
    return rows


def _convolution(
    config: GeneratorConfig, ours: str, theirs: str, inputs: int, taps: int
) -> list[Row]:
    style = f"{theirs}.conv.modulation"
    return [
        Row(f"{ours}.weight", f"{theirs}.conv.weight", FIRST.then(scaled(fan_in(inputs, taps)))),
        Row(f"{ours}.affine.weight", f"{style}.weight", scaled(fan_in(config.style_width))),
        Row(f"{ours}.affine.bias", f"{style}.bias"),
    ]
