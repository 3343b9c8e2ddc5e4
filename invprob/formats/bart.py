"""Files of BART, the Berkeley Advanced Reconstruction Toolbox: `NAME.hdr` and `NAME.cfl`.

The header holds the lengths of up to 16 axes, the other file complex64 numbers, the first axis
fastest. Source: https://mrirecon.github.io/bart/ and src/misc/mri.h, which names the axes.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from invprob.errors import FileError
from invprob.files import file_error
from invprob.formats.stored import Loaded, Stored

# What BART calls READ, PHS1, PHS2, COIL, MAPS, TE, COEFF, COEFF2, ITER, CSHIFT, TIME, TIME2, LEVEL,
# SLICE, AVG, BATCH.
AXES = (
    *("rows", "columns", "partitions", "coils", "maps", "contrasts", "coefficients"),
    *("coefficients 2", "iterations", "chemical shifts", "repetitions", "times", "levels"),
    *("slices", "averages", "batch"),
)
_MOST_TEXT = 1 << 16


@contextmanager
def open_bart(path: Path) -> Iterator[Mapping[str, Stored]]:
    """The one array of a pair of files, mapped into memory, with its 16 axes.

    Args:
        path: either file of the pair, or their name without the ending.

    Raises:
        FileError: a file is missing, or both contradict each other.
    """
    base = path.with_suffix("") if path.suffix.lower() in (".cfl", ".hdr") else path
    header, data = (base.with_name(base.name + ending) for ending in (".hdr", ".cfl"))
    shape = _dimensions(header)
    try:
        held = data.stat().st_size
        size = 8 * math.prod(shape)
        if held != size:
            raise FileError(
                f"{header.name} says {_short(shape)}, which takes {size:,} bytes, but {data.name} "
                f"has {held:,}; copy both files again"
            )
        values = np.memmap(data, np.dtype("<c8"), "r", shape=shape, order="F")
    except FileError:
        raise
    except OSError as error:
        raise file_error(data, error, "read") from error
    yield {base.name: Loaded(data.name, values)}


def _dimensions(header: Path) -> tuple[int, ...]:
    try:
        with header.open("r", encoding="ascii") as file:
            lines = file.read(_MOST_TEXT).splitlines()
    except UnicodeDecodeError:
        raise FileError(f"{str(header)!r} is no header of BART, which is a text file") from None
    except OSError as error:
        raise file_error(header, error, "read") from error
    rows = [lines[at + 1] for at, line in enumerate(lines[:-1]) if line.strip() == "# Dimensions"]
    words = rows[0].split() if rows else []
    if not words or not all(word.isdecimal() and 0 < int(word) < 2**31 for word in words):
        raise FileError(
            f"{str(header)!r} is no header of BART: after the line '# Dimensions' it has the "
            "lengths of the axes"
        )
    lengths = tuple(map(int, words))
    if any(length > 1 for length in lengths[len(AXES) :]):
        raise FileError(f"{str(header)!r} has more than {len(AXES)} axes, which BART does not name")
    return (lengths + (1,) * len(AXES))[: len(AXES)]


def _short(shape: tuple[int, ...]) -> str:
    """The shape up to the last axis that is longer than 1."""
    longest = max((axis for axis, length in enumerate(shape) if length > 1), default=0)
    return " x ".join(map(str, shape[: longest + 1]))
