"""Scales of charts: where a value lies between two ends, and which values are marked."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

ROOM = 0.03  # the share of the length that stays free at each end
WIDE = 20.0  # values that differ by more than this factor are drawn on a logarithmic scale


class Scale(ABC):
    """One axis of a chart.

    Args:
        low: the value at its beginning.
        high: the value at its end, which is larger.
    """

    words = ""  # what the title of the axis says about the scale

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    @abstractmethod
    def place(self, value: float) -> float:
        """Where a value lies: 0 at the beginning, 1 at the end."""

    @abstractmethod
    def marks(self) -> list[float]:
        """The values that are marked, about five."""


@final
class Linear(Scale):
    """Equal differences have equal lengths."""

    def place(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)

    def marks(self) -> list[float]:
        rough = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= 0.999 * rough)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


@final
class Logarithmic(Scale):
    """Equal ratios have equal lengths."""

    words = ", logarithmic"

    def place(self, value: float) -> float:
        return math.log(value / self.low) / math.log(self.high / self.low)

    def marks(self) -> list[float]:
        first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
        every = max(1, math.ceil((last - first + 1) / 6))
        decades = [10.0**power for power in range(first, last + 1, every)]
        if len(decades) > 1:
            return decades
        halves = [digit * 10.0**power for power in (first - 1, first) for digit in (1, 2, 5)]
        return [value for value in halves if self.low <= value <= self.high]


def scale_for(values: Sequence[float]) -> Scale:
    """The scale on which values are drawn: logarithmic where they differ widely.

    Args:
        values: finite numbers, one or more.
    """
    low, high = min(values), max(values)
    if low > 0 and high > WIDE * low:
        factor = (high / low) ** ROOM
        return Logarithmic(low / factor, high * factor)
    return linear_for(values)


def linear_for(values: Sequence[float]) -> Linear:
    """The linear scale on which values are drawn; arguments as `scale_for`."""
    low, high = min(values), max(values)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        around = abs(low) / 10 or 1.0
        return Linear(low - around, high + around)
    margin = ROOM * (high - low)
    return Linear(low - margin, high + margin)


def short(value: float) -> str:
    """A number for the mark of an axis or a cell."""
    if 1000 <= abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e")
