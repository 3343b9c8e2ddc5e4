"""From another program's tensors to a generator of ours, all of them or none."""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from invprob.errors import ArgumentError, GeneratorFileError
from invprob.priors.checkpoints.genforce import Genforce
from invprob.priors.checkpoints.nvidia import Nvidia
from invprob.priors.checkpoints.reading import RawCheckpoint
from invprob.priors.checkpoints.rosinality import Rosinality
from invprob.priors.checkpoints.table import FILTER, Layout
from invprob.priors.checkpoints.tensorflow import TensorFlow
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.shapes import compare

Look: TypeAlias = Callable[[str, Tensor], None]

LAYOUTS: Mapping[str, Layout] = {
    "rosinality": Rosinality(),
    "psp": Rosinality(),
    "nvidia": Nvidia(),
    "nvidia-tf": TensorFlow(),
    "genforce": Genforce(),
}


def to_generator(
    raw: RawCheckpoint, *, source: str, look: Look = lambda name, value: None
) -> Generator:
    """The generator of a foreign checkpoint, which draws the same images.

    Float32, or float64 where the checkpoint is. Every tensor has its place and every place its
    tensor, the mean of w excepted: where a file has none it is measured, over 10,000 draws of a
    fixed seed. Gains are folded in where the tensors of `raw` lie, which are used up. `look` is
    called with the name and the values of each tensor of the generator. Raises
    `GeneratorFileError` that names the first five which do not fit, or says why a network is
    another one.
    """
    if raw.format not in LAYOUTS:
        raise GeneratorFileError(f"{source}: the format {raw.format!r} has no table")
    layout = LAYOUTS[raw.format]
    try:
        config = layout.config(raw)
    except (ArgumentError, GeneratorFileError) as error:
        raise GeneratorFileError(f"{source} ({raw.format}): {error}") from None
    if raw.format == "nvidia" and not raw.attributes:
        warnings.warn(
            f"{source}: a bare state dict does not say whether its layers are clamped, so they are "
            "not; the pickle of the whole network says it",
            stacklevel=2,
        )
    with torch.device("meta"):
        generator = Generator(config)
    places, held = generator.state_dict(), raw.stand_ins
    rows, filters = layout.rows(raw, config), layout.filters(config)
    expected = {row.theirs: row.their_shape(places[row.ours]) for row in rows}
    apart = {layout.mean_w, *layout.unused, *filters}
    found = {name: tuple(value.shape) for name, value in held.items() if name not in apart}
    compare(source, expected, found)
    _check_filters(source, raw, filters)
    dtype = _dtype(source, raw)
    tensors: dict[str, Tensor] = {}
    for row in rows:
        tensors[row.ours] = row.read(raw.tensors[row.theirs].to(dtype))
        look(row.ours, tensors[row.ours])
    given = _mean_w(source, raw, layout, config.style_width)
    tensors["mean_w"] = torch.zeros(config.style_width, dtype=dtype)
    generator.load_state_dict(tensors, assign=True)
    generator.requires_grad_(False)
    generator.source = source
    if given is not None:
        generator.mean_w = given.to(dtype, copy=True)
    elif config.labels == 0:
        generator.mean_w = generator.measured_mean_w()
    else:
        raise GeneratorFileError(f"{source}: {layout.mean_w} is missing")
    look("mean_w", generator.mean_w)
    return generator


def _dtype(source: str, raw: RawCheckpoint) -> torch.dtype:
    """Float64 where every tensor is, else float32; raises for what is no floating-point number."""
    whole = [name for name, value in raw.stand_ins.items() if not value.is_floating_point()]
    if whole:
        raise GeneratorFileError(f"{source}: not floating-point numbers: {', '.join(whole[:5])}")
    double = all(value.dtype == torch.float64 for value in raw.stand_ins.values())
    return torch.float64 if double else torch.float32


def _mean_w(source: str, raw: RawCheckpoint, layout: Layout, width: int) -> Tensor | None:
    """Their mean of w: (width,), or the same for each of several style rows."""
    value = raw.tensors.get(layout.mean_w)
    if value is None:
        return None
    if value.ndim not in (1, 2) or value.shape[-1] != width or len(value) == 0:
        raise GeneratorFileError(
            f"{source}: {layout.mean_w} is {tuple(value.shape)}, not ({width},) or (rows, {width})"
        )
    rows = value.reshape(-1, width)
    if not bool(((rows == rows[0]) | (rows.isnan() & rows[0].isnan())).all()):
        raise GeneratorFileError(
            f"{source}: {layout.mean_w} differs from style row to style row; one mean of w is "
            "expected"
        )
    return rows[0]


def _check_filters(source: str, raw: RawCheckpoint, filters: Mapping[str, float]) -> None:
    """Filters are derived, not copied; but another one would be another network."""
    wrong = []
    for name, gain in filters.items():
        value = raw.tensors.get(name)
        if value is None:
            continue
        if math.prod(value.shape) != 16 or value.shape[-2:] != (4, 4):
            wrong.append(f"{name} is {tuple(value.shape)}")
        elif not torch.allclose(value.reshape(4, 4).float(), gain * FILTER, rtol=1e-3):
            wrong.append(f"{name} has other values")
    if wrong:
        raise GeneratorFileError(
            f"{source}: not the low-pass filter (1, 3, 3, 1): {'; '.join(wrong[:5])}"
        )
