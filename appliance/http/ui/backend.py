"""The management API as the pages use it: asked inside the process, as the very caller that looks at the page.

So a page shows and does exactly what the API lets its viewer see and do, and says what the API says; nothing of access,
validation or wording is decided a second time.
"""

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlencode

import msgspec

Shape = TypeVar("Shape")
Scope = MutableMapping[str, Any]
AsgiApp = Callable[[Any, Any, Any], Any]
_SHARED = ("asgi", "http_version", "scheme", "server", "client")  # of the browser's request, the same for the API's


class Refused(Exception):
    """What the API said instead: its status, the stable name of the problem, and the sentence for the person."""

    def __init__(self, status: int, name: str, detail: str) -> None:
        """Keep what the page shows."""
        super().__init__(detail)
        self.status = status
        self.name = name
        self.detail = detail


class Reply(msgspec.Struct, frozen=True):
    """An answer of the API. Header names are lower-case; `cookies` are whole `Set-Cookie` values."""

    status: int
    headers: dict[str, str]
    cookies: tuple[str, ...]
    body: bytes

    @property
    def etag(self) -> str:
        """The revision of what was shown, for `If-Match`."""
        return self.headers.get("etag", "")


class _Problem(msgspec.Struct):
    type: str = ""
    detail: str = ""


class Backend:
    """Asks the API for one request of a browser."""

    def __init__(self, app: AsgiApp, scope: Scope) -> None:
        """Ask `app` as the caller that the front admitted to `scope`."""
        self._app = app
        self._scope = scope

    async def get(self, path: str, shape: type[Shape], /, **query: object) -> Shape:
        """Return what a GET gives, as `shape`; parameters that are None or "" are left out. Raises Refused."""
        return msgspec.json.decode((await self.ask("GET", address(path, **query))).body, type=shape)

    async def find(self, path: str, shape: type[Shape], /, **query: object) -> tuple[Shape, str]:
        """Return the same with its ETag. Raises Refused."""
        reply = await self.ask("GET", address(path, **query))
        return msgspec.json.decode(reply.body, type=shape), reply.etag

    async def send(self, method: str, path: str, order: object = None, *, if_match: str = "") -> None:
        """Change something. Raises Refused."""
        await self.ask(method, path, order, if_match=if_match)

    async def make(self, method: str, path: str, order: object, shape: type[Shape]) -> Shape:
        """Change something and return the answer as `shape`. Raises Refused."""
        return msgspec.json.decode((await self.ask(method, path, order)).body, type=shape)

    async def ask(self, method: str, path: str, order: object = None, *, if_match: str = "") -> Reply:
        """Return the answer to one request. Raises Refused for anything from 400 on."""
        body = b"" if order is None else msgspec.json.encode(order)
        reply = await self._exchange(method, path, body, if_match)
        if reply.status >= 400:
            try:
                problem = msgspec.json.decode(reply.body, type=_Problem)
            except msgspec.DecodeError:
                problem = _Problem()
            name = problem.type.rpartition(":")[2]
            raise Refused(reply.status, name, problem.detail or f"the answer was {reply.status}")
        return reply

    async def _exchange(self, method: str, path: str, body: bytes, if_match: str) -> Reply:
        sent: list[MutableMapping[str, Any]] = []
        parts: list[bytes] = []

        bodies, is_whole = [body], asyncio.Event()

        async def receive() -> MutableMapping[str, Any]:
            if bodies:
                return {"type": "http.request", "body": bodies.pop(), "more_body": False}
            await is_whole.wait()  # who asks again waits for us to leave, and we stay until the answer is whole
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                sent.append(message)
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    is_whole.set()

        await self._app(self._scope_of(method, path, body, if_match), receive, send)
        told = [(name.decode().lower(), value.decode()) for name, value in sent[0]["headers"]]
        cookies = tuple(value for name, value in told if name == "set-cookie")
        return Reply(sent[0]["status"], dict(told), cookies, b"".join(parts))

    def _scope_of(self, method: str, path: str, body: bytes, if_match: str) -> Scope:
        """Return the scope of a request of ours: the browser's connection and caller, none of its headers but who."""
        headers = [(b"host", self._scope["scr.headers"].get(b"host", b"")), (b"accept", b"application/json")]
        if agent := self._scope["scr.headers"].get(b"user-agent"):
            headers.append((b"user-agent", agent))
        if body:
            headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        if if_match:
            headers.append((b"if-match", if_match.encode()))
        raw, _, query = path.partition("?")
        return {
            **{name: self._scope[name] for name in _SHARED},
            **{name: value for name, value in self._scope.items() if name.startswith("scr.")},
            "type": "http",
            "method": method,
            "path": unquote(raw),
            "raw_path": raw.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": headers,
            "scr.headers": dict(headers),
            "state": {"door": self._scope["state"]["door"]},
        }


def address(path: str, /, **query: object) -> str:
    """Return `path` with those parameters that are not None or ""; switches as the API writes them."""
    told = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in query.items()
        if value is not None and value != ""
    }
    return f"{path}?{urlencode(told, doseq=True)}" if told else path


def within(*segments: str) -> str:
    """Return the path below `/api/v1` of these segments, each encoded whole."""
    return "/api/v1/" + "/".join(quote(segment, safe="") for segment in segments)
