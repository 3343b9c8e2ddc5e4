"""A file server on this machine that does what bad servers and networks do."""

import hashlib
import threading
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY = bytes(range(256)) * 4096  # 1 MiB: several blocks
SHA256 = hashlib.sha256(BODY).hexdigest()
Fault = Callable[["Answer"], None]


class Site(ThreadingHTTPServer):
    """A file server that logs requests and commits the next fault in its list at each of them."""

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
        """Be silent about a client that hangs up."""


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
    """Answer as a good server does, conditions included."""
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
            span = f"bytes {first}-{len(body) - 1}/{len(body)}"
            body = body[first:]
            answer.start(206, Content_Length=len(body), Content_Range=span)
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
