"""A sweep file becomes a `Sweep`: every key, name and option is checked before anything runs."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from invprob.bench.located import Source, Table
from invprob.bench.sweep import (
    AXES,
    CHOSEN,
    NOTHING,
    Choice,
    Exclusion,
    Link,
    MethodChoice,
    Pictures,
    Scale,
    Sweep,
)
from invprob.errors import ArgumentError, UnknownNameError
from invprob.methods import DATA_TERMS
from invprob.perceptual.distance import CHOICES
from invprob.registry import load_plugin, options_of, parameters_of, register, suggest
from invprob.run.config import FITS
from invprob.run.samples import samples

FORMAT, VERSION = "invprob-sweep", 1
_GIVEN = (
    "image_shape",
    "seed",
    "setting",
    "measurements",
    "operator",
)  # what the run gives: no options


def read_sweep(path: Path) -> Sweep:
    """Read a sweep file, import the plugins that it names, and check all names and options.

    Raises `FileError`, `ArgumentError` or `UnknownNameError`, which name file, line and key.
    """
    root = Source(path).root()
    if root.take("format") != FORMAT or root.take("version") != VERSION:
        raise ArgumentError(
            f"{path}: this is no sweep: it must begin with format = {FORMAT!r} and "
            f"version = {VERSION}"
        )
    plugins = tuple(str(path.parent / one) for one in root.words("plugins") or ())
    for plugin in plugins:
        load_plugin(plugin)
    pictures = tuple(_pictures(table, path.parent) for table in root.tables("images"))
    methods = tuple(map(_method, root.tables("methods")))
    operators = tuple(_chain(table, "operator") for table in root.tables("operators"))
    transforms = tuple(_chain(table, "transform") for table in root.tables("transforms"))
    noises = tuple(map(_noise, root.tables("noises")))
    for key, found in (("images", pictures), ("methods", methods), ("operators", operators)):
        if not found:
            raise ArgumentError(f"{path}: there are no {key}; add a table [[{key}]]")
    read: dict[str, Any] = {
        "transforms": transforms or (Choice(NOTHING),),
        "noises": noises or (Choice(NOTHING),),
        "seeds": _seeds(root),
        "steps": root.count("steps"),
        "seconds": _seconds(root),
        "pixels_at": root.count("pixels_at"),
        "name": root.word("name") or path.stem,
        "purpose": root.word("purpose"),
        "prior": _beside(path.parent, root.word("prior")),
        "perceptual": _one_of(root, "perceptual", CHOICES),
        "lpips_weights": _beside(path.parent, root.word("lpips_weights")),
        "data_term": _one_of(root, "data_term", DATA_TERMS),
        "fit": _one_of(root, "fit", FITS),
        "grey": root.flag("grey"),
        "device": root.word("device"),
        "threads": root.count("threads"),
        "processes": root.count("processes"),
        "group_by": root.words("group_by"),
    }
    given = {key: value for key, value in read.items() if value is not None}
    sweep = Sweep(
        pictures=pictures, operators=operators, methods=methods, plugins=plugins,
        source=str(path), **given,
    )  # fmt: skip
    root.among("group_by", sweep.group_by, AXES, "axis")
    labels = {axis: _distinct(sweep.choices(axis), root, axis) for axis in CHOSEN}
    labels["set"] = [one.label for one in pictures]
    exclude = tuple(_exclusion(table, labels) for table in root.tables("exclude"))
    scales = root.table("scale")
    named = {name: _scale(scales.table(name), labels) for name in scales.values}
    root.done()
    return dataclasses.replace(sweep, exclude=exclude, scales=named)


def _beside(folder: Path, name: str | None) -> str | None:
    """A file beside the sweep, where there is one of that name; else the name."""
    if name is None or not (folder / name).is_file():
        return name
    return str(folder / name)


# ------------------------------------------------------------------------------- entries of axes


def _pictures(table: Table, folder: Path) -> Pictures:
    chosen, paths = table.words("samples") or (), table.words("paths") or ()
    if not (chosen or paths):
        raise ArgumentError(
            f"{table.place()}: these images name nothing; write samples = [...] or paths = [...]"
        )
    table.among("samples", chosen, samples(), "sample")
    placed = tuple(str(folder / Path(path).expanduser()) for path in paths)
    label = table.word("label") or (Path(paths[0]).stem.strip("*?") if paths else "") or "samples"
    read = Pictures(
        label, chosen, placed, table.count("most"), table.flag("optional"), table.place()
    )
    table.done()
    return read


def _chain(table: Table, axis: str) -> Choice:
    """An operator's or a transform's entry: a chain, or one name with its options."""
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
    table.done()
    return _labelled(about, links, table)


def _links(table: Table) -> list[Any]:
    chain = table.take("chain")
    if chain is not None and not isinstance(chain, list):
        raise table.wrong("chain", f'must be a list, such as [{{name = "rotate"}}], got {chain!r}')
    return chain or []


def _noise(table: Table) -> Choice:
    about = _about(table)
    rest = table.rest()
    links = [] if rest == {"name": NOTHING} else [_link(table, "noise", rest, "name")]
    return _labelled(about, links, table)


def _method(table: Table) -> MethodChoice:
    about = _about(table)
    own = {
        "steps": table.count("steps"),
        "data_term": _one_of(table, "data_term", DATA_TERMS),
        "coarse": table.count("coarse"),
        "restarts": table.count("restarts"),
        "stop": None
        if table.take("stop") is None
        else _link(table, "stop", table.take("stop"), "stop"),
        "optional": table.flag("optional"),
    }
    plain = _labelled(about, [_link(table, "method", table.rest(), "name")], table)
    return MethodChoice(**{**vars(plain), **own})


def _about(table: Table) -> dict[str, Any]:
    return {
        "label": table.word("label"),
        "x": table.number("x"),
        "family": table.word("family") or "",
    }


def _labelled(about: Mapping[str, Any], links: Sequence[Link], table: Table) -> Choice:
    label = about["label"] or " @ ".join(map(_words, links)) or NOTHING
    return Choice(label, tuple(links), about["x"], about["family"], table.place())


def _words(link: Link) -> str:
    options = {**link.settings, **link.pixels}
    plain = {key: f"{v:g}" if isinstance(v, float) else v for key, v in options.items()}
    return " ".join([link.name, *(f"{key} {value}" for key, value in plain.items())])


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
    if kind == "method":
        known = [option.name for option in options_of(entry)]
    else:
        known = [one for one in parameters if one not in _GIVEN]
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
        if parameters[key].default is inspect.Parameter.empty and key not in given:
            raise ArgumentError(
                f"{table.place()}: the {kind} {name!r} needs a value for {key!r}; add {key} = ..."
            )


# --------------------------------------------------------------------------------- other settings


def _seeds(table: Table) -> tuple[int, ...] | None:
    seeds = table.numbers("seeds")
    if seeds is not None and (min(seeds) < 0 or len(set(seeds)) < len(seeds)):
        raise table.wrong("seeds", f"must be different whole numbers from 0 on, got {list(seeds)}")
    return seeds


def _seconds(table: Table) -> float | None:
    seconds = table.number("seconds")
    if seconds is not None and not 0 < seconds < 1e9:
        raise table.wrong("seconds", f"must be a number above 0, got {seconds}")
    return seconds


def _one_of(table: Table, key: str, known: Sequence[str]) -> str | None:
    word = table.word(key)
    if word is not None and word not in known:
        raise table.wrong(
            key, f"must be one of {', '.join(known)}, got {word!r}.{suggest(word, known)}"
        )
    return word


def _distinct(choices: Sequence[Choice], root: Table, axis: str) -> list[str]:
    """The labels of an axis; raises `ArgumentError` where two entries share one."""
    labels: list[str] = []
    for choice in choices:
        if choice.label in labels:
            raise ArgumentError(
                f"{choice.place}: two {axis}s have the label {choice.label!r}; give one of them "
                'another, label = "..."'
            )
        labels.append(choice.label)
    return labels


def _exclusion(table: Table, labels: Mapping[str, Sequence[str]]) -> Exclusion:
    found: dict[str, tuple[str, ...]] = {}
    for axis in AXES:
        named = table.numbers(axis) if axis == "seed" else table.words(axis)
        if named is not None:
            found[axis] = tuple(map(str, named))
            if axis in labels:
                table.among(axis, found[axis], labels[axis], axis)
    table.done()
    if not found:
        raise ArgumentError(
            f"{table.place()}: this excludes everything; name an axis: {', '.join(AXES)}"
        )
    return Exclusion(found)


def _scale(table: Table, labels: Mapping[str, Sequence[str]]) -> Scale:
    kept: dict[str, tuple[str, ...]] = {}
    for axis in CHOSEN:
        named = table.words(f"{axis}s")
        if named is not None:
            table.among(f"{axis}s", named, labels[axis], axis)
            kept[axis] = named
    scale = Scale(
        most=table.count("most"),
        steps=table.count("steps"),
        seconds=_seconds(table),
        seeds=_seeds(table),
        kept=kept,
    )
    table.done()
    return scale
