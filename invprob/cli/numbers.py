"""Lists of numbers as a command line has them: style rows "0-3,5" and strengths "-2..2"."""

import re
from fractions import Fraction

from invprob.errors import ArgumentError

STEPS = 9  # images of a range that does not say how many it has
MOST = 101  # of a range

_ROWS = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?")
_NUMBER = r"[+-]?(?:\d{1,6}(?:\.\d{0,9})?|\.\d{1,9})"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?::(\d{{1,4}}))?")


def read_rows(text: str) -> tuple[int, ...]:
    """Style rows from numbers and ranges.

    Args:
        text: such as "0-3,5"; both ends of a range belong to it.

    Returns:
        The numbers, rising, each once.

    Raises:
        ArgumentError: it is something else.
    """
    rows: set[int] = set()
    for part in text.split(","):
        found = _ROWS.fullmatch(part.strip())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if last < first:
            raise ArgumentError(f"rows must be numbers and ranges such as 0-3,5, got {text!r}")
        rows.update(range(first, last + 1))
    return tuple(sorted(rows))


def read_strengths(text: str) -> tuple[float, ...]:
    """Strengths of an edit from a list or a range of numbers.

    Args:
        text: a list, "-2 -1 0 1 2" or "-2,0,2"; a range in so many equal steps, "-2..2:5"; or a
            range alone, "-2..2", which has 9 numbers in equal steps, and 0 besides where it lies
            between them.

    Returns:
        The numbers in the order given.

    Raises:
        ArgumentError: it is something else.
    """
    found = _RANGE.fullmatch(text.strip())
    if found:
        return _range(text, found[1], found[2], found[3])
    parts = text.replace(",", " ").split()
    if not parts or not all(re.fullmatch(_NUMBER, part) for part in parts):
        raise ArgumentError(
            f"strengths must be numbers such as -2,0,2 or a range such as -2..2 or -2..2:5, "
            f"got {text!r}"
        )
    return tuple(float(part) for part in parts)


def _range(text: str, first: str, last: str, count: str | None) -> tuple[float, ...]:
    """The numbers of a range. They are fractions until the end, so that 0 is exactly 0."""
    start, stop = Fraction(first), Fraction(last)
    steps = STEPS if count is None else int(count)
    if start == stop or not 2 <= steps <= MOST:
        raise ArgumentError(
            f"a range of strengths must have two different ends and from 2 to {MOST} numbers, as "
            f"-2..2:5 has, got {text!r}"
        )
    numbers = [start + (stop - start) * step / (steps - 1) for step in range(steps)]
    if count is None and min(numbers) < 0 < max(numbers) and 0 not in numbers:
        numbers = sorted([*numbers, Fraction(0)], reverse=start > stop)
    return tuple(float(number) for number in numbers)
