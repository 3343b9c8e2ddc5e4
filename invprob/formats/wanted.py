"""What of a file is asked for: one of its arrays, one of its slices."""

import difflib
from collections.abc import Mapping
from typing import NamedTuple

from invprob.errors import ArgumentError, FileError
from invprob.formats.stored import Stored

# Axes of which one place is read, with the option that chooses it and whether the middle is usual.
FRAMES = {
    "slices": ("--slice", True),
    "repetitions": ("--repetition", False),
    "contrasts": ("--contrast", False),
}


class Wanted(NamedTuple):
    """What of a file is asked for; None where the usual is.

    Attributes:
        dataset: the name of an array, or of a group of raw data.
        slice: the number of a slice, from 0; usually the middle one.
        repetition: the number of a repetition, from 0; usually the first.
        contrast: the number of a contrast or echo, from 0; usually the first.
        angles: a file of the angles of a sinogram, or the name of an array of them.
        axes: what the axes of an array mean, such as "coils rows columns".
    """

    dataset: str | None = None
    slice: int | None = None
    repetition: int | None = None
    contrast: int | None = None
    angles: str | None = None
    axes: str | None = None

    def place(self, frames: str, count: int) -> tuple[int, str]:
        """Which place of an axis is read.

        Args:
            frames: the name of the axis, one of `FRAMES`.
            count: its length.

        Returns:
            The place, and what to say of it, "" where there is but one.

        Raises:
            ArgumentError: there is no such place.
        """
        option, middle = FRAMES[frames]
        name = option.removeprefix("--")
        asked: int | None = getattr(self, name)
        what = frames if count > 1 else name
        if asked is not None and not 0 <= asked < count:
            raise ArgumentError(
                f"{option} {asked} is not there: the file has {count} {what}, from 0 to {count - 1}"
            )
        if count == 1:
            return 0, ""
        if asked is not None:
            return asked, f"{name} {asked} of {count}"
        usual = count // 2 if middle else 0
        which = "the middle one" if middle else "the first"
        return usual, f"{name} {usual} of {count}, {which} ({option} N takes another)"


def choose(arrays: Mapping[str, Stored], wanted: Wanted, what: str) -> Stored:
    """The array that is asked for, or the only one with two axes or more.

    Args:
        arrays: the arrays of a file by name.
        wanted: names it, or not.
        what: the file's name.

    Raises:
        FileError: there is none of that name, or there are several to choose from.
    """
    if wanted.dataset is not None:
        asked = wanted.dataset.strip("/")
        if asked in arrays:
            return arrays[asked]
        near = difflib.get_close_matches(asked, arrays, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise FileError(f"{what} holds no array {asked!r}.{hint} It holds {_listed(arrays)}")
    several = [one for one in arrays.values() if one.many > 1] or list(arrays.values())
    if not several:
        raise FileError(f"{what} holds no array of numbers")
    if len(several) > 1:
        raise FileError(
            f"{what} holds several arrays; choose one, --dataset NAME: {_listed(arrays)}"
        )
    return several[0]


def _listed(arrays: Mapping[str, Stored], most: int = 12) -> str:
    lines = [f"{name} {one.shape}" for name, one in list(arrays.items())[:most]]
    return ", ".join(lines) + (f" and {len(arrays) - most} others" if len(arrays) > most else "")
