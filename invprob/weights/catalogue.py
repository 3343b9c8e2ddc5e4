"""Weights that others publish: what is known of each file, and where a pulled file is kept.

The list is data, `published.toml`. A user's own list has the same form. Each pulled file has a
record beside it, `FILE.json`, by which it is found under its name and checked for changes.
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
    """Terms that a user has to accept.

    Args:
        name: What people call the licence.
        address: Where its text can be read.
    """

    name: str
    address: str


@final
@dataclass(frozen=True)
class Published:
    """A file that somebody publishes on the network.

    Args:
        name: The name by which `invprob pull` and the other commands know it.
        kind: "generator" or "perceptual".
        purpose: One line for lists.
        address: Its URL.
        licence: The terms it comes under.
        size: Its size in bytes; None where that is not published.
        sha256: 64 hexadecimal digits; None where they are not published.
    """

    name: str
    kind: str
    purpose: str
    address: str
    licence: Licence
    size: int | None = None
    sha256: str | None = None

    @property
    def path(self) -> Path:
        """Where the file is kept once pulled. Perceptual networks keep the file name torch uses."""
        file = Path(urlsplit(self.address).path)
        name = file.name if self.kind == "perceptual" else self.name + file.suffix
        return cache_folder() / FOLDERS[self.kind] / name

    @property
    def command(self) -> str:
        """The shell command that downloads it."""
        return f"invprob pull {self.name}"


@final
@dataclass(frozen=True)
class Pulled:
    """The record of a pulled file.

    Args:
        published: What was asked for.
        path: Where the file is.
        sha256: That of the file when it was pulled.
        size: Bytes.
        modified: Time of the last change, in nanoseconds. While size and time are the same, the
            file need not be read to know that it is unchanged.
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
        """Raise `PullError` if the file has changed since it was pulled."""
        state = self.path.stat()
        if (state.st_size, state.st_mtime_ns) == (self.size, self.modified):
            return
        found = sha256_of(self.path)
        if found != self.sha256:
            raise PullError(
                f"{str(self.path)!r} is not the file that was pulled: its sha256 is {found[:12]}…, "
                f"but {self.sha256[:12]}… is recorded; to get it again: {self.published.command}"
            )


# ---------------------------------------------------------------------------------------- lists


@functools.cache
def published() -> Mapping[str, Published]:
    """The files in the list that comes with the package, by name."""
    return read_published(Path(__file__).with_name("published.toml"))


def read_published(path: Path) -> Mapping[str, Published]:
    """Read a list of published files.

    Args:
        path: A TOML file in the form of `published.toml`.

    Returns:
        The files by name.

    Raises:
        FileError: The file cannot be read, or is no such list. The message says why.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise file_error(path, error, "read") from None
    except ValueError as error:  # no TOML, no UTF-8
        raise FileError(
            f"{str(path)!r} is not a list of published files in TOML: {error}"
        ) from None
    try:
        licences = {key: Licence(**table) for key, table in content["licences"].items()}
        entries = {
            name: Published(name=name, **{**table, "licence": licences[table["licence"]]})
            for name, table in content["files"].items()
        }
        for entry in entries.values():
            _check(entry)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise FileError(
            f"{str(path)!r} is not a list of published files: {reason}; it needs "
            "[licences.KEY] with name and address, and [files.NAME] with kind, purpose, address, "
            "licence = KEY, and size and sha256 where known"
        ) from None
    return entries


def _check(entry: Published) -> None:
    """Raise ValueError for an entry that could not be pulled."""
    words = (entry.purpose, entry.address, entry.licence.name, entry.licence.address)
    if not all(isinstance(word, str) for word in words):
        raise ValueError(f"{entry.name}: purpose, address and licence must be text")
    if not _NAME.fullmatch(entry.name):
        raise ValueError(f"the name {entry.name!r} may have letters a-z, digits and single dashes")
    if entry.kind not in FOLDERS:
        raise ValueError(f"{entry.name}: kind must be one of {', '.join(FOLDERS)}")
    address = urlsplit(entry.address)
    _ = address.port  # raises ValueError where the port is not a number
    file = address.scheme in ("http", "https") and address.netloc and Path(address.path).name
    if not file or re.search(r"\s", entry.address):
        raise ValueError(f"{entry.name}: the address must be the URL of a file, https://…")
    if entry.size is not None and not (type(entry.size) is int and entry.size > 0):
        raise ValueError(f"{entry.name}: size must be a number of bytes")
    if entry.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", str(entry.sha256)):
        raise ValueError(f"{entry.name}: sha256 must be 64 hexadecimal digits, in lower case")


# --------------------------------------------------------------------------------- pulled files


def record_path(path: Path) -> Path:
    """Where the record of a pulled file is kept."""
    return path.with_name(path.name + ".json")


def read_record(path: Path) -> Pulled | None:
    """The record of a pulled file; None where the file was not pulled.

    Raises:
        FileError: There is a record, but it cannot be read.
    """
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
            f"{str(place)!r} is not a record of a pulled file; remove it and pull the file again"
        ) from None


def pulled(kind: str) -> Mapping[str, Pulled]:
    """The records of pulled files of one kind that are still there, by name."""
    records = (
        read_record(place.with_suffix(""))
        for place in sorted((cache_folder() / FOLDERS[kind]).glob("[!.]*.json"))
    )
    here = (record for record in records if record is not None and record.path.is_file())
    return {record.published.name: record for record in here}


def known() -> Mapping[str, Published]:
    """The files that can be pulled: the package's list, and what was pulled from a user's list."""
    here = {name: record.published for kind in FOLDERS for name, record in pulled(kind).items()}
    return {**published(), **{name: here[name] for name in here.keys() - published().keys()}}


def find_pulled(kind: str, name: str) -> Path:
    """The path of a published file that was pulled and has not changed since.

    Args:
        kind: "generator" or "perceptual".
        name: The name in the list.

    Raises:
        PullError: It was not pulled, or has changed. The message holds the command to pull it.
        UnknownNameError: Nothing of that kind is published under the name.
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
