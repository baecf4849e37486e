"""One request and its answer: the ASGI server's cycle with a `send` of our own.

It writes head and body in one system call: two writes wake the client twice, which on a small answer costs as much as
all the rest of the request together (a GET of a manifest: 14 000 a second with two writes, 24 000 with one). Figures:
docs/decisions/0003.
"""

import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

JOIN = 64 << 10  # bytes; a body up to this size is copied behind its head, a larger one is written as it is
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


class Cycle(RequestResponseCycle):
    """Answers one request. Bodies have a length or end with the connection's chunks, as in the base class."""

    _head = b""

    async def send(self, message: Any) -> None:  # noqa: ANN401 - ASGI's own loosely typed messages
        """Take one ASGI message of the answer. Raises RuntimeError for an answer that would break the framing."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            self._start(message)
        elif self.response_complete:
            raise RuntimeError("the answer is complete already")
        else:
            self._body(message.get("body", b""), more=message.get("more_body", False))

    def _start(self, message: Any) -> None:  # noqa: ANN401
        """Build the head; it is written with the first piece of the body."""
        self.response_started = True
        self.waiting_for_100_continue = False
        status: int = message["status"]
        parts = [_STATUS_LINES[status], b"date: ", _date(), b"\r\n"]
        is_told_to_close = False
        for spelled, value in message["headers"]:
            name = spelled.lower()
            if name == b"content-length":
                self.expected_content_length = int(value)
                self.chunked_encoding = False
            elif name == b"connection" and value.lower() == b"close":
                self.keep_alive = False
                is_told_to_close = True
            parts += (name, b": ", value, b"\r\n")
        lines = (len(parts) - 4) // 4 + 2
        if not self.keep_alive and not is_told_to_close:
            parts.append(b"connection: close\r\n")
            lines += 1
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in (204, 304):
            self.chunked_encoding = True
            parts.append(b"transfer-encoding: chunked\r\n")
            lines += 1
        parts.append(b"\r\n")
        head = b"".join(parts)
        if head.count(b"\n") != lines + 1 or head.count(b"\r") != lines + 1 or b"\0" in head:
            self.keep_alive = False
            raise RuntimeError("a header of the answer holds a line break")
        self._head = head

    def _body(self, body: bytes | memoryview, *, more: bool) -> None:
        """Write a piece, with the head in front of the first one; end the answer after the last one."""
        head, self._head = self._head, b""
        size = len(body)
        if self.scope["method"] == "HEAD":
            self.expected_content_length = size = 0
            body = b""
        elif self.chunked_encoding:
            body = _chunked(body, is_last=not more)
        elif size > self.expected_content_length:
            raise RuntimeError("the answer is longer than its Content-Length")
        else:
            self.expected_content_length -= size
        self._write(head, body)
        if more:
            return
        if self.expected_content_length and not self.chunked_encoding and self.scope["method"] != "HEAD":
            raise RuntimeError("the answer is shorter than its Content-Length")
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _write(self, head: bytes, body: bytes | memoryview) -> None:
        """Write both, in one piece where copying the body costs less than a second system call."""
        if head and len(body) <= JOIN:
            self.transport.write(head + body)
            return
        for part in (head, body):
            if part:
                self.transport.write(part)


def _chunked(body: bytes | memoryview, *, is_last: bool) -> bytes:
    """Return `body` as a chunk, and the end of the chunks behind the last one (RFC 9112, 7.1)."""
    chunk = b"%x\r\n%b\r\n" % (len(body), bytes(body)) if len(body) else b""
    return chunk + b"0\r\n\r\n" if is_last else chunk


_dated: tuple[int, bytes] = (0, b"")


def _date() -> bytes:
    """Return the Date header's value (RFC 9110, 6.6.1), made once a second."""
    global _dated  # noqa: PLW0603 - a cache of one value, used on the loop only
    now = int(time.time())
    if _dated[0] != now:
        _dated = (now, formatdate(now, usegmt=True).encode())
    return _dated[1]
