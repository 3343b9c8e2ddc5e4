"""The entries of a sweep's axes, read from their tables: images, operators, noises, methods.

Every name and option is checked against the register, so that mistakes show before anything runs.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from invprob.bench.located import Table
from invprob.bench.sweep import NOTHING, Choice, Link, MethodChoice, Pictures
from invprob.errors import ArgumentError, UnknownNameError
from invprob.registry import options_of, parameters_of, register, suggest
from invprob.run.config import SETTINGS, Named
from invprob.run.samples import samples
from invprob.run.settings import Scope

_FROM_THE_RUN = ("image_shape", "seed")  # of operators; no options


def read_pictures(table: Table, folder: Path) -> Pictures:
    """A set of images; paths are relative to the `folder` of the sweep file."""
    chosen, paths = table.words("samples") or (), table.words("paths") or ()
    if not (chosen or paths):
        raise ArgumentError(
            f"{table.place()}: these images name nothing; write samples = [...] or paths = [...]"
        )
    table.check_known("samples", chosen, samples(), "sample")
    placed = tuple(str(folder / Path(path).expanduser()) for path in paths)
    label = table.word("label") or (Path(paths[0]).stem.strip("*?") if paths else "") or "samples"
    pictures = Pictures(
        label, chosen, placed, table.count("most"), table.flag("optional"), table.place()
    )
    table.check_all_read()
    return pictures


def read_chain(table: Table, axis: str) -> Choice:
    """An operator or a transform: a chain, or one name with its options."""
    about = _about(table)
    links = [_link(table, "operator", one, f"chain[{at}]") for at, one in enumerate(_links(table))]
    if not table.values.get("chain"):
        rest = table.rest()
        nothing = axis == "transform" and (rest == {"name": NOTHING} or "chain" in table.values)
        if "name" in rest and not nothing:
            links = [_link(table, "operator", rest, "name")]
        elif not nothing:
            raise ArgumentError(
                f'{table.place()}: this entry names no operator; write name = "..." and its '
                'options, or chain = [{name = "..."}, ...]'
            )
    table.check_all_read()
    return _labelled(about, links, table)


def read_noise(table: Table) -> Choice:
    """A noise with its options, or `name = "none"`."""
    about = _about(table)
    rest = table.rest()
    links = [] if rest == {"name": NOTHING} else [_link(table, "noise", rest, "name")]
    return _labelled(about, links, table)


def read_method(table: Table, folder: Path) -> MethodChoice:
    """A method with its options, and the settings that it has for itself."""
    about = _about(table)
    settings = read_settings(table, folder, ("method",))
    optional = table.flag("optional")
    plain = _labelled(about, [_link(table, "method", table.rest(), "name")], table)
    return MethodChoice(**vars(plain), settings=settings, optional=optional)


def read_settings(table: Table, folder: Path, scopes: Sequence[Scope]) -> dict[str, Any]:
    """The settings of runs that a table has, among those of these scopes."""
    found: dict[str, Any] = {}
    for setting in SETTINGS.values():
        if setting.about.scope not in scopes or table.value(setting.name) is None:
            continue
        if setting.kind is Named:
            link = _link(table, setting.name, table.value(setting.name), setting.name)
            found[setting.name] = link.named(1)
        elif setting.about.file:
            found[setting.name] = _beside(folder, table.setting(setting))
        else:
            found[setting.name] = table.setting(setting)
    return found


def _beside(folder: Path, name: Any) -> Any:
    """The file of that name in the folder, if there is one, else the name; or several."""
    if isinstance(name, tuple):
        return tuple(_beside(folder, one) for one in name)
    return str(folder / name) if (folder / name).is_file() else name


# ---------------------------------------------------------------------- names with their options


def _about(table: Table) -> dict[str, Any]:
    return {
        "label": table.word("label"),
        "x": table.number("x"),
        "family": table.word("family") or "",
    }


def _labelled(about: Mapping[str, Any], links: Sequence[Link], table: Table) -> Choice:
    label = about["label"] or " @ ".join(map(_usual_label, links)) or NOTHING
    return Choice(label, tuple(links), about["x"], about["family"], table.place())


def _usual_label(link: Link) -> str:
    options = {**link.settings, **link.pixels}
    plain = {key: f"{v:g}" if isinstance(v, float) else v for key, v in options.items()}
    return " ".join([link.name, *(f"{key} {value}" for key, value in plain.items())])


def _links(table: Table) -> list[Any]:
    chain = table.value("chain")
    if chain is not None and not isinstance(chain, list):
        raise table.wrong("chain", f'must be a list, such as [{{name = "rotate"}}], got {chain!r}')
    return chain or []


def _link(table: Table, kind: str, values: object, key: str) -> Link:
    """A name and its options, checked against the signature of what the name stands for."""
    if not isinstance(values, dict) or not isinstance(values.get("name"), str):
        raise table.wrong(key, f'must be a table with a name = "...", got {values!r}')
    name, pixels = values["name"], values.get("pixels", {})
    settings = {key: value for key, value in values.items() if key not in ("name", "pixels")}
    try:
        entry = register.of(kind)[name]
    except UnknownNameError as error:
        raise UnknownNameError(f"{table.place('name')}: {error}") from None
    if not isinstance(pixels, dict) or not all(
        isinstance(one, int | float) and not isinstance(one, bool) for one in pixels.values()
    ):
        raise table.wrong(
            "pixels", f"must be a table of numbers, such as {{dx = 50}}, got {pixels}"
        )
    _check_options(table, kind, name, entry, {**settings, **pixels})
    return Link(name, settings, {key: float(value) for key, value in pixels.items()})


def _check_options(
    table: Table, kind: str, name: str, entry: Callable[..., Any], given: Mapping[str, Any]
) -> None:
    parameters = inspect.signature(entry).parameters
    typed = {option.name: option for option in parameters_of(entry)}
    if inspect.isclass(entry):
        known = [one for one in parameters if one not in _FROM_THE_RUN]
    else:
        known = [option.name for option in options_of(entry)]
    for key, value in given.items():
        if key not in known:
            listed = ", ".join(known) or "none"
            raise table.wrong(
                key, f"is no option of the {kind} {name!r}.{suggest(key, known)} Options: {listed}."
            )
        if key in typed:
            try:
                typed[key].read(value)
            except ArgumentError as error:
                raise ArgumentError(f"{table.place(key)}: the {kind} {name!r}: {error}") from None
    for key in known:
        required = parameters[key].default is inspect.Parameter.empty
        if key in typed:
            required = typed[key].required  # which an option left to the program is not
        if required and key not in given:
            raise ArgumentError(
                f"{table.place()}: the {kind} {name!r} needs a value for {key!r}; add {key} = ..."
            )
