"""`invprob operators`, `priors`, `methods`, `samples`: what there is."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from invprob.cli.common import AsJson, Plugins, load_plugins, print_json


@dataclass(frozen=True)
class Row:
    """One thing of a list: its options in words, and where it comes from."""

    name: str
    purpose: str
    options: tuple[str, ...] = ()
    source: str = ""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(operators)
    app.command()(priors)
    app.command()(methods)
    app.command()(samples)


def operators(plugin: Plugins = None, as_json: AsJson = False) -> None:
    """List the operators, and what noise there is, with their options."""
    from invprob.cli.options import ALIAS
    from invprob.registry import register as registers

    load_plugins(plugin)
    rows = [
        *_rows(registers.operator),
        Row(ALIAS, "The same as --operator identity --noise gaussian.", ("--sigma NUMBER",)),
        *(
            Row(f"--noise {row.name}", row.purpose, row.options, row.source)
            for row in _rows(registers.noise)
        ),
    ]
    _show(rows, as_json)


def priors(as_json: AsJson = False) -> None:
    """List the generators that go by a name; a file serves as well (`solve --prior FILE`)."""
    from invprob.registry import register as registers

    rows = [
        Row(name, entry.purpose, source=str(entry.path))
        for name, entry in registers.generator.items()
    ]
    _show(rows, as_json)


def methods(plugin: Plugins = None, as_json: AsJson = False) -> None:
    """List the methods, with their options."""
    from invprob.registry import register as registers

    load_plugins(plugin)
    _show(_rows(registers.method), as_json)


def samples(as_json: AsJson = False) -> None:
    """List the pictures that ship with the package."""
    from invprob.run.samples import samples as known

    _show([Row(s.name, s.purpose, source=s.licence) for s in known().values()], as_json)


def _rows(entries: Any) -> list[Row]:
    """Describe what is registered."""
    from invprob.cli.options import describe
    from invprob.registry import options_of

    return [
        Row(
            name,
            _first_line(entry),
            tuple(describe(option) for option in options_of(entry) if option.name != "steps"),
            entry.__module__,
        )
        for name, entry in entries.items()
    ]


def _first_line(entry: Callable[..., Any]) -> str:
    return (entry.__doc__ or "").strip().partition("\n")[0]


def _show(rows: Sequence[Row], as_json: bool) -> None:
    """A table on a terminal; elsewhere `name<TAB>purpose`, one line each, for other programs."""
    if as_json:
        print_json(
            [
                {
                    "name": row.name,
                    "purpose": row.purpose,
                    "options": list(row.options),
                    "source": row.source,
                }
                for row in rows
            ]
        )
    elif not sys.stdout.isatty():
        for row in rows:
            typer.echo(f"{row.name}\t{row.purpose}")
    else:
        _table(rows)


def _table(rows: Sequence[Row]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("name", style="bold", no_wrap=True)
    table.add_column("purpose and options")
    table.add_column("source", style="dim")
    for row in rows:
        told = Text(row.purpose)
        for option in row.options:
            told.append(f"\n  {option}", style="cyan")
        table.add_row(row.name, told, row.source)
    Console().print(table)
