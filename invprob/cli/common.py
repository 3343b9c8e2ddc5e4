"""What several commands share: parameters, the command class whose help lists operators."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from typer.core import TyperCommand

# A command with these settings accepts options that it does not declare: they arrive among its
# words, in order, and `cli/options.py` gives each to the operator, noise or method that has it.
FREE_OPTIONS = {"allow_extra_args": True, "ignore_unknown_options": True}

Words: TypeAlias = Annotated[
    list[str] | None, typer.Argument(metavar="IMAGE", help="Image files, or folders of them.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print only where the result is.")
]


class PartsCommand(TyperCommand):
    """A command whose help ends with the operators, noises and methods there are."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words; those after `--` are files, also where they begin with a hyphen."""
        if "--" in args:
            at = args.index("--")
            files = [f"./{word}" if word.startswith("-") else word for word in args[at + 1 :]]
            args = [*args[:at], *files]
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from invprob.cli.parts_help import parts_help

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
