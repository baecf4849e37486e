"""What a request's head may not be: everything that llhttp lets through and another parser may read otherwise."""

from http import HTTPStatus
from typing import NoReturn

from appliance.http.v2.problems import body_of

# headers that say one thing: twice is two readings, and who reads the other one is fooled (RFC 9110, 5.3)
_SINGLE = frozenset(
    b"host authorization content-range content-type expect if-range origin range sec-fetch-site sec-fetch-mode".split()
)

Fields = dict[bytes, bytes]
Headers = list[tuple[bytes, bytes]]


class Refused(Exception):
    """A request that is not served, with the status that says why."""

    def __init__(self, status: int, message: str) -> None:
        """Keep both for the answer."""
        super().__init__(message)
        self.status = status
        self.message = message

    def answer(self, url: bytes) -> bytes:
        """Return the whole answer, after which the connection ends; in the form of the API that `url` belongs to."""
        is_v2 = url.startswith(b"/v2")
        body = body_of("UNSUPPORTED", self.message) if is_v2 else f"{self.message}\n".encode()
        kind = "application/json" if is_v2 else "text/plain; charset=utf-8"
        head = (
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\ncontent-type: {kind}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        return head.encode() + body


def check_head(version: str, headers: Headers, fields: Fields) -> None:
    """Check a head that the parser took; `fields` are its `headers` by name. Raises Refused."""
    if version not in ("1.1", "1.0"):
        _refuse(505, f"HTTP/{version} is not spoken here; use HTTP/1.1")
    if len(fields) != len(headers):
        names = [name for name, _ in headers]
        for name in _SINGLE & fields.keys():
            if names.count(name) > 1:
                _refuse(400, f"the header {name.decode()} is there twice; send it once")
    if b"host" not in fields and version == "1.1":
        _refuse(400, "the Host header is missing")
    encoding = fields.get(b"transfer-encoding")
    if encoding is not None and (version == "1.0" or encoding.lower() != b"chunked"):
        _refuse(501, "Transfer-Encoding may only be chunked")
    expected = fields.get(b"expect")
    if expected is not None and expected.lower() != b"100-continue":
        _refuse(417, "Expect may only be 100-continue")


def target_of(url: bytes, fields: Fields) -> bytes:
    """Return path and query of a request's target. Raises Refused.

    The absolute form counts only for the Host it came with. Spec: RFC 9112, 3.2.2.
    """
    if not url.startswith(b"/") and url != b"*":
        _, mark, rest = url.partition(b"://")
        authority, slash, path = rest.partition(b"/")
        if not mark or authority.lower() != fields.get(b"host", b"").lower():
            _refuse(400, "scr is no proxy; ask for a path, with the registry's name as Host")
        url = slash + path or b"/"
    if b"#" in url or not url.isascii():
        _refuse(400, "the address holds characters that have to be encoded")
    return url


def length_of(headers: Headers) -> int:
    """Return the bytes of `headers` on the wire."""
    return sum(len(name) + len(value) + 4 for name, value in headers)


def _refuse(status: int, message: str) -> NoReturn:
    raise Refused(status, message)
