"""One file over HTTP, which goes on where it stopped.

What has come lies in a partial file; beside it `FILE.state` says which version of the remote file
it is a part of (RFC 9110: a strong ETag, or else Last-Modified). The rest is asked for by `Range`,
on the condition `If-Range` that it is still that version; a server that sends the whole file
instead is taken at its word. Proxies are those of the environment (HTTPS_PROXY, NO_PROXY, ...).
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

Progress = Callable[[int, int], None]  # bytes that are here, and of how many

TIMEOUT = 30.0  # seconds without a byte
PAUSES = (1.0, 4.0, 15.0)  # seconds before attempts that follow one that brought nothing new
_BLOCK = 1 << 18
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # answers that another attempt may change


class _BrokenOffError(Exception):
    """An attempt ended early; the next one may go on from what is here."""


def download(
    address: str,
    part: Path,
    *,
    size: int | None = None,
    progress: Progress = lambda done, total: None,
    timeout: float | None = None,
) -> None:
    """Bring the file at `address` to `part`, or what of it is not there yet; all of it at the end.

    `size` is that of the file, in bytes, where it is known. Attempts that break off are repeated;
    what has come is kept. Raises `PullError` where the file cannot be had, with what to do next,
    and `FileError` where it cannot be written.
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
                    f"{address} could not be had: {error}; {_length(part):,} bytes are kept, and "
                    "the same command goes on from there"
                ) from None
            time.sleep(pause)


def discard(part: Path) -> None:
    """Forget what has come."""
    for path in (part, _state_path(part)):
        path.unlink(missing_ok=True)


def _attempt(
    address: str, part: Path, size: int | None, progress: Progress, timeout: float
) -> None:
    version, whole = _version(part, address)
    start = _length(part) if version is not None else 0
    if start and start == whole:
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
    """Send the request; what is no file becomes an error that says whether to try again."""
    address = request.full_url
    try:
        answer = build_opener(_Redirects).open(request, timeout=timeout)
    except HTTPError as error:
        error.close()
        if error.code == 416:  # no such range: the remote file is shorter than what is here
            discard(part)
            raise _BrokenOffError("the file there has changed") from None
        said = f"the server answers {error.code} {error.reason}"
        if error.code in _PASSING:
            raise _BrokenOffError(said) from None
        if error.code < 400:
            said = "its redirects lead nowhere"
        raise PullError(
            f"{address} cannot be had: {said}; look for the file elsewhere, and give it as "
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
    """Where the body begins in the file, and how long the file is."""
    if answer.status != 206:
        length = answer.headers.get("Content-Length", str(size))
        if not length.isdigit():
            raise PullError(
                f"{answer.url} does not say how long the file is, so that nobody could tell "
                "whether all of it came"
            )
        return 0, int(length)
    told = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.headers.get("Content-Range", "").strip())
    same = _validator(answer.headers) in (None, version)
    if told is None or int(told[1]) != start or int(told[2]) + 1 != int(told[3]) or not same:
        discard(part)
        raise _BrokenOffError("the server answers with another part than was asked for")
    return start, int(told[3])


def _refuse(answer: HTTPResponse, address: str, total: int, size: int | None) -> None:
    if answer.headers.get_content_type() == "text/html":
        raise PullError(
            f"{address} answers with a web page, not with a file: open it in a browser, and give "
            "what you save as --from FILE"
        )
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise PullError(f"{address} comes re-encoded, not as the file that was published")
    if size is not None and total != size:
        raise PullError(
            f"{address} has a file of {total:,} bytes, but {size:,} are published: it is another "
            "file now"
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
        # Unbuffered: what an error leaves behind is what was counted.
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
        return "nothing came for too long"
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return str(error) or type(error).__name__


@final
class _Redirects(HTTPRedirectHandler):
    """Follow as browsers do, but never from an encrypted address to one that is not."""

    http_error_308 = HTTPRedirectHandler.http_error_302  # unknown to Python 3.10

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        """Allow the next address, or refuse."""
        scheme = urlsplit(newurl).scheme
        if scheme not in ("http", "https") or (req.type == "https" and scheme != "https"):
            fp.close()
            raise PullError(f"{req.full_url} leads on to {newurl}, which is not encrypted")
        return super().redirect_request(req, fp, 307 if code == 308 else code, msg, headers, newurl)


# ---------------------------------------------------------------------------- what has come


def _length(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _state_path(part: Path) -> Path:
    return part.with_name(part.name + ".state")


def _validator(headers: Message) -> str | None:
    tag = headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _version(part: Path, address: str) -> tuple[str | None, int]:
    """Which version of the file `part` belongs to, None where unknown, and that one's length."""
    try:
        state = json.loads(_state_path(part).read_text("utf-8"))
        if state["address"] == address:
            return str(state["version"]), int(state["total"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # then it starts again from the first byte
    return None, 0


def _write_version(part: Path, address: str, version: str | None, total: int) -> None:
    if version is None:
        _state_path(part).unlink(missing_ok=True)
        return
    state = {"address": address, "version": version, "total": total}
    with atomic_write(_state_path(part)) as temporary:
        temporary.write_text(json.dumps(state), "utf-8")
