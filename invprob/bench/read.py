"""A sweep file becomes a `Sweep`: every key, name and option is checked before anything runs."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from invprob.bench.entries import (
    read_chain,
    read_method,
    read_noise,
    read_pictures,
    read_settings,
)
from invprob.bench.located import Source, Table
from invprob.bench.studies import Study
from invprob.bench.study_entries import read_study
from invprob.bench.sweep import AXES, CHOSEN, NOTHING, Choice, Exclusion, Scale, Sweep
from invprob.errors import ArgumentError
from invprob.registry import load_plugin
from invprob.run.settings import Scope

FORMAT, VERSION = "invprob-sweep", 1
_OF_ALL_RUNS: Sequence[Scope] = ("sweep", "method")  # a method's settings may be the sweep's, too


def read_sweep(path: Path) -> Sweep:
    """The sweep of a file, whose plugins are imported.

    Raises:
        FileError: for a file that cannot be read.
        ArgumentError: for a key or value that is wrong; it names file, line and key.
        UnknownNameError: for a name that is not registered, in the same way.
    """
    root = Source(path).root()
    if root.value("format") != FORMAT or root.value("version") != VERSION:
        raise ArgumentError(
            f"{path}: this is no sweep: it must begin with format = {FORMAT!r} and "
            f"version = {VERSION}"
        )
    folder = path.parent
    settings = read_settings(root, folder, _OF_ALL_RUNS)
    for plugin in settings.get("plugins", ()):
        load_plugin(plugin)
    pictures = tuple(read_pictures(table, folder) for table in root.tables("images"))
    methods = tuple(read_method(table, folder) for table in root.tables("methods"))
    operators = tuple(read_chain(table, "operator") for table in root.tables("operators"))
    transforms = tuple(read_chain(table, "transform") for table in root.tables("transforms"))
    noises = tuple(map(read_noise, root.tables("noises")))
    for key, found in (("images", pictures), ("methods", methods), ("operators", operators)):
        if not found:
            raise ArgumentError(f"{path}: there are no {key}; add a table [[{key}]]")
    read: dict[str, Any] = {
        "transforms": transforms or (Choice(NOTHING),),
        "noises": noises or (Choice(NOTHING),),
        "seeds": _seeds(root),
        "pixels_at": root.count("pixels_at"),
        "name": root.word("name") or path.stem,
        "purpose": root.word("purpose"),
        "processes": root.count("processes"),
        "group_by": root.words("group_by"),
        "studies": tuple(map(read_study, root.tables("studies"))),
    }
    given = {key: value for key, value in read.items() if value is not None}
    sweep = Sweep(
        pictures=pictures, operators=operators, methods=methods, settings=settings,
        source=str(path), **given,
    )  # fmt: skip
    root.check_known("group_by", sweep.group_by, AXES, "axis")
    labels = {axis: _distinct(sweep.choices(axis), f"{axis}s") for axis in CHOSEN}
    _distinct(sweep.studies, "studies")
    labels["set"] = [one.label for one in pictures]
    exclude = tuple(_exclusion(table, labels) for table in root.tables("exclude"))
    scales = root.table("scale")
    named = {name: _scale(scales.table(name), folder, labels) for name in scales.values}
    root.check_all_read()
    return dataclasses.replace(sweep, exclude=exclude, scales=named)


def _seeds(table: Table) -> tuple[int, ...] | None:
    seeds = table.numbers("seeds")
    if seeds is not None and (min(seeds) < 0 or len(set(seeds)) < len(seeds)):
        raise table.wrong("seeds", f"must be different whole numbers from 0 on, got {list(seeds)}")
    return seeds


def _distinct(choices: Sequence[Choice | Study], entries: str) -> list[str]:
    """The labels of entries; raises `ArgumentError` where two share one."""
    labels: list[str] = []
    for choice in choices:
        if choice.label in labels:
            raise ArgumentError(
                f"{choice.place}: two {entries} have the label {choice.label!r}; give one of them "
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
                table.check_known(axis, found[axis], labels[axis], axis)
    table.check_all_read()
    if not found:
        raise ArgumentError(
            f"{table.place()}: this excludes everything; name an axis: {', '.join(AXES)}"
        )
    return Exclusion(found)


def _scale(table: Table, folder: Path, labels: Mapping[str, Sequence[str]]) -> Scale:
    kept: dict[str, tuple[str, ...]] = {}
    for axis in CHOSEN:
        named = table.words(f"{axis}s")
        if named is not None:
            table.check_known(f"{axis}s", named, labels[axis], axis)
            kept[axis] = named
    scale = Scale(
        most=table.count("most"),
        settings=read_settings(table, folder, _OF_ALL_RUNS),
        seeds=_seeds(table),
        kept=kept,
    )
    table.check_all_read()
    return scale
