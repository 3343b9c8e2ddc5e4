"""Options that are settings of a run: generated from the table in `invprob.run.config`.

    @takes_settings("operators", "noise", "seed")
    def measure(context: typer.Context, given: Given, words: Words = None, ...) -> None:

The command gets `--operator`, `--noise` and `--seed` in the place of its parameter `given`, which
receives the settings that the user gave, by name.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import typer

from invprob.cli.common import declared_options, load_plugins
from invprob.errors import ArgumentError
from invprob.run.config import SETTINGS
from invprob.run.settings import Named, RunSetting
from invprob.run.together import OF_MEASURED

if TYPE_CHECKING:
    from invprob.cli.options import Parts

Given: TypeAlias = Mapping[str, Any]
Result = TypeVar("Result")


def takes_settings(
    *names: str, **unset: str
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Give a command the options of these settings, by default of all that have an option.

    Args:
        names: Names of settings.
        unset: Settings with what the command does without them, where the table says otherwise.
    """
    asked = [SETTINGS[name] for name in (*names, *unset) or SETTINGS]
    taken = [one for one in asked if one.option]

    def decorate(command: Callable[..., Result]) -> Callable[..., Result]:
        @functools.wraps(command)
        def with_settings(**values: Any) -> Result:
            read = ((one.name, _read(one, values.pop(one.name))) for one in taken)
            given = {name: value for name, value in read if value is not _MISSING}
            return command(given=given, **values)

        grouped = not (names or unset)  # a few options need no headings
        options = [_parameter(one, unset.get(one.name), grouped=grouped) for one in taken]
        signature = inspect.signature(command)
        parameters = [*_inserted(signature.parameters.values(), options)]
        vars(with_settings)["__signature__"] = signature.replace(parameters=parameters)
        return with_settings

    return decorate


def read_settings(
    context: typer.Context,
    words: Sequence[str] | None,
    given: Given,
    *,
    method: Named | None = None,
    stop: Named | None = None,
) -> dict[str, Any]:
    """The settings that a command line gives, as `RunConfig` takes them.

    Args:
        context: The command's.
        words: Images, and options of operators, noise, method and stopping rule.
        given: The command's settings.
        method: The method where none is given; its options may be.
        stop: The stopping rule where none is given; its options may be.
    """
    from invprob.cli.options import read_parts
    from invprob.run.operator_file import read_spec

    load_plugins(given.get("plugins", ()))
    given, lent = _lent(given)
    parts = read_parts(
        [*(words or []), *lent],
        operators=given.get("operators", ()),
        noise=given.get("noise"),
        method=given.get("method", method),
        stop=given.get("stop", stop),
        declared=declared_options(context),
    )
    settings = {**given, **_of_parts(parts)}
    if "spec" in given:
        import json

        settings["spec"] = json.dumps(read_spec(Path(given["spec"])))
    return settings


def _lent(given: Given) -> tuple[Given, list[str]]:
    """The settings without those that are options of a named operator, and these as words.

    `--gain` is that of `saturate` where the chain has one. Its long form, `saturate:gain=2`, leaves
    the short one to the measurements.
    """
    from invprob.registry import options_of, register

    shared = [name for name in OF_MEASURED if name in given]
    lent: list[str] = []
    for text in given.get("operators", ()) if shared else ():
        name, _, set_here = text.partition(":")
        if name in register.operator:  # any other name is refused later
            keys = {item.partition("=")[0].strip() for item in set_here.split(",")}
            has = {option.name for option in options_of(register.operator[name])}
            lent += [one for one in shared if one in has - keys and one not in lent]
    kept = {name: value for name, value in given.items() if name not in lent}
    return kept, [f"{SETTINGS[name].option}={given[name]}" for name in lent]


def _of_parts(parts: "Parts") -> dict[str, Any]:
    """The settings that a command line's parts and words are, where there are any."""
    found = {
        "images": parts.words,
        "operators": parts.operators,
        "noise": parts.noise,
        "method": parts.method,
        "stop": parts.stop,
    }
    return {name: value for name, value in found.items() if value}


# ------------------------------------------------------------------------------- one option each

_MISSING = object()  # stands for an option that was not given; None may be a value


def _inserted(
    parameters: Iterable[inspect.Parameter], options: Sequence[inspect.Parameter]
) -> Iterator[inspect.Parameter]:
    """A command's parameters, with the options in the place of `given`."""
    for parameter in parameters:
        if parameter.name == "given":
            yield from options
        else:
            yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)


def _parameter(setting: RunSetting, unset: str | None, *, grouped: bool) -> inspect.Parameter:
    """The parameter from which Typer makes the setting's option; `grouped` under its heading."""
    option = typer.Option(
        setting.option,
        metavar=setting.metavar or None,
        help=f"{setting.about.help} {_default(setting, unset)}".rstrip(),
        rich_help_panel=setting.about.heading if grouped else None,
    )
    hint: Any = str | None
    if setting.many:
        hint = list[str] | None
    elif setting.kind is bool:
        hint = bool
    elif setting.kind in (int, float) and not setting.about.none:
        hint = setting.kind | None
    default = False if setting.kind is bool else None
    return inspect.Parameter(
        setting.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[hint, option],
    )


def _default(setting: RunSetting, unset: str | None) -> str:
    """The sentence that says what happens without the option, where there is something to say."""
    default = setting.default
    text = unset or setting.about.unset
    if not text and default not in (None, ()) and default is not False:
        text = default.name if isinstance(default, Named) else str(default)
    return f"Default: {text}." if text else ""


def _read(setting: RunSetting, value: Any) -> Any:
    """The setting from what Typer read; a word that stands for None becomes None."""
    if value is None or value is False or value == []:
        return _MISSING
    if setting.many:
        return tuple(value)
    if setting.about.none and value == setting.about.none:
        return None
    if setting.kind is int and isinstance(value, str):
        if not value.isdecimal():
            raise ArgumentError(
                f"{setting.option} must be {setting.about.none} or a whole number, got {value!r}"
            )
        value = int(value)
    setting.check(value)
    return value
