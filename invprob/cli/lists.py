"""`invprob operators`, `priors`, `methods` and `samples`: lists of what there is."""

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

import typer

from invprob.cli.common import AsJson, load_plugins
from invprob.cli.printing import print_json
from invprob.cli.run_options import Given, takes_settings


class Row(NamedTuple):
    """One line of a list: a name, what it is for, its options, and where it comes from."""

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
        typer.Argument(metavar="NAME", help="Describe this operator or noise in full."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the operators and the noises with their options, or describe one of them."""
    from invprob.cli.options import ALIAS
    from invprob.registry import register as registers

    load_plugins(given.get("plugins", ()))
    if name is not None:
        _describe_operator(name.removeprefix("--noise "), as_json)
        return
    rows = [
        *(
            row._replace(linear=registers.operator[row.name].linear)
            for row in _rows(registers.operator)
        ),
        Row(ALIAS, "The same as --operator identity --noise gaussian.", ("--sigma NUMBER",)),
        *(row._replace(name=f"--noise {row.name}") for row in _rows(registers.noise)),
    ]
    _show(rows, as_json)


def priors(as_json: AsJson = False) -> None:
    """List the generators that have a name, with those that `invprob pull` can download.

    A generator file needs no name: `solve --prior FILE`.
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
        amount = size(entry.size if record is None else record.size)
        about = ", ".join(filter(None, (amount, state)))
        source = entry.address if record is None else str(record.path)
        rows.append(Row(name, f"{entry.purpose} ({about})", source=source))
    _show(rows, as_json)


@takes_settings("plugins")
def methods(
    given: Given,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Describe this method in full."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the methods and the rules of --stop with their options, or describe one method.

    A method is named by the free variables it searches: style × content × noise.
    """
    from invprob.registry import register as registers

    load_plugins(given.get("plugins", ()))
    if name is not None:
        example = f"invprob solve --operator identity --method {name}"
        _describe(name, "method", registers.method[name], example, as_json)
        return
    rules = [row._replace(name=f"--stop {row.name}") for row in _rows(registers.stop)]
    _show([*_rows(registers.method), *rules], as_json)


def samples(as_json: AsJson = False) -> None:
    """List the images that ship with the package."""
    from invprob.run.samples import samples as known

    _show([Row(s.name, s.purpose, source=s.licence) for s in known().values()], as_json)


# --------------------------------------------------------------------------- one entry in full


def _describe_operator(name: str, as_json: bool) -> None:
    """Describe an operator or a noise from its docstring, signature and example."""
    from invprob.cli.everyday import registered
    from invprob.cli.options import ALIAS, describe, example_command
    from invprob.registry import options_of
    from invprob.registry import register as registers

    name = "gaussian" if name == ALIAS else name
    noise = name not in registers.operator and name in registers.noise
    entry: Any = registered("noise" if noise else "operator", name)
    options = options_of(entry)
    kind = "noise" if noise else "linear operator" if entry.linear else "operator, not linear"
    command = (
        f"invprob solve --operator identity --noise {name} "
        + " ".join(describe(option).partition("  ")[0] for option in options)
        if noise
        else example_command(name, options, entry.example().spec())
    )
    _describe(name, kind, entry, command, as_json)


def _describe(name: str, kind: str, entry: Any, command: str, as_json: bool) -> None:
    """Print an entry's docstring, its options, its source, and a command that uses it."""
    from invprob.cli.options import describe
    from invprob.registry import options_of

    options = options_of(entry)
    about = inspect.cleandoc(entry.__doc__ or "")
    for section in ("Args", "Returns", "Raises"):  # are for callers in Python
        about = about.partition(f"\n{section}:\n")[0].rstrip()
    source = f"{entry.__module__}.{entry.__qualname__}"
    if as_json:
        described = [
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
                "options": described,
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


# ------------------------------------------------------------------------------------ all entries


def _rows(entries: Any) -> list[Row]:
    """A row for each registered entry."""
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
    """Print a table on a terminal, else `name<TAB>purpose` lines for other programs, or JSON."""
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
        _print_table(rows)


def _print_table(rows: Sequence[Row]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("name", style="bold", no_wrap=True)
    table.add_column("purpose and options")
    table.add_column("source", style="dim")
    for row in rows:
        text = Text(row.purpose)
        if row.linear is not None:
            text.append(" (linear)" if row.linear else " (not linear)", style="dim")
        for option in row.options:
            text.append(f"\n  {option}", style="cyan")
        table.add_row(row.name, text, row.source)
    Console().print(table)
