"""Lines of k-space, the centred Fourier transform of an image: which are measured, and where."""

import re
from typing import Annotated, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invprob.arrays import Contents, read_array
from invprob.draws import permutation
from invprob.errors import ArgumentError
from invprob.indices import indices
from invprob.operators.checks import finite, seeded
from invprob.operators.frequencies import origin_phases, uncentred
from invprob.operators.lists import read_numbers
from invprob.operators.units import NEVER, along
from invprob.types import Shape

# Which lines are drawn, unless they are given.
ACCELERATION, CENTRE_FRACTION = 4.0, 0.08

Lines: TypeAlias = Annotated[
    Contents | None,
    "the measured columns themselves in place of drawn ones: their numbers such as '0 4 8', or a "
    "mask of W zeros and ones such as fastMRI's, also as a .npy file",
]
Acceleration: TypeAlias = Annotated[
    float, "number of columns per column that is measured, at least 1"
]
CentreFraction: TypeAlias = Annotated[
    float, "share of all columns that is measured around frequency zero, from 0 to 1"
]


def chosen_lines(
    width: int, lines: Contents | None, acceleration: float, centre_fraction: float, seed: int
) -> Tensor:
    """The columns of a centred transform that are measured, (L,) int64: given ones, or drawn ones.

    Raises `ArgumentError` where the arguments contradict each other or leave nothing.
    """
    if lines is None:
        return cartesian_lines(width, acceleration, centre_fraction, seed)
    if (acceleration, centre_fraction) != (ACCELERATION, CENTRE_FRACTION):
        raise ArgumentError(
            "lines says which columns are measured, so leave acceleration and centre_fraction out; "
            f"got acceleration={acceleration}, centre_fraction={centre_fraction}"
        )
    return read_lines(width, lines)


def lines_in_words(
    lines: Contents | None, acceleration: float, centre_fraction: float, seed: int
) -> str:
    """How lines were chosen, for `repr`."""
    if lines is not None:
        return "lines given"
    return f"acceleration={acceleration}, centre_fraction={centre_fraction}, seed={seed}"


def cartesian_lines(width: int, acceleration: float, centre_fraction: float, seed: int) -> Tensor:
    """The columns of a centred transform that are measured, ascending; see `MRI`."""
    if finite("acceleration", acceleration) < 1:
        raise ArgumentError(
            f"acceleration must be at least 1, got {acceleration}; 1 measures every column"
        )
    if not 0 <= finite("centre_fraction", centre_fraction) <= 1:
        raise ArgumentError(f"centre_fraction must be from 0 to 1, got {centre_fraction}")
    total, middle = round(width / acceleration), round(width * centre_fraction)
    if total == 0:
        raise ArgumentError(
            f"acceleration {acceleration} leaves none of {width} columns; take {width} or less"
        )
    if middle > total:
        raise ArgumentError(
            f"centre_fraction {centre_fraction} alone asks for {middle} of {width} columns, but "
            f"acceleration {acceleration} measures {total}; lower one of them"
        )
    order = permutation(width - middle, seeded(seed))[: total - middle]
    first = width // 2 - middle // 2
    before, centre, after = indices(width).split([first, middle, width - first - middle])
    chosen = torch.cat([centre, torch.cat([before, after])[order]])
    return chosen.sort().values


def read_lines(width: int, lines: Contents) -> Tensor:
    """The columns that are given by their numbers, in that order, or by a mask; see `MRI`."""
    words = isinstance(lines, str) and re.fullmatch(r"[-+.\d\s]+", lines)
    values = read_array("lines", read_numbers("lines", str(lines)) if words else lines)
    remedy = f"give column numbers from 0 to {width - 1}, or a mask of {width} zeros and ones"
    numbers = _without_mask(width, _as_row(width, values), remedy)
    if numbers.dtype.kind == "c" or not (numbers == np.floor(numbers)).all():
        raise ArgumentError(f"lines must hold whole numbers, got {numbers.dtype}; {remedy}")
    if numbers.min() < 0 or numbers.max() >= width:
        raise ArgumentError(
            f"lines must lie from 0 to {width - 1}, where {width // 2} is frequency zero, got "
            f"{numbers.min():g} to {numbers.max():g}"
        )
    if len(np.unique(numbers)) != len(numbers):
        raise ArgumentError(
            f"lines names a column twice; average what was measured there, and {remedy}"
        )
    return torch.from_numpy(numbers.astype(np.int64))


def _as_row(width: int, values: NDArray[Any]) -> NDArray[Any]:
    """Numbers or a mask without axes of length 1, and of equal rows one."""
    row = values.reshape([length for length in values.shape if length > 1] or [1])
    if row.ndim == 2 and row.shape[1] == width and (row == row[:1]).all():
        row = row[0]
    if row.ndim != 1:
        raise ArgumentError(
            f"lines must be whole columns, the same in every row, got the shape {values.shape}; "
            "where the lines of a scan are rows, transpose its image and its data"
        )
    return row


def _without_mask(width: int, row: NDArray[Any], remedy: str) -> NDArray[Any]:
    """The columns that a mask shows; what is no mask stays as it is."""
    if row.dtype.kind == "b" and len(row) != width:
        raise ArgumentError(f"lines is a mask of {len(row)} columns, images have {width}")
    # W numbers that differ are all 0 or 1 only where W is 1 or 2.
    whole = len(row) == width > 2 and bool(np.isin(row, (0, 1)).all())
    if row.dtype.kind != "b" and not whole:
        return row
    shown = np.flatnonzero(row)
    if len(shown) == 0:
        raise ArgumentError(f"lines is a mask that shows no column; {remedy}")
    return shown


def line_units(measured: Shape, lines: Tensor, width: int) -> Tensor:
    """Label measured lines (..., lines, 2), all coils and channels together.

    The image is real, so that a line and its mirror image hold nearly the same: they share a label.
    The line through frequency zero is never left out, because the brightness hangs on it.
    """
    frequency = uncentred(lines.cpu(), width)
    half = torch.minimum(frequency, width - frequency)
    return along(measured, len(measured) - 2, torch.where(half == 0, NEVER, half))


def sample_frequencies(lines: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Row (H, 1) and column (L,) of each sample in a library's transform."""
    rows = uncentred(indices(height), height).unsqueeze(1)
    return rows, uncentred(lines, width)


def centring(rows: Tensor, columns: Tensor, height: int, width: int) -> Tensor:
    """Factors (H, L, 2), in float64, that move the origin of the image to its middle."""
    phases = origin_phases(rows, height) * origin_phases(columns, width)
    return torch.view_as_real(phases).contiguous()


def turned_back(parts: Tensor) -> Tensor:
    """The conjugates (L, H) of factors that are given by their parts (H, L, 2)."""
    return torch.view_as_complex(parts).conj().resolve_conj().T.contiguous()
