"""Names and what they stand for: built-ins, plugins, and how to build from settings.

    @register.operator("blur")      # a class (for methods and metrics a function) gets a name
    register.operator["blur"]       # looking at a register loads built-ins, then plugins

Installed packages add theirs through entry-point groups, one a kind (`invprob.operators`,
`invprob.noise`, `invprob.priors`, `invprob.generators`, `invprob.methods`, `invprob.stops`,
`invprob.losses`, `invprob.metrics`), each entry naming a module whose import registers, or a class;
a group is loaded when a name is not among the built-ins or when all names are listed. A
constructor's signature is the schema of its settings: `options_of` reads it, `build` obeys it. A
parameter is explained by a string in its annotation:

    def __init__(self, image_shape: Shape, *, ratio: Annotated[float, "share kept, in (0, 1]"]):
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import numbers
import os
import sys
import types
import typing
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from invprob.docstrings import (
    LOSSES,
    METHODS,
    METRICS,
    OPERATORS,
    PRIORS,
    STOPS,
    Common,
    completed,
    hints_of,
    text_of,
)
from invprob.errors import ArgumentError, FileError, UnknownNameError

if TYPE_CHECKING:
    from invprob.operators.base import Operator
    from invprob.operators.noise import Noise
    from invprob.priors.base import Prior

# An image's shape comes from the image, and a seed from the run: neither is an option of its own.
_GIVEN = ("image_shape", "seed")

AUTO: Final = "auto"  # the value of an option that is left to the program

T = TypeVar("T")
Entry = TypeVar("Entry")


class Auto(str):
    """The help text of an option that may be left to the program.

        content: Annotated[Literal["head", "constant"], Auto("the content part")]

    On a command line and in a file the option may be "auto", which is its default. The function
    has no default for it: whoever calls the function chooses a value first.
    """

    __slots__ = ()


def suggest(name: object, known: Iterable[str]) -> str:
    """Say " Did you mean 'x'?" where a known name is near, else nothing."""
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


class Register(Mapping[str, T], Generic[T]):
    """A mapping from names to what was registered under them, and the decorator that registers."""

    def __init__(self, kind: str, builtin: str, group: str, common: Common | None = None) -> None:
        self.kind, self.group = kind, group
        self._common = common or Common()
        self._builtin = builtin
        self._reserved: set[str] = set()
        self._builtin_loaded = False
        self._plugins_loaded = False
        self._entries: dict[str, T] = {}

    def __call__(self, name: str) -> Callable[[Entry], Entry]:
        """Give the decorated class or function a name; a name taken is an `ArgumentError`."""

        def enter(entry: Entry) -> Entry:
            module = str(getattr(entry, "__module__", ""))
            if module.partition(".")[0] != "invprob":
                self._load_builtin()  # so that the newcomer is the one to be refused
            if name in self._reserved:
                raise ArgumentError(
                    f"no {self.kind} can be named {name!r}, which has a meaning in specs"
                )
            known = self._entries.get(name)
            if known is not None and _place(known) != _place(entry):
                raise ArgumentError(
                    f"two {self.kind}s are named {name!r}: {_place(known)} and {_place(entry)}; "
                    "rename one of them"
                )
            self._entries[name] = typing.cast(T, entry)
            explained = completed(entry, self._common) if callable(entry) else entry.__doc__
            if explained != entry.__doc__:
                entry.__doc__ = explained
            return entry

        return enter

    def reserve(self, name: str) -> None:
        """Keep a name from being registered; raises `ArgumentError` if it already is."""
        if name in self._entries:
            raise ArgumentError(f"{name!r} is the name of {_place(self._entries[name])}")
        self._reserved.add(name)

    def __getitem__(self, name: str) -> T:
        self._load_builtin()
        if name not in self._entries:
            self._load_plugins()
        if name in self._entries:
            return self._entries[name]
        known = ", ".join(sorted(self._entries)) or "none"
        raise UnknownNameError(
            f"no {self.kind} is named {name!r}.{suggest(name, self._entries)} Known: {known}."
        )

    def __iter__(self) -> Iterator[str]:
        self._load_builtin()
        self._load_plugins()
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return self.get(str(name)) is not None

    def get(self, name: str, default: Any = None, /) -> Any:
        """The entry of that name, or `default`."""
        try:
            return self[name]
        except UnknownNameError:
            return default

    def name_of(self, entry: object) -> str | None:
        """The name under which this very object was registered, if it was."""
        return next((name for name, known in self._entries.items() if known is entry), None)

    def _load_builtin(self) -> None:
        if not self._builtin_loaded:
            self._builtin_loaded = True  # first: the module may look at the register itself
            try:
                importlib.import_module(self._builtin)
            except BaseException:
                self._builtin_loaded = False
                raise

    def _load_plugins(self) -> None:
        """Load what installed packages offer, once; one that fails becomes a warning."""
        if self._plugins_loaded:
            return
        self._plugins_loaded = True
        for point in importlib.metadata.entry_points(group=self.group):
            try:
                entry = point.load()
                if callable(entry) and self.name_of(entry) is None:
                    self(point.name)(entry)
            except (Exception, SystemExit) as error:
                package = point.dist.name if point.dist else point.value
                warnings.warn(
                    f"the plugin {point.name!r} of the package {package!r} was left out: "
                    f"{type(error).__name__}: {error}",
                    stacklevel=3,
                )


class Registers:
    """All registers, by kind."""

    def __init__(self) -> None:
        operators, priors = "invprob.operators", "invprob.priors"
        self.operator: Register[type[Operator]] = Register(
            "operator", operators, operators, OPERATORS
        )
        self.noise: Register[type[Noise]] = Register("noise", operators, "invprob.noise")
        self.prior: Register[type[Prior]] = Register("prior", priors, priors, PRIORS)
        self.generator: Register[Any] = Register("generator", priors, "invprob.generators")
        self.method: Register[Callable[..., Any]] = Register(
            "method", "invprob.methods", "invprob.methods", METHODS
        )
        self.stop: Register[Callable[..., Any]] = Register(
            "stop", "invprob.solver.stopping", "invprob.stops", STOPS
        )
        self.loss: Register[Any] = Register("loss", "invprob.losses", "invprob.losses", LOSSES)
        self.metric: Register[Callable[..., Any]] = Register(
            "metric", "invprob.metrics", "invprob.metrics", METRICS
        )

    def of(self, kind: str) -> Register[Any]:
        """The register of a kind, such as "operator"."""
        if kind not in vars(self):
            raise UnknownNameError(
                f"there is no register of {kind!r}.{suggest(kind, vars(self))} "
                f"Known: {', '.join(vars(self))}."
            )
        return typing.cast(Register[Any], vars(self)[kind])


register = Registers()


def registered_name(entry: object) -> str:
    """The name of a registered class or function; raises `UnknownNameError` for any other."""
    for kind in vars(register):
        name = register.of(kind).name_of(entry)
        if name is not None:
            return name
    raise UnknownNameError(
        f"{_place(entry)} is not registered, so it cannot be named in a file; decorate it, "
        "for instance with @invprob.register.operator('my-name')"
    )


def load_plugin(path: str | os.PathLike[str]) -> types.ModuleType:
    """Import a Python file, so that what it registers has a name; once only.

    Raises `FileError` if there is no such file or if it fails.
    """
    file = Path(path).resolve()
    name = f"invprob_plugin_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise FileError(
            f"the plugin {str(path)!r} is not a Python file; name a file such as mine.py"
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs, so that its classes can be pickled
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, Exception):
            raise
        raise FileError(
            f"the plugin {str(path)!r} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    return module


@dataclass(frozen=True)
class Option:
    """One setting: `type` is int, float, str or bool; `choices` lists what a Literal allows.

    `listed`: a word on the command line ("0 1; 1 0", a file), or lists and arrays in code and in a
    spec, as in `matrix: str | Sequence[Sequence[float]]`; the constructor reads either. `auto`: the
    value may be "auto", which somebody replaces before the function is called (`Auto`).
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

    def read(self, value: Any) -> Any:
        """Check a value against the type and return it in that type; raises `ArgumentError`."""
        if self.auto and value == AUTO:
            return value
        if value is None and self.nullable:
            return None
        if self.listed and not isinstance(value, numbers.Number | Mapping):
            return value
        if self.choices:
            if value not in self.choices:
                raise ArgumentError(
                    f"{self.name} must be one of {', '.join(map(repr, self.choices))}, got "
                    f"{value!r}.{suggest(value, map(str, self.choices))}"
                )
            return value
        accepted = {float: numbers.Real, int: numbers.Integral}.get(self.type, self.type)
        if not isinstance(value, accepted) or isinstance(value, bool) is not (self.type is bool):
            raise ArgumentError(f"{self.name} must be {_article(self.type)}, got {value!r}")
        return self.type(value)


