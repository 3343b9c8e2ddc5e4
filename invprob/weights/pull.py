"""Pull a published file: accept its licence, download it, compare its sha256, then name it."""

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
    """Make a published file available on this machine, unless it is there and unchanged.

    The file gets its name only when its sha256 is the published one. Where none is published, the
    first download is recorded, and every later one must equal it.

    Args:
        entry: The file to pull.
        accept: Called with a licence that was not accepted before; returns whether the user accepts
            it. The answer yes is remembered.
        offline: Never use the network.
        source: The file itself, if the user already has it; None downloads it.
        progress: Called with the number of bytes that are here and the number in all.
        say: Called with a line for the user.

    Returns:
        The record of the file.

    Raises:
        PullError: The file cannot be downloaded, is another file, or its licence was not accepted.
        FileError: A file cannot be read or written.
    """
    folder = entry.path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise file_error(folder, error) from None
    if (record := _unchanged(entry)) is not None:
        return record
    if entry.path.is_file():
        say(f"{str(entry.path)!r} is not the file {entry.name!r}; it will be replaced")
    if offline and source is None:
        raise PullError(
            f"{entry.name!r} is not on this machine ({str(entry.path)!r}), and nothing is "
            f"downloaded while offline; get {entry.address} by other means, then: "
            f"{entry.command} --from FILE"
        )
    _ensure_accepted(entry, accept)
    with _locked(entry, say):
        return _unchanged(entry) or _fetch(entry, source, progress)


@contextlib.contextmanager
def _locked(entry: Published, say: Callable[[str], None]) -> Iterator[None]:
    """Let one process at a time work on the file.

    The operating system releases the lock of a process that ends.
    """
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


def _unchanged(entry: Published) -> Pulled | None:
    """The file's record if the file is here, complete and unchanged."""
    if not entry.path.is_file():
        return None
    found, expected = sha256_of(entry.path), _expected_sha256(entry)
    return _record(entry, entry.path, found) if found == expected else None


def _expected_sha256(entry: Published) -> str | None:
    """The published sha256, or else that of the first download."""
    if entry.sha256 is not None:
        return entry.sha256
    record = read_record(entry.path)
    return None if record is None else record.sha256


def _fetch(entry: Published, source: Path | None, progress: Progress) -> Pulled:
    part = entry.path.with_name(f".{entry.path.name}.part")
    if source is None:
        download(entry.address, part, size=entry.size, progress=progress)
    else:
        _copy(source, part)
    found, expected = sha256_of(part), _expected_sha256(entry)
    if expected is not None and found != expected:
        discard(part)
        first = "" if entry.sha256 else ", recorded when it was first pulled"
        raise PullError(
            f"{source or entry.address} is not the file {entry.name!r}: its sha256 is {found}, "
            f"but {expected} is expected{first}; it was deleted"
        )
    # The record is written first: a file without one would be unknown. If the next line fails, the
    # next attempt is compared with the record.
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
        raise FileError(f"{str(source)!r} is not a file; give the file that you downloaded")
    try:
        shutil.copyfile(source, part)
    except OSError as error:
        discard(part)
        raise file_error(part, error) from None


# -------------------------------------------------------------------------------------- licences


def accepted() -> dict[str, Any]:
    """The accepted licences by address, each with its name and the time of acceptance."""
    try:
        content = json.loads(_licences().read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # the user is asked again
    return content if isinstance(content, dict) else {}


def _ensure_accepted(entry: Published, accept: Accept) -> None:
    known, licence = accepted(), entry.licence
    if licence.address in known:
        return
    if not accept(licence):
        raise PullError(
            f"{entry.name!r} has a licence that you must accept first: {licence.name}, "
            f"{licence.address}; to accept it: {entry.command} --accept-licence"
        )
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    known[licence.address] = {"name": licence.name, "accepted": now}
    with atomic_write(_licences()) as temporary:
        temporary.write_text(json.dumps(known, indent=2), "utf-8")


def _licences() -> Path:
    return cache_folder() / "licences.json"
