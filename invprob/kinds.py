"""What an annotation accepts, and how a message says so.

A `Kind` stands for an annotation: it reads a value that fits, and has words for those that fit.
"""

import numbers
import os
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any, Final, TypeVar

_SHOWN = 40  # characters of a word in a message
_LISTED = 4  # numbers of a list in a message
_TENSOR = "torch.as_tensor(values).float()"

MISFIT: Final = object()  # what `Kind.read` returns for a value of another kind

C = TypeVar("C", bound=type)


@dataclass(frozen=True)
class Kind:
    """The values that an annotation stands for.

    Args:
        words: what a value is called, such as "a number".
        read: takes a value, and returns it as a function expects it, such as 2.0 for the int 2;
            `MISFIT` for a value of another kind.
        remedy: what to write in place of a wrong value; empty where the words say enough.
    """

    words: str
    read: Callable[[Any], Any]
    remedy: str = ""


_REMEDIES: dict[type, str] = {}


def remedy(text: str) -> Callable[[C], C]:
    """A decorator that says how to get an instance of a class, for messages.

    Args:
        text: an example that follows "write", such as "GaussianNoise(sigma=0.1)".

    Returns:
        The decorator.
    """

    def keep(cls: C) -> C:
        _REMEDIES[cls] = text
        return cls

    return keep


def shown(value: object) -> str:
    """A value in one short line: a number or a word itself, of all else the type and the size."""
    if value is None or _is_number(value):
        return repr(value)
    if isinstance(value, str | os.PathLike):
        text = repr(os.fspath(value))
        return f"{text[:_SHOWN]}…" if len(text) > _SHOWN else text
    if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
        return f"the {'class' if isinstance(value, type) else 'function'} {value.__name__}"
    name = _named(type(value))
    if isinstance(value, list | tuple) and len(value) <= _LISTED and all(map(_is_number, value)):
        return repr(value)
    if isinstance(value, Sequence | Mapping | set):
        return f"{name} of length {len(value)}"
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    return name if dtype is None else f"{name} of shape {tuple(shape or ())} and dtype {dtype}"


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Number)  # a bool is one


def _named(cls: type) -> str:
    if cls.__name__ == "ndarray":
        return "a NumPy array"
    return f"{'an' if cls.__name__[0] in 'AEIOaeiou' else 'a'} {cls.__name__}"


def _instances(cls: Any, words: str, remedy: str = "") -> Kind:
    return Kind(words, lambda value: value if isinstance(value, cls) else MISFIT, remedy)


def _numbers(accepted: type, made: type, words: str) -> Kind:
    def read(value: Any) -> Any:
        wrong = isinstance(value, bool) or not isinstance(value, accepted)
        return MISFIT if wrong else made(value)

    return Kind(words, read)


ANYTHING = Kind("anything", lambda value: value)
PLAIN: Mapping[type, Kind] = {
    bool: _instances(bool, "true or false"),
    int: _numbers(numbers.Integral, int, "an int"),
    float: _numbers(numbers.Real, float, "a number"),
    str: Kind("a word", lambda value: str(value) if isinstance(value, str) else MISFIT),
}


def kind_of(hint: Any) -> Kind:
    """The kind of an annotation; one that says nothing about single values accepts anything."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return kind_of(arguments[0])
    if hint is None or hint is type(None):
        return _instances(type(None), "None")
    if origin in (typing.Union, types.UnionType):
        return _one_of([kind_of(argument) for argument in arguments])
    if origin is typing.Literal:
        return _choice(arguments)
    if origin in (Iterable, Sequence, list):
        return _listed(kind_of(arguments[0]), origin)
    if origin is tuple and arguments == (int, ...):
        return replace(_listed(PLAIN[int], Iterable), words="whole numbers such as (3, 64, 64)")
    if origin is tuple and arguments[1:] == (...,):
        return _listed(kind_of(arguments[0]), Iterable)
    if origin in (Callable, type):
        return Kind("a function", lambda value: value if callable(value) else MISFIT)
    cls = hint if isinstance(hint, type) and origin is None else origin
    return _of_class(cls) if isinstance(cls, type) else ANYTHING


def holds_numbers(hint: Any) -> bool:
    """Whether an annotation is a list, a tuple or a sequence of numbers, perhaps in rows."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return holds_numbers(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return any(map(holds_numbers, arguments))
    if origin not in (list, tuple, Iterable, Sequence):
        return False
    return all(one in (int, float, ...) or holds_numbers(one) for one in arguments)


def _of_class(cls: Any) -> Kind:
    from jaxtyping import AbstractArray  # only here: naming things needs no arrays

    if cls in PLAIN:
        return PLAIN[cls]
    if cls is object or typing.Protocol in cls.__mro__:
        return ANYTHING
    if AbstractArray in cls.__mro__:
        return _array(cls)
    if cls is os.PathLike or issubclass(cls, PurePath):
        return _instances(os.PathLike, "a path")
    if cls.__module__ == "torch" and cls.__name__ == "Tensor":
        return _instances(cls, "a tensor", _TENSOR)
    text = next((_REMEDIES[base] for base in cls.__mro__ if base in _REMEDIES), "")
    return _instances(cls, _named(cls), text)


def _array(cls: Any) -> Kind:
    """Tensors by their dtype; that the shape fits, a function says better itself."""

    def read(value: Any) -> Any:
        fits = isinstance(value, cls.array_type)
        return value if fits and str(value.dtype).rpartition(".")[2] in cls.dtypes else MISFIT

    return Kind("a tensor of floating-point numbers", read, _TENSOR)


def _choice(choices: Sequence[Any]) -> Kind:
    def read(value: Any) -> Any:
        return value if isinstance(value, str | int) and value in choices else MISFIT

    return Kind(" or ".join(map(repr, choices)), read)


def _one_of(kinds: Sequence[Kind]) -> Kind:
    if ANYTHING in kinds:
        return ANYTHING

    def read(value: Any) -> Any:
        found = (kind.read(value) for kind in kinds)
        return next((one for one in found if one is not MISFIT), MISFIT)

    words = list(dict.fromkeys(kind.words for kind in kinds))
    words = [
        *(word for word in words if word != "None"),
        *(word for word in words if word == "None"),
    ]
    return Kind(" or ".join(words), read, next((one.remedy for one in kinds if one.remedy), ""))


def _listed(entry: Kind, holder: Any) -> Kind:
    """A list of a kind. What may be read but once is read here, and given on as a tuple."""

    def read(value: Any) -> Any:
        if not isinstance(value, holder) or isinstance(value, str | bytes | Mapping):
            return MISFIT
        if entry is ANYTHING:
            return value
        try:
            entries = tuple(entry.read(one) for one in value)
        except TypeError:  # an array without axes says that it can be iterated
            return MISFIT
        if MISFIT in entries:
            return MISFIT
        return entries if holder is Iterable else value

    words = "a list" if entry is ANYTHING else f"a list, each entry {entry.words}"
    return Kind(words, read, f"[{entry.remedy}]" if entry.remedy else "")
