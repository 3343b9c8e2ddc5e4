"""Style rows as text: "0-3,5"."""

import re

from invprob.errors import ArgumentError

_PART = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?")


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
        found = _PART.fullmatch(part.strip())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if last < first:
            raise ArgumentError(f"rows must be numbers and ranges such as 0-3,5, got {text!r}")
        rows.update(range(first, last + 1))
    return tuple(sorted(rows))
