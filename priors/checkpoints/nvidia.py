"""The format of NVIDIA's PyTorch code: stylegan2-ada-pytorch, and StyleGAN2 in stylegan3."""

from collections.abc import Iterator, Mapping
from typing import final

from invprob.errors import GeneratorFileError
from invprob.priors.checkpoints.reading import RawCheckpoint
from invprob.priors.checkpoints.table import (
    GREY,
    MAP,
    MAPPING_RATE,
    SAME,
    Fold,
    Layout,
    Row,
    Shapes,
    attribute,
    fan_in,
    structure,
)
from invprob.priors.stylegan.shapes import GeneratorConfig


@final
class Nvidia(Layout):
    """3x3 weights have no gain, because demodulation removes their scale. Others have one."""

    mean_w = "mapping.w_avg"

    def config(self, raw: RawCheckpoint) -> GeneratorConfig:
        """The structure follows from shapes, the clamp from attributes of the layers."""
        shapes = Shapes(raw.stand_ins)
        blocks = len(shapes.numbers("synthesis.b{}.conv1.weight"))
        _refuse_others(raw, blocks)
        depth = len(shapes.numbers("mapping.fc{}.weight"))
        if depth == 0 or blocks == 0:
            name = "synthesis.b4.conv1" if depth else "mapping.fc0"
            raise GeneratorFileError(f"{name}.weight is missing")
        label_width, labels = shapes.embedding("mapping.embed.weight")
        first = shapes.of("mapping.fc0.weight", 2)
        last = shapes.of(f"mapping.fc{depth - 1}.weight", 2)
        names = [f"synthesis.b{4 << block}.conv1.weight" for block in range(blocks)]
        return structure(
            [shapes.of(name, 4)[0] for name in names],
            depth,
            first,
            last,
            labels=labels,
            label_width=label_width,
            clamp=_clamp(raw, blocks),
        )

    def rows(self, raw: RawCheckpoint, config: GeneratorConfig) -> list[Row]:
        """Gains are those that the layers hold, or the usual ones where they hold none."""
        rows = [Row("constant", "synthesis.b4.const")]
        if config.labels:
            rows += _dense(raw, "label_embedding", "mapping.embed", config.labels, 1.0)
        for index, width in enumerate(config.mapping_widths[:-1]):
            rows += _dense(
                raw, f"mapping_layers.{index}", f"mapping.fc{index}", width, MAPPING_RATE
            )
        for layer, theirs in enumerate(_layers(config.num_blocks)):
            ours = f"layers.{layer}"
            rows += _dense(raw, f"{ours}.affine", f"{theirs}.affine", config.style_width, 1.0)
            rows += [
                Row(f"{ours}.{name}", f"{theirs}.{name}")
                for name in ("weight", "bias", "noise_strength")
            ]
            rows.append(Row(f"{ours}.noise", f"{theirs}.noise_const", MAP))
        for block, inputs in enumerate(config.channels):
            ours, theirs = f"to_rgb.{block}", f"synthesis.b{4 << block}.torgb"
            gain = attribute(raw, theirs, "weight_gain", fan_in(inputs))
            colours = _colours(raw, f"{theirs}.weight")
            rows += _dense(raw, f"{ours}.affine", f"{theirs}.affine", config.style_width, 1.0)
            rows.append(Row(f"{ours}.weight", f"{theirs}.weight", colours, float(gain)))
            rows.append(Row(f"{ours}.bias", f"{theirs}.bias", colours))
        return rows

    def filters(self, config: GeneratorConfig) -> Mapping[str, float]:
        """In every block and layer, without a gain, which their code applies later."""
        blocks = [f"synthesis.b{4 << block}" for block in range(config.num_blocks)]
        return {f"{name}.resample_filter": 1.0 for name in [*blocks, *_layers(len(blocks))]}


def _layers(blocks: int) -> Iterator[str]:
    """Their layers, in synthesis order."""
    yield "synthesis.b4.conv1"
    for block in range(1, blocks):
        yield f"synthesis.b{4 << block}.conv0"
        yield f"synthesis.b{4 << block}.conv1"


def _dense(raw: RawCheckpoint, ours: str, theirs: str, inputs: int, rate: float) -> list[Row]:
    weight = attribute(raw, theirs, "weight_gain", rate * fan_in(inputs))
    bias = attribute(raw, theirs, "bias_gain", rate)
    return [
        Row(f"{ours}.weight", f"{theirs}.weight", gain=float(weight)),
        Row(f"{ours}.bias", f"{theirs}.bias", gain=float(bias)),
    ]


def _colours(raw: RawCheckpoint, name: str) -> Fold:
    """A network of one colour is repeated for three."""
    return GREY if name in raw.tensors and len(raw.stand_ins[name]) == 1 else SAME


def _clamp(raw: RawCheckpoint, blocks: int) -> float | None:
    """The bound of all layers, which must be the same; None if they are not clamped."""
    modules = [*_layers(blocks), *(f"synthesis.b{4 << block}.torgb" for block in range(blocks))]
    bounds = {attribute(raw, name, "conv_clamp", None) for name in modules}
    if len(bounds) > 1:
        raise GeneratorFileError(
            f"its layers are clamped differently ({', '.join(map(str, bounds))}), which is not "
            "supported"
        )
    bound = bounds.pop()
    return None if bound is None else float(bound)


def _refuse_others(raw: RawCheckpoint, blocks: int) -> None:
    """Refuse networks of another architecture, and say why."""
    names = raw.tensors.keys()
    if any(name.startswith("synthesis.input.") for name in names):
        raise GeneratorFileError(
            "an alias-free generator (StyleGAN3: synthesis.input), which is another network"
        )
    if any(name.endswith(".skip.weight") for name in names):
        raise GeneratorFileError("the architecture `resnet`; only `skip` is supported")
    colours = sum(name.endswith(".torgb.weight") for name in names)
    if colours == 1 and blocks > 1:
        raise GeneratorFileError("the architecture `orig`; only `skip` is supported")
    for module, about in raw.attributes.items():
        layer = module.rpartition(".")[2]
        kind = about.get("activation", "lrelu")
        if layer.startswith(("conv", "fc")) and kind != "lrelu":
            raise GeneratorFileError(f"{module} has the activation {kind!r}, not 'lrelu'")
        if not about.get("use_noise", True):
            raise GeneratorFileError(f"{module} takes no noise, which is not supported")
