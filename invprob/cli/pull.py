"""`invprob pull`: weights that others publish, with their licences."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, final

import typer

from invprob.cli.common import AsJson, Quiet, print_json

if TYPE_CHECKING:
    from invprob.weights.catalogue import Licence, Published, Pulled


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(pull)


def pull(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="What to bring; none: list it.")
    ] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Agree to the licence, without a question.")
    ] = False,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            envvar="INVPROB_OFFLINE",
            help="Fetch nothing: say whether the file is here and whole.",
        ),
    ] = False,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="The file itself, brought by other means."),
    ] = None,
    registry: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A list of your own, in the form of published.toml."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Bring generators and perceptual networks that others publish; or list what there is.

    Files lie in the user's cache folder (INVPROB_HOME) and serve under their names: `--prior
    ffhq-1024`, `--perceptual vgg`. An interrupted download goes on where it stopped; a file counts
    once its sha256 is right. Proxies are those of the environment (HTTPS_PROXY).
    """
    from invprob.errors import ArgumentError, UnknownNameError
    from invprob.registry import suggest
    from invprob.weights.catalogue import known, read_published

    entries = known() if registry is None else read_published(registry)
    if not names:
        if source is not None:
            raise ArgumentError("--from needs the NAME of what the file is")
        _list(entries, as_json)
        return
    for name in names:
        if name not in entries:
            raise UnknownNameError(
                f"nothing is published as {name!r}.{suggest(name, entries)} Known: "
                f"{', '.join(entries)}."
            )
    if source is not None and len(names) > 1:
        raise ArgumentError(f"--from is one file, but {len(names)} names were given")
    if registry is not None:
        _refuse_taken(names, registry)
    records = [
        _pull(entries[name], accept_licence, offline, source, quiet)
        for name in dict.fromkeys(names)
    ]
    if as_json:
        print_json([_about(record.published, record) for record in records])
        return
    for record in records:
        if not quiet:
            typer.echo(f"{record.published.name}\tsha256 {record.sha256}", err=True)
        typer.echo(str(record.path))


def _pull(
    entry: "Published", accept_licence: bool, offline: bool, source: Path | None, quiet: bool
) -> "Pulled":
    from invprob.weights.pull import pull as bring

    def say(text: str) -> None:
        if not quiet:
            typer.echo(text, err=True)

    def accept(licence: "Licence") -> bool:
        somebody = sys.stdin.isatty() and sys.stderr.isatty()
        if not (accept_licence or somebody):
            return False  # the error that follows names the licence
        typer.echo(f"{entry.name}: {entry.purpose}\nfrom      {entry.address}", err=True)
        typer.echo(f"licence   {licence.name}\n          {licence.address}", err=True)
        return accept_licence or typer.confirm("Do you accept this licence?", err=True)

    with _Bar(entry.name, hidden=quiet or not sys.stderr.isatty()) as bar:
        try:
            return bring(
                entry, accept=accept, offline=offline, source=source, progress=bar.show, say=say
            )
        except KeyboardInterrupt:
            say("interrupted; what has come is kept, and the same command goes on from there")
            raise


def _refuse_taken(names: Sequence[str], registry: Path) -> None:
    """A list of the user's must not rename what the package itself brings."""
    from invprob.errors import ArgumentError
    from invprob.registry import register as registers

    for name in names:
        if name in registers.generator:
            raise ArgumentError(
                f"the generator {name!r} comes with a package; rename it in {str(registry)!r}"
            )


def _list(entries: Mapping[str, "Published"], as_json: bool) -> None:
    from invprob.weights.catalogue import pulled

    here = {**pulled("generator"), **pulled("perceptual")}
    if as_json:
        print_json([_about(entry, here.get(name)) for name, entry in entries.items()])
        return
    rows = [
        (
            name,
            entry.purpose,
            "pulled" if name in here else "not pulled",
            size(here[name].size if name in here else entry.size),
            entry.licence.name,
        )
        for name, entry in entries.items()
    ]
    if sys.stdout.isatty():
        _table(rows)
        return
    for row in rows:
        typer.echo("\t".join(row))


def _table(rows: Sequence[tuple[str, str, str, str, str]]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("name", style="bold", no_wrap=True)
    table.add_column("purpose and licence")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name, purpose, state, amount, licence in rows:
        told = Text(purpose).append(f"\n{licence}", style="dim")
        table.add_row(name, told, amount, "pulled" if state == "pulled" else "")
    Console().print(table)


def _about(entry: "Published", record: "Pulled | None") -> dict[str, Any]:
    """What is known of a file, and of the one on this machine."""
    return {
        "name": entry.name,
        "kind": entry.kind,
        "purpose": entry.purpose,
        "address": entry.address,
        "licence": {"name": entry.licence.name, "address": entry.licence.address},
        "size": entry.size if record is None else record.size,
        "sha256": entry.sha256 if record is None else record.sha256,
        "path": None if record is None else str(record.path),
    }


def size(count: int | None) -> str:
    """A number of bytes as people say it: `381.6 MB`; nothing where it is not known."""
    if count is None:
        return ""
    for scale, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} bytes"


@final
class _Bar:
    """A progress bar in bytes on the error stream, from the first byte on."""

    def __init__(self, name: str, *, hidden: bool) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._progress = Progress(
            TextColumn(name),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
            disable=hidden,
        )
        self._task = self._progress.add_task(name, total=None, visible=False)

    def __enter__(self) -> "_Bar":
        return self

    def show(self, done: int, total: int) -> None:
        """Move the bar; it appears with the first byte, for a question may come before."""
        self._progress.start()
        self._progress.update(self._task, completed=done, total=total, visible=True)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
