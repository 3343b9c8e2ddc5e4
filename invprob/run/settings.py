"""How a setting is declared: once, in the annotation of a field, from which all else is derived.

    coarse: Annotated[int | None, Setting("Size to begin with.", metavar="PIXELS")] = None

`invprob/run/config.py` holds the table. The command line makes an option of each field, run files
and sweep files make a key of it, and all of them check values as it says. Command-line help reads
this module, so it imports nothing heavy, and its records are tuples, which are quickly defined.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from invprob.errors import ArgumentError

# Who settles a value in a sweep: the run itself (its image, operator, seed, ...), the sweep for
# all its runs, or the sweep and each of its methods, whose own value wins.
Scope: TypeAlias = Literal["run", "sweep", "method"]


class Range(NamedTuple):
    """The numbers that a setting accepts; `words` complete the sentence "N must be ..."."""

    words: str
    least: float = -math.inf
    most: float = math.inf
    exclusive: bool = False

    def accepts(self, number: float) -> bool:
        """Whether the number lies in the range."""
        if self.exclusive:
            return self.least < number < self.most
        return self.least <= number <= self.most


AT_LEAST_ONE = Range("at least 1", least=1)
POSITIVE = Range("a number above 0", least=0, exclusive=True)
SEED = Range("from 0 to 2**63 - 1", least=0, most=2**63 - 1)


@dataclass(frozen=True)
class Named:
    """A registered name with the options given to it; other options have their defaults."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_table(cls, table: object, where: str) -> "Named":
        """Read `{name = "rotate", degrees = 10}`; raises `ArgumentError` for anything else."""
        if not isinstance(table, dict) or not isinstance(table.get("name"), str):
            raise ArgumentError(f"{where} must be a table with a name, got {table!r}")
        settings = {key: value for key, value in table.items() if key != "name"}
        return cls(table["name"], settings)

    def to_table(self) -> dict[str, Any]:
        """The inverse of `from_table`; TOML has no null, so options that are None are left out."""
        given = {key: value for key, value in self.settings.items() if value is not None}
        return {"name": self.name, **given}


class Setting(NamedTuple):
    """What a field of the run's configuration says about itself.

    Attributes:
        help: What the setting does, in sentences for `--help`.
        metavar: What stands for the value in help; a choice lists its words, a switch has none.
        unset: What happens without the setting, where the default value does not say it.
        option: The command-line option; None for `--` and the field's name, "" for no option.
        none: The word that stands for None on the command line, such as "auto".
        heading: The heading in help under which the option stands.
        within: The numbers accepted.
        file: Whether the value names, or may name, a file.
        scope: Who settles the value in a sweep.
        identifies: Whether runs of a sweep that differ in the value are different runs.
    """

    help: str
    metavar: str = ""
    unset: str = ""
    option: str | None = None
    none: str = ""
    heading: str = ""
    within: Range | None = None
    file: bool = False
    scope: Scope = "method"
    identifies: bool = True


class RunSetting(NamedTuple):
    """A setting with the name, the type and the default of its field.

    `kind` is the type of one value: str, int, float, bool or Named. `choices` are the words of a
    `Literal`. `many` marks a tuple of values, `nullable` a value that may be None.
    """

    name: str
    about: Setting
    kind: type
    default: Any
    choices: tuple[str, ...] = ()
    many: bool = False
    nullable: bool = False

    @property
    def option(self) -> str:
        """The option on the command line, or "" where there is none."""
        if self.about.option is not None:
            return self.about.option
        return "--" + self.name.replace("_", "-")

    @property
    def metavar(self) -> str:
        """What stands for the value in help."""
        return "|".join(self.choices) or self.about.metavar

    def check(self, value: Any) -> None:
        """Raise `ArgumentError` for a word that is no choice, or a number out of range."""
        if value is None:
            return
        if self.choices and value not in self.choices:
            from invprob.registry import suggest

            raise ArgumentError(
                f"{self.name} must be one of {', '.join(self.choices)}, got {value!r}."
                f"{suggest(value, self.choices)}"
            )
        if self.about.within is not None and not self.about.within.accepts(value):
            raise ArgumentError(f"{self.name} must be {self.about.within.words}, got {value}")

    def read(self, value: Any) -> Any:
        """The setting's value from a TOML file's.

        Raises:
            ArgumentError: for a value of another type, and as `check` does.
        """
        if self.many:
            if not isinstance(value, list):
                raise ArgumentError(f"{self.name} must be a list, got {value!r}")
            return tuple(self._read(one, f"{self.name}[{at}]") for at, one in enumerate(value))
        read = self._read(value, self.name)
        self.check(read)
        return read

    def _read(self, value: Any, where: str) -> Any:
        if self.kind is Named:
            return Named.from_table(value, where)
        accepted = (int, float) if self.kind is float else self.kind
        if not isinstance(value, accepted) or isinstance(value, bool) is not (self.kind is bool):
            raise ArgumentError(f"{where} must be {_WORDS[self.kind]}, got {value!r}")
        return self.kind(value)

    def write(self, value: Any) -> Any:
        """The TOML file's value from the setting's, which is not None."""
        if self.many:
            return [self._write(one) for one in value]
        return self._write(value)

    def _write(self, value: Any) -> Any:
        return value.to_table() if isinstance(value, Named) else value


_WORDS = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


def settings_of(table: type) -> Mapping[str, RunSetting]:
    """The settings that a dataclass declares, by name."""
    return {item.name: _setting(item) for item in dataclasses.fields(table)}


def _setting(item: "dataclasses.Field[Any]") -> RunSetting:
    hint, about = typing.get_args(item.type)  # Annotated[hint, about]
    # `Literal[...] | None` is a Union of `typing`, `int | None` one of the language.
    nullable = typing.get_origin(hint) in (types.UnionType, typing.Union)
    if nullable:
        (hint,) = (one for one in typing.get_args(hint) if one is not type(None))
    many = typing.get_origin(hint) is tuple
    if many:
        hint, _ = typing.get_args(hint)
    choices = typing.get_args(hint) if typing.get_origin(hint) is Literal else ()
    return RunSetting(
        item.name, about, str if choices else hint, item.default, choices, many, nullable
    )


def parsed(text: str) -> dict[str, Any]:
    """A TOML text as a table; raises `ArgumentError`."""
    import sys

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ArgumentError(f"this is not TOML: {error}") from None
