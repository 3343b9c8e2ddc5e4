"""`invprob pull`: download weights that others publish, after their licences are accepted."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, final

import typer

from invprob.cli.common import AsJson, Quiet
from invprob.cli.printing import print_json

if TYPE_CHECKING:
    from invprob.weights.catalogue import Licence, Published, Pulled


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(pull)


def pull(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="What to download. Default: list it all."),
    ] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Accept the licence without being asked.")
    ] = False,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            envvar="INVPROB_OFFLINE",
            help="Download nothing; check whether the file is here and intact.",
        ),
    ] = False,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="The file itself, where it was downloaded by other means.",
        ),
    ] = None,
    registry: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Your own list of files, in the form of published.toml."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Download generators and perceptual networks that others publish, or list them.

    Files are kept in the user's cache folder (INVPROB_HOME) and are used by their names: `--prior
    ffhq-1024`, `--perceptual vgg`. The same command continues an interrupted download. A file is
    used only if its sha256 is right. The environment may name a proxy (HTTPS_PROXY).
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
    from invprob.weights.pull import pull as download

    def say(text: str) -> None:
        if not quiet:
            typer.echo(text, err=True)

    def accept(licence: "Licence") -> bool:
        can_ask = sys.stdin.isatty() and sys.stderr.isatty()
        if not (accept_licence or can_ask):
            return False  # the error that follows names the licence
        typer.echo(f"{entry.name}: {entry.purpose}\nfrom      {entry.address}", err=True)
        typer.echo(f"licence   {licence.name}\n          {licence.address}", err=True)
        return accept_licence or typer.confirm("Do you accept this licence?", err=True)

    with _Bar(entry.name, hidden=quiet or not sys.stderr.isatty()) as bar:
        try:
            return download(
                entry, accept=accept, offline=offline, source=source, progress=bar.show, say=say
            )
        except KeyboardInterrupt:
            say("interrupted; the part that was downloaded is kept, and the same command continues")
            raise


def _refuse_taken(names: Sequence[str], registry: Path) -> None:
    """Raise `ArgumentError` if a user's own list has the name of a generator in a package."""
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
        about = Text(purpose).append(f"\n{licence}", style="dim")
        table.add_row(name, about, amount, "pulled" if state == "pulled" else "")
    Console().print(table)


def _about(entry: "Published", record: "Pulled | None") -> dict[str, Any]:
    """What is published of a file, with its path if it is on this machine."""
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
    """A number of bytes for people, such as `381.6 MB`; nothing where it is not known."""
    if count is None:
        return ""
    for scale, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} bytes"


@final
class _Bar:
    """A progress bar in bytes, on the error stream."""

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
        """Move the bar. It appears with the first byte, after the question of the licence."""
        self._progress.start()
        self._progress.update(self._task, completed=done, total=total, visible=True)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
