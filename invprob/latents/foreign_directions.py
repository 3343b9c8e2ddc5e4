"""Directions in the files of other programs, which do not name the generator they are of.

Read are boundaries of InterFaceGAN and of the editing code of e4e and PTI, boundaries of IDInvert,
components of GANSpace, factors of rosinality's SeFa, and global directions in S.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.errors import ArgumentError, FileError, GeneratorFileError, ShapeError
from invprob.latents.direction import Direction, ScaleDirection, StyleDirection
from invprob.priors.checkpoints.values import read_values
from invprob.priors.stylegan.generator import Generator
from invprob.rows import read_rows

DEVIATION = "one standard deviation along the component"
KNOWN = (
    "a vector (1, width), style rows (1, layers, width), {lat_comp, lat_stdev} or {comp, std} of "
    "GANSpace, {eigvec}, {boundary, meta_data} of IDInvert, or a list of one array for each "
    "modulated convolution"
)


@checked
@undisturbed()
def read_foreign(path: str | Path, generator: Generator) -> dict[str, Direction]:
    """Read the directions in a file of another program. No code in it is run.

    The file is not asked which generator it was made for, as it does not say. A warning says so.

    Args:
        path: a `.npy`, `.npz`, `.pt` or `.pkl` file.
        generator: the network that the directions are to move.

    Returns:
        The directions by name: a single one is named after the file, components of GANSpace are
        "component-0" and so on, factors of rosinality's "factor-0" and so on.

    Raises:
        FileError: there is no such file, it is damaged, or it holds something else.
        ShapeError: its directions are of another width or depth than the generator.
    """
    path = Path(path)
    try:
        content = read_values(path, "file of directions")
    except GeneratorFileError as error:
        raise FileError(str(error)) from None
    found = _directions(content, path, generator)
    for direction in found:
        _check(direction, path, generator)
    warnings.warn(
        f"{path} does not say which generator it was made for, nor whether in W or Z; only its "
        f"shape was compared with that of {generator.source!r}",
        stacklevel=2,
    )
    return {direction.name: direction for direction in found}


def _directions(content: Any, path: Path, generator: Generator) -> list[Direction]:
    """The directions in what a file holds."""
    name = path.stem
    match content:
        case Tensor():
            return [StyleDirection(name, _rows(content, path, generator))]
        case {"lat_comp": Tensor() as comp, "lat_stdev": Tensor() as deviations}:
            return _components(comp, deviations, path, generator)
        case {"comp": Tensor() as comp, "std": Tensor() as deviations}:
            return _components(comp, deviations, path, generator)
        case {"eigvec": Tensor() as vectors} if vectors.ndim == 2:
            rows = [_rows(column, path, generator) for column in vectors.T]
            return [StyleDirection(f"factor-{number}", row) for number, row in enumerate(rows)]
        case {"boundary": Tensor() as boundary}:
            return [_boundary(name, boundary, content.get("meta_data"), path, generator)]
        case {"arr_0": Tensor()}:
            return [_scales(name, _in_order(content), path, generator)]
        case [Tensor(), *_]:
            return [_scales(name, content, path, generator)]
    raise FileError(f"{path} holds no directions of a known form: {KNOWN}")


def _components(
    comp: Tensor, deviations: Tensor, path: Path, generator: Generator
) -> list[Direction]:
    """Components of GANSpace, (k, 1, width), each times its standard deviation (k,)."""
    if comp.ndim < 2 or deviations.shape != comp.shape[:1]:
        raise FileError(
            f"{path} is damaged: components {tuple(comp.shape)} with deviations "
            f"{tuple(deviations.shape)}"
        )
    found: list[Direction] = []
    for number, (vector, deviation) in enumerate(zip(comp, deviations, strict=True)):
        rows = deviation * _rows(vector, path, generator)
        facts = {"deviation": float(deviation)}
        found.append(StyleDirection(f"component-{number}", rows, DEVIATION, facts))
    return found


def _boundary(
    name: str, boundary: Tensor, about: Any, path: Path, generator: Generator
) -> Direction:
    """A boundary of IDInvert, (1, layers, width), in the rows that its `manipulate_layers` name."""
    direction = StyleDirection(name, _rows(boundary, path, generator))
    layers = about.get("manipulate_layers") if isinstance(about, Mapping) else None
    if layers is None or layers in ("", []):
        return direction
    text = ",".join(map(str, layers)) if isinstance(layers, list) else str(layers)
    try:
        return direction.within(read_rows(text))
    except ArgumentError as error:
        raise FileError(f"{path}: manipulate_layers: {error}") from None


def _scales(name: str, parts: Sequence[Any], path: Path, generator: Generator) -> Direction:
    """A direction in S: an array for each modulated convolution, in the order of use."""
    if not all(isinstance(part, Tensor) for part in parts):
        raise FileError(f"{path} holds a list of other things than arrays of numbers")
    found = [tuple(part.shape) for part in parts]
    expected = [module.weight.shape[1] for _, module in generator.modulations()]
    if [part.numel() for part in parts] != expected:
        raise ShapeError(
            f"{path} holds {len(found)} arrays of {_shown(found)}, but the modulated convolutions "
            f"of {generator.source!r} take {len(expected)} of {_shown(expected)}, in this order"
        )
    return ScaleDirection(name, [part.flatten() for part in parts])


def _in_order(content: Mapping[str, Any]) -> list[Any]:
    """What `numpy.savez` wrote without names: arr_0, arr_1 and so on."""
    return [content.get(f"arr_{number}") for number in range(len(content))]


def _rows(tensor: Tensor, path: Path, generator: Generator) -> Tensor:
    """The style rows of a vector (width,), (1, width) or of rows (1, layers, width)."""
    layers, width = generator.num_layers, generator.style_width
    shape = tuple(tensor.shape)
    if shape in ((width,), (1, width)):
        return tensor.reshape(1, width).expand(layers, width).clone()
    if shape in ((layers, width), (1, layers, width)):
        return tensor.reshape(layers, width).clone()
    raise ShapeError(
        f"{path} holds a direction of shape {shape}, but the generator {generator.source!r} takes "
        f"(1, {width}) or (1, {layers}, {width}); take a direction of this generator"
    )


def _check(direction: Direction, path: Path, generator: Generator) -> None:
    direction.check(generator)
    parts = direction.scales if isinstance(direction, ScaleDirection) else ()
    parts = [direction.rows] if isinstance(direction, StyleDirection) else parts
    for part in parts:
        if not part.is_floating_point() or not bool(torch.isfinite(part).all()):
            raise FileError(f"{path} is damaged: its direction is not of finite numbers")


def _shown(sizes: Sequence[object], most: int = 4) -> str:
    return ", ".join(map(str, sizes[:most])) + (", …" if len(sizes) > most else "")
