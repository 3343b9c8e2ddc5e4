"""The program `invprob`: its commands, and how errors become one line and an exit status.

Nothing here imports torch. Each command imports what it needs when it runs, so `--help` is fast.
"""

import gc
import io
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, cast

import typer

from invprob.cli import (
    bench,
    check,
    convert,
    directions,
    discover,
    gallery,
    generators,
    latents,
    lists,
    solve,
    train,
)
from invprob.cli import measure as measuring
from invprob.cli import pull as pulling
from invprob.cli import report as reporting
from invprob.errors import InvprobError
from invprob.version import __version__

# Typer raises click's errors, but recent releases of it carry their own copy of click, so their
# base class cannot be imported by name. It is the one before `Exception`.
_UsageError = cast(type[Exception], typer.BadParameter.__mro__[-4])

app = typer.Typer(
    name="invprob",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Restore images from strange measurements with a generative prior.",
    epilog="A first step: `invprob solve --operator circulant --ratio 0.01` restores a face that "
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
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    del version
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


solve.register(app)
measuring.register(app)
lists.register(app)
generators.register(app)
latents.register(app)
directions.register(app)
discover.register(app)
check.register(app)
convert.register(app)
gallery.register(app)
train.register(app)
pulling.register(app)
bench.register(app)
reporting.register(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit: 0 done, 1 a solve or a law failed, 2 a mistake, 130 interrupted."""
    gc.freeze()  # what is imported by now stays, so the collector need not look at it again
    warnings.showwarning = _print_warning
    _escape_what_cannot_be_encoded()
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def _escape_what_cannot_be_encoded() -> None:
    r"""Print signs that a stream's encoding lacks as escapes, such as \u03c3, not as an error.

    Output that is piped on Windows is often encoded as cp1252, which has no σ.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def run(arguments: Sequence[str]) -> int:
    """Run the program and return its exit status; unforeseen exceptions are raised."""
    try:
        status = app(list(arguments), prog_name="invprob", standalone_mode=False)
    except InvprobError as error:
        return _print_error(str(error))
    except (KeyboardInterrupt, typer.Abort):
        return _print_error("interrupted", 128 + signal.SIGINT)
    except _UsageError as error:
        return _print_usage_error(error)
    return status if isinstance(status, int) else 0


def _print_error(text: str, status: int = 2) -> int:
    """Print an error in one line; returns the exit status."""
    line = " ".join(text.split())
    print(f"invprob: {line}", file=sys.stderr)
    return status


def _print_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning in one line, such as that of a broken plugin."""
    print(f"invprob: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _print_usage_error(error: Exception) -> int:
    context = getattr(error, "ctx", None)
    place = context.command_path if context is not None else "invprob"
    text = str(getattr(error, "format_message", error.__str__)())
    return _print_error(f"{text} See `{place} --help`.")
