"""Pulling a file: the disk, other processes, licences, no network."""

import errno
import hashlib
import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from file_server import BODY, Answer, Site, whole
from pulled_files import TERMS, fetch, is_whole, on_disk, parts, refused

from invprob.errors import FileError, PerceptualError, PullError, UnknownNameError
from invprob.files import cache_folder
from invprob.perceptual.distance import Absent, PerceptualDistance, find_perceptual
from invprob.perceptual.trunks import NETWORKS
from invprob.priors import load_generator
from invprob.priors.generator_files import find_generator
from invprob.weights import download as downloading
from invprob.weights.catalogue import (
    Licence,
    Published,
    find_pulled,
    published,
)
from invprob.weights.pull import accepted


def test_a_lack_of_space_is_noticed_before(
    site: Site, entry: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
        with pytest.raises(FileError, match="room for 1,000 bytes, but 1,048,576 more"):
            fetch(entry)
    assert parts() == b""
    fetch(entry)
    is_whole(entry)


def test_a_full_disk_keeps_received_bytes(
    site: Site, entry: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = downloading._write

    def until_full(file: object, block: bytes) -> None:
        if file.tell() + len(block) > 500_000:  # type: ignore[attr-defined]
            raise OSError(errno.ENOSPC, "No space left on device")
        written(file, block)  # type: ignore[arg-type]

    with monkeypatch.context() as full:
        full.setattr(downloading, "_write", until_full)
        with pytest.raises(FileError, match="no space is left"):
            fetch(entry)
    assert len(site.log) == 1
    kept = parts()
    assert 0 < len(kept) <= 500_000 and BODY.startswith(kept)
    fetch(entry)
    is_whole(entry)
    assert site.ranges[-1] == f"bytes={len(kept)}-"


def test_a_cache_that_cannot_be_made(entry: Published, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(FileError, match="cannot be written"):
        fetch(entry)


def test_a_file_that_was_changed_is_not_used_but_replaced(site: Site, entry: Published) -> None:
    fetch(entry)
    os.utime(entry.path, (1, 1))
    assert find_pulled("generator", "mine") == entry.path  # only looked at again
    entry.path.write_bytes(BODY[:1000])
    with pytest.raises(PullError, match=r"is not the file that was pulled.*invprob pull mine"):
        find_pulled("generator", "mine")
    said: list[str] = []
    fetch(entry, say=said.append)
    assert "will be replaced" in said[0]
    is_whole(entry)


def test_a_file_put_there_by_hand_is_recognised(site: Site, entry: Published) -> None:
    entry.path.parent.mkdir(parents=True)
    entry.path.write_bytes(BODY)
    fetch(entry)
    is_whole(entry)
    assert site.log == []


def test_two_at_once_fetch_once(site: Site, entry: Published) -> None:
    held = threading.Event()

    def slow(answer: Answer) -> None:
        held.set()
        answer.site.release.wait(10)
        whole(answer)

    site.faults = [slow]
    said: list[str] = []

    def tell(text: str) -> None:
        said.append(text)
        site.release.set()

    first = threading.Thread(target=fetch, args=(entry,))
    first.start()
    assert held.wait(10)
    fetch(entry, say=tell)
    first.join()
    assert said == ["another process is pulling mine; waiting for it"]
    assert len(site.log) == 1
    is_whole(entry)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"pulled": 3}', "\xff"])
def test_a_damaged_record_is_named(content: str, entry: Published) -> None:
    fetch(entry)
    (cache_folder() / "generators" / "mine.bin.json").write_text(content, "latin-1")
    with pytest.raises(FileError, match=r"mine\.bin\.json' is not a record"):
        find_pulled("generator", "mine")


def test_a_licence_is_asked_once(site: Site, entry: Published) -> None:
    asked: list[Licence] = []

    def no(licence: Licence) -> bool:
        asked.append(licence)
        return False

    said = refused(entry, "licence that you must accept first", accept=no)
    assert TERMS.name in said and TERMS.address in said and "--accept-licence" in said
    assert site.log == [] and on_disk() == {} and accepted() == {}
    fetch(entry)
    assert list(accepted()) == [TERMS.address]
    fetch(replace(entry, name="other"), accept=no)
    assert asked == [TERMS]
    third = replace(entry, name="third", licence=Licence("Other", "https://x.org"))
    refused(third, "Other", accept=no)


def test_nothing_is_downloaded_while_offline(site: Site, entry: Published) -> None:
    said = refused(entry, "nothing is downloaded while offline", offline=True)
    assert str(entry.path) in said and entry.address in said and "--from FILE" in said
    assert site.log == [] and on_disk() == {}
    fetch(entry)
    assert fetch(entry, offline=True).path == entry.path


def test_a_file_that_the_user_has_is_copied(site: Site, entry: Published, tmp_path: Path) -> None:
    source = tmp_path / "brought"
    with pytest.raises(FileError, match="is not a file"):
        fetch(entry, source=source)
    source.write_bytes(BODY[1:])
    refused(entry, "brought is not the file 'mine'", source=source)
    assert on_disk() == {}
    source.write_bytes(BODY)
    fetch(entry, source=source, offline=True)
    is_whole(entry)
    assert site.log == [] and source.exists()


def test_a_generator_that_was_not_pulled_names_the_command() -> None:
    with pytest.raises(PullError, match=r"to get it: invprob pull ffhq-1024$"):
        load_generator("ffhq-1024")
    with pytest.raises(UnknownNameError, match=r"Did you mean 'ffhq-1024'.*faces-128"):
        find_generator("ffhq-124")
    with pytest.raises(UnknownNameError, match="no published generator is named 'lpips-alex'"):
        find_pulled("generator", "lpips-alex")


def test_a_pulled_trunk_is_found_and_checked(site: Site, tmp_path: Path) -> None:
    rng = torch.Generator().manual_seed(0)
    trunk = NETWORKS["squeeze"].trunk()
    state = {
        f"features.{name}": torch.rand(value.shape, generator=rng) * 0.1
        for name, value in trunk.state_dict().items()
    }
    torch.save(state, tmp_path / "trunk.pth")
    site.body = (tmp_path / "trunk.pth").read_bytes()
    address = site.address.replace("weights.bin", "squeezenet1_1-b8a52dc0.pth")
    mirror = replace(published()["lpips-squeeze"], address=address, sha256=None)
    with pytest.raises(PerceptualError, match="to get them: invprob pull lpips-squeeze"):
        find_perceptual("squeeze")
    path = fetch(mirror).path
    assert path == published()["lpips-squeeze"].path
    for choice in ("squeeze", "auto"):
        found = find_perceptual(choice)
        assert isinstance(found, PerceptualDistance)
        assert found.sha256 == hashlib.sha256(site.body).hexdigest()
    state["features.0.bias"] += 1
    torch.save(state, path)
    with pytest.raises(PerceptualError, match="is not the file that was pulled"):
        find_perceptual("squeeze")
    absent = find_perceptual("auto")
    assert isinstance(absent, Absent) and "is not the file that was pulled" in absent.reason
    path.with_name(path.name + ".json").write_text("{")
    assert isinstance(find_perceptual("auto"), Absent)
