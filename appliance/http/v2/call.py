"""One request of the distribution API: scope, receive and send as a `Call`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from appliance.domain.admission import Caller, Site
from appliance.errors import QueryInvalid, SizeInvalid, TooLarge

Scope = MutableMapping[str, Any]  # ASGI's own loosely typed mapping; only this module and front.py look inside
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_DRAIN = (
    1 << 20
)  # bytes of an unwanted body that are read so that the answer reaches the client (Go's limit is 256 KiB)
_VERSION = (b"docker-distribution-api-version", b"registry/2.0")


class ClientLeft(Exception):
    """The connection ended before the request did."""


class Call:
    """What a handler sees of a request, and how it answers. One answer a call."""

    __slots__ = (
        "_body_done",
        "_receive",
        "_scope",
        "_send",
        "caller",
        "headers",
        "is_head",
        "is_started",
        "method",
        "query",
        "received",
        "sent",
        "site",
        "status",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, caller: Caller, site: Site) -> None:
        """Wrap an admitted request for the registry `site`."""
        self._scope = scope
        self._receive = receive
        self._send = send
        self._body_done = False
        self.caller = caller
        self.site = site
        self.method: str = scope["method"]
        self.is_head = self.method == "HEAD"
        self.is_started = False
        self.status = 0  # of the answer; 0: none yet
        self.sent = self.received = 0  # bytes of the bodies
        self.headers: dict[bytes, bytes] = scope["scr.headers"]
        self.query: bytes = scope["query_string"]

    @property
    def scope(self) -> Scope:
        """The request as ASGI has it, for what is answered by the front's own parts."""
        return self._scope

    def header(self, name: bytes) -> str:
        """Return the header `name` (lower case), "" when it is missing."""
        return self.headers.get(name, b"").decode("latin-1")

    def parameters(self) -> dict[str, list[str]]:
        """Return the query's parameters; those without a value too. Raises QueryInvalid."""
        if not self.query:
            return {}
        try:
            return parse_qs(self.query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=200)
        except ValueError as error:
            raise QueryInvalid("the query is not well formed; encode it as UTF-8 with %XX") from error

    def parameter(self, name: str) -> str | None:
        """Return the query parameter `name`, or None. Raises QueryInvalid when it stands there twice."""
        values = self.parameters().get(name)
        if values is not None and len(values) > 1:
            raise QueryInvalid(f"the query has {name} {len(values)} times; give it once")
        return values[0] if values else None

    def content_length(self) -> int | None:
        """Return the announced length of the body in bytes; None when it comes in chunks."""
        text = self.headers.get(b"content-length")
        if text is None:
            return None if b"transfer-encoding" in self.headers else 0
        return int(text)  # the HTTP parser has checked it

    async def pieces(self, limit: int | None = None) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Raises ClientLeft, and SizeInvalid after `limit` bytes."""
        total = 0
        while not self._body_done:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._body_done = True
                raise ClientLeft
            self._body_done = not message.get("more_body", False)
            piece: bytes = message.get("body", b"")
            total += len(piece)
            self.received += len(piece)
            if limit is not None and total > limit:
                raise SizeInvalid(f"more than the announced {limit} bytes came")
            if piece:
                yield piece

    async def body(self, limit: int) -> bytes:
        """Return the whole body, at most `limit` bytes. Raises TooLarge, ClientLeft."""
        length = self.content_length()
        too_large = TooLarge(
            f"the body has more than {limit} bytes; a manifest may have that many ([limits] manifest_bytes)"
        )
        if length is not None and length > limit:
            raise too_large
        parts: list[bytes] = []
        size = 0
        async for piece in self.pieces():
            size += len(piece)
            if size > limit:
                raise too_large
            parts.append(piece)
        return b"".join(parts)

    async def reply(self, status: int, headers: Iterable[tuple[bytes, bytes]] = (), body: bytes = b"") -> None:
        """Answer whole. `headers` need not hold the length; HEAD gets the headers only."""
        self.is_started = True
        self.status = status
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [_VERSION, (b"content-length", b"%d" % len(body)), *headers],
            },
        )
        if self.is_head:
            body = b""
        self.sent = len(body)
        await self._send({"type": "http.response.body", "body": body})

    async def reply_empty(self, status: int, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Answer without a body (204 and 304 carry no length)."""
        self.is_started = True
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": [_VERSION, *headers]})
        await self._send({"type": "http.response.body", "body": b""})

    async def begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Begin an answer whose body follows by `send`; `headers` must hold its length."""
        self.is_started = True
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": [_VERSION, *headers]})

    async def send(self, piece: bytes | memoryview, *, more: bool) -> None:
        """Send a piece of the body; waits while the client does not keep up."""
        self.sent += len(piece)
        await self._send({"type": "http.response.body", "body": piece, "more_body": more})

    def is_lost(self) -> bool:
        """Whether the connection is gone, so that sending more is in vain."""
        transport = self._scope["state"]["transport"]
        return transport is not None and transport.is_closing()

    async def drain(self) -> bool:
        """Read what is left of a small body, so that the client gets to the answer; False when too much is left."""
        length = self.content_length()
        if self._body_done or length == 0:
            return True
        if b"expect" in self.headers or (length is not None and length > _DRAIN):
            return False
        left = _DRAIN
        async for piece in self.pieces():
            left -= len(piece)
            if left < 0:
                return False
        return True
