"""Tables and texts in Markdown."""

from collections.abc import Sequence


def ruled(rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table whose first row is its header."""
    header, *rest = [f"| {' | '.join(map(plain, row))} |" for row in rows]
    return [header, f"| {' | '.join(['---'] * len(rows[0]))} |", *rest]


def plain(text: str) -> str:
    """Text for a cell of a table, in one line."""
    return " ".join(text.split()).replace("|", "\\|")
