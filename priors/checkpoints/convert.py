"""Converts another program's tensors to a generator of ours: all of them, or none."""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from invprob.errors import ArgumentError, GeneratorFileError
from invprob.priors.checkpoints.bare import Bare
from invprob.priors.checkpoints.genforce import Genforce
from invprob.priors.checkpoints.noise_maps import NOTE, draw_noise_maps, lacking
from invprob.priors.checkpoints.nvidia import Nvidia
from invprob.priors.checkpoints.reading import RawCheckpoint
from invprob.priors.checkpoints.rosinality import Rosinality
from invprob.priors.checkpoints.table import FILTER, Layout
from invprob.priors.checkpoints.tensorflow import TensorFlow
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.shapes import compare

OnTensor: TypeAlias = Callable[[str, Tensor], None]

LAYOUTS: Mapping[str, Layout] = {
    "rosinality": Rosinality(),
    "psp": Rosinality(),
    "nvidia": Nvidia(),
    "nvidia-tf": TensorFlow(),
    "genforce": Genforce(),
    "bare": Bare(),
}
# What tells a clamp, for the formats of which a state dict alone does not.
TOLD_BY = {
    "nvidia": "the pickle of the whole network",
    "nvidia-tf": "the pickle of the whole network",
    "bare": "a file of `save_generator`",
}


def to_generator(
    raw: RawCheckpoint, *, source: str, on_tensor: OnTensor = lambda name, value: None
) -> Generator:
    """Build the generator of a foreign checkpoint. It draws the same images.

    Every tensor of the checkpoint must belong to the generator, and every tensor of the generator
    must be in the checkpoint. There are two exceptions. Where the checkpoint has no mean of w, it
    is measured over 10,000 draws of a fixed seed. Where it has no noise maps at all, they are drawn
    from a fixed seed, and the generator's `notes` say so.

    Args:
        raw: The checkpoint. Its tensors are changed in place, so it cannot be used again.
        source: What error messages call it, and the generator's `source`.
        on_tensor: Called with the name and the values of each tensor of the generator.

    Returns:
        A frozen generator in float32, or in float64 where the checkpoint is.

    Raises:
        GeneratorFileError: Tensors are missing, unknown or of another shape (the message names the
            first five), or the network is not StyleGAN2 (the message says why).
    """
    if raw.format not in LAYOUTS:
        raise GeneratorFileError(f"{source}: the format {raw.format!r} has no table")
    layout = LAYOUTS[raw.format]
    try:
        config = layout.config(raw)
    except (ArgumentError, GeneratorFileError) as error:
        raise GeneratorFileError(f"{source} ({raw.format}): {error}") from None
    if raw.format in TOLD_BY and not raw.attributes:
        warnings.warn(
            f"{source}: a bare state dict does not say whether its layers are clamped, so they are "
            f"not; {TOLD_BY[raw.format]} does",
            stacklevel=2,
        )
    with torch.device("meta"):
        generator = Generator(config)
    own, held = generator.state_dict(), raw.stand_ins
    rows, filters = layout.rows(raw, config), layout.filters(config)
    drawn = lacking({row.ours: row.theirs for row in rows}, held)
    rows = [row for row in rows if row.ours not in drawn]
    expected = {row.theirs: row.their_shape(own[row.ours]) for row in rows}
    apart = {layout.mean_w, *layout.unused, *filters}
    found = {name: tuple(value.shape) for name, value in held.items() if name not in apart}
    compare(source, expected, found)
    _check_filters(source, raw, filters)
    dtype = _dtype(source, raw)
    tensors: dict[str, Tensor] = {}
    for row in rows:
        tensors[row.ours] = row.read(raw.tensors[row.theirs].to(dtype))
        on_tensor(row.ours, tensors[row.ours])
    if drawn:
        tensors.update(draw_noise_maps(own, dtype))
    mean_w = _mean_w(source, raw, layout, config.style_width)
    tensors["mean_w"] = torch.zeros(config.style_width, dtype=dtype, device="cpu")
    generator.load_state_dict(tensors, assign=True)
    generator.requires_grad_(False)
    generator.source = source
    generator.notes = (NOTE,) if drawn else ()
    if mean_w is not None:
        generator.mean_w = mean_w.to(dtype, copy=True)
    elif config.labels == 0:
        generator.mean_w = generator.measured_mean_w()
    else:
        raise GeneratorFileError(f"{source}: {layout.mean_w} is missing")
    on_tensor("mean_w", generator.mean_w)
    return generator


def _dtype(source: str, raw: RawCheckpoint) -> torch.dtype:
    """Float64 where every tensor is, else float32; other types than floating point are refused."""
    whole = [name for name, value in raw.stand_ins.items() if not value.is_floating_point()]
    if whole:
        raise GeneratorFileError(f"{source}: not floating-point numbers: {', '.join(whole[:5])}")
    double = all(value.dtype == torch.float64 for value in raw.stand_ins.values())
    return torch.float64 if double else torch.float32


def _mean_w(source: str, raw: RawCheckpoint, layout: Layout, width: int) -> Tensor | None:
    """The checkpoint's mean of w, (width,); it may be stored once for each style row."""
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
    """Refuse a low-pass filter other than ours. Filters are not copied: ours is fixed."""
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
