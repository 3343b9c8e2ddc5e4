"""Arguments that hold several numbers: as lists, or as words that a command line can carry."""

import math
import numbers
from collections.abc import Sequence
from typing import Any

from invprob.errors import ArgumentError
from invprob.kinds import shown

Row = tuple[float, ...]


def read_numbers(name: str, value: str | Sequence[float]) -> Row:
    """Read "0 45 90" or [0, 45, 90].

    Raises `ArgumentError`, naming the argument, unless it holds at least one number and all are
    finite.
    """
    items = _entries(name, value, "numbers, such as '0 45 90'", separator=None)
    if not items:
        raise ArgumentError(f"{name} must hold at least one number, got {shown(value)}")
    return tuple(_number(name, item, value) for item in items)


def read_matrix(name: str, value: str | Sequence[Sequence[float]]) -> tuple[Row, ...]:
    """Read "1 0 0; 0 1 0" or [[1, 0, 0], [0, 1, 0]], row by row.

    Raises `ArgumentError`, naming the argument, unless the rows are equally long and hold finite
    numbers.
    """
    right = "rows of numbers, such as '1 0; 0 1'"
    lines = _entries(name, value, right, separator=";")
    if any(not isinstance(line, str | list | tuple) for line in lines):
        raise ArgumentError(f"{name} must be {right}, got {shown(value)}")
    if not lines:
        raise ArgumentError(f"{name} must hold at least one row of numbers, got {shown(value)}")
    rows = tuple(read_numbers(name, line) for line in lines)
    if len({len(row) for row in rows}) != 1:
        raise ArgumentError(f"{name} must have rows of equal length, got {shown(value)}")
    return rows


def _entries(name: str, value: Any, right: str, separator: str | None) -> list[Any]:
    try:
        return value.split(separator) if isinstance(value, str) else list(value)
    except TypeError:
        raise ArgumentError(f"{name} must be {right}, got {shown(value)}") from None


def _number(name: str, item: object, whole: object) -> float:
    try:
        number = float(item) if isinstance(item, str | numbers.Real) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ArgumentError(
            f"{name} must hold finite numbers only, got {shown(item)} in {shown(whole)}"
        )
    return number
