"""`invprob pull` against a server on this machine that does what bad servers and networks do."""

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from urllib.request import Request

import pytest
import torch
from networks import random_generator

from invprob.cli import pull as command
from invprob.cli.app import run
from invprob.errors import FileError, InvprobError, PerceptualError, PullError, UnknownNameError
from invprob.files import cache_folder
from invprob.perceptual.distance import Absent, PerceptualDistance, find_perceptual
from invprob.perceptual.trunks import NETWORKS
from invprob.priors import load_generator
from invprob.priors.generator_files import find_generator, save_generator
from invprob.weights import download as downloading
from invprob.weights.catalogue import (
    Licence,
    Published,
    Pulled,
    find_pulled,
    published,
    pulled,
    read_published,
    read_record,
)
from invprob.weights.pull import accepted, pull

BODY = bytes(range(256)) * 4096  # 1 MiB: several blocks
SHA256 = hashlib.sha256(BODY).hexdigest()
TERMS = Licence("Terms of a test", "https://example.org/terms")

Fault = Callable[["Answer"], None]


class Site(ThreadingHTTPServer):
    """A file server that logs requests and takes one fault a request from a list."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.body = BODY
        self.headers: dict[str, str] = {"ETag": '"first"'}
        self.faults: list[Fault] = []
        self.log: list[tuple[str, Message]] = []
        self.release = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/weights.bin"

    @property
    def ranges(self) -> list[str | None]:
        return [headers["Range"] for _, headers in self.log]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""


class Answer(BaseHTTPRequestHandler):
    @property
    def site(self) -> Site:
        assert isinstance(self.server, Site)
        return self.server

    def do_GET(self) -> None:
        self.site.log.append((self.path, self.headers))
        fault = self.site.faults.pop(0) if self.site.faults else whole
        fault(self)

    def start(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in {**self.site.headers, **headers}.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        pass


def whole(answer: Answer) -> None:
    """What a good server does, conditions included."""
    part(len(answer.site.body))(answer)


def part(count: int, *, ranges: bool = True, conditions: bool = True) -> Fault:
    """Send the first `count` bytes of the answer, then hang up."""

    def fault(answer: Answer) -> None:
        body, asked = answer.site.body, answer.headers["Range"]
        tags = (answer.site.headers.get(name) for name in ("ETag", "Last-Modified"))
        same = not conditions or answer.headers["If-Range"] in tags
        if ranges and asked and same:
            first = int(asked.removeprefix("bytes=").removesuffix("-"))
            if first >= len(body):
                answer.start(416, Content_Length=0, Content_Range=f"bytes */{len(body)}")
                return
            told = f"bytes {first}-{len(body) - 1}/{len(body)}"
            body = body[first:]
            answer.start(206, Content_Length=len(body), Content_Range=told)
        else:
            answer.start(200, Content_Length=len(body))
        answer.wfile.write(body[:count])
        answer.close_connection = True

    return fault


def status(code: int, **headers: object) -> Fault:
    return lambda answer: answer.start(code, Content_Length=0, **headers)


def stall(answer: Answer) -> None:
    answer.start(200, Content_Length=len(BODY))
    answer.wfile.write(BODY[:100_000])
    answer.wfile.flush()
    answer.site.release.wait(10)


@pytest.fixture
def site() -> Iterator[Site]:
    server = Site()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVPROB_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(downloading, "PAUSES", (0.0, 0.0))
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name == "INVPROB_OFFLINE":
            monkeypatch.delenv(name)


@pytest.fixture
def entry(site: Site) -> Published:
    return Published("mine", "generator", "A test", site.address, TERMS, len(BODY), SHA256)


def bring(entry: Published, **settings: object) -> Pulled:
    return pull(entry, **{"accept": lambda licence: True, **settings})  # type: ignore[arg-type]


def on_disk() -> dict[str, bytes]:
    """What lies beside the file, but for the lock, which stays empty."""
    folder = cache_folder() / "generators"
    files = {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}
    return {name: content for name, content in files.items() if not name.endswith(".lock")}


def parts() -> bytes:
    """What is kept of a file that is not whole, and nothing else is there."""
    left = on_disk()
    assert set(left) <= {".mine.bin.part", ".mine.bin.part.state"}
    return left.get(".mine.bin.part", b"")


def refused(entry: Published, match: str, **settings: object) -> str:
    with pytest.raises(PullError, match=match) as error:
        bring(entry, **settings)
    assert "\n" not in str(error.value)
    with pytest.raises((PullError, UnknownNameError)):
        find_pulled("generator", entry.name)
    return str(error.value)


def is_whole(entry: Published, body: bytes = BODY) -> None:
    assert set(on_disk()) == {"mine.bin", "mine.bin.json"}
    assert entry.path.read_bytes() == body
    assert find_pulled("generator", "mine") == entry.path
    record = read_record(entry.path)
    assert record is not None
    assert record.sha256 == hashlib.sha256(body).hexdigest()


# ------------------------------------------------------------------------------------ all is well


def test_a_file_is_brought_once(site: Site, entry: Published) -> None:
    seen: list[tuple[int, int]] = []
    record = bring(entry, progress=lambda done, total: seen.append((done, total)))
    is_whole(entry)
    assert record.published == entry and record.size == len(BODY)
    assert seen[0] == (0, len(BODY)) and seen[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert bring(entry) == record
    assert len(site.log) == 1
    assert site.log[0][1]["User-Agent"].startswith("invprob/")


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_followed(code: int, site: Site, entry: Published) -> None:
    site.faults = [status(code, Location="/elsewhere")]
    bring(entry)
    is_whole(entry)
    assert [path for path, _ in site.log] == ["/weights.bin", "/elsewhere"]


def test_proxies_are_those_of_the_environment(
    site: Site, entry: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", site.address.removesuffix("/weights.bin"))
    bring(replace(entry, address="http://weights.invalid/some/weights.bin"))
    assert site.log[0][0] == "http://weights.invalid/some/weights.bin"
    is_whole(entry)


# -------------------------------------------------------------------------------------- breaking


def test_a_connection_that_breaks_is_resumed(site: Site, entry: Published) -> None:
    """As often as it takes, while something comes each time."""
    site.faults = [part(300_000), *[part(100_000)] * 4]
    bring(entry)
    is_whole(entry)
    assert site.ranges == [None, *(f"bytes={count}00000-" for count in (3, 4, 5, 6, 7))]
    assert [headers["If-Range"] for _, headers in site.log[1:]] == ['"first"'] * 5


def test_what_came_is_kept_for_the_next_time(site: Site, entry: Published) -> None:
    site.faults = [part(300_000), *[part(0)] * 3]
    assert "300,000 bytes are kept" in refused(entry, "connection ended")
    assert parts() == BODY[:300_000]
    seen: list[int] = []
    bring(entry, progress=lambda done, total: seen.append(done))
    is_whole(entry)
    assert seen[0] == 300_000
    assert site.ranges[-1] == "bytes=300000-"


def test_an_interrupt_keeps_what_came(site: Site, entry: Published) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring(entry, progress=interrupt)
    kept = parts()
    assert len(BODY) > len(kept) > len(BODY) // 2 and BODY.startswith(kept)
    (cache_folder() / "generators" / ".mine.bin.0a1b.json").write_text("")  # of another death
    bring(entry)
    assert find_pulled("generator", "mine") == entry.path
    assert site.ranges[-1] == f"bytes={len(kept)}-"


def test_a_file_that_was_whole_but_not_named_is_not_fetched_again(
    site: Site, entry: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr("invprob.weights.pull.sha256_of", lambda path: sys.exit(9))
        with pytest.raises(SystemExit):
            bring(entry)
    assert parts() == BODY
    bring(entry)
    is_whole(entry)
    assert len(site.log) == 1


def test_a_server_without_ranges_starts_again(site: Site, entry: Published) -> None:
    site.faults = [part(300_000), part(len(BODY), ranges=False)]
    bring(entry)
    is_whole(entry)
    assert site.ranges == [None, "bytes=300000-"]


def test_a_server_that_always_breaks_is_given_up(site: Site, entry: Published) -> None:
    site.faults = [part(300_000, ranges=False)] * 9
    refused(entry, "connection ended")
    assert len(site.log) == 3
    assert parts() == BODY[:300_000]


@pytest.mark.parametrize("conditions", [True, False])
def test_parts_of_two_versions_are_never_joined(
    conditions: bool, site: Site, entry: Published
) -> None:
    """With and without a server that knows If-Range; there is no sha256 that would notice."""
    entry = replace(entry, sha256=None)
    site.faults = [part(300_000), *[part(0)] * 2]
    refused(entry, "connection ended")
    site.body, site.headers = BODY[::-1], {"ETag": '"second"'}
    site.faults = [part(len(BODY), conditions=conditions)]
    bring(entry)
    is_whole(entry, BODY[::-1])


@pytest.mark.parametrize(
    ("headers", "condition"),
    [
        ({"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}, "Mon, 01 Jan 2024 00:00:00 GMT"),
        ({"ETag": 'W/"weak"', "Last-Modified": "Tue, 02"}, "Tue, 02"),
        ({"ETag": 'W/"weak"'}, None),
        ({}, None),
    ],
)
def test_only_a_version_that_is_certain_is_resumed(
    headers: dict[str, str], condition: str | None, site: Site, entry: Published
) -> None:
    site.headers, site.faults = headers, [part(300_000)]
    bring(entry)
    is_whole(entry)
    assert site.log[1][1]["If-Range"] == condition
    assert site.ranges[1] == (None if condition is None else "bytes=300000-")


def test_a_file_that_became_shorter_starts_again(site: Site, entry: Published) -> None:
    site.faults = [part(300_000), *[part(0)] * 2]
    refused(entry, "connection ended")
    site.faults = [status(416)]
    bring(entry)
    is_whole(entry)
    assert site.ranges[-2:] == ["bytes=300000-", None]


def test_an_answer_to_another_question_is_not_taken(site: Site, entry: Published) -> None:
    def other_part(answer: Answer) -> None:
        count = len(BODY)
        answer.start(206, Content_Length=count, Content_Range=f"bytes 0-{count - 1}/{count}")
        answer.wfile.write(BODY)

    site.faults = [part(300_000), other_part]
    bring(entry)
    is_whole(entry)
    assert site.ranges == [None, "bytes=300000-", None]


def test_what_came_from_one_address_is_not_continued_from_another(
    site: Site, entry: Published
) -> None:
    site.faults = [part(300_000), *[part(0)] * 2]
    refused(entry, "connection ended")
    bring(replace(entry, address=site.address.replace("weights", "mirrored")))
    is_whole(entry)
    assert site.ranges[-1] is None


def test_silence_ends(site: Site, entry: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading, "TIMEOUT", 0.2)
    site.faults = [stall] * 3
    refused(entry, "sent nothing for too long")
    assert parts() == BODY[:100_000]


# -------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("known", [True, False])
def test_a_wrong_sha256_leaves_nothing(known: bool, site: Site, entry: Published) -> None:
    """Published, or recorded the first time."""
    if not known:
        entry = replace(entry, sha256=None)
        bring(entry)
        entry.path.unlink()
    site.body = BODY[:-1] + b"x"
    said = refused(entry, "is not the file 'mine'")
    assert hashlib.sha256(site.body).hexdigest() in said and SHA256 in said
    assert ("recorded when it was first pulled" in said) is not known
    assert set(on_disk()) == (set() if known else {"mine.bin.json"})
    site.body = BODY
    bring(entry)
    is_whole(entry)


@pytest.mark.parametrize(
    ("fault", "message", "requests"),
    [
        (status(404), "404 Not Found; get the file elsewhere", 1),
        (status(403), "403 Forbidden", 1),
        (status(503), "answers 503", 3),
        (status(302, Location="/weights.bin"), "redirects lead nowhere", 5),
        (status(302, Location="ftp://127.0.0.1/weights.bin"), "not encrypted", 1),
        (lambda answer: answer.start(200), "does not say how long", 1),
        (status(200), "0 bytes, but 1,048,576 are published", 1),
        (status(200, Content_Encoding="gzip"), "re-encoded", 1),
        (lambda a: a.start(200, Content_Length=9, Content_Type="text/html"), "a web page", 1),
        (lambda answer: answer.connection.shutdown(socket.SHUT_RDWR), "kept", 3),
    ],
)
def test_what_is_no_file_is_not_taken(
    fault: Fault, message: str, requests: int, site: Site, entry: Published
) -> None:
    if "does not say" in message:
        entry = replace(entry, size=None)
    site.faults = [fault] * 12
    refused(entry, message)
    assert len(site.log) == requests
    assert parts() == b""


def test_a_passing_trouble_passes(site: Site, entry: Published) -> None:
    site.faults = [status(503), status(429)]
    bring(entry)
    is_whole(entry)


def test_a_known_length_is_enough(site: Site, entry: Published) -> None:
    def unsaid(answer: Answer) -> None:
        answer.start(200)
        answer.wfile.write(BODY)

    site.faults = [unsaid]
    bring(entry)
    is_whole(entry)


def test_nobody_there(entry: Published) -> None:
    nowhere = replace(entry, address="http://127.0.0.1:9/weights.bin")
    refused(nowhere, r"127\.0\.0\.1:9 cannot be reached: .*network")
    assert parts() == b""


def test_encryption_is_not_given_up() -> None:
    request = Request("https://example.org/a")
    handler = downloading._Redirects()
    with pytest.raises(PullError, match="not encrypted"):
        handler.redirect_request(request, BytesIO(), 302, "", Message(), "http://example.org/b")
    kept = handler.redirect_request(request, BytesIO(), 302, "", Message(), "https://example.org/b")
    assert kept is not None and kept.full_url == "https://example.org/b"


# ------------------------------------------------------------------------------------------ disk


def test_no_room_is_said_before(
    site: Site, entry: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
        with pytest.raises(FileError, match="room for 1,000 bytes, but 1,048,576 more"):
            bring(entry)
    assert parts() == b""
    bring(entry)
    is_whole(entry)


def test_a_disk_that_fills_keeps_what_came(
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
            bring(entry)
    assert len(site.log) == 1
    kept = parts()
    assert 0 < len(kept) <= 500_000 and BODY.startswith(kept)
    bring(entry)
    is_whole(entry)
    assert site.ranges[-1] == f"bytes={len(kept)}-"


def test_a_cache_that_cannot_be_made(entry: Published, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(FileError, match="cannot be written"):
        bring(entry)


def test_a_file_that_was_changed_is_not_used_but_replaced(site: Site, entry: Published) -> None:
    bring(entry)
    os.utime(entry.path, (1, 1))
    assert find_pulled("generator", "mine") == entry.path  # only looked at again
    entry.path.write_bytes(BODY[:1000])
    with pytest.raises(PullError, match=r"is not the file that was pulled.*invprob pull mine"):
        find_pulled("generator", "mine")
    said: list[str] = []
    bring(entry, say=said.append)
    assert "will be replaced" in said[0]
    is_whole(entry)


def test_a_file_brought_by_hand_is_recognised(site: Site, entry: Published) -> None:
    entry.path.parent.mkdir(parents=True)
    entry.path.write_bytes(BODY)
    bring(entry)
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

    first = threading.Thread(target=bring, args=(entry,))
    first.start()
    assert held.wait(10)
    bring(entry, say=tell)
    first.join()
    assert said == ["another process is pulling mine; waiting for it"]
    assert len(site.log) == 1
    is_whole(entry)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"pulled": 3}', "\xff"])
def test_a_spoilt_record_is_named(content: str, entry: Published) -> None:
    bring(entry)
    (cache_folder() / "generators" / "mine.bin.json").write_text(content, "latin-1")
    with pytest.raises(FileError, match=r"mine\.bin\.json' is not a record"):
        find_pulled("generator", "mine")


# --------------------------------------------------------------------------- licence and network


def test_a_licence_is_asked_once(site: Site, entry: Published) -> None:
    asked: list[Licence] = []

    def no(licence: Licence) -> bool:
        asked.append(licence)
        return False

    said = refused(entry, "licence that you must accept first", accept=no)
    assert TERMS.name in said and TERMS.address in said and "--accept-licence" in said
    assert site.log == [] and on_disk() == {} and accepted() == {}
    bring(entry)
    assert list(accepted()) == [TERMS.address]
    bring(replace(entry, name="other"), accept=no)
    assert asked == [TERMS]
    third = replace(entry, name="third", licence=Licence("Other", "https://x.org"))
    refused(third, "Other", accept=no)


def test_offline_nothing_is_fetched(site: Site, entry: Published) -> None:
    said = refused(entry, "nothing is downloaded while offline", offline=True)
    assert str(entry.path) in said and entry.address in said and "--from FILE" in said
    assert site.log == [] and on_disk() == {}
    bring(entry)
    assert bring(entry, offline=True).path == entry.path


def test_a_file_brought_by_other_means(site: Site, entry: Published, tmp_path: Path) -> None:
    source = tmp_path / "brought"
    with pytest.raises(FileError, match="is not a file"):
        bring(entry, source=source)
    source.write_bytes(BODY[1:])
    refused(entry, "brought is not the file 'mine'", source=source)
    assert on_disk() == {}
    source.write_bytes(BODY)
    bring(entry, source=source, offline=True)
    is_whole(entry)
    assert site.log == [] and source.exists()


# ----------------------------------------------------------------------------------------- lists


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


def a_list(path: Path, address: str, more: str = "", **changed: str) -> Path:
    words = {"name": "mine", "kind": "generator", "licence": "free", **changed}
    path.write_text(LIST.format(address=address, more=more, **words))
    return path


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
        read_published(a_list(tmp_path / "list.toml", **given))
    assert "list.toml" in str(error.value)
    with pytest.raises(FileError, match=r"nowhere\.toml"):
        read_published(tmp_path / "nowhere.toml")


# -------------------------------------------------------------------------- what was pulled, used


def test_a_generator_that_was_not_pulled_names_the_command() -> None:
    with pytest.raises(PullError, match=r"to get it: invprob pull ffhq-1024$"):
        load_generator("ffhq-1024")
    with pytest.raises(UnknownNameError, match=r"Did you mean 'ffhq-1024'.*faces-128"):
        find_generator("ffhq-124")
    with pytest.raises(UnknownNameError, match="no published generator is named 'lpips-alex'"):
        find_pulled("generator", "lpips-alex")


@pytest.fixture
def called(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> tuple[int, str, str]:
        capfd.readouterr()
        status = run([str(word) for word in words])
        out, err = capfd.readouterr()
        return status, out, err

    return call


Call = Callable[..., tuple[int, str, str]]


def test_from_list_to_picture(site: Site, called: Call, tmp_path: Path) -> None:
    """A user's own list, pulled, listed, inspected and drawn from by name."""
    save_generator(random_generator(), tmp_path / "g.safetensors")
    site.body = (tmp_path / "g.safetensors").read_bytes()
    address = site.address.replace("weights.bin", "g.safetensors")
    listed = a_list(tmp_path / "list.toml", address)
    assert called("pull", "--registry", listed)[1].split("\t")[:3] == [
        "mine",
        "Of a test",
        "not pulled",
    ]
    status, out, err = called("pull", "mine", "--registry", listed)
    assert status == 2 and out == "" and err.count("\n") == 1 and "Public domain" in err
    assert site.log == [] and on_disk() == {}
    status, out, err = called("pull", "mine", "--registry", listed, "--accept-licence")
    path = cache_folder() / "generators" / "mine.safetensors"
    assert (status, out) == (0, f"{path}\n")
    assert "Public domain" in err and hashlib.sha256(site.body).hexdigest() in err
    assert path.read_bytes() == site.body
    assert called("pull", "mine", "--registry", listed, "-q") == (0, f"{path}\n", "")

    rows = dict(line.split("\t") for line in called("priors")[1].splitlines())
    assert re.fullmatch(r"Of a test \([\d.]+ kB, pulled\)", rows["mine"])
    assert rows["ffhq-1024"].endswith("(381.6 MB, not pulled: invprob pull ffhq-1024)")
    assert list(pulled("generator")) == ["mine"]
    assert load_generator("mine").resolution == 32
    told = json.loads(called("inspect", "mine", "--json")[1])
    assert told["file"] == str(path) and told["licence"].startswith("Public domain")
    assert called("sample", "--prior", "mine", "--count", 2)[0] == 0
    assert (tmp_path / "samples.png").exists()

    path.write_bytes(site.body[:-8])
    status, _, err = called("sample", "--prior", "mine", "--out", "other.png")
    assert status == 2 and "invprob pull mine" in err and err.count("\n") == 1
    assert called("pull", "mine")[0] == 0  # the record knows where it came from
    assert path.read_bytes() == site.body


