"""One kept-alive HTTP/1.1 connection of the load generator: as little work for a request as Python allows."""

import re
import socket
import ssl
import time
from collections.abc import Iterable

from tests.bench.jobs import Where

_BUFFER = 256 << 10  # bytes; stays in the processor's cache, one read takes what a socket holds
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_LAST_CHUNK = b"0\r\n\r\n"  # no JSON of a registry ends like that
_TIMEOUT_S = 900.0  # closing sixteen large uploads at once takes minutes


class Broken(Exception):
    """The connection ended, or what came is no answer."""


def context_of(where: Where) -> ssl.SSLContext | None:
    """Return what a TLS connection needs; None for plain HTTP."""
    return ssl.create_default_context(cafile=where.authority) if where.authority else None


class Exchange:
    """Send a request, read its answer whole, and again. Not for two threads at once."""

    __slots__ = (
        "_buffer",
        "_first_at",
        "_is_chunked",
        "_is_head",
        "_left",
        "_sent_at",
        "_tail",
        "body",
        "first_ms",
        "head",
        "size",
        "socket",
        "status",
        "total_ms",
    )

    def __init__(self, where: Where, context: ssl.SSLContext | None) -> None:
        """Connect. Raises OSError."""
        self.socket = socket.create_connection((where.host, where.port), timeout=_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname=where.host)
        self._buffer = memoryview(bytearray(_BUFFER))
        self.status = 0
        self.size = 0
        self.first_ms = self.total_ms = 0.0

    @property
    def cipher(self) -> str:
        """`TLSv1.3 TLS_AES_128_GCM_SHA256`, "" without TLS."""
        if not isinstance(self.socket, ssl.SSLSocket):
            return ""
        found = self.socket.cipher()
        return f"{found[1]} {found[0]}" if found else ""

    def send(self, request: bytes, *, is_head: bool = False) -> None:
        """Begin: send the bytes of a request, which is small or whose body follows by `send_body`."""
        self.head = self._tail = self.body = b""
        self.size = 0
        self._is_head = is_head
        self._is_chunked = False
        self._first_at = 0
        self._sent_at = time.perf_counter_ns()
        self.socket.sendall(request)

    def send_body(self, pieces: Iterable[memoryview]) -> None:
        """Send the body."""
        for piece in pieces:
            self.socket.sendall(piece)

    def send_vectors(self, vectors: list[bytes | memoryview]) -> None:
        """Send many pieces by one call of the system where it has one."""
        if isinstance(self.socket, ssl.SSLSocket):
            self.socket.sendall(b"".join(vectors))
            return
        sent = self.socket.sendmsg(vectors)
        if sent < sum(map(len, vectors)):
            self.socket.sendall(b"".join(vectors)[sent:])

    def receive(self) -> None:
        """Wait for the whole answer; for a blocking socket. Raises Broken, OSError."""
        while not self.advance():
            continue

    def advance(self) -> bool:
        """Read what is there; True when the answer is whole. Raises Broken, OSError."""
        while True:
            try:
                count = self.socket.recv_into(self._buffer)
            except (BlockingIOError, ssl.SSLWantReadError):
                return False
            if not count:
                raise Broken("the server hung up before the end of its answer")
            if not self._first_at:
                self._first_at = time.perf_counter_ns()
            if self._take(count):
                now = time.perf_counter_ns()
                self.first_ms = (self._first_at - self._sent_at) / 1e6
                self.total_ms = (now - self._sent_at) / 1e6
                return True

    def header(self, name: bytes) -> str:
        """Return a header of the answer, "" when it is missing."""
        found = re.search(rb"\r\n" + name + rb": *([^\r]*)", self.head, re.IGNORECASE)
        return found[1].decode() if found else ""

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def _take(self, count: int) -> bool:
        if not self.head:
            return self._take_head(bytes(self._buffer[:count]))
        self.size += count
        if self._is_chunked:
            self._tail = (self._tail + bytes(self._buffer[max(0, count - 8) : count]))[-8:]
            return self._tail.endswith(_LAST_CHUNK)
        self._left -= count
        return self._is_whole()

    def _take_head(self, arrived: bytes) -> bool:
        arrived = self._tail + arrived
        end = arrived.find(b"\r\n\r\n")
        if end < 0:
            self._tail = arrived
            return False
        head, rest = arrived[:end], arrived[end + 4 :]
        status = _STATUS.match(head)
        if status is None:
            raise Broken(f"this is no HTTP: {head[:80]!r}")
        self.head, self.status, self.size, self.body = head, int(status[1]), len(rest), rest
        if self._is_head or self.status in (204, 304):
            self._left = -len(rest)
            return self._is_whole()
        length = _LENGTH.search(head)
        if length is None and _CHUNKED.search(head):
            self._is_chunked = True
            self._tail = rest[-8:]
            return rest.endswith(_LAST_CHUNK)
        if length is None:
            raise Broken(f"the answer has no length: {head[:200]!r}")
        self._left = int(length[1]) - len(rest)
        return self._is_whole()

    def _is_whole(self) -> bool:
        if self._left < 0:
            raise Broken(f"the answer is {-self._left} bytes longer than it says")
        return self._left == 0
