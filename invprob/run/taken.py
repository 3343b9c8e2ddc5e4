"""What is taken in from a file that was measured elsewhere."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from invprob.errors import ArgumentError
from invprob.operators.base import Operator

MOST_PIXELS = 2**24  # of an image whose size follows from a file


class RawScan(NamedTuple):
    """One measurement from the file of a scanner.

    Attributes:
        values: the measurement, NaN where it is missing, float64.
        size: height and width of the image.
        channels: how many channels of the image were measured.
        settings: the options of the operator that follow from the file.
        notes: what the axes mean, and what else to know, a line each.
        white: what may be white in an image that has 0 as black; None where it is not known.
    """

    values: Tensor
    size: tuple[int, int]
    channels: int
    settings: Mapping[str, Any]
    notes: tuple[str, ...]
    white: float | None = None


class Taken(NamedTuple):
    """Measurements, and how they came about.

    Attributes:
        values: (batch, *measurement_shape).
        operator: what measured them.
        record: what is kept with them.
        notes: what was done, and what is odd, a line each.
        limits: what is black and what is white, where that is known of the files.
    """

    values: Tensor
    operator: Operator
    record: Mapping[str, Any]
    notes: tuple[str, ...]
    limits: tuple[float, float] | None = None


def check_size(name: str, height: int, width: int) -> tuple[int, int]:
    """Height and width of an image; raises `ArgumentError` where it has too many pixels."""
    if height * width > MOST_PIXELS:
        raise ArgumentError(
            f"{name}: an image of {height} x {width} pixels is too large; give --size N, or cut "
            "the file"
        )
    return height, width
