"""The package's list of published files, and lists of users."""

import re
from pathlib import Path

import pytest
from pulled_files import write_list

from invprob.errors import FileError
from invprob.perceptual.trunks import NETWORKS
from invprob.weights.catalogue import (
    published,
    read_published,
)


def test_the_list_of_the_package() -> None:
    entries = published().values()
    assert len({entry.path for entry in entries}) == len(entries)
    assert all(entry.address.startswith("https://") for entry in entries)
    assert all(entry.licence.address.startswith("https://") for entry in entries)
    for entry in entries:  # torchvision writes the first digits into the name
        if prefix := re.search(r"-([0-9a-f]{8})\.pth$", entry.address):
            assert entry.sha256 is not None and entry.sha256.startswith(prefix[1])
    assert {network.pulled for network in NETWORKS.values()} >= {
        entry.name for entry in entries if entry.kind == "perceptual"
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": '"../mine"'}, "the name '../mine'"),
        ({"name": '"mine.pkl"'}, "the name 'mine.pkl'"),
        ({"kind": "picture"}, "kind must be one of generator, perceptual"),
        ({"licence": "other"}, "'other' is missing"),
        ({"address": "file:///etc/passwd"}, "must be the URL of a file, https"),
        ({"address": "https://example.org/"}, "must be the URL of a file, https"),
        ({"address": "https://example.org/a b"}, "must be the URL of a file, https"),
        ({"address": "https://example.org:x/a"}, "x"),
        ({"more": "size = -3"}, "size must be"),
        ({"more": "size = true"}, "size must be"),
        ({"more": "sha256 = 'ABC'"}, "64 hexadecimal digits"),
        ({"more": "colour = 'red'"}, "colour"),
        ({"more": "purpose = 3"}, "in TOML"),
        ({"licence": '"'}, "in TOML"),
    ],
)
def test_a_wrong_list_is_refused(changed: dict[str, str], message: str, tmp_path: Path) -> None:
    given = {"address": "https://example.org/weights.pkl", **changed}
    with pytest.raises(FileError, match=message) as error:
        read_published(write_list(tmp_path / "list.toml", **given))
    assert "list.toml" in str(error.value)
    with pytest.raises(FileError, match=r"nowhere\.toml"):
        read_published(tmp_path / "nowhere.toml")
