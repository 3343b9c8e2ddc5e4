"""The format of NVIDIA's TensorFlow code, stylegan2 and stylegan2-ada."""

from collections.abc import Iterator, Mapping
from typing import final

from invprob.errors import GeneratorFileError
from invprob.priors.checkpoints.reading import RawCheckpoint
from invprob.priors.checkpoints.table import (
    FIRST,
    FLIPPED,
    GREY,
    KERNEL,
    MAPPING_RATE,
    SAME,
    TURNED,
    Layout,
    Row,
    Shapes,
    attribute,
    fan_in,
    inputs_of,
    structure,
)
from invprob.priors.stylegan.shapes import GeneratorConfig

USUAL = {
    "architecture": "skip",
    "nonlinearity": "lrelu",
    "mapping_nonlinearity": "lrelu",
    "resample_kernel": [1, 3, 3, 1],
    "use_noise": True,
    "normalize_latents": True,
}


@final
class TensorFlow(Layout):
    """Variables are named `component/scope/name`. Axes have another order; kernels are flipped."""

    mean_w = "dlatent_avg"
    unused = frozenset({"lod"})

    def config(self, raw: RawCheckpoint) -> GeneratorConfig:
        """The structure follows from shapes, the clamp from the static arguments in the file."""
        shapes = Shapes(raw.stand_ins)
        blocks = sum(name.endswith("/ToRGB/weight") for name in raw.tensors)
        _refuse_others(raw, blocks)
        depth = len(shapes.numbers("mapping/Dense{}/weight"))
        if depth == 0 or blocks == 0:
            name = "synthesis/4x4/ToRGB" if depth else "mapping/Dense0"
            raise GeneratorFileError(f"{name}/weight is missing")
        labels, label_width = shapes.embedding("mapping/LabelEmbed/weight")
        first = shapes.of("mapping/Dense0/weight", 2)
        last = shapes.of(f"mapping/Dense{depth - 1}/weight", 2)
        names = ["synthesis/4x4/Conv/weight"]
        names += [f"{_scope(block)}/Conv1/weight" for block in range(1, blocks)]
        bound = attribute(raw, "", "conv_clamp", None)
        return structure(
            [shapes.of(name, 4)[3] for name in names],
            depth,
            first[::-1],
            last[::-1],
            labels=labels,
            label_width=label_width,
            clamp=None if bound is None else float(bound),
        )

    def rows(self, raw: RawCheckpoint, config: GeneratorConfig) -> list[Row]:
        """Dense weights are (inputs, outputs), kernels (h, w, inputs, outputs)."""
        rate = float(attribute(raw, "", "mapping_lrmul", MAPPING_RATE))
        rows = [Row("constant", "synthesis/4x4/Const/const", FIRST)]
        if config.labels:
            gain = fan_in(config.labels)
            rows.append(Row("label_embedding.weight", "mapping/LabelEmbed/weight", TURNED, gain))
            rows.append(Row("label_embedding.bias", "mapping/LabelEmbed/bias"))
        for index, width in enumerate(config.mapping_widths[:-1]):
            ours, theirs = f"mapping_layers.{index}", f"mapping/Dense{index}"
            gain = rate * fan_in(width)
            rows.append(Row(f"{ours}.weight", f"{theirs}/weight", TURNED, gain))
            rows.append(Row(f"{ours}.bias", f"{theirs}/bias", gain=rate))
        for layer, theirs in enumerate(_layers(config.num_blocks)):
            ours, turned = f"layers.{layer}", FLIPPED if layer % 2 else SAME
            gain = fan_in(inputs_of(config, layer), 9)
            rows.append(Row(f"{ours}.weight", f"{theirs}/weight", KERNEL.then(turned), gain))
            rows += _style(config, ours, theirs)
            rows.append(Row(f"{ours}.bias", f"{theirs}/bias"))
            rows.append(Row(f"{ours}.noise_strength", f"{theirs}/noise_strength"))
            rows.append(Row(f"{ours}.noise", f"synthesis/noise{layer}"))
        for block, inputs in enumerate(config.channels):
            ours, theirs = f"to_rgb.{block}", f"{_scope(block)}/ToRGB"
            bias = raw.stand_ins.get(f"{theirs}/bias")
            colours = GREY if bias is not None and len(bias) == 1 else SAME
            axes = KERNEL.then(colours)
            rows.append(Row(f"{ours}.weight", f"{theirs}/weight", axes, fan_in(inputs)))
            rows.append(Row(f"{ours}.bias", f"{theirs}/bias", colours))
            rows += _style(config, ours, theirs)
        return rows

    def filters(self, config: GeneratorConfig) -> Mapping[str, float]:
        """These files hold no filter."""
        del config
        return {}


def _scope(block: int) -> str:
    return f"synthesis/{4 << block}x{4 << block}"


def _layers(blocks: int) -> Iterator[str]:
    """Their layers, in synthesis order."""
    yield f"{_scope(0)}/Conv"
    for block in range(1, blocks):
        yield f"{_scope(block)}/Conv0_up"
        yield f"{_scope(block)}/Conv1"


def _style(config: GeneratorConfig, ours: str, theirs: str) -> list[Row]:
    gain = fan_in(config.style_width)
    return [
        Row(f"{ours}.affine.weight", f"{theirs}/mod_weight", TURNED, gain),
        Row(f"{ours}.affine.bias", f"{theirs}/mod_bias", offset=1.0),
    ]


def _refuse_others(raw: RawCheckpoint, blocks: int) -> None:
    """Refuse networks of another architecture, and say why."""
    names = raw.tensors.keys()
    if any("ToRGB_lod" in name for name in names):
        raise GeneratorFileError(
            "the synthesis network of configurations B to D (ToRGB_lod), which grows; only "
            "`skip` is supported"
        )
    if any(name.endswith("/Skip/weight") for name in names):
        raise GeneratorFileError("the architecture `resnet`; only `skip` is supported")
    if blocks == 1 and any("/Conv1/" in name for name in names):
        raise GeneratorFileError("the architecture `orig`; only `skip` is supported")
    if "mapping/LabelConcat/weight" in names:
        raise GeneratorFileError(
            "a conditional generator of the older kind (mapping/LabelConcat: labels enter before "
            "the normalisation), which is not supported"
        )
    for name, usual in USUAL.items():
        found = attribute(raw, "", name, usual)
        if (list(found) if isinstance(found, tuple) else found) != usual:
            raise GeneratorFileError(f"{name} is {found!r}; only {usual!r} is supported")
