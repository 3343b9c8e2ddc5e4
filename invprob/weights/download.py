"""Downloads of one file over HTTP that continue after an interruption.

The bytes received so far are in a partial file. Beside it, `FILE.state` records the version of the
remote file that they belong to (RFC 9110: a strong ETag, or else Last-Modified). The next attempt
asks for the rest by `Range`, with `If-Range` so that the server sends it only for that version. A
server may send the whole file instead; then the download starts anew. Proxies are those of the
environment (HTTPS_PROXY, NO_PROXY, ...).
"""

import contextlib
import json
import re
import shutil
import ssl
import time
from collections.abc import Callable, Iterator
from email.message import Message
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, Any, cast, final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from invprob.errors import FileError, PullError
from invprob.files import atomic_write, file_error
from invprob.version import __version__

Progress = Callable[[int, int], None]  # bytes received, and bytes in all

TIMEOUT = 30.0  # seconds without a byte
PAUSES = (1.0, 4.0, 15.0)  # seconds before each new attempt, after one that received nothing
_BLOCK = 1 << 18
_TEMPORARY = (408, 425, 429, 500, 502, 503, 504)  # statuses after which another attempt helps


class _BrokenOffError(Exception):
    """An attempt ended early; the next one may continue from the bytes received."""


def download(
    address: str,
    part: Path,
    *,
    size: int | None = None,
    progress: Progress = lambda done, total: None,
    timeout: float | None = None,
) -> None:
    """Download what is still missing of a file.

    Attempts that break off are repeated, and the bytes received are kept.

    Args:
        address: Its URL.
        part: The partial file. It holds the whole file when this function returns.
        size: The expected size in bytes, where it is known.
        progress: Called with the number of bytes received and the number in all.
        timeout: Seconds to wait for the next byte; None takes `TIMEOUT`.

    Raises:
        PullError: The file cannot be downloaded. The message says what to do next.
        FileError: The partial file cannot be written.
    """
    pauses = iter(PAUSES)
    while True:
        had = _length(part)
        try:
            return _attempt(address, part, size, progress, TIMEOUT if timeout is None else timeout)
        except _BrokenOffError as error:
            if _length(part) > had:
                pauses = iter(PAUSES)
            pause = next(pauses, None)
            if pause is None:
                raise PullError(
                    f"{address} could not be downloaded: {error}; {_length(part):,} bytes are "
                    "kept, and the same command continues from there"
                ) from None
            time.sleep(pause)


def discard(part: Path) -> None:
    """Delete a partial file and its state."""
    for path in (part, _state_path(part)):
        path.unlink(missing_ok=True)


def _attempt(
    address: str, part: Path, size: int | None, progress: Progress, timeout: float
) -> None:
    version, complete = _version(part, address)
    start = _length(part) if version is not None else 0
    if start and start == complete:
        return
    headers = {"User-Agent": f"invprob/{__version__}", "Accept-Encoding": "identity"}
    if version is not None and start:
        headers |= {"Range": f"bytes={start}-", "If-Range": version}
    with _open(Request(address, headers=headers), part, timeout) as answer:
        start, total = _offer(answer, part, start, version, size)
        _refuse(answer, address, total, size)
        _check_room(part, total - start)
        _write_version(part, address, _validator(answer.headers), total)
        _receive(answer, part, start, total, progress)


@contextlib.contextmanager
def _open(request: Request, part: Path, timeout: float) -> Iterator[HTTPResponse]:
    """Send the request; `_BrokenOffError` where another attempt may succeed, else `PullError`."""
    address = request.full_url
    try:
        answer = build_opener(_Redirects).open(request, timeout=timeout)
    except HTTPError as error:
        error.close()
        if error.code == 416:  # no such range: the remote file is shorter than the partial one
            discard(part)
            raise _BrokenOffError("the file on the server has changed") from None
        said = f"the server answers {error.code} {error.reason}"
        if error.code in _TEMPORARY:
            raise _BrokenOffError(said) from None
        if error.code < 400:
            said = "its redirects lead nowhere"
        raise PullError(
            f"{address} cannot be downloaded: {said}; get the file elsewhere and name it by "
            "--from FILE"
        ) from None
    except (URLError, HTTPException, OSError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, TimeoutError | ConnectionResetError | HTTPException):
            raise _BrokenOffError(_words(reason)) from None
        hint = "" if isinstance(reason, ssl.SSLError) else ", or a proxy (HTTPS_PROXY) is missing"
        raise PullError(
            f"{urlsplit(address).netloc} cannot be reached: {_words(reason)}; is there a network"
            f"{hint}?"
        ) from None
    with answer:
        yield cast(HTTPResponse, answer)


