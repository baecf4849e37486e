"""How a connection begins: a PROXY header, TLS, or plain HTTP, told by its first bytes.

They are looked at in the kernel (MSG_PEEK), so that whoever gets the connection reads them as if nobody had. Only a
PROXY header is taken out: it is not for the protocol above.
"""

import asyncio
import socket

import msgspec

from appliance.errors import Invalid
from appliance.http.proxy import FIXED, SIGNATURE, Origin, TrustedProxies, length_of, parse_header

_TLS = 0x16  # the record type of a handshake (RFC 8446, 5.1)
_PIECE = 65_536
PLAIN_CURE = "this port speaks plain HTTP: give the client http:// (scr trust), or set tls_certificate and tls_key"
USE_HTTP = "this registry speaks plain HTTP on this port, and TLS came; use http:// in the address (scr trust)"
_USE_HTTPS = (
    "This registry speaks HTTPS on this port, and plain HTTP came. Use https:// in the address; for docker, take the"
    " registry out of insecure-registries and make its certificate known (scr trust docker)."
)


class Greeting(msgspec.Struct, frozen=True):
    """What a connection wants to speak, and where it really comes from."""

    is_tls: bool
    origin: Origin | None = None


class Turned(msgspec.Struct, frozen=True):
    """Why a connection is not served; `text` is answered where the client can read it."""

    name: str = ""  # of the line in the log; "" for a client that just left
    cure: str = ""
    text: str = ""

    async def answer(self, arrived: socket.socket, linger_s: float) -> None:
        """Send the text, and read what still comes for up to `linger_s` seconds, so that it reaches the client."""
        if not self.text:
            return
        loop = asyncio.get_running_loop()
        body = (self.text + "\n").encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        await loop.sock_sendall(arrived, head.encode() + body)
        arrived.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(linger_s):
            while await loop.sock_recv(arrived, _PIECE):
                continue


class Greets(msgspec.Struct, frozen=True):
    """What a listener takes."""

    trusted: TrustedProxies
    has_tls: bool
    has_plain: bool

    async def look(self, arrived: socket.socket) -> Greeting | Turned:
        """Return how the connection begins, or why it is turned away. Raises OSError when the client leaves."""
        peer = str(arrived.getpeername()[0])
        origin = None
        first = await _peek(arrived)
        if first == SIGNATURE[:1]:
            if not self.trusted.trusts(peer):
                return Turned("proxy.untrusted", "add the address to trusted_proxies if it is your proxy")
            try:
                origin = await _proxied(arrived)
            except Invalid as error:
                return Turned("proxy.header_refused", error.message)
            first = await _peek(arrived)
        if not first:
            return Turned()
        return self._judge(first, origin)

    def _judge(self, first: bytes, origin: Origin | None) -> Greeting | Turned:
        is_tls = first[0] == _TLS
        if is_tls and not self.has_tls:
            return Turned("tls.on_plain_port", PLAIN_CURE, USE_HTTP)
        if is_tls or self.has_plain:
            return Greeting(is_tls, origin)
        if not first.isalpha():
            return Turned("tls.unreadable", "the client speaks neither TLS nor HTTP")
        return Turned("http.on_tls_port", "give the client https:// and the certificate (scr trust)", _USE_HTTPS)


async def _proxied(arrived: socket.socket) -> Origin | None:
    """Take the PROXY header out of the connection. Raises Invalid."""
    fixed = await _exactly(arrived, FIXED)
    return parse_header(fixed, await _exactly(arrived, length_of(fixed)))


async def _exactly(arrived: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        piece = await asyncio.get_running_loop().sock_recv(arrived, size - len(parts))
        if not piece:
            raise Invalid("the connection ended within the PROXY header")
        parts += piece
    return bytes(parts)


async def _peek(arrived: socket.socket) -> bytes:
    """Return the first byte and leave it there; b"" when the client closed."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            return arrived.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            readable: asyncio.Future[None] = loop.create_future()
            loop.add_reader(arrived.fileno(), _wake, readable)
            try:
                await readable
            finally:
                loop.remove_reader(arrived.fileno())


def _wake(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)
