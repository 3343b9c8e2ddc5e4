"""The program `invprob`: its commands, and how errors become one line and an exit status.

Nothing here imports torch: commands import what they need when they run, which keeps `--help` fast.
"""

import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, cast

import typer

from invprob.cli import bench, catalogue, convert, gallery, solve, tools, train
from invprob.cli import measure as measuring
from invprob.cli import pull as pulling
from invprob.errors import InvprobError
from invprob.version import __version__

# Typer re-exports one of click's errors; recent releases carry click inside, earlier ones need it.
# Their root, the one before `Exception`, is what has to be caught.
_CliError = cast(type[Exception], typer.BadParameter.__mro__[-4])

app = typer.Typer(
    name="invprob",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Restore images from strange measurements with a generative prior.",
    epilog="First steps: `invprob solve --operator circulant --ratio 0.01` restores a face that "
    "ships with the package from 1 % of random measurements.",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"invprob {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    del version
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


solve.register(app)
measuring.register(app)
catalogue.register(app)
tools.register(app)
convert.register(app)
gallery.register(app)
train.register(app)
pulling.register(app)
bench.register(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit: 0 done, 2 a mistake in one line, 130 interrupted."""
    warnings.showwarning = _warn
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the program and return its exit status; unforeseen exceptions pass, traceback and all."""
    try:
        status = app(list(arguments), prog_name="invprob", standalone_mode=False)
    except InvprobError as error:
        return _complain(str(error))
    except (KeyboardInterrupt, typer.Abort):
        return _complain("interrupted", 128 + signal.SIGINT)
    except _CliError as error:
        return _complain_of_usage(error)
    return status if isinstance(status, int) else 0


def _complain(text: str, status: int = 2) -> int:
    line = " ".join(text.split())
    print(f"invprob: {line}", file=sys.stderr)
    return status


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    """A warning, such as of a broken plugin, in one line like an error."""
    print(f"invprob: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _complain_of_usage(error: Exception) -> int:
    context = getattr(error, "ctx", None)
    place = context.command_path if context is not None else "invprob"
    text = str(getattr(error, "format_message", error.__str__)())
    return _complain(f"{text} See `{place} --help`.")