def test_what_the_program_says(
    called: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = called("pull")[1].splitlines()
    assert {line.split("\t")[0] for line in lines} == set(published())
    assert all(line.count("\t") == 4 for line in lines)
    rows = json.loads(called("pull", "--json")[1])
    assert [row["name"] for row in rows] == list(published())
    assert all(row["path"] is None for row in rows)
    taken = a_list(tmp_path / "list.toml", "https://example.org/g.pt", name="faces-128")
    monkeypatch.setenv("INVPROB_OFFLINE", "1")
    for words, message in (
        (("ffhq-1025",), "Did you mean 'ffhq-1024'"),
        (("lpips-vgg",), "while offline"),
        (("--from", "x"), "needs the NAME"),
        (("lpips-vgg", "lpips-alex", "--from", "x"), "2 names"),
        (("faces-128", "--registry", taken), "rename it"),
        (("mine", "--registry", "nowhere.toml"), "nowhere.toml"),
    ):
        status, out, err = called("pull", *words)
        assert (status, out) == (2, "") and message in err and err.count("\n") == 1, err


@pytest.mark.parametrize("agreed", [True, False])
def test_a_person_is_asked(
    agreed: bool, site: Site, called: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(command.typer, "confirm", lambda text, err: agreed)
    listed = a_list(tmp_path / "list.toml", site.address)
    status, _, err = called("pull", "mine", "--registry", listed)
    assert status == (0 if agreed else 2)
    assert "https://example.org/free" in err
    assert bool(accepted()) is agreed and len(site.log) == agreed


def test_listing_needs_no_torch() -> None:
    code = (
        "import sys; from invprob.cli.app import run; status = run(['pull']); "
        "sys.exit(status or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


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
    path = bring(mirror).path
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


def test_every_error_is_ours(site: Site, entry: Published) -> None:
    """Whatever byte the connection ends at, the file is whole or is not there."""
    for count in (0, 1, 262_143, 262_144, 262_145, len(BODY) - 1):
        site.faults = [part(count), *[part(0)] * 3]
        with pytest.raises(InvprobError):
            bring(entry)
        assert parts() == BODY[:count]
        downloading.discard(entry.path.with_name(".mine.bin.part"))
    bring(entry)
    is_whole(entry)
