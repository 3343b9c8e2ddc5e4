"""What constructors of operators have in common: checks of their arguments, and the seed."""

import math
import numbers
import operator as python_operator
from collections.abc import Iterable

import torch

from invprob.errors import ArgumentError
from invprob.streams import whole_seed
from invprob.types import Shape


def seeded(seed: int) -> torch.Generator:
    """A generator on the CPU for an operator's random draws.

    Args:
        seed: a whole number from 0 to 2**63 - 1.

    Returns:
        A generator that gives the same draws for the same seed.

    Raises:
        ArgumentError: the seed is outside the range.
    """
    return torch.Generator().manual_seed(whole_seed(seed))


def checked_shape(name: str, shape: Iterable[int]) -> Shape:
    """A shape as a tuple; raises `ArgumentError` unless it holds positive whole numbers."""
    try:
        checked = tuple(python_operator.index(length) for length in shape)
    except TypeError:
        raise ArgumentError(f"{name} must be whole, such as (3, 64, 64), got {shape!r}") from None
    if any(length < 1 for length in checked):
        raise ArgumentError(f"{name} must be positive, such as (3, 64, 64), got {checked}")
    return checked


def pixel_axes(image_shape: Shape) -> tuple[int, int, int]:
    """Channels, height and width; raises `ArgumentError` for any other number of axes."""
    shape = checked_shape("image_shape", image_shape)
    if len(shape) != 3:
        raise ArgumentError(f"image_shape must be (channels, height, width), got {shape}")
    return shape


def part_of(n: int, ratio: float, what: str = "image elements") -> int:
    """The number of elements that a ratio in (0, 1] keeps: round(ratio · n).

    Raises `ArgumentError` for any other ratio, and for one that keeps none of the n elements, which
    the message calls `what`.
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
