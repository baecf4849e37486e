"""A proxy between scr and the object store that goes wrong as told: it delays, breaks, lies, cuts and drips."""

import http.client
import itertools
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

FAULTS = (
    "delay",  # the answer comes late
    "reset",  # the connection is reset before the request is passed on
    "lost",  # the request is passed on, and the connection is reset instead of the answer
    "error",  # 500, and nothing is passed on
    "busy",  # 503 SlowDown with a body as the store writes it
    "cut",  # half of the answer's body, then the end
    "wrong",  # one bit of the answer's body is another
    "garbled",  # one bit of the request's body is another
    "drip",  # a byte at a time, slower than anybody waits
    "hang",  # no answer at all
)
_DELAY_S = 0.3
_DRIP_S = 0.02
_HANG_S = 30.0


class Proxy:
    """Listens on the loopback and passes everything on to `upstream`, but for what `choose` says.

    `choose` gets the number of a request, its method and its path; it returns the fault to make, or "".
    """

    def __init__(self, upstream: str) -> None:
        self.choose: Callable[[int, str, str], str] = lambda *_: ""
        self.made: list[tuple[str, str, str]] = []  # every fault made, with method and path
        self.connections = 0  # open now
        self._asked: Counter[str] = Counter()  # requests that came, by method
        self._numbers = itertools.count()
        self._upstream = urlsplit(upstream).netloc
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._closing = threading.Condition()
        proxy = self

        class Handler(_Handler):
            def __init__(self, *arguments: object) -> None:
                self.proxy = proxy
                super().__init__(*arguments)  # type: ignore[arg-type]  # what the server hands over

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def fail(self, *faults: str, method: str = "") -> None:
        """Make each of `faults` once, in order, at the next requests (of `method` where it is given)."""
        left = list(faults)

        def choose(_number: int, asked: str, _path: str) -> str:
            return left.pop(0) if left and method in ("", asked) else ""

        self.choose = choose

    def fail_often(self, share: float, seed: int, faults: tuple[str, ...]) -> None:
        """Make any of `faults` at `share` of all requests."""
        chance = random.Random(seed)  # noqa: S311 - the same faults at each run

        def choose(*_: object) -> str:
            return chance.choice(faults) if chance.random() < share else ""

        self.choose = choose

    def asked(self, method: str) -> int:
        """Return how many requests of `method` came."""
        return self._asked[method]

    def decide(self, method: str, path: str) -> str:
        """Return the fault of this request."""
        with self._lock:
            self._asked[method] += 1
            fault = self.choose(next(self._numbers), method, path)
            if fault:
                self.made.append((fault, method, path))
        return fault

    def count(self, change: int) -> None:
        """Note that a connection was opened or closed."""
        with self._closing:
            self.connections += change
            self._closing.notify_all()

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Pass a request on; return status, headers and body of the answer."""
        upstream = http.client.HTTPConnection(self._upstream, timeout=60)
        try:
            upstream.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                upstream.putheader(name, value)
            upstream.endheaders(body or None)
            answer = upstream.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            upstream.close()

    def is_idle(self, most: int, seconds: float) -> bool:
        """Wait until no more than `most` connections are open; whether that came within `seconds`."""
        with self._closing:
            return self._closing.wait_for(lambda: self.connections <= most, seconds)

    def wait(self, seconds: float) -> None:
        """Wait, but not beyond the end of the proxy."""
        self._ended.wait(seconds)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def setup(self) -> None:
        super().setup()
        self.proxy.count(1)

    def finish(self) -> None:
        self.proxy.count(-1)
        super().finish()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base's own name
        """Say nothing."""

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        fault = self.proxy.decide(self.command, self.path)
        if fault == "reset":
            self._reset()
        elif fault == "hang":
            self.proxy.wait(_HANG_S)
            self._reset()
        elif fault == "error":
            self._answer(500, [], b"")
        elif fault == "busy":
            self._answer(503, [("content-type", "application/xml")], b"<Error><Code>SlowDown</Code></Error>")
        else:
            if fault == "garbled" and body:
                body = _flip(body)
            self._finish(fault, *self.proxy.ask(self.command, self.path, dict(self.headers.items()), body))

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle  # noqa: N815 - the base calls them so

    def _finish(self, fault: str, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        if fault == "lost":
            self._reset()
            return
        if fault == "delay":
            time.sleep(_DELAY_S)
        if fault == "wrong" and body:
            body = _flip(body)
        self._answer(status, headers, body, fault)

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, fault: str = "") -> None:
        said = {name.lower(): value for name, value in headers}
        self.send_response_only(status)
        for name, value in said.items():
            if name not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        # HEAD tells the size of what it does not send
        self.send_header(
            "content-length", said.get("content-length", "0") if self.command == "HEAD" else str(len(body))
        )
        self.end_headers()
        try:
            if self.command == "HEAD":
                return
            if fault == "cut":
                self.wfile.write(body[: len(body) // 2])
                self._reset()
            elif fault == "drip":
                self._drip(body)
            else:
                self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def _drip(self, body: bytes) -> None:
        for at in range(len(body)):
            self.wfile.write(body[at : at + 1])
            self.wfile.flush()
            self.proxy.wait(_DRIP_S)

    def _reset(self) -> None:
        """End the connection with a reset instead of a farewell."""
        self.close_connection = True
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


def _flip(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
