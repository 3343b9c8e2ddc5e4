"""Weights that others publish: what is known of each file, and where it lies once it was pulled.

The list is data, `published.toml`; a user's own list has the same form. Beside a pulled file lies a
record of what it was, `FILE.json`, so that it is found by its name and known when it changed.
"""

import functools
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final
from urllib.parse import urlsplit

from invprob.errors import FileError, PullError, UnknownNameError
from invprob.files import atomic_write, cache_folder, file_error, sha256_of
from invprob.registry import suggest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDERS = {"generator": "generators", "perceptual": "perceptual"}  # by kind, in the cache
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")  # no dot: a name must not look like a file


@final
@dataclass(frozen=True)
class Licence:
    """Terms that somebody has to accept."""

    name: str
    address: str


@final
@dataclass(frozen=True)
class Published:
    """A file on the network; size in bytes and sha256 in hexadecimal where they are published."""

    name: str
    kind: str
    purpose: str
    address: str
    licence: Licence
    size: int | None = None
    sha256: str | None = None

    @property
    def path(self) -> Path:
        """Where it lies once pulled: a perceptual trunk under the name that torch gives it too."""
        file = Path(urlsplit(self.address).path)
        name = file.name if self.kind == "perceptual" else self.name + file.suffix
        return cache_folder() / FOLDERS[self.kind] / name

    @property
    def command(self) -> str:
        """The shell command that brings it."""
        return f"invprob pull {self.name}"


@final
@dataclass(frozen=True)
class Pulled:
    """The record of a pulled file: what was asked for, and what came.

    `modified` (nanoseconds) tells cheaply that a file is the one whose sha256 was taken.
    """

    published: Published
    path: Path
    sha256: str
    size: int
    modified: int

    def write(self) -> None:
        """Write the record beside the file."""
        content = {
            **asdict(self.published),
            "pulled": {"sha256": self.sha256, "size": self.size, "modified": self.modified},
        }
        with atomic_write(record_path(self.path)) as temporary:
            temporary.write_text(json.dumps(content, indent=2), "utf-8")

    def check(self) -> None:
        """Raise `PullError` if the file is not the one that was pulled."""
        state = self.path.stat()
        if (state.st_size, state.st_mtime_ns) == (self.size, self.modified):
            return
        found = sha256_of(self.path)
        if found != self.sha256:
            raise PullError(
                f"{str(self.path)!r} is not the file that was pulled: its sha256 is {found[:12]}…, "
                f"recorded is {self.sha256[:12]}…; to get it again: {self.published.command}"
            )


# ---------------------------------------------------------------------------------------- lists


@functools.cache
def published() -> Mapping[str, Published]:
    """The list that comes with the package, by name."""
    return read_published(Path(__file__).with_name("published.toml"))


def read_published(path: Path) -> Mapping[str, Published]:
    """Read a list of published files; raises `FileError` that says what is wrong with it."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise file_error(path, error, "read") from None
    except ValueError as error:  # no TOML, no UTF-8
        raise FileError(f"{str(path)!r} is no list of published files, in TOML: {error}") from None
    try:
        licences = {key: Licence(**table) for key, table in content["licences"].items()}
        entries = {
            name: Published(name=name, **{**table, "licence": licences[table["licence"]]})
            for name, table in content["files"].items()
        }
        for entry in entries.values():
            _check(entry)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        told = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise FileError(
            f"{str(path)!r} is no list of published files: {told}; it needs "
            "[licences.KEY] with name and address, and [files.NAME] with kind, purpose, address, "
            "licence = KEY, and size and sha256 where known"
        ) from None
    return entries


def _check(entry: Published) -> None:
    """Raise ValueError for what cannot be pulled."""
    words = (entry.purpose, entry.address, entry.licence.name, entry.licence.address)
    if not all(isinstance(word, str) for word in words):
        raise ValueError(f"{entry.name}: purpose, address and licence must be words")
    if not _NAME.fullmatch(entry.name):
        raise ValueError(f"the name {entry.name!r} may have letters a-z, digits and single dashes")
    if entry.kind not in FOLDERS:
        raise ValueError(f"{entry.name}: kind must be one of {', '.join(FOLDERS)}")
    address = urlsplit(entry.address)
    _ = address.port  # which raises ValueError where it is no number
    file = address.scheme in ("http", "https") and address.netloc and Path(address.path).name
    if not file or re.search(r"\s", entry.address):
        raise ValueError(f"{entry.name}: the address must be that of a file, https://…")
    if entry.size is not None and not (type(entry.size) is int and entry.size > 0):
        raise ValueError(f"{entry.name}: size must be a number of bytes")
    if entry.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", str(entry.sha256)):
        raise ValueError(f"{entry.name}: sha256 must be 64 hexadecimal digits, in lower case")


# -------------------------------------------------------------------------------- what is here


def record_path(path: Path) -> Path:
    """Where the record of a pulled file lies."""
    return path.with_name(path.name + ".json")


def read_record(path: Path) -> Pulled | None:
    """The record of a file, if it was pulled; raises `FileError` where it is unreadable."""
    place = record_path(path)
    try:
        content: dict[str, Any] = json.loads(place.read_text("utf-8"))
        pulled = content.pop("pulled")
        entry = Published(**{**content, "licence": Licence(**content["licence"])})
        _check(entry)
        return Pulled(entry, path, pulled["sha256"], pulled["size"], pulled["modified"])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise file_error(place, error, "read") from None
    except (KeyError, TypeError, AttributeError, ValueError):
        raise FileError(
            f"{str(place)!r} is no record of a pulled file; remove it and pull the file again"
        ) from None


def pulled(kind: str) -> Mapping[str, Pulled]:
    """What was pulled of a kind and is still there, by name."""
    records = (
        read_record(place.with_suffix(""))
        for place in sorted((cache_folder() / FOLDERS[kind]).glob("[!.]*.json"))
    )
    here = (record for record in records if record is not None and record.path.is_file())
    return {record.published.name: record for record in here}


def known() -> Mapping[str, Published]:
    """What can be pulled: the package's list, and what was pulled from a user's own."""
    here = {name: record.published for kind in FOLDERS for name, record in pulled(kind).items()}
    return {**published(), **{name: here[name] for name in here.keys() - published().keys()}}


def find_pulled(kind: str, name: str) -> Path:
    """The file of a published name, which must have been pulled and be unchanged since.

    Raises `PullError` where it was not, with the command that brings it, or has changed, and
    `UnknownNameError` for a name that nobody published.
    """
    record = pulled(kind).get(name)
    if record is not None:
        record.check()
        return record.path
    entry = published().get(name)
    if entry is None or entry.kind != kind:
        names = [name for name, entry in published().items() if entry.kind == kind]
        raise UnknownNameError(
            f"no published {kind} is named {name!r}.{suggest(name, names)} "
            f"Known: {', '.join(names)}."
        )
    raise PullError(f"the {kind} {name!r} is not on this machine; to get it: {entry.command}")
