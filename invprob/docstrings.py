"""Docstrings of registered classes and functions, completed from their annotations.

A parameter is explained once, where it is declared:

    def __init__(self, image_shape: Shape, ratio: Annotated[float, "share kept, in (0, 1]"]) -> None

`with_arguments` writes these texts into the docstring as a section `Args:`, so that `help()` and a
documentation page show them. `without_arguments` takes the section away again, for a command line
that lists the options itself.
"""

import inspect
import re
import textwrap
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

_WIDTH = 100
_SECTION = re.compile(r"^(Args|Returns|Yields|Raises|Examples?|Notes?|References):$", re.MULTILINE)

# What every operator means by these names.
_COMMON = {
    "image_shape": "shape of the images without the batch axis, such as (3, 128, 128)",
    "seed": "whole number from 0 to 2**63 - 1 from which everything random is drawn",
}


def with_arguments(entry: Callable[..., Any]) -> str | None:
    """The docstring of a class or function with a section `Args:` from its annotations.

    A docstring that has such a section, or an entry without docstring or annotated texts, is
    returned as it is.
    """
    if not entry.__doc__:
        return entry.__doc__
    text = inspect.cleandoc(entry.__doc__)
    lines = [_line(name, explained) for name, explained in _explained(entry)]
    if not lines or any(found[1] == "Args" for found in _SECTION.finditer(text)):
        return entry.__doc__
    section = "\n".join(["Args:", *lines])
    first = _SECTION.search(text)
    if first is None:
        return f"{text}\n\n{section}\n"
    return f"{text[: first.start()]}{section}\n\n{text[first.start() :]}\n"


def without_arguments(docstring: str) -> str:
    """A docstring without its section `Args:`."""
    text = inspect.cleandoc(docstring)
    found = list(_SECTION.finditer(text))
    for index, section in enumerate(found):
        if section[1] == "Args":
            end = found[index + 1].start() if index + 1 < len(found) else len(text)
            return f"{text[: section.start()]}{text[end:]}".strip()
    return text


def hints_of(entry: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a constructor or function, without those that cannot be resolved.

    In a module with `from __future__ import annotations` each is a text, and some texts use names
    that only type checkers import.
    """
    function = _function(entry)
    hints = {}
    for name, hint in getattr(function, "__annotations__", {}).items():
        if isinstance(hint, str):
            holder = types.SimpleNamespace(__annotations__={name: hint})
            names = inspect.unwrap(function).__globals__
            try:
                hint = typing.get_type_hints(holder, names, include_extras=True)[name]
            except NameError:
                continue
        hints[name] = hint
    return hints


def text_of(hint: Any) -> str:
    """The text of `Annotated[..., text]`; empty where there is none."""
    if typing.get_origin(hint) is not typing.Annotated:
        return ""
    return next((note for note in hint.__metadata__ if isinstance(note, str)), "")


def _function(entry: Callable[..., Any]) -> Any:
    return entry.__init__ if inspect.isclass(entry) else entry


def _explained(entry: Callable[..., Any]) -> Iterator[tuple[str, str]]:
    """The parameters that have a text, in order."""
    hints = hints_of(entry)
    for name in getattr(_function(entry), "__annotations__", {}):
        text = text_of(hints.get(name)) or _COMMON.get(name, "")
        if text:
            yield name, text


def _line(name: str, text: str) -> str:
    text = text.strip()
    text = text if text.endswith((".", "?", "!")) else f"{text}."
    return textwrap.fill(
        f"{name}: {text}", _WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 8
    )
