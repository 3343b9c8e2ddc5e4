"""The window: which physical values are black and white, an affine map that can be undone."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invprob.errors import ArgumentError, FileError

USUAL = (0.5, 99.5)  # percentiles
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_PAIR = re.compile(rf"({_NUMBER})(?:\s*,\s*|\s+)({_NUMBER})")


@dataclass(frozen=True)
class Window:
    """Two physical values that become black (-1) and white (1), and all between them likewise.

    Args:
        low: the value at one end.
        high: the value at the other end, above `low`.
        origin: where the two come from, in words such as "from the file".
        units: of the values, such as "HU"; "" where they are not known.
        inverted: whether `low` is white and `high` is black, as in a negative.

    Raises:
        ArgumentError: `high` is not above `low`, or one of them is not finite.
    """

    low: float
    high: float
    origin: str = "given"
    units: str = ""
    inverted: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ArgumentError(
                f"a window goes from a lower to a higher number, got {self.low:g} to {self.high:g}"
            )

    def to_image(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Map physical values to [-1, 1]; what lies outside of the window becomes its nearer end.

        Args:
            values: physical values of any shape.

        Returns:
            An image of that shape.
        """
        image = (np.asarray(values, np.float64) - self.low) * (2 / (self.high - self.low)) - 1
        image = np.clip(image, -1, 1)
        return (-image if self.inverted else image).astype(np.float32)

    def to_physical(self, image: NDArray[Any]) -> NDArray[np.float64]:
        """Map values in [-1, 1] back to physical ones: the inverse of `to_image`.

        Args:
            image: values of any shape.

        Returns:
            Physical values of that shape.
        """
        image = np.asarray(image, np.float64)
        image = -image if self.inverted else image
        return self.low + (image + 1) * ((self.high - self.low) / 2)

    def describe(self) -> str:
        """One line, such as "window -160 to 239 HU from the file; black is -160, white is 239"."""
        black, white = (self.high, self.low) if self.inverted else (self.low, self.high)
        units = f" {self.units}" if self.units else ""
        ends = f"black is {black:.6g}, white is {white:.6g}"
        return f"window {self.low:.6g} to {self.high:.6g}{units}, {self.origin}; {ends}"

    def to_json(self) -> dict[str, Any]:
        """The record of the window."""
        return {
            "low": self.low,
            "high": self.high,
            "origin": self.origin,
            "units": self.units,
            "inverted": self.inverted,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Window":
        """The window of a record that `to_json` made; other keys are left alone."""
        return cls(
            float(record["low"]),
            float(record["high"]),
            str(record["origin"]),
            str(record["units"]),
            bool(record["inverted"]),
        )


@dataclass(frozen=True)
class Percentiles:
    """A window that is asked for by two percentiles of the values."""

    low: float
    high: float


@dataclass(frozen=True)
class FromFile:
    """The window that the file proposes."""


def parse_window(text: str) -> Window | Percentiles | FromFile:
    """Understand what a user writes for a window.

    Args:
        text: two numbers such as "-160 240", "file", "percentiles", or "percentiles 2 98".

    Raises:
        ArgumentError: it is none of these.
    """
    words = text.strip()
    if words == "file":
        return FromFile()
    if words == "percentiles":
        return Percentiles(*USUAL)
    share = words.removeprefix("percentiles").strip()
    pair = _PAIR.fullmatch(share)
    if pair is None:
        raise ArgumentError(
            f'window must be two numbers such as "-160 240", or file, or percentiles, got {text!r}'
        )
    low, high = float(pair[1]), float(pair[2])
    if share == words:
        return Window(low, high)
    if not 0 <= low < high <= 100:
        raise ArgumentError(
            f"the percentiles of a window go from a lower to a higher one within 0 and 100, got "
            f"{low:g} and {high:g}"
        )
    return Percentiles(low, high)


def choose_window(
    asked: str | None,
    values: NDArray[Any],
    proposed: Window | None,
    *,
    name: str,
    units: str = "",
    inverted: bool = False,
) -> Window:
    """The window that was asked for; without a wish the file's, or else percentiles.

    Args:
        asked: as `parse_window` takes it, or None.
        values: the finite physical values of the slice, without padding.
        proposed: the window that the file proposes, or None.
        name: the file, for messages.
        units: of the values.
        inverted: whether low values are white.

    Raises:
        ArgumentError: the wish cannot be understood.
        FileError: the file proposes none, or its values are all equal.
    """
    usual = Percentiles(*USUAL) if proposed is None else FromFile()
    wish = usual if asked is None else parse_window(asked)
    if isinstance(wish, Window):
        return replace(wish, units=units, inverted=inverted)
    if isinstance(wish, FromFile):
        if proposed is None:
            raise FileError(
                f"{name} proposes no window; say --window percentiles, or two numbers such as "
                '--window "0 1000" (in Python window="0 1000")'
            )
        return replace(proposed, units=units, inverted=inverted)
    if values.size == 0:
        raise FileError(f"{name} holds no finite value; name another slice")
    low, high = (float(one) for one in np.percentile(values, (wish.low, wish.high)))
    origin = f"the percentiles {wish.low:g} and {wish.high:g} of the slice"
    if low == high:
        low, high = float(values.min()), float(values.max())
        origin = "the least and the largest value of the slice"
    if low == high:
        raise FileError(
            f"{name} holds the one value {low:g}; name another slice, or two numbers such as "
            '--window "0 1000" (in Python window="0 1000")'
        )
    return Window(low, high, origin, units, inverted)