def _offer(
    answer: HTTPResponse, part: Path, start: int, version: str | None, size: int | None
) -> tuple[int, int]:
    """The position in the file at which the body begins, and the length of the file."""
    if answer.status != 206:
        length = answer.headers.get("Content-Length", str(size))
        if not length.isdigit():
            raise PullError(
                f"{answer.url} does not say how long the file is, so that an incomplete download "
                "could not be noticed"
            )
        return 0, int(length)
    span = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.headers.get("Content-Range", "").strip())
    same = _validator(answer.headers) in (None, version)
    if span is None or int(span[1]) != start or int(span[2]) + 1 != int(span[3]) or not same:
        discard(part)
        raise _BrokenOffError("the server sends another part than the one asked for")
    return start, int(span[3])


def _refuse(answer: HTTPResponse, address: str, total: int, size: int | None) -> None:
    if answer.headers.get_content_type() == "text/html":
        raise PullError(
            f"{address} is a web page, not a file; open it in a browser, download the file there, "
            "and name it by --from FILE"
        )
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise PullError(f"{address} is sent re-encoded, not as the published file")
    if size is not None and total != size:
        raise PullError(
            f"{address} has {total:,} bytes, but {size:,} are published; the file there was "
            "replaced"
        )


def _check_room(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise FileError(
            f"{str(part.parent)!r} has room for {free:,} bytes, but {needed:,} more are needed; "
            "free some space, or set INVPROB_HOME to a folder elsewhere"
        )


def _receive(answer: HTTPResponse, part: Path, start: int, total: int, progress: Progress) -> None:
    done = start
    try:
        # Unbuffered, so that after an error the file holds exactly the bytes counted.
        with part.open("ab" if start else "wb", buffering=0) as file:
            progress(done, total)
            for block in _blocks(answer):
                _write(file, block)
                done += len(block)
                progress(done, total)
    except OSError as error:
        raise file_error(part, error) from error
    if done != total:
        raise _BrokenOffError(f"the connection ended after {done:,} of {total:,} bytes")


def _blocks(answer: HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            block = answer.read1(_BLOCK)
        except (OSError, HTTPException) as error:
            raise _BrokenOffError(_words(error)) from None
        if not block:
            return
        yield block


def _write(file: IO[bytes], block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[file.write(view) :]


def _words(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "the server sent nothing for too long"
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return str(error) or type(error).__name__


@final
class _Redirects(HTTPRedirectHandler):
    """Redirects are followed as browsers do, but never from https to an unencrypted address."""

    http_error_308 = HTTPRedirectHandler.http_error_302  # Python 3.10 does not know status 308

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        """The request to the next address; raises `PullError` where that is not encrypted."""
        scheme = urlsplit(newurl).scheme
        if scheme not in ("http", "https") or (req.type == "https" and scheme != "https"):
            fp.close()
            raise PullError(f"{req.full_url} redirects to {newurl}, which is not encrypted")
        return super().redirect_request(req, fp, 307 if code == 308 else code, msg, headers, newurl)


# ------------------------------------------------------------------------- the partial file


def _length(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _state_path(part: Path) -> Path:
    return part.with_name(part.name + ".state")


def _validator(headers: Message) -> str | None:
    tag = headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _version(part: Path, address: str) -> tuple[str | None, int]:
    """The version of the remote file that `part` belongs to (None: unknown), and its length."""
    try:
        state = json.loads(_state_path(part).read_text("utf-8"))
        if state["address"] == address:
            return str(state["version"]), int(state["total"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # the download starts anew
    return None, 0


def _write_version(part: Path, address: str, version: str | None, total: int) -> None:
    if version is None:
        _state_path(part).unlink(missing_ok=True)
        return
    state = {"address": address, "version": version, "total": total}
    with atomic_write(_state_path(part)) as temporary:
        temporary.write_text(json.dumps(state), "utf-8")