def parameters_of(entry: Callable[..., Any]) -> list[Option]:
    """The parameters of a constructor or function that hold a number, a word or a choice."""
    described = []
    hints = hints_of(entry)
    for parameter in inspect.signature(entry).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        required = parameter.default is parameter.empty
        default = None if required else parameter.default
        read = _read_annotation(hints.get(parameter.name, type(default)))
        if read is not None:
            kind, choices, nullable, text, listed = read
            auto = isinstance(text, Auto)
            if auto:
                required, default = False, AUTO
                choices = (AUTO, *choices) if choices else ()
            described.append(
                Option(
                    parameter.name, kind, default, required, text, choices, nullable, listed, auto
                )
            )
    return described


def options_of(entry: Callable[..., Any]) -> list[Option]:
    """What a command line may set: a constructor's parameters, or a function's keyword-only ones.

    `image_shape` and `seed` are not among them: the image and the run give these.
    """
    kinds = {name: p.kind for name, p in inspect.signature(entry).parameters.items()}
    return [
        option
        for option in parameters_of(entry)
        if option.name not in _GIVEN
        and (inspect.isclass(entry) or kinds[option.name] is inspect.Parameter.KEYWORD_ONLY)
    ]


def build(kind: str, name: str, settings: Mapping[str, Any]) -> Any:
    """Make the object of that kind and name from settings, such as a spec's or a command line's.

    Raises `UnknownNameError` for the name; `ArgumentError` for a setting that is unknown, missing
    or of the wrong type.
    """
    entry = register.of(kind)[name]
    signature = inspect.signature(entry)
    for key in settings:
        if key not in signature.parameters:
            known = [option.name for option in options_of(entry)]
            raise ArgumentError(
                f"the {kind} {name!r} has no option {key!r}."
                f"{suggest(key, known)} Options: {', '.join(known) or 'none'}."
            )
    for key, parameter in signature.parameters.items():
        if parameter.default is parameter.empty and key not in settings:
            raise ArgumentError(f"the {kind} {name!r} needs a value for {key!r}")
    options = {option.name: option for option in parameters_of(entry)}
    return entry(
        **{
            key: options[key].read(value) if key in options else value
            for key, value in settings.items()
        }
    )


def _place(entry: object) -> str:
    return f"{getattr(entry, '__module__', '?')}.{getattr(entry, '__qualname__', repr(entry))}"


def _article(kind: type) -> str:
    return {int: "an int", float: "a number", str: "a word", bool: "true or false"}[kind]


def _read_annotation(hint: Any) -> tuple[type, tuple[Any, ...], bool, str, bool] | None:
    """Split an annotation into type, choices, nullable, help, listed; None if it is no option."""
    text = text_of(hint)
    if typing.get_origin(hint) is typing.Annotated:
        hint = hint.__origin__
    nullable = False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        members = typing.get_args(hint)
        nullable = type(None) in members
        rest = [member for member in members if member is not type(None)]
        if str in rest and any(typing.get_origin(member) is Sequence for member in rest):
            return str, (), nullable, text, True
        if len(rest) != 1:
            return None
        hint = rest[0]
    if typing.get_origin(hint) is typing.Literal:
        choices = typing.get_args(hint)
        return type(choices[0]), choices, nullable, text, False
    return (hint, (), nullable, text, False) if hint in (int, float, str, bool) else None
