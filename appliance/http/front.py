"""The one ASGI entry: client address, which registry, who calls; `/v2` to the distribution API, the rest to Litestar.

Host and Origin are judged here, before anything is routed: a page from elsewhere in a browser on this machine must not
reach what needs no password (DESIGN 4, "Browsers").
"""

from collections.abc import Callable
from typing import Any

import msgspec

from appliance.domain.admission import Arrival, Caller, Site, is_loopback, split_host
from appliance.errors import Denied, Misdirected, ScrError, Unauthorized
from appliance.http.admit import OPERATOR, Doorkeeper
from appliance.http.v2.app import DistributionApi
from appliance.http.v2.call import Receive, Scope, Send
from appliance.http.v2.problems import answer_to

_FORWARDED = frozenset(
    {b"forwarded", b"via", b"x-real-ip", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"}
)
_SAME = (b"same-origin", b"none")

AsgiApp = Callable[[Any, Any, Any], Any]


class Door(msgspec.Struct, frozen=True):
    """A listener as a request sees it; `listen.py` puts it into the connection's state."""

    name: str
    is_control: bool = False
    is_tls: bool = False
    is_beside_tls: bool = False  # plain HTTP on a port that speaks TLS too: never a cookie, a token or a challenge
    site: Site | None = None  # a registry of its own


class Front:
    """Dispatches requests. What it consults can be replaced while running."""

    def __init__(
        self, api: DistributionApi, management: AsgiApp, doorkeeper: Doorkeeper, site: Site, names: frozenset[str]
    ) -> None:
        """Serve `site` (the default registry) to Hosts that are addresses, localhost or one of `names`."""
        self.api = api
        self.management = management
        self.doorkeeper = doorkeeper
        self.site = site
        self.names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; lifespan goes to Litestar."""
        if scope["type"] != "http":
            await self.management(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        scope["scr.headers"] = headers
        path: str = scope["path"]
        is_v2 = path.startswith("/v2/") or path == "/v2"
        door: Door = scope["state"]["door"]
        try:
            site = door.site or self._site(headers.get(b"host", b""), door)
            if path.startswith("/health/"):  # probes know no password and learn nothing
                await self.management(scope, receive, send)
                return
            caller = await self._caller(scope, headers, door, path)
        except ScrError as error:
            await _refuse(send, error, is_head=scope["method"] == "HEAD")
            return
        if is_v2:
            await self.api(scope, receive, send, caller, site)
        else:
            scope["scr.caller"], scope["scr.site"] = caller, site
            await self.management(scope, receive, send)

    def _site(self, host: bytes, door: Door) -> Site:
        """Return the registry a Host means. Raises Misdirected."""
        if door.is_control:
            return self.site
        name, _ = split_host(host.decode("latin-1"))
        if name in self.names or name == "localhost" or _is_address(name):
            return self.site
        raise Misdirected(f"no registry is called {name[:100]!r} here; add the name to [server] names in scr.toml")

    async def _caller(self, scope: Scope, headers: dict[bytes, bytes], door: Door, path: str) -> Caller:
        if door.is_control:
            return OPERATOR
        peer, _ = scope["client"] or ("", 0)
        local, port = scope["server"] or ("", 0)
        if self.doorkeeper.is_open and not is_same_origin(headers, scope, path, is_tls=door.is_tls):
            raise Denied("a page of another site may not use this registry through your browser")
        arrival = Arrival(
            peer=peer,
            local=local,
            local_port=port or 0,
            host=headers.get(b"host", b"").decode("latin-1"),
            http_version=scope["http_version"],
            forwarded=not _FORWARDED.isdisjoint(headers),
        )
        return await self.doorkeeper.know(arrival, headers.get(b"authorization", b""))


def is_same_origin(headers: dict[bytes, bytes], scope: Scope, path: str, *, is_tls: bool) -> bool:
    """Whether a request in a browser comes from our own pages, or from no page at all (DESIGN 4, "Browsers")."""
    site = headers.get(b"sec-fetch-site")
    origin = headers.get(b"origin")
    if site is None and origin is None:
        return True  # no browser
    if site in _SAME:
        return True
    own = (b"https://" if is_tls else b"http://") + headers.get(b"host", b"")
    if site is None and origin == own:
        return True
    is_page = not path.startswith(("/v2", "/api", "/token", "/metrics"))
    return scope["method"] == "GET" and headers.get(b"sec-fetch-mode") == b"navigate" and is_page


def _is_address(name: str) -> bool:
    return is_loopback(name) or ":" in name or name.replace(".", "").isdigit()


async def _refuse(send: Send, error: ScrError, *, is_head: bool) -> None:
    """Answer before anything was routed; the connection ends, for the body was not read."""
    status, headers, body = answer_to(error)
    if isinstance(error, Unauthorized):
        headers.append((b"www-authenticate", b'Basic realm="scr"'))
    headers += [(b"content-length", b"%d" % len(body)), (b"docker-distribution-api-version", b"registry/2.0")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else body})
