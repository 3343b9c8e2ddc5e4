"""Names and what they stand for: built-ins, plugins, and how to build from settings.

    @register.operator("blur")      # gives a class a name; methods and metrics are functions
    register.operator["blur"]       # looks a name up

Looking at a register loads the built-ins first, and then plugins. An installed package offers
plugins through an entry-point group for each kind: `invprob.operators`, `invprob.noise`,
`invprob.priors`, `invprob.generators`, `invprob.methods`, `invprob.stops`, `invprob.losses`,
`invprob.metrics`, `invprob.directions`. An entry names a class or a function, or a module whose
import registers something. A group is loaded when a name is not among the built-ins, or when all
names are listed.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import sys
import types
import typing
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from invprob.calls import checked
from invprob.docstrings import (
    DIRECTIONS,
    LOSSES,
    METHODS,
    METRICS,
    OPERATORS,
    PRIORS,
    STOPS,
    Common,
    completed,
)
from invprob.errors import ArgumentError, FileError, UnknownNameError
from invprob.errors import suggest as suggest
from invprob.options import AUTO as AUTO
from invprob.options import Auto as Auto
from invprob.options import Option as Option
from invprob.options import checked_settings
from invprob.options import options_of as options_of
from invprob.options import parameters_of as parameters_of

if TYPE_CHECKING:
    from invprob.latents.direction import Direction
    from invprob.operators.base import Operator
    from invprob.operators.noise import Noise
    from invprob.priors.base import Prior
    from invprob.priors.stylegan.generator import Generator

T = TypeVar("T")
Entry = TypeVar("Entry")


class Register(Mapping[str, T], Generic[T]):
    """A mapping from names to what was registered under them, and the decorator that registers.

    Args:
        kind: what an entry is called in messages, such as "operator".
        builtin: the module whose import registers the built-ins.
        group: the entry-point group of plugins.
        common: what all entries have in common, for their docstrings.
    """

    def __init__(self, kind: str, builtin: str, group: str, common: Common | None = None) -> None:
        self.kind, self.group = kind, group
        self._common = common or Common()
        self._builtin = builtin
        self._reserved: set[str] = set()
        self._builtin_loaded = False
        self._plugins_loaded = False
        self._entries: dict[str, T] = {}

    @checked
    def __call__(self, name: str) -> Callable[[Entry], Entry]:
        """Give the decorated class or function a name.

        Its docstring gets a section `Args:` from the texts of its annotations.

        Args:
            name: the name in files and on the command line, such as "gaussian-blur".

        Returns:
            The decorator.

        Raises:
            ArgumentError: the name belongs to something else (when the decorator is applied).
        """

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
        """The entry of a name, or `default` where nothing is registered under it."""
        try:
            return self[name]
        except UnknownNameError:
            return default

    def name_of(self, entry: object) -> str | None:
        """The name under which this very object was registered; None if it was not."""
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
        """Load what installed packages offer, once; a package that fails becomes a warning."""
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
    """The register of each kind: `register.operator`, `register.noise` and so on."""

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
        self.direction: Register[Callable[[Generator], Direction]] = Register(
            "direction", "invprob.latents", "invprob.directions", DIRECTIONS
        )

    @checked
    def of(self, kind: str) -> Register[Any]:
        """The register of a kind, such as "operator"; raises `UnknownNameError`."""
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


@checked
def load_plugin(path: str | os.PathLike[str]) -> types.ModuleType:
    """Import a Python file that registers something; a second call finds it imported.

    Args:
        path: the file, such as "mine.py".

    Returns:
        The module.

    Raises:
        FileError: there is no such file, or its code fails.
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


@checked
def build(kind: str, name: str, settings: Mapping[str, Any]) -> Any:
    """Build what is registered under a name.

    Args:
        kind: the register, such as "operator".
        name: the name in the register.
        settings: the arguments by name, such as a spec's or a command line's.

    Returns:
        What the registered class or function returns.

    Raises:
        UnknownNameError: nothing is registered under the name.
        ArgumentError: an argument is unknown, missing or of the wrong type.
    """
    entry = register.of(kind)[name]
    return entry(**checked_settings(f"{kind} {name!r}", entry, settings))


def _place(entry: object) -> str:
    return f"{getattr(entry, '__module__', '?')}.{getattr(entry, '__qualname__', repr(entry))}"
