"""The format of genforce: TensorFlow's weights under PyTorch names, with flips and style biases."""

from collections.abc import Mapping
from typing import final

from invprob.errors import GeneratorFileError
from invprob.priors.checkpoints.reading import RawCheckpoint
from invprob.priors.checkpoints.table import (
    FIRST,
    FLIPPED,
    MAPPING_RATE,
    SAME,
    Layout,
    Row,
    Shapes,
    fan_in,
    inputs_of,
    structure,
)
from invprob.priors.stylegan.shapes import GeneratorConfig


@final
class Genforce(Layout):
    """Layers are `layer{n}` in synthesis order; kernels of doubling layers are flipped."""

    mean_w = "truncation.w_avg"

    def config(self, raw: RawCheckpoint) -> GeneratorConfig:
        """The number of `output` is that of blocks; that of `dense` is the depth of the mapping."""
        shapes = Shapes(raw.stand_ins)
        if "mapping.label_weight" in raw.tensors:
            raise GeneratorFileError(
                "a conditional generator of the older kind (mapping.label_weight: labels enter "
                "before the normalisation), which is not supported"
            )
        depth = len(shapes.numbers("mapping.dense{}.weight"))
        colours = shapes.numbers("synthesis.output{}.weight")
        layers = len(shapes.numbers("synthesis.layer{}.weight"))
        if depth == 0:
            raise GeneratorFileError("mapping.dense0.weight is missing")
        if len(colours) == 1 and layers > 1:
            raise GeneratorFileError(
                "the architecture `origin` or `resnet`: one colour layer at the end; only `skip` "
                "is supported"
            )
        blocks = len(colours)
        names = [f"synthesis.layer{2 * block}.weight" for block in range(blocks)]
        first = shapes.of("mapping.dense0.weight", 2)
        last = shapes.of(f"mapping.dense{depth - 1}.weight", 2)
        return structure([shapes.of(name, 4)[0] for name in names], depth, first, last)

    def rows(self, raw: RawCheckpoint, config: GeneratorConfig) -> list[Row]:
        """Kernels are (outputs, inputs, 3, 3), to be scaled by 1 / sqrt(9 inputs)."""
        del raw
        rows = [Row("constant", "synthesis.early_layer.const", FIRST)]
        for index, width in enumerate(config.mapping_widths[:-1]):
            ours, theirs = f"mapping_layers.{index}", f"mapping.dense{index}"
            rows.append(
                Row(f"{ours}.weight", f"{theirs}.weight", gain=MAPPING_RATE * fan_in(width))
            )
            rows.append(Row(f"{ours}.bias", f"{theirs}.bias", gain=MAPPING_RATE))
        for layer in range(config.num_layers - 1):
            ours, theirs = f"layers.{layer}", f"synthesis.layer{layer}"
            turned = FLIPPED if layer % 2 else SAME
            gain = fan_in(inputs_of(config, layer), 9)
            rows.append(Row(f"{ours}.weight", f"{theirs}.weight", turned, gain))
            rows += _style(config, ours, theirs)
            rows += [
                Row(f"{ours}.{name}", f"{theirs}.{name}")
                for name in ("bias", "noise_strength", "noise")
            ]
        for block, inputs in enumerate(config.channels):
            ours, theirs = f"to_rgb.{block}", f"synthesis.output{block}"
            rows.append(Row(f"{ours}.weight", f"{theirs}.weight", gain=fan_in(inputs)))
            rows.append(Row(f"{ours}.bias", f"{theirs}.bias"))
            rows += _style(config, ours, theirs)
        return rows

    def filters(self, config: GeneratorConfig) -> Mapping[str, float]:
        """The gain is 4, because both axes are doubled."""
        layers = range(1, config.num_layers - 1, 2)
        names = [f"synthesis.layer{layer}.filter.kernel" for layer in layers]
        return dict.fromkeys([*names, "synthesis.upsample.kernel"], 4.0)


def _style(config: GeneratorConfig, ours: str, theirs: str) -> list[Row]:
    return [
        Row(f"{ours}.affine.weight", f"{theirs}.style.weight", gain=fan_in(config.style_width)),
        Row(f"{ours}.affine.bias", f"{theirs}.style.bias", offset=1.0),
    ]
