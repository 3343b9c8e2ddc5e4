"""What constructors of operators check alike."""

import math
import numbers

from invprob.errors import ArgumentError
from invprob.operators.base import checked_shape
from invprob.types import Shape


def pixel_axes(image_shape: Shape) -> tuple[int, int, int]:
    """Channels, height and width; raises `ArgumentError` for any other number of axes."""
    shape = checked_shape("image_shape", image_shape)
    if len(shape) != 3:
        raise ArgumentError(f"image_shape must be (channels, height, width), got {shape}")
    return shape


def part_of(n: int, ratio: float, what: str = "image elements") -> int:
    """How many of n elements, named `what`, a ratio in (0, 1] keeps: rounded as Python does.

    Raises `ArgumentError` for any other ratio, and for one that keeps none.
    """
    if not isinstance(ratio, numbers.Real) or not 0 < ratio <= 1:  # NaN fails every comparison
        raise ArgumentError(
            f"ratio must be a number in (0, 1], got {ratio!r}; the smallest that leaves a "
            f"measurement here is {1 / n:.3g}"
        )
    m = round(ratio * n)
    if m == 0:
        raise ArgumentError(
            f"ratio {ratio} of {n} {what} leaves no measurement; the smallest usable ratio here is "
            f"{1 / n:.3g}"
        )
    return m


def finite(name: str, value: float) -> float:
    """A finite number; raises `ArgumentError` for NaN and infinity."""
    if not math.isfinite(value):
        raise ArgumentError(f"{name} must be a finite number, got {value}")
    return float(value)


def positive(name: str, value: float) -> float:
    """A finite number above 0; raises `ArgumentError`."""
    if finite(name, value) <= 0:
        raise ArgumentError(f"{name} must be above 0, got {value}")
    return float(value)
