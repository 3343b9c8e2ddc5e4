"""Docstrings are plain text; autodoc reads reStructuredText: escape what would be markup there."""

import re
from typing import Any


def escape_docstring(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Escape bars (||A x||²), trailing underscores (`adopt_`) and stars outside of backticks."""
    del app, what, name, obj, options
    text = "\n".join(lines)
    parts = re.split(r"(`[^`]*`)", text)
    parts[::2] = [re.sub(r"(\||\*|(?<=\w)_(?!\w))", r"\\\1", part) for part in parts[::2]]
    lines[:] = "".join(parts).split("\n")
