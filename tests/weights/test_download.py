"""Downloads from a server that does what bad servers and networks do."""

import hashlib
import socket
import sys
from dataclasses import replace
from email.message import Message
from io import BytesIO
from urllib.request import Request

import pytest
from file_server import BODY, SHA256, Answer, Fault, Site, part, stall, status
from pulled_files import fetch, is_whole, on_disk, parts, refused

from invprob.errors import InvprobError, PullError
from invprob.files import cache_folder
from invprob.weights import download as downloading
from invprob.weights.catalogue import (
    Published,
    find_pulled,
)


def test_a_file_is_downloaded_once(site: Site, entry: Published) -> None:
    seen: list[tuple[int, int]] = []
    record = fetch(entry, progress=lambda done, total: seen.append((done, total)))
    is_whole(entry)
    assert record.published == entry and record.size == len(BODY)
    assert seen[0] == (0, len(BODY)) and seen[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert fetch(entry) == record
    assert len(site.log) == 1
    assert site.log[0][1]["User-Agent"].startswith("invprob/")


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_followed(code: int, site: Site, entry: Published) -> None:
    site.faults = [status(code, Location="/elsewhere")]
    fetch(entry)
    is_whole(entry)
    assert [path for path, _ in site.log] == ["/weights.bin", "/elsewhere"]


def test_proxies_are_those_of_the_environment(
    site: Site, entry: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", site.address.removesuffix("/weights.bin"))
    fetch(replace(entry, address="http://weights.invalid/some/weights.bin"))
    assert site.log[0][0] == "http://weights.invalid/some/weights.bin"
    is_whole(entry)


def test_a_connection_that_breaks_is_resumed(site: Site, entry: Published) -> None:
    """As often as it takes, while something comes each time."""
    site.faults = [part(300_000), *[part(100_000)] * 4]
    fetch(entry)
    is_whole(entry)
    assert site.ranges == [None, *(f"bytes={count}00000-" for count in (3, 4, 5, 6, 7))]
    assert [headers["If-Range"] for _, headers in site.log[1:]] == ['"first"'] * 5


def test_received_bytes_are_kept_for_the_next_time(site: Site, entry: Published) -> None:
    site.faults = [part(300_000), *[part(0)] * 3]
    assert "300,000 bytes are kept" in refused(entry, "connection ended")
    assert parts() == BODY[:300_000]
    seen: list[int] = []
    fetch(entry, progress=lambda done, total: seen.append(done))
    is_whole(entry)
    assert seen[0] == 300_000
    assert site.ranges[-1] == "bytes=300000-"


def test_an_interrupt_keeps_received_bytes(site: Site, entry: Published) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(entry, progress=interrupt)
    kept = parts()
    assert len(BODY) > len(kept) > len(BODY) // 2 and BODY.startswith(kept)
    (cache_folder() / "generators" / ".mine.bin.0a1b.json").write_text("")  # of another death
    fetch(entry)
    assert find_pulled("generator", "mine") == entry.path
    assert site.ranges[-1] == f"bytes={len(kept)}-"


def test_a_file_that_was_whole_but_not_named_is_not_fetched_again(
    site: Site, entry: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr("invprob.weights.pull.sha256_of", lambda path: sys.exit(9))
        with pytest.raises(SystemExit):
            fetch(entry)
    assert parts() == BODY
    fetch(entry)
    is_whole(entry)
    assert len(site.log) == 1


def test_a_server_without_ranges_starts_again(site: Site, entry: Published) -> None:
    site.faults = [part(300_000), part(len(BODY), ranges=False)]
    fetch(entry)
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
    fetch(entry)
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
    fetch(entry)
    is_whole(entry)
    assert site.log[1][1]["If-Range"] == condition
    assert site.ranges[1] == (None if condition is None else "bytes=300000-")


def test_a_file_that_became_shorter_starts_again(site: Site, entry: Published) -> None:
    site.faults = [part(300_000), *[part(0)] * 2]
    refused(entry, "connection ended")
    site.faults = [status(416)]
    fetch(entry)
    is_whole(entry)
    assert site.ranges[-2:] == ["bytes=300000-", None]


def test_an_answer_to_another_question_is_refused(site: Site, entry: Published) -> None:
    def other_part(answer: Answer) -> None:
        count = len(BODY)
        answer.start(206, Content_Length=count, Content_Range=f"bytes 0-{count - 1}/{count}")
        answer.wfile.write(BODY)

    site.faults = [part(300_000), other_part]
    fetch(entry)
    is_whole(entry)
    assert site.ranges == [None, "bytes=300000-", None]


def test_bytes_from_one_address_are_not_continued_from_another(
    site: Site, entry: Published
) -> None:
    site.faults = [part(300_000), *[part(0)] * 2]
    refused(entry, "connection ended")
    fetch(replace(entry, address=site.address.replace("weights", "mirrored")))
    is_whole(entry)
    assert site.ranges[-1] is None


def test_a_silent_server_times_out(
    site: Site, entry: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "TIMEOUT", 0.2)
    site.faults = [stall] * 3
    refused(entry, "sent nothing for too long")
    assert parts() == BODY[:100_000]


@pytest.mark.parametrize("known", [True, False])
def test_a_wrong_sha256_leaves_nothing(known: bool, site: Site, entry: Published) -> None:
    """Published, or recorded the first time."""
    if not known:
        entry = replace(entry, sha256=None)
        fetch(entry)
        entry.path.unlink()
    site.body = BODY[:-1] + b"x"
    said = refused(entry, "is not the file 'mine'")
    assert hashlib.sha256(site.body).hexdigest() in said and SHA256 in said
    assert ("recorded when it was first pulled" in said) is not known
    assert set(on_disk()) == (set() if known else {"mine.bin.json"})
    site.body = BODY
    fetch(entry)
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
def test_an_answer_that_is_not_the_file_is_refused(
    fault: Fault, message: str, requests: int, site: Site, entry: Published
) -> None:
    if "does not say" in message:
        entry = replace(entry, size=None)
    site.faults = [fault] * 12
    refused(entry, message)
    assert len(site.log) == requests
    assert parts() == b""


def test_a_temporary_failure_is_retried(site: Site, entry: Published) -> None:
    site.faults = [status(503), status(429)]
    fetch(entry)
    is_whole(entry)


def test_a_known_length_is_enough(site: Site, entry: Published) -> None:
    def unsaid(answer: Answer) -> None:
        answer.start(200)
        answer.wfile.write(BODY)

    site.faults = [unsaid]
    fetch(entry)
    is_whole(entry)


def test_an_unreachable_server_is_named(entry: Published) -> None:
    nowhere = replace(entry, address="http://127.0.0.1:9/weights.bin")
    refused(nowhere, r"127\.0\.0\.1:9 cannot be reached: .*network")
    assert parts() == b""


def test_a_redirect_does_not_leave_encryption() -> None:
    request = Request("https://example.org/a")
    handler = downloading._Redirects()
    with pytest.raises(PullError, match="not encrypted"):
        handler.redirect_request(request, BytesIO(), 302, "", Message(), "http://example.org/b")
    kept = handler.redirect_request(request, BytesIO(), 302, "", Message(), "https://example.org/b")
    assert kept is not None and kept.full_url == "https://example.org/b"


def test_a_connection_may_end_at_any_byte(site: Site, entry: Published) -> None:
    """Whatever byte the connection ends at, the file is whole or is not there."""
    for count in (0, 1, 262_143, 262_144, 262_145, len(BODY) - 1):
        site.faults = [part(count), *[part(0)] * 3]
        with pytest.raises(InvprobError):
            fetch(entry)
        assert parts() == BODY[:count]
        downloading.discard(entry.path.with_name(".mine.bin.part"))
    fetch(entry)
    is_whole(entry)
