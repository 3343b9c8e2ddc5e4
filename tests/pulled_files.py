"""Pulling a file of the test server, and what that leaves on the disk."""

import hashlib
from pathlib import Path

import pytest
from file_server import BODY

from invprob.errors import PullError, UnknownNameError
from invprob.files import cache_folder
from invprob.weights.catalogue import Licence, Published, Pulled, find_pulled, read_record
from invprob.weights.pull import pull

TERMS = Licence("Terms of a test", "https://example.org/terms")
LIST = """
[licences.free]
name = "Public domain"
address = "https://example.org/free"

[files.{name}]
kind = "{kind}"
purpose = "Of a test"
address = "{address}"
licence = "{licence}"
{more}
"""


def write_list(path: Path, address: str, more: str = "", **changed: str) -> Path:
    """Write a user's list with one file, and return its path."""
    words = {"name": "mine", "kind": "generator", "licence": "free", **changed}
    path.write_text(LIST.format(address=address, more=more, **words))
    return path


def fetch(entry: Published, **settings: object) -> Pulled:
    """Pull a file and accept its licence, unless `settings` say otherwise."""
    return pull(entry, **{"accept": lambda licence: True, **settings})  # type: ignore[arg-type]


def on_disk() -> dict[str, bytes]:
    """The files in the cache by name, without the lock, which stays empty."""
    folder = cache_folder() / "generators"
    files = {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}
    return {name: content for name, content in files.items() if not name.endswith(".lock")}


def parts() -> bytes:
    """The received bytes of an incomplete file; nothing else may be there."""
    left = on_disk()
    assert set(left) <= {".mine.bin.part", ".mine.bin.part.state"}
    return left.get(".mine.bin.part", b"")


def refused(entry: Published, match: str, **settings: object) -> str:
    """The one-line message with which pulling fails."""
    with pytest.raises(PullError, match=match) as error:
        fetch(entry, **settings)
    assert "\n" not in str(error.value)
    with pytest.raises((PullError, UnknownNameError)):
        find_pulled("generator", entry.name)
    return str(error.value)


def is_whole(entry: Published, body: bytes = BODY) -> None:
    """Check that the file and its record are there, and nothing else."""
    assert set(on_disk()) == {"mine.bin", "mine.bin.json"}
    assert entry.path.read_bytes() == body
    assert find_pulled("generator", "mine") == entry.path
    record = read_record(entry.path)
    assert record is not None
    assert record.sha256 == hashlib.sha256(body).hexdigest()
