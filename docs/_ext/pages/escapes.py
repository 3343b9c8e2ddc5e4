"""Docstrings are plain text; autodoc reads reStructuredText: escape what would be markup there."""

import re
from typing import Any


def escape_docstring(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Escape bars (||A x||²), trailing underscores (`adopt_`) and stars, but not in code."""
    del app, what, name, obj, options
    shown = _code_lines(lines)
    text = "\n".join("" if index in shown else line for index, line in enumerate(lines))
    parts = re.split(r"(`[^`]*`)", text)
    parts[::2] = [re.sub(r"(\||\*|(?<=\w)_(?!\w))", r"\\\1", part) for part in parts[::2]]
    escaped = "".join(parts).split("\n")
    lines[:] = [line if index in shown else escaped[index] for index, line in enumerate(lines)]


def _code_lines(lines: list[str]) -> set[int]:
    """The lines of code, which follow a paragraph that ends in `::` and are indented further."""
    found: set[int] = set()
    margin: int | None = None
    for index, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if margin is not None and (not line.strip() or indent > margin):
            found.add(index)
            continue
        margin = indent if line.rstrip().endswith("::") else None
    return found
