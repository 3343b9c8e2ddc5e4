"""What several commands share: options, the command class with operator help, output."""

import json
from collections.abc import Mapping, Sequence
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
Operators: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--operator", metavar="NAME", help="What measures the image; may be repeated."),
]
NoiseName: TypeAlias = Annotated[
    str | None, typer.Option("--noise", metavar="NAME", help="What is added to the measurement.")
]
Samples: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--sample", metavar="NAME", help="A picture that ships with the package."),
]
Fit: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="crop|pad|stretch", help="How images become square. Default: crop."),
]
Grey: TypeAlias = Annotated[
    bool, typer.Option("--grey", help="Measure the luminance alone, one channel.")
]
Seed: TypeAlias = Annotated[
    int | None, typer.Option(metavar="N", help="What every random draw derives from. Default: 0.")
]
OperatorSeed: TypeAlias = Annotated[
    int | None, typer.Option(metavar="N", help="The random operator's own seed.")
]
OperatorPerImage: TypeAlias = Annotated[
    bool,
    typer.Option("--per-image", help="Draw random operators anew for each image."),
]
Spec: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A saved operator, the JSON of its spec, with no other."),
]
Plugins: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE", help="A Python file that registers operators."),
]
Resolution: TypeAlias = Annotated[
    int | None,
    typer.Option(metavar="N", help="Draw with the generator's blocks up to N pixels alone."),
]
Label: TypeAlias = Annotated[
    int | None, typer.Option(metavar="N", help="The class, where the generator is conditional.")
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


def load_plugins(plugins: Sequence[Path] | None) -> tuple[str, ...]:
    """Import plugin files, and return their paths as a configuration names them."""
    from invprob.registry import load_plugin

    for path in plugins or ():
        load_plugin(path)
    return tuple(map(str, plugins or ()))


def print_json(content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print JSON with an indent."""
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
