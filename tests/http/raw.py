"""A client of nothing but bytes: what is sent is what the test wrote, and answers are read as far as they go."""

import select
import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec

from tests.make.server import Server

PATIENCE_S = 30  # far more than any answer takes; a hang is a failure


class Answer(msgspec.Struct, frozen=True):
    """One answer. Header names are lower-case; the last of a repeated one counts."""

    status: int
    headers: dict[str, str]
    body: bytes


class Raw:
    """A connection to a server."""

    def __init__(self, server: Server, connected: socket.socket | None = None, *, source: str = "127.0.0.1") -> None:
        """Connect to `server` from the address `source`, or speak over `connected`."""
        host, _, port = server.address.rpartition(":")
        self.socket = connected or socket.create_connection((host, int(port)), PATIENCE_S, (source, 0))
        self.host = server.address
        self._left = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send `data`; `{host}` in it is the server's address."""
        self.socket.sendall(data.replace(b"{host}", self.host.encode()))

    def ask(self, data: bytes) -> Answer:
        """Send `data` and read one answer."""
        self.send(data)
        return self.read()

    def read(self, *, is_head: bool = False) -> Answer:
        """Read one answer with a length. Raises AssertionError when the connection ends before its end."""
        head = self._until(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = int(first.split(" ")[1])
        length = 0 if is_head or status in (100, 204, 304) else int(headers.get("content-length", "0"))
        while len(self._left) < length:
            self._more()
        body, self._left = self._left[:length], self._left[length:]
        return Answer(status, headers, body)

    def rest(self) -> bytes:
        """Return what comes until the server closes; b"" when it closes at once. Raises ConnectionResetError."""
        parts = [self._left]
        while piece := self.socket.recv(65536):
            parts.append(piece)
        self._left = b""
        return b"".join(parts)

    def is_ended(self) -> bool:
        """Wait until the server ends the connection, by whatever means, and return whether it sent nothing more."""
        try:
            return self.rest() == b""
        except ConnectionError:
            return True

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._left:
            self._more()
        found, _, self._left = self._left.partition(mark)
        return found

    def _more(self) -> None:
        piece = self.socket.recv(65536)
        assert piece, f"the server closed after {self._left[:500]!r}"
        self._left += piece


def wait_until(is_so: Callable[[], bool]) -> None:
    """Return once `is_so`. Raises AssertionError when that takes too long."""
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, "it did not happen"
        select.select([], [], [], 0.02)


def wait_for_line(server: Server, text: str) -> str:
    """Return the first line of the server's log that holds `text`, once it is there."""
    wait_until(lambda: any(text in line for line in server.log))
    return next(line for line in server.log if text in line)
