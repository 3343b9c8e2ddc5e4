"""K-space in arrays without a header, whose axes follow from the format or are named."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from invprob.errors import ArgumentError, FileError
from invprob.formats import bart
from invprob.formats.kspace import KSpace, measured_lines
from invprob.formats.sinogram import named_axes
from invprob.formats.stored import Stored
from invprob.formats.wanted import FRAMES, Wanted

_KNOWN = ("slices", "coils", "rows", "columns", "repetitions", "contrasts")
_MOST_COILS = 128
Usual: TypeAlias = Mapping[int, tuple[str, ...]]

# NumPy and HDF5 have the slowest axis first, MATLAB has it last.
SINGLE: Usual = {2: ("rows", "columns"), 3: ("slices", "rows", "columns")}
COILS: Usual = {
    2: ("rows", "columns"),
    3: ("coils", "rows", "columns"),
    4: ("slices", "coils", "rows", "columns"),
}
SINGLE_MATLAB: Usual = {2: ("rows", "columns"), 3: ("rows", "columns", "slices")}
COILS_MATLAB: Usual = {
    2: ("rows", "columns"),
    3: ("rows", "columns", "coils"),
    4: ("rows", "columns", "coils", "slices"),
}
BART: Usual = {len(bart.AXES): bart.AXES}
_PAIR = 2


def read_kspace(
    stored: Stored,
    wanted: Wanted,
    usual: Usual,
    lines: Callable[[int], tuple[NDArray[np.int64], int]] | None = None,
) -> KSpace:
    """Read one slice.

    Args:
        stored: complex, or real with a last axis of 2 for real and imaginary part.
        wanted: may name the axes, the slice, the repetition and the contrast.
        usual: the names of the axes by their number, as the format has them.
        lines: tells from the number of columns in the array which columns were measured, and how
            many there are in all. None: those that are not zero.

    Raises:
        FileError: it is no k-space, or its axes cannot be told.
        ArgumentError: there is no such slice, or the names of the axes do not fit.
    """
    values, words = _planes(stored, wanted, usual)
    count, height, columns = values.shape
    words.append(f"coils {count}" if count > 1 else "one coil")
    words += [f"rows {height} (readout)", "columns (phase encoding)"]
    if lines is None:
        return measured_lines(values, words)
    given, width = lines(columns)
    if columns < width:
        if columns != len(given):
            raise ArgumentError(
                f"{stored.name!r} has {columns} columns, but lines names {len(given)} of {width}"
            )
        whole = np.zeros((count, height, width), np.complex64)
        whole[:, :, given] = values
        values = whole
    return measured_lines(values, words, given)


def read_planes(stored: Stored, wanted: Wanted, usual: Usual) -> NDArray[Any]:
    """Read a complex plane for each coil, (coils, rows, columns); raises as `read_kspace` does."""
    return _planes(stored, wanted, usual)[0]


def _planes(stored: Stored, wanted: Wanted, usual: Usual) -> tuple[NDArray[Any], list[str]]:
    shape = stored.shape
    pairs = stored.dtype.kind != "c"
    if pairs and shape[-1:] != (_PAIR,):
        raise FileError(
            f"{stored.name!r} is {stored.dtype} {shape}, and k-space is complex, or has a last "
            "axis of 2 for real and imaginary part"
        )
    inner = shape[:-1] if pairs else shape
    names = _names(stored.name, inner, wanted, usual)
    at: dict[int, int] = {}
    words: list[str] = []
    for axis, (name, length) in enumerate(zip(names, inner, strict=True)):
        if name in FRAMES:
            at[axis], said = wanted.place(name, length)
            words += [said] if said else []
        elif name not in ("coils", "rows", "columns"):
            if length > 1:
                raise FileError(f"{stored.name!r} has {length} {name}, of which one can be read")
            at[axis] = 0
    values = stored.part(at)
    if pairs:
        values = values[..., 0] + 1j * values[..., 1]
        words.append("the last axis has real and imaginary part")
    left = [name for axis, name in enumerate(names) if axis not in at]
    if "coils" not in left:
        values, left = values[None], ["coils", *left]
    return values.transpose([left.index(name) for name in ("coils", "rows", "columns")]), words


def _names(what: str, shape: tuple[int, ...], wanted: Wanted, usual: Usual) -> tuple[str, ...]:
    if wanted.axes is not None:
        return tuple(named_axes(wanted.axes, shape, _KNOWN, ("rows", "columns")))
    names = usual.get(len(shape))
    if names is None:
        raise FileError(
            f"{what!r} has the shape {shape}; say what its axes mean: --axes 'slices coils rows "
            "columns', in their order"
        )
    coils = shape[names.index("coils")] if "coils" in names else 1
    if coils > _MOST_COILS:
        raise FileError(
            f"{what!r} has the shape {shape}, read as ({', '.join(names)}), and {coils} coils are "
            "too many; say what the axes mean: --axes 'rows columns coils', in their order"
        )
    return names
