"""`invprob operators`, `priors`, `methods`, `samples`: what there is."""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from invprob.cli.common import AsJson, load_plugins, print_json
from invprob.cli.settings import Given, takes_settings


@dataclass(frozen=True)
class Row:
    """One thing of a list: its options in words, and where it comes from."""

    name: str
    purpose: str
    options: tuple[str, ...] = ()
    source: str = ""
    linear: bool | None = None  # of operators only


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(operators)
    app.command()(priors)
    app.command()(methods)
    app.command()(samples)


@takes_settings("plugins")
def operators(
    given: Given,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Say all there is to say of one operator or noise."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the operators, and what noise there is, with their options; or describe one."""
    from invprob.cli.options import ALIAS
    from invprob.registry import register as registers

    load_plugins(given.get("plugins", ()))
    if name is not None:
        _describe(name.removeprefix("--noise "), as_json)
        return
    rows = [
        *(
            dataclasses.replace(row, linear=registers.operator[row.name].linear)
            for row in _rows(registers.operator)
        ),
        Row(ALIAS, "The same as --operator identity --noise gaussian.", ("--sigma NUMBER",)),
        *(
            Row(f"--noise {row.name}", row.purpose, row.options, row.source)
            for row in _rows(registers.noise)
        ),
    ]
    _show(rows, as_json)


def priors(as_json: AsJson = False) -> None:
    """List the generators that go by a name, those that `invprob pull` brings too.

    A file serves as well: `solve --prior FILE`.
    """
    from invprob.cli.pull import size
    from invprob.priors.generator_files import published_generators
    from invprob.registry import register as registers
    from invprob.weights.catalogue import pulled

    rows = [
        Row(name, entry.purpose, source=str(entry.path))
        for name, entry in registers.generator.items()
    ]
    here = pulled("generator")
    for name, entry in published_generators().items():
        if name in registers.generator:
            continue
        record = here.get(name)
        state = f"not pulled: {entry.command}" if record is None else "pulled"
        told = ", ".join(filter(None, (size(entry.size if record is None else record.size), state)))
        source = entry.address if record is None else str(record.path)
        rows.append(Row(name, f"{entry.purpose} ({told})", source=source))
    _show(rows, as_json)


@takes_settings("plugins")
def methods(
    given: Given,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Say all there is to say of one method."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the methods (style × content × noise), and the rules that stop them; or describe one."""
    from invprob.registry import register as registers

    load_plugins(given.get("plugins", ()))
    if name is not None:
        example = f"invprob solve --operator identity --method {name}"
        _tell(name, "method", registers.method[name], example, as_json)
        return
    rules = _rows(registers.stop)
    rows = [dataclasses.replace(row, name=f"--stop {row.name}") for row in rules]
    _show([*_rows(registers.method), *rows], as_json)


def samples(as_json: AsJson = False) -> None:
    """List the pictures that ship with the package."""
    from invprob.run.samples import samples as known

    _show([Row(s.name, s.purpose, source=s.licence) for s in known().values()], as_json)


def _describe(name: str, as_json: bool) -> None:
    """One operator, or one noise, from its docstring, signature and example."""
    from invprob.cli.options import ALIAS, describe, example_command
    from invprob.registry import options_of
    from invprob.registry import register as registers

    name = "gaussian" if name == ALIAS else name
    noise = name not in registers.operator and name in registers.noise
    entry: Any = registers.noise[name] if noise else registers.operator[name]
    options = options_of(entry)
    kind = "noise" if noise else "linear operator" if entry.linear else "operator, not linear"
    command = (
        f"invprob solve --operator identity --noise {name} "
        + " ".join(describe(option).partition("  ")[0] for option in options)
        if noise
        else example_command(name, options, entry.example().spec())
    )
    _tell(name, kind, entry, command, as_json)


def _tell(name: str, kind: str, entry: Any, command: str, as_json: bool) -> None:
    """One entry: its docstring, its options, where it is written, a command that uses it."""
    from invprob.cli.options import describe
    from invprob.docstrings import without_arguments
    from invprob.registry import options_of

    options = options_of(entry)
    about = without_arguments(entry.__doc__ or "")  # the options are listed below
    source = f"{entry.__module__}.{entry.__qualname__}"
    if as_json:
        told = [
            {
                "name": option.name,
                "type": option.type.__name__,
                "choices": list(option.choices),
                "required": option.required,
                "default": option.default,
                "help": option.help,
            }
            for option in options
        ]
        print_json(
            {
                "name": name,
                "kind": kind,
                "about": about,
                "options": told,
                "source": source,
                "example": command,
            }
        )
        return
    typer.echo(f"{name}: {kind}\n\n{about}\n")
    for option in options:
        typer.echo(f"  {describe(option)}")
    typer.echo(f"{'' if not options else chr(10)}source   {source}")
    typer.echo(f"example  {command}")


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
                    **({} if row.linear is None else {"linear": row.linear}),
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
        if row.linear is not None:
            told.append(" (linear)" if row.linear else " (not linear)", style="dim")
        for option in row.options:
            told.append(f"\n  {option}", style="cyan")
        table.add_row(row.name, told, row.source)
    Console().print(table)
