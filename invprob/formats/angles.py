"""The angles of a sinogram, in degrees."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from invprob.errors import ArgumentError, FileError
from invprob.files import file_error
from invprob.formats.npz import open_npy
from invprob.formats.stored import Array, Stored

NAMES = ("theta", "angles", "angle", "degrees")  # of arrays of angles, as programs call them
_MOST_TEXT = 1 << 24


def angles_of(
    asked: str | None, arrays: Mapping[str, Stored]
) -> tuple[NDArray[np.float64] | None, str]:
    """The angles that are asked for, or that a file holds under a usual name.

    Args:
        asked: a file, or the name of an array.
        arrays: the arrays of the sinogram's file.

    Returns:
        The angles in degrees, None where there are none, and where they come from.

    Raises:
        FileError: there are no such file and no such array.
        ArgumentError: they are no angles in degrees.
    """
    if asked is None:
        for name, stored in arrays.items():
            if name.rpartition("/")[2].lower() in NAMES and stored.many <= 1:
                return _checked(stored.part(), name), f"angles of {name!r}"
        return None, ""
    if asked.strip("/") in arrays:
        return _checked(arrays[asked.strip("/")].part(), asked), f"angles of {asked!r}"
    path = Path(asked)
    if not path.is_file():
        known = ", ".join(arrays)
        raise FileError(
            f"--angles {asked}: there is no such file, and no such array"
            + (f" among {known}" if known else "")
        )
    return _checked(_from_file(path), asked), f"angles of {path.name}"


def _from_file(path: Path) -> Array:
    if path.suffix.lower() == ".npy":
        with open_npy(path) as arrays:
            (stored,) = arrays.values()
            return stored.part()
    try:
        if path.stat().st_size > _MOST_TEXT:
            raise FileError(f"--angles {path}: it is too large for a list of angles")
        text = path.read_text("utf-8")
        return np.array([float(word) for word in text.replace(",", " ").split()])
    except OSError as error:
        raise error if isinstance(error, FileError) else file_error(path, error, "read") from error
    except (UnicodeDecodeError, ValueError):
        raise FileError(
            f"--angles {path}: it must hold numbers alone, in degrees, or be a .npy file"
        ) from None


def _checked(values: Array, name: str) -> NDArray[np.float64]:
    """Finite angles along one axis that are not in radians."""
    angles = np.squeeze(values)
    angles = angles[None] if angles.ndim == 0 else angles
    if angles.ndim != 1 or angles.dtype.kind not in "iuf" or not np.isfinite(angles).all():
        raise ArgumentError(
            f"angles {name!r} must be finite numbers along one axis, got {values.dtype} "
            f"{values.shape}"
        )
    span = float(np.ptp(angles))
    if len(angles) > 7 and span <= 2 * math.pi + 0.1:
        raise ArgumentError(
            f"angles {name!r} lie between {angles.min():.4g} and {angles.max():.4g}, which looks "
            "like radians: save them in degrees, by numpy.degrees; if they are degrees, give them "
            "by --degrees '0 0.5 1'"
        )
    return angles.astype(np.float64)
