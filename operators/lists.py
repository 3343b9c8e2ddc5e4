"""Arguments that hold several numbers: as lists, or as words that a command line can carry."""

import math
import numbers
from collections.abc import Sequence

from invprob.errors import ArgumentError

Row = tuple[float, ...]


def read_numbers(name: str, value: str | Sequence[float]) -> Row:
    """Read "0 45 90" or [0, 45, 90].

    Raises `ArgumentError`, naming the argument, unless it holds at least one number and all are
    finite.
    """
    items: Sequence[object] = value.split() if isinstance(value, str) else value
    if not items:
        raise ArgumentError(f"{name} must hold at least one number, got {value!r}")
    return tuple(_number(name, item, value) for item in items)


def read_matrix(name: str, value: str | Sequence[Sequence[float]]) -> tuple[Row, ...]:
    """Read "1 0 0; 0 1 0" or [[1, 0, 0], [0, 1, 0]], row by row.

    Raises `ArgumentError`, naming the argument, unless the rows are equally long and hold finite
    numbers.
    """
    lines: Sequence[str | Sequence[float]] = value.split(";") if isinstance(value, str) else value
    if any(not isinstance(line, str | list | tuple) for line in lines):
        raise ArgumentError(f"{name} must be rows of numbers, such as '1 0; 0 1', got {value!r}")
    if not lines:
        raise ArgumentError(f"{name} must hold at least one row of numbers, got {value!r}")
    rows = tuple(read_numbers(name, line) for line in lines)
    if len({len(row) for row in rows}) != 1:
        raise ArgumentError(f"{name} must have rows of equal length, got {value!r}")
    return rows


def _number(name: str, item: object, whole: object) -> float:
    try:
        number = float(item) if isinstance(item, str | numbers.Real) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ArgumentError(f"{name} must hold finite numbers only, got {item!r} in {whole!r}")
    return number
