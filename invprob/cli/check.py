"""`invprob check`: the laws that every operator has to keep."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from invprob.cli.common import FREE_OPTIONS, AsJson, Quiet, declared_options, load_plugins
from invprob.cli.printing import print_json
from invprob.cli.run_options import Given, takes_settings

if TYPE_CHECKING:
    from invprob.operators.base import Operator


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(context_settings=FREE_OPTIONS)(check)


@takes_settings("spec", "plugins", operator_seed="that of the example")
def check(
    context: typer.Context,
    given: Given,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="OPERATOR", help="A registered operator, and options of its own."),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="C,H,W",
            help="The shape of images: channels, height, width. Default: that of the example.",
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Test whether an operator keeps the laws of its contract. The exit status is 1 if not.

    Options of the operator that are not given are those of its small example.
    """
    from invprob.testing import examine_operator

    load_plugins(given.get("plugins", ()))
    examined = _examined(context, words or [], shape, given)
    verdicts = list(examine_operator(examined))
    states = {True: "kept", False: "BROKEN", None: "not examined"}
    broken = any(verdict.kept is False for verdict in verdicts)
    if as_json:
        laws = [
            {"law": verdict.law, "kept": verdict.kept, "detail": verdict.detail}
            for verdict in verdicts
        ]
        print_json({"operator": repr(examined), "spec": examined.spec(), "laws": laws})
        return int(broken)
    if not quiet:
        typer.echo(repr(examined))
    for verdict in verdicts:
        if not quiet or verdict.kept is False:
            detail = " ".join(verdict.detail.split())
            typer.echo(f"{states[verdict.kept]}\t{verdict.law}\t{detail}".rstrip())
    return int(broken)


def _examined(
    context: typer.Context, words: list[str], shape: str | None, given: Given
) -> "Operator":
    """The operator that the words or the file describe."""
    from invprob.cli.options import read_operator
    from invprob.errors import ArgumentError
    from invprob.run.build import build_example
    from invprob.run.operator_file import read_spec, rebuild

    if "spec" in given:
        if words or shape is not None or "operator_seed" in given:
            raise ArgumentError("--spec describes the whole operator; give nothing beside it")
        return rebuild(read_spec(Path(given["spec"])), given["spec"])
    named = read_operator(words, declared=declared_options(context))
    return build_example(
        named.name,
        image_shape=None if shape is None else _shape(shape),
        settings=named.settings,
        operator_seed=given.get("operator_seed"),
    )


def _shape(text: str) -> tuple[int, ...]:
    from invprob.errors import ArgumentError

    try:
        return tuple(int(length) for length in text.split(","))
    except ValueError:
        raise ArgumentError(
            f"--shape must be whole numbers, such as 3,37,31, got {text!r}"
        ) from None
