"""Objects that can be rebuilt: their constructors keep the arguments as JSON."""

import inspect
import numbers
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from invprob.arrays import size_of
from invprob.contracts import Contract
from invprob.errors import ArgumentError, UnknownNameError
from invprob.registry import registered_name

_SHOWN = 32  # characters of an argument in a description
_NOT_DESCRIBED = ("image_shape", "seed")  # they come from the image and from the run


class Recorded(Contract):
    """A base class whose constructors keep their arguments, defaults included, for `spec`.

    Attributes:
        added: names of arguments that a later version added. The spec leaves such an argument out
            while it has its default, so that specs and fingerprints in older files stay valid.
    """

    added: ClassVar[tuple[str, ...]] = ()

    _arguments: dict[str, Any]

    def received(self, arguments: Mapping[str, Any]) -> None:
        """Keep the arguments in their JSON form."""
        # Past `nn.Module`, whose own constructor has not been called yet.
        vars(self)["_arguments"] = {name: _written(value) for name, value in arguments.items()}

    def spec(self) -> dict[str, Any]:
        """A JSON table from which `from_spec` builds an equal object.

        Returns:
            The registered name as `type`, and the arguments of the constructor.

        Raises:
            UnknownNameError: the class is not registered.
            ArgumentError: an argument cannot be written as JSON.
        """
        kind = registered_name(type(self))
        arguments = {**self._arguments, **self.carried()}
        for name, value in arguments.items():
            if isinstance(value, _Unwritable):
                raise ArgumentError(
                    f"{type(self).__name__} was built with a {value.kind} as {name!r}, which JSON "
                    "cannot hold; build it from numbers, words, lists or a file's name"
                )
        defaults = inspect.signature(type(self)).parameters
        kept = {
            name: value
            for name, value in arguments.items()
            if name not in self.added or value != _written(defaults[name].default)
        }
        return {"type": kind, **kept}

    def carried(self) -> dict[str, Any]:
        """Arguments that were read from a file or an array, each as JSON that holds its contents.

        An operator that reads a mask overrides it, so that its spec does not depend on the file.

        Returns:
            Lists, or texts such as `carry` in `invprob.arrays` writes, by the names of the
            arguments.
        """
        return {}

    def describe(self) -> str:
        """Describe it in one short line, for captions and lists.

        Returns:
            The name, and the options that differ from their defaults: `rotate(degrees=20)`. Long
            words and lists are shortened, an array is given by its size, and `image_shape` and
            `seed` are left out.
        """
        defaults = inspect.signature(type(self)).parameters
        arguments = {**self._arguments, **self.carried()}
        options = [
            f"{name}={_shown(value)}"
            for name, value in arguments.items()
            if name not in _NOT_DESCRIBED and value != _written(defaults[name].default)
        ]
        return f"{_name(self)}({', '.join(options)})" if options else _name(self)

    def names(self) -> tuple[str, ...]:
        """The words that stand for it in the name of a folder, such as ("rotate",)."""
        return (_name(self),)


def _name(entry: Recorded) -> str:
    """The registered name, or the name of a class that has none."""
    try:
        return registered_name(type(entry))
    except UnknownNameError:
        return type(entry).__name__


def _shown(value: Any) -> str:
    """An argument in a few characters."""
    if isinstance(value, _Unwritable):
        return value.kind
    if isinstance(value, float):
        return f"{value:g}"
    size = size_of(value) if isinstance(value, str) else None
    if size is not None:
        return f"{' x '.join(map(str, size))} array"
    text = " ".join(str(value).split())
    if len(text) > _SHOWN:
        text = f"{text[: _SHOWN // 2]}…{text[1 - _SHOWN // 2 :]}"
    return f'"{text}"' if isinstance(value, str) and " " in text else text


class _Unwritable:
    """Stands for an argument that JSON cannot hold."""

    def __init__(self, value: object) -> None:
        self.kind = type(value).__name__


def _written(value: Any) -> Any:
    """The JSON form of an argument; tuples become lists."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        written: Any = {key: _written(item) for key, item in value.items()}
        items = list(written.values())
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        written = items = [_written(item) for item in value]
    else:
        return _Unwritable(value)
    return next((item for item in items if isinstance(item, _Unwritable)), written)
