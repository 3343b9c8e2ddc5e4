"""The `[[studies]]` of a sweep file, read from their tables."""

from collections.abc import Callable, Mapping
from typing import Any, cast, get_args

from invprob.bench.located import Table
from invprob.bench.studies import DiscoverStudy, EditStudy, InterpolateStudy, PerturbStudy, Study
from invprob.errors import ArgumentError, InvprobError
from invprob.latents.perturb import Perturbed
from invprob.report.interpolations import Mixed
from invprob.run.config import Named
from invprob.run.variants import varied


def read_study(table: Table) -> Study:
    """A study with its options.

    Raises:
        ArgumentError: a key or value is wrong; it names file, line and key.
    """
    name = table.word("name")
    if name is None:
        raise ArgumentError(
            f'{table.place()}: this study has no name; write name = "perturb", or another of '
            f"{', '.join(_READERS)}"
        )
    table.check_known("name", [name], _READERS, "study")
    label = table.word("label") or name
    study = _READERS[name](table, {"label": label, "place": table.place()})
    table.check_all_read()
    return study


def _perturb(table: Table, about: Mapping[str, Any]) -> Study:
    which = table.word("which") or "style"
    table.check_known("which", [which], get_args(Perturbed), "latents")
    snr = _decimals(table, "snr") or (40.0, 30.0, 20.0, 10.0)
    return PerturbStudy(
        **about, snr=snr, draws=table.count("draws") or 16, which=cast(Perturbed, which)
    )


def _edit(table: Table, about: Mapping[str, Any]) -> Study:
    directions = table.words("directions")
    if directions is None:
        raise table.wrong("directions", 'must be names of directions, such as ["smile"]')
    return EditStudy(
        **about, directions=directions, strengths=_decimals(table, "strengths") or (-2.0, 0.0, 2.0)
    )


def _interpolate(table: Table, about: Mapping[str, Any]) -> Study:
    to = table.word("to")
    if to is None:
        raise table.wrong("to", 'must be the name of an image of the sweep, such as "astronaut"')
    steps = table.count("steps") or 9
    if steps < 2:
        raise table.wrong("steps", f"must be at least 2, the two ends, got {steps}")
    which = table.words("which") or ("latents", "heads")
    table.check_known("which", which, get_args(Mixed), "kind of path")
    return InterpolateStudy(**about, to=to, steps=steps, which=cast(tuple[Mixed, ...], which))


def _discover(table: Table, about: Mapping[str, Any]) -> Study:
    by, values = table.word("by"), _decimals(table, "values")
    option = table.word("option")
    if by is None:
        raise table.wrong("by", 'must be the name of an operator, such as "rotate"')
    try:
        varied(Named(by), option)
    except InvprobError as error:
        raise table.wrong("by", f"makes no variants: {error}") from None
    if values is None or len(values) < 2:
        raise table.wrong("values", "must be two numbers or more, such as [0, 22.5, 45]")
    return DiscoverStudy(**about, by=by, values=values, option=option)


_READERS: Mapping[str, Callable[[Table, Mapping[str, Any]], Study]] = {
    "perturb": _perturb,
    "edit": _edit,
    "interpolate": _interpolate,
    "discover": _discover,
}


def _decimals(table: Table, key: str) -> tuple[float, ...] | None:
    """A list of numbers; a single number counts as a list."""
    value = table.value(key)
    if value is None:
        return None
    what = f"must be a list of numbers, such as {key} = [1, 2]"
    items = value if isinstance(value, list) else [value]
    if not items:
        raise table.wrong(key, f"{what}, got an empty list; leave it out instead")
    for item in items:
        if isinstance(item, bool) or not isinstance(item, int | float):
            raise table.wrong(key, f"{what}, got {value!r}")
    return tuple(map(float, items))
