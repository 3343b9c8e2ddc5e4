"""Bring a published file to this machine: licence, download, sha256, and only then its name."""

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from invprob.errors import FileError, PullError
from invprob.files import atomic_write, cache_folder, file_error, sha256_of
from invprob.weights.catalogue import Licence, Published, Pulled, read_record
from invprob.weights.download import Progress, discard, download

Accept = Callable[[Licence], bool]


def pull(
    entry: Published,
    *,
    accept: Accept = lambda licence: False,
    offline: bool = False,
    source: Path | None = None,
    progress: Progress = lambda done, total: None,
    say: Callable[[str], None] = lambda text: None,
) -> Pulled:
    """Bring the file and return its record; one that is here and unchanged is left as it is.

    `accept` is asked once for each licence, whose acceptance is remembered; `source` is the file
    itself, brought by other means. The file gets its name when its sha256 is the published one, or
    else the one of the first time. Raises `PullError` where it cannot be had, `FileError` where it
    cannot be read or written.
    """
    folder = entry.path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise file_error(folder, error) from None
    if (here := _here(entry)) is not None:
        return here
    if entry.path.is_file():
        say(f"{str(entry.path)!r} is not the file {entry.name!r}; it will be replaced")
    if offline and source is None:
        raise PullError(
            f"{entry.name!r} is not on this machine, and nothing is fetched while offline; it "
            f"would be {str(entry.path)!r}, from {entry.address}: bring it, and give it as "
            f"{entry.command} --from FILE"
        )
    _agree(entry, accept)
    with _locked(entry, say):
        return _here(entry) or _bring(entry, source, progress)


@contextlib.contextmanager
def _locked(entry: Published, say: Callable[[str], None]) -> Iterator[None]:
    """Let one process at a time work on the file; the operating system drops a dead one's lock."""
    lock = FileLock(entry.path.with_name(f".{entry.path.name}.lock"))
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"another process is pulling {entry.name}; waiting for it")
            lock.acquire()
    except OSError as error:
        raise file_error(lock.lock_file, error, "locked") from None
    try:
        yield
    finally:
        lock.release()


def _here(entry: Published) -> Pulled | None:
    """The file's record if the file is here, whole and unchanged."""
    if not entry.path.is_file():
        return None
    found, wanted = sha256_of(entry.path), _wanted(entry)
    return _record(entry, entry.path, found) if found == wanted else None


def _wanted(entry: Published) -> str | None:
    """The published sha256, or else the one of the first time."""
    if entry.sha256 is not None:
        return entry.sha256
    record = read_record(entry.path)
    return None if record is None else record.sha256


def _bring(entry: Published, source: Path | None, progress: Progress) -> Pulled:
    part = entry.path.with_name(f".{entry.path.name}.part")
    if source is None:
        download(entry.address, part, size=entry.size, progress=progress)
    else:
        _copy(source, part)
    found, wanted = sha256_of(part), _wanted(entry)
    if wanted is not None and found != wanted:
        discard(part)
        first = "" if entry.sha256 else ", recorded the first time it was pulled"
        raise PullError(
            f"{source or entry.address} is not the file {entry.name!r}: its sha256 is {found}, "
            f"expected is {wanted}{first}; it was thrown away"
        )
    # The record goes first: without it a file is unknown, with it the next attempt is compared.
    record = _record(entry, part, found)
    try:
        part.replace(entry.path)
    except OSError as error:
        raise file_error(entry.path, error) from None
    discard(part)
    return record


def _record(entry: Published, file: Path, sha256: str) -> Pulled:
    state = file.stat()
    record = Pulled(entry, entry.path, sha256, state.st_size, state.st_mtime_ns)
    if read_record(entry.path) != record:
        record.write()
    return record


def _copy(source: Path, part: Path) -> None:
    discard(part)
    if not source.is_file():
        raise FileError(f"{str(source)!r} is not a file; name the one that was brought")
    try:
        shutil.copyfile(source, part)
    except OSError as error:
        discard(part)
        raise file_error(part, error) from None


# -------------------------------------------------------------------------------------- licences


def accepted() -> dict[str, Any]:
    """The licences that were accepted, by address, each with its name and when."""
    try:
        content = json.loads(_licences().read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # then it is asked again
    return content if isinstance(content, dict) else {}


def _agree(entry: Published, accept: Accept) -> None:
    known, licence = accepted(), entry.licence
    if licence.address in known:
        return
    if not accept(licence):
        raise PullError(
            f"{entry.name!r} comes under a licence that has to be accepted: {licence.name}, "
            f"{licence.address}; where you agree: {entry.command} --accept-licence"
        )
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    known[licence.address] = {"name": licence.name, "accepted": now}
    with atomic_write(_licences()) as temporary:
        temporary.write_text(json.dumps(known, indent=2), "utf-8")


def _licences() -> Path:
    return cache_folder() / "licences.json"
