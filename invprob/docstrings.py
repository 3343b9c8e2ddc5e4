"""Docstrings of registered classes and functions, completed from their annotations.

A parameter is explained once, where it is declared:

    def __init__(self, image_shape: Shape, ratio: Annotated[float, "share kept, in (0, 1]"]) -> None

`completed` writes these texts into the docstring as a section `Args:`, so that `help()` and a
documentation page show them. `without_arguments` takes the section away again, for a command line
that lists the options itself.
"""

import inspect
import re
import textwrap
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_WIDTH = 100
_ORDER = ("Args", "Attributes", "Returns", "Yields", "Raises", "Example", "Examples", "References")
_SECTION = re.compile(rf"^({'|'.join(_ORDER)}):$", re.MULTILINE)


@dataclass(frozen=True)
class Common:
    """What the entries of a register have in common, so that it is explained once.

    Args:
        parameters: the text of each parameter that is given by the program, not chosen by a user.
        returns: what each entry returns, where entries are functions.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)
    returns: str = ""


_SEED = "whole number from 0 to 2**63 - 1, from which everything random is drawn"
_SHAPE = "shape of the images without the batch axis, such as (3, 128, 128)"

OPERATORS = Common({"image_shape": _SHAPE, "seed": _SEED})
PRIORS = Common({"image_shape": _SHAPE})
METHODS = Common(
    {
        "setting": "the generator, and what is known of the measurements",
        "problem": "what is known of the measurements",
    },
    "The recipe: a prior, the terms of the loss, and the stages of the solve.",
)
STOPS = Common(
    {"task": "what is solved: measurements, operator and seed"},
    "The task with the rule, and with the measurements that the solver may see.",
)
LOSSES = Common({"weight": "factor of this term in the sum of all terms, at least 0"})
METRICS = Common(
    {
        "image": "restored images (batch, channels, height, width) in [-1, 1]",
        "truth": "the true images, of the same shape",
    },
    "One number for each image, of shape (batch,).",
)
DIRECTIONS = Common(
    {"generator": "the network whose latents it moves"},
    "The direction, of the depth and the width of the generator.",
)


def completed(entry: Callable[..., Any], common: Common) -> str | None:
    """The docstring of a class or function with `Args:` and `Returns:`.

    A section that the docstring already has stays as it is, and so does an entry that has no
    docstring at all.

    Args:
        entry: a class, which is explained by its constructor's parameters, or a function.
        common: texts for parameters that have none of their own.

    Returns:
        The docstring, without the indentation of the source if a section was added.
    """
    if not entry.__doc__:
        return entry.__doc__
    text = before = inspect.cleandoc(entry.__doc__)
    lines = [_line(name, explained) for name, explained in _explained(entry, common)]
    if lines:
        text = _with_section(text, "Args", "\n".join(lines))
    if common.returns and not inspect.isclass(entry):
        text = _with_section(text, "Returns", _wrapped(common.returns, 4))
    return entry.__doc__ if text == before else text


def _with_section(text: str, name: str, body: str) -> str:
    """A docstring with a section more, unless it has one of that name: `Raises:` stays last."""
    found = list(_SECTION.finditer(text))
    if any(section[1] == name for section in found):
        return text
    after = [section for section in found if _ORDER.index(section[1]) > _ORDER.index(name)]
    if not after:
        return f"{text}\n\n{name}:\n{body}"
    start = after[0].start()
    return f"{text[:start]}{name}:\n{body}\n\n{text[start:]}"


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


def _explained(entry: Callable[..., Any], common: Common) -> Iterator[tuple[str, str]]:
    """The parameters that have a text, in order."""
    hints = hints_of(entry)
    for name in getattr(_function(entry), "__annotations__", {}):
        text = text_of(hints.get(name)) or common.parameters.get(name, "")
        if text:
            yield name, text


def _line(name: str, text: str) -> str:
    text = text.strip()
    return _wrapped(f"{name}: {text if text.endswith('.') else text + '.'}", 4, 8)


def _wrapped(text: str, first: int, other: int | None = None) -> str:
    indents = " " * first, " " * (first if other is None else other)
    return textwrap.fill(text, _WIDTH, initial_indent=indents[0], subsequent_indent=indents[1])
