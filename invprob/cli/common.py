"""What several commands share: options, the command class with operator help, output."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from typer.core import TyperCommand

from invprob.cli.static import parts_help

# Undeclared options arrive among the words, in order; `cli/options.py` tells them apart.
FREE_OPTIONS = {"allow_extra_args": True, "ignore_unknown_options": True}

Words: TypeAlias = Annotated[
    list[str] | None, typer.Argument(metavar="IMAGE", help="Image files, or folders of them.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print only where the result is.")
]


class PartsCommand(TyperCommand):
    """A command whose help ends with the operators, noise and methods there are."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.epilog = parts_help()
        super().format_help(ctx, formatter)


def declared_options(context: typer.Context) -> list[str]:
    """The command's own options, for suggestions."""
    return [name for parameter in context.command.params for name in parameter.opts]


def load_plugins(paths: Iterable[str | Path]) -> None:
    """Import plugin files, so that what they register has a name."""
    from invprob.registry import load_plugin

    for path in paths:
        load_plugin(path)


def print_json(content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print JSON with an indent."""
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
