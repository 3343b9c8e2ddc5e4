"""Lists of numbers as a command line has them: style rows "0-3,5" and strengths "-2..2"."""

import re
from fractions import Fraction

from invprob.errors import ArgumentError
from invprob.rows import read_rows as read_rows

STEPS = 9  # numbers of a range that does not say how many it has
MOST = 101  # of a range

_NUMBER = r"[+-]?(?:\d{1,6}(?:\.\d{0,9})?|\.\d{1,9})"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?::(\d{{1,4}}))?")


def read_numbers(text: str, name: str, others: str = "") -> tuple[float, ...]:
    """Numbers with spaces or commas between them.

    Args:
        text: such as "40 30 20" or "-2,0,2".
        name: what they are called in messages.
        others: what else could have been written, for messages.

    Returns:
        The numbers in the order given.

    Raises:
        ArgumentError: it is something else.
    """
    parts = text.replace(",", " ").split()
    if not parts or not all(re.fullmatch(_NUMBER, part) for part in parts):
        raise ArgumentError(f"{name} must be numbers such as -2,0,2{others}, got {text!r}")
    return tuple(float(part) for part in parts)


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
    if found is None:
        return read_numbers(text, "strengths", " or a range such as -2..2 or -2..2:5")
    # Fractions, so that 0 is exactly 0.
    start, stop = Fraction(found[1]), Fraction(found[2])
    steps = STEPS if found[3] is None else int(found[3])
    if start == stop or not 2 <= steps <= MOST:
        raise ArgumentError(
            f"a range of strengths must have two different ends and from 2 to {MOST} numbers, as "
            f"-2..2:5 has, got {text!r}"
        )
    numbers = [start + (stop - start) * step / (steps - 1) for step in range(steps)]
    if found[3] is None and min(numbers) < 0 < max(numbers) and 0 not in numbers:
        numbers = sorted([*numbers, Fraction(0)], reverse=start > stop)
    return tuple(float(number) for number in numbers)
