"""The format of rosinality/stylegan2-pytorch, and of the decoders of pSp and e4e."""

from collections.abc import Mapping
from typing import Any, final

from invprob.errors import ArgumentError, GeneratorFileError
from invprob.priors.checkpoints.reading import RawCheckpoint
from invprob.priors.checkpoints.table import (
    COLUMN,
    FILTER,
    FIRST,
    MAPPING_RATE,
    Layout,
    Row,
    Shapes,
    fan_in,
    inputs_of,
    structure,
)
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.shapes import GeneratorConfig


@final
class Rosinality(Layout):
    """All gains of the equalised learning rate are applied at run time there; here, folded in."""

    mean_w = "latent_avg"

    def config(self, raw: RawCheckpoint) -> GeneratorConfig:
        """The number of `convs` gives that of blocks; that of `style`, the mapping's depth."""
        shapes = Shapes(raw.stand_ins)
        depth = len(shapes.numbers("style.{}.weight"))
        blocks = (len(shapes.numbers("convs.{}.conv.weight")) + 1) // 2 + 1
        if depth == 0:
            raise GeneratorFileError("style.1.weight is missing")
        first, last = shapes.of("style.1.weight", 2), shapes.of(f"style.{depth}.weight", 2)
        seconds = [f"convs.{2 * block - 1}.conv.weight" for block in range(1, blocks)]
        names = ["conv1.conv.weight", *seconds]
        return structure([shapes.of(name, 5)[1] for name in names], depth, first, last)

    def rows(self, raw: RawCheckpoint, config: GeneratorConfig) -> list[Row]:
        """The table is the same for every file."""
        del raw
        return table(config)

    def filters(self, config: GeneratorConfig) -> Mapping[str, float]:
        """The gain is 4, because both axes are doubled."""
        blocks = range(config.num_blocks - 1)
        blurs = [f"convs.{2 * block}.conv.blur.kernel" for block in blocks]
        return dict.fromkeys([*blurs, *(f"to_rgbs.{b}.upsample.kernel" for b in blocks)], 4.0)


def to_rosinality(generator: Generator) -> dict[str, Any]:
    """The checkpoint that rosinality's converter would have saved: `g_ema` and `latent_avg`.

    Raises:
        ArgumentError: The generator has something that this format cannot hold.
    """
    config = generator.config
    widths = set(config.mapping_widths)
    lacking = {
        f"a clamp ({config.clamp})": config.clamp is not None,
        f"labels ({config.labels} classes; choose one, --label N)": config.labels > 0,
        f"widths of z and of inner layers other than that of w ({config.mapping_widths})": (
            config.labels == 0 and len(widths) > 1
        ),
    }
    if any(lacking.values()):
        named = ", ".join(what for what, lacks in lacking.items() if lacks)
        raise ArgumentError(f"rosinality's format cannot hold {named}; the native one can")
    ours = generator.state_dict()
    filters = {
        name: gain * FILTER.to(generator.constant)
        for name, gain in Rosinality().filters(config).items()
    }
    state = {row.theirs: row.write(ours[row.ours]) for row in table(config)}
    return {"g_ema": {**state, **filters}, "latent_avg": ours["mean_w"]}


def multiplier(config: GeneratorConfig) -> int | None:
    """The `channel_multiplier` with which rosinality's code builds this network, or None."""
    sizes = [4 << block for block in range(config.num_blocks)]
    for factor in (1, 2):
        if config.channels == tuple(512 if s < 64 else 16384 // s * factor for s in sizes):
            return factor
    return None


def table(config: GeneratorConfig) -> list[Row]:
    """The table; kernels are (1, outputs, inputs, 3, 3), to be scaled by 1 / sqrt(9 inputs)."""
    rows = [Row("constant", "input.input", FIRST)]
    for index, width in enumerate(config.mapping_widths[:-1]):
        ours, theirs = f"mapping_layers.{index}", f"style.{index + 1}"
        rows.append(Row(f"{ours}.weight", f"{theirs}.weight", gain=MAPPING_RATE * fan_in(width)))
        rows.append(Row(f"{ours}.bias", f"{theirs}.bias", gain=MAPPING_RATE))
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
        Row(f"{ours}.weight", f"{theirs}.conv.weight", FIRST, fan_in(inputs, taps)),
        Row(f"{ours}.affine.weight", f"{style}.weight", gain=fan_in(config.style_width)),
        Row(f"{ours}.affine.bias", f"{style}.bias"),
    ]
