"""A signature is a schema: which settings a constructor or function takes, of which type.

Command lines, files and specs hand over settings by name. A parameter that holds a number, a word,
a choice or a truth value is one, and the text of its annotation explains it:

    def __init__(self, image_shape: Shape, *, ratio: Annotated[float, "share kept, in (0, 1]"]):
"""

import inspect
import numbers
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from invprob.docstrings import hints_of, text_of
from invprob.errors import ArgumentError, suggest
from invprob.kinds import MISFIT, PLAIN, holds_numbers, shown
from invprob.plain import as_array, plain

AUTO: Final = "auto"  # the value of an option that is left to the program

# An image's shape comes from the image, and a seed from the run: neither is an option of its own.
_GIVEN = ("image_shape", "seed")


class Auto(str):
    """The help text of an option that may be left to the program.

        content: Annotated[Literal["head", "constant"], Auto("the content part")]

    On a command line and in a file the option may be "auto", which is its default. The function
    has no default for it: whoever calls the function chooses a value first.
    """

    __slots__ = ()


@dataclass(frozen=True)
class Option:
    """One setting of a constructor or function.

    Args:
        name: the name of the parameter.
        type: int, float, str or bool.
        default: its default; None where it is required.
        required: whether it has no default.
        help: the text of its annotation.
        choices: the values that a `Literal` allows; empty where any value of the type will do.
        nullable: whether it may be None.
        listed: whether it is a word on the command line ("0 1; 1 0", a file's name), or lists in
            code and in a spec, as in `matrix: str | Sequence[Sequence[float]]`. The constructor
            reads both.
        array: whether it may be a NumPy array, because its annotation names one.
        auto: whether it may be "auto", which somebody replaces before the function is called.
    """

    name: str
    type: type
    default: Any
    required: bool
    help: str
    choices: tuple[Any, ...] = ()
    nullable: bool = False
    listed: bool = False
    auto: bool = False
    array: bool = False

    def read(self, value: Any) -> Any:
        """Check a value.

        Args:
            value: what a caller, a file or a command line gives.

        Returns:
            The value in the option's type, such as 2.0 for the int 2 and for NumPy's float32(2).

        Raises:
            ArgumentError: the value has another type, or is none of the choices.
        """
        value = (as_array if self.array else plain)(self.name, value)
        if self.auto and isinstance(value, str) and value == AUTO:
            return value
        if value is None and self.nullable:
            return None
        if self.listed and not isinstance(value, numbers.Number | Mapping):
            return value
        if self.choices:
            if not isinstance(value, str | int) or value not in self.choices:
                raise ArgumentError(
                    f"{self.name} must be one of {', '.join(map(repr, self.choices))}, got "
                    f"{shown(value)}.{suggest(value, map(str, self.choices))}"
                )
            return value
        kind = PLAIN[self.type]
        found = kind.read(value)
        if found is MISFIT:
            expected = f"{AUTO} or {kind.words}" if self.auto else kind.words
            meaning = f" ({self.name}: {self.help})" if self.help else ""
            raise ArgumentError(f"{self.name} must be {expected}, got {shown(value)}{meaning}")
        return found


def parameters_of(entry: Callable[..., Any]) -> list[Option]:
    """The parameters of a constructor or function that can be settings, in order."""
    hints = hints_of(entry)
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    described = (
        _option(parameter, hints.get(parameter.name))
        for parameter in inspect.signature(entry).parameters.values()
        if parameter.kind not in variable
    )
    return [option for option in described if option is not None]


def options_of(entry: Callable[..., Any]) -> list[Option]:
    """What a user may set: a constructor's parameters, or a function's keyword-only ones.

    `image_shape` and `seed` are not among them, because they come from the image and from the run.
    """
    kinds = {name: p.kind for name, p in inspect.signature(entry).parameters.items()}
    return [
        option
        for option in parameters_of(entry)
        if option.name not in _GIVEN
        and (inspect.isclass(entry) or kinds[option.name] is inspect.Parameter.KEYWORD_ONLY)
    ]


def checked_settings(
    what: str, entry: Callable[..., Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Check settings against a signature.

    Args:
        what: what the entry is called in messages, such as "operator 'rotate'".
        entry: the constructor or function.
        settings: its arguments by name.

    Returns:
        The arguments, each in the type of its parameter.

    Raises:
        ArgumentError: an argument is unknown, missing or of the wrong type.
    """
    parameters = inspect.signature(entry).parameters
    for key in settings:
        if key not in parameters:
            known = [option.name for option in options_of(entry)]
            raise ArgumentError(
                f"the {what} has no option {key!r}."
                f"{suggest(key, known)} Options: {', '.join(known) or 'none'}."
            )
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in settings:
            raise ArgumentError(f"the {what} needs a value for {key!r}")
    options = {option.name: option for option in parameters_of(entry)}
    hints = hints_of(entry)
    return {
        key: options[key].read(value)
        if key in options
        else plain(key, value)
        if holds_numbers(hints.get(key))
        else value
        for key, value in settings.items()
    }


def _option(parameter: inspect.Parameter, hint: Any) -> Option | None:
    """The option that a parameter is; None if its annotation is no number, word or choice."""
    required = parameter.default is parameter.empty
    default = None if required else parameter.default
    if hint is None:  # without an annotation the default has to do
        hint = type(default)
    text = text_of(hint)
    auto = isinstance(text, Auto)
    if auto:
        required, default = False, AUTO
    if typing.get_origin(hint) is typing.Annotated:
        hint = hint.__origin__
    nullable = listed = array = False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        members = typing.get_args(hint)
        nullable = type(None) in members
        rest = [member for member in members if member is not type(None)]
        listed = str in rest and any(typing.get_origin(member) is Sequence for member in rest)
        kinds = [typing.get_origin(member) for member in rest]
        array = "ndarray" in [getattr(kind, "__name__", "") for kind in kinds]
        if len(rest) != 1 and not listed:
            return None
        hint = str if listed else rest[0]
    choices: tuple[Any, ...] = ()
    if typing.get_origin(hint) is typing.Literal:
        choices = typing.get_args(hint)
        hint = type(choices[0])
        choices = (AUTO, *choices) if auto else choices
    if hint not in PLAIN:
        return None
    return Option(
        parameter.name, hint, default, required, text, choices, nullable, listed, auto, array
    )
