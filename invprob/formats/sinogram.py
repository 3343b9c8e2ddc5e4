"""Sinograms as files hold them: which axis has the views, and which the detector pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from invprob.errors import ArgumentError, FileError
from invprob.formats.stored import Stored
from invprob.formats.wanted import Wanted

_KNOWN = ("channels", "slices", "views", "detectors")
COLOURS = (1, 3)  # lengths of a first axis that has the channels
COUNTS = "its whole numbers may be counts: of those take -log(counts / counts without the object)"


@dataclass(frozen=True)
class Sinogram:
    """The views of one slice.

    Args:
        values: (channels, views, detectors), float64; NaN where the detector was dead.
        words: what the axes are, a phrase each.
    """

    values: NDArray[np.float64]
    words: tuple[str, ...]

    def binned(self, count: int) -> tuple["Sinogram", float]:
        """Average neighbouring detector pixels, and take their width as the unit of length.

        Args:
            count: how many become one. What is left over at both ends is cut off.

        Returns:
            The sinogram, and how far its middle lies below that of this one, in old pixels.
        """
        channels, views, detectors = self.values.shape
        rest = detectors % count
        start, stop = rest // 2, detectors - (rest - rest // 2)
        parts = self.values[:, :, start:stop].reshape(channels, views, -1, count)
        return replace(self, values=parts.mean(3) / count), rest / 2 - start


def read_sinogram(stored: Stored, views: int | None, wanted: Wanted) -> Sinogram:
    """Read one slice.

    Args:
        stored: the array, with two axes, or with a third of slices.
        views: how many angles there are; None where that is not known.
        wanted: may name the axes and the slice.

    Raises:
        FileError: it is no sinogram, or no axis has a place for each angle.
        ArgumentError: there is no such slice, or the names of the axes do not fit.
    """
    if stored.dtype.kind == "c":
        raise FileError(f"{stored.name!r} is complex, and a sinogram holds real line integrals")
    axes = _named(stored, views, wanted)
    at: dict[int, int] = {}
    words: list[str] = []
    for axis, (name, length) in enumerate(zip(axes, stored.shape, strict=True)):
        if name == "slices":
            at[axis], said = wanted.place("slices", length)
            words += [said] if said else []
    values = stored.part(at)
    left = [name for name in axes if name != "slices"]
    if left[-2:] == ["detectors", "views"]:
        values = values.swapaxes(-1, -2)
        words.append("the two are exchanged, because the views come second in the file")
    if "channels" not in left:
        values = values[None]
    words[:0] = [f"views {values.shape[1]}", f"detectors {values.shape[2]}"]
    if len(values) > 1:
        words.insert(0, f"channels {len(values)}")
    if stored.dtype.kind in "iu":
        words.append(COUNTS)
    return Sinogram(values.astype(np.float64), tuple(words))


def _named(stored: Stored, views: int | None, wanted: Wanted) -> list[str]:
    """The names of the axes: the one with a place for each angle has the views."""
    shape = stored.shape
    if wanted.axes is not None:
        return named_axes(wanted.axes, shape, _KNOWN, ("views", "detectors"))
    if len(shape) not in (2, 3):
        raise FileError(
            f"{stored.name!r} has the shape {shape}, and a sinogram has two axes, (views, "
            "detectors), or a third of slices; cut it, or choose another, --dataset NAME"
        )
    fitting = [axis for axis, length in enumerate(shape) if length == views]
    if views is None:
        raise ArgumentError(
            f"{stored.name!r} has the shape {shape}, and ct needs the angles: give a file of them "
            f"in degrees, --angles FILE, or --views {shape[0]} where {shape[0]} views are spread "
            "evenly over 180 degrees"
        )
    if not fitting:
        raise FileError(
            f"{stored.name!r} has the shape {shape}, and no axis has a place for each of the "
            f"{views} angles; give as many angles as there are views"
        )
    first = fitting[0]
    if len(shape) == 2:
        return ["views", "detectors"] if first == 0 else ["detectors", "views"]
    if len(fitting) > 1:
        raise FileError(
            f"{stored.name!r} has the shape {shape}, and two axes fit the {views} angles; say what "
            "they mean: --axes 'slices views detectors'"
        )
    third = "channels" if shape[0] in COLOURS and first and wanted.slice is None else "slices"
    return {
        0: ["views", "slices", "detectors"],
        1: [third, "views", "detectors"],
        2: [third, "detectors", "views"],
    }[first]


def named_axes(
    text: str, shape: Sequence[int], known: Sequence[str], needed: Sequence[str]
) -> list[str]:
    """The names that a user gives to axes.

    Args:
        text: the names, such as "coils rows columns".
        shape: the lengths of the axes.
        known: the names there are.
        needed: those that must be among them.

    Raises:
        ArgumentError: the names do not fit the shape, or one is unknown or missing.
    """
    names = text.replace(",", " ").split()
    wrong = [name for name in names if name not in known] or [
        name for name in needed if name not in names
    ]
    if len(names) != len(shape) or wrong or len(set(names)) < len(names):
        raise ArgumentError(
            f"--axes {text!r} must name each of the {len(shape)} axes of the array of shape "
            f"{tuple(shape)} once, with {', '.join(needed)} among {', '.join(known)}"
        )
    return names
