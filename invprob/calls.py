"""Calls that are checked against their signatures: a mistake becomes one line with a remedy.

    @checked
    def measure(image: Images, operator: Operator, noise: Noise | None = None) -> Measurements: ...

    measure(image, operator, 0.1)
    # CallError: measure: noise must be a Noise or None, got 0.1; write GaussianNoise(sigma=0.1)

The annotations say what is right, so that nothing is written twice.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from invprob.docstrings import hints_of
from invprob.errors import ArgumentError, CallError
from invprob.kinds import MISFIT, holds_numbers, kind_of, shown
from invprob.options import parameters_of
from invprob.plain import plain

F = TypeVar("F", bound=Callable[..., Any])

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_OWN = ("self", "cls")  # what Python fills in
_KNOWN = ("image_shape", "seed")  # shown by their names alone


class Parameters:
    """The parameters of a function or constructor, against which calls are checked.

    Args:
        function: the function, or the `__init__` of a class.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.signature = inspect.signature(function)
        self._options = {option.name: option for option in parameters_of(function)}
        hints = {
            name: hint
            for name, hint in hints_of(function).items()
            if name in self.signature.parameters
            and self.signature.parameters[name].kind not in _VARIADIC
        }
        self._kinds = {name: kind_of(hint) for name, hint in hints.items()}
        self._numbers = {name for name, hint in hints.items() if holds_numbers(hint)}

    def read(
        self, name: str, args: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> inspect.BoundArguments:
        """Check the arguments of a call.

        Args:
            name: what is called, for messages.
            args: the arguments by position, with `self` where there is one.
            keywords: the arguments by name.

        Returns:
            The arguments, each in the form that the annotation asks for.

        Raises:
            CallError: an argument is missing, unknown or of another kind.
        """
        try:
            found = self.signature.bind(*args, **keywords)
        except TypeError as error:
            raise CallError(f"{name}: {error}; write {self._usage(name)}") from None
        for key, value in found.arguments.items():
            if value is not self.signature.parameters[key].default:
                found.arguments[key] = self._fitting(name, key, value)
        return found

    def _fitting(self, name: str, key: str, value: Any) -> Any:
        try:
            if key in self._options:
                return self._options[key].read(value)
            if key in self._numbers:
                value = plain(key, value)
        except ArgumentError as error:
            raise CallError(f"{name}: {error}") from None
        if key not in self._kinds:
            return value
        kind = self._kinds[key]
        read = kind.read(value)
        if read is MISFIT:
            write = f"; write {kind.remedy}" if kind.remedy else ""
            raise CallError(f"{name}: {key} must be {kind.words}, got {shown(value)}{write}")
        return read

    def _usage(self, name: str) -> str:
        """How to call it: `Rotate(image_shape, degrees=…)`."""
        required = [
            key if key in _KNOWN else f"{key}=…"
            for key, one in self.signature.parameters.items()
            if one.default is one.empty and one.kind not in _VARIADIC and key not in _OWN
        ]
        return f"{name}({', '.join(required)})"


def checked(entry: F) -> F:
    """A decorator of a public function, method or data class, whose calls it checks.

    Args:
        entry: what has annotations; of a data class those of its fields.

    Returns:
        The entry, which raises `CallError` for arguments that do not fit.
    """
    if isinstance(entry, type):
        setattr(entry, "__init__", _checked(vars(entry)["__init__"], entry.__name__))  # noqa: B010
        return cast(F, entry)
    return _checked(entry, entry.__qualname__)


def _checked(function: F, name: str) -> F:
    parameters = functools.cache(lambda: Parameters(function))  # once the module is complete

    @functools.wraps(function)
    def call(*args: Any, **keywords: Any) -> Any:
        found = parameters().read(name, args, keywords)
        return function(*found.args, **found.kwargs)

    return cast(F, call)
