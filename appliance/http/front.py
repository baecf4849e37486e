"""The one ASGI entry: client address, which registry, who calls; `/v2` to the distribution API, the rest to Litestar.

Host and Origin are judged here, before anything is routed: a page from elsewhere in a browser on this machine must not
reach what needs no password (DESIGN 4, "Browsers").
"""

from collections.abc import Callable
from typing import Any

import msgspec

from appliance.domain.admission import Arrival, Caller, Site, admit_open, split_host
from appliance.errors import Denied, Invalid, PageUnknown, ScrError, Unauthorized
from appliance.http.admit import OPERATOR, Doorkeeper
from appliance.http.agent import agent_of
from appliance.http.api import problem
from appliance.http.door import Door
from appliance.http.entrance import Entrance
from appliance.http.noting import Noting, is_base
from appliance.http.proxy import TrustedProxies
from appliance.http.v2 import problems
from appliance.http.v2.app import DistributionApi
from appliance.http.v2.call import Receive, Scope, Send

_FORWARDING = (b"forwarded", b"via", b"x-real-ip")
_SAME = (b"same-origin", b"none")
_REMEMBERED = 1000  # header names and arrivals; they are few, and whoever sends many pays for it alone
_CHALLENGE = (b"www-authenticate", b'Basic realm="scr"')
_READING = ("GET", "HEAD")
_OLD = "/v1/"
_REGISTRY_PATHS = ("/v2", "/token")
_NO_BROWSER_PATHS = ("/v2", "/api", "/token", "/metrics")

AsgiApp = Callable[[Any, Any, Any], Any]
Fields = dict[bytes, bytes]


class Front:
    """Dispatches requests. What it consults can be replaced while running, by `consult`."""

    def __init__(
        self,
        api: DistributionApi,
        management: AsgiApp,
        noting: Noting,
        doorkeeper: Doorkeeper,
        site: Site,
        entrance: Entrance,
        trusted: TrustedProxies | None = None,
    ) -> None:
        """Let in whom `entrance` lets in; the operator's door serves `site`."""
        self.api = api
        self.management = management
        self.noting = noting
        self.site = site
        self.entrance = entrance
        self._harmless: set[bytes] = set()  # names of headers that say nothing about forwarding
        self.consult(doorkeeper, trusted or TrustedProxies())

    def consult(self, doorkeeper: Doorkeeper, trusted: TrustedProxies) -> None:
        """Consult these from the next request on."""
        self.doorkeeper = doorkeeper
        self._trusted = trusted
        self._callers: dict[Arrival, Caller] = {}  # of open mode

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path: str = scope["path"]
        headers: Fields = scope["scr.headers"]
        door: Door = scope["state"]["door"]
        if path.startswith("/health/"):  # probes know no password, call by any name, and learn nothing
            await self.management(scope, receive, send)
            return
        is_v2 = path.startswith("/v2/") or path == "/v2"
        site = caller = None
        try:
            if path.startswith(_OLD):  # asked by skopeo and podman where /v2/ fails: any other answer hides why it did
                raise PageUnknown("this registry speaks version 2 of the API; upgrade the client")
            if door.is_control:
                caller, site = OPERATOR, self.site
            else:
                host = headers.get(b"host", b"")
                address = self._address(scope, host)
                site = self.entrance.admit(door, host, address, is_registry=is_v2 or path in _REGISTRY_PATHS)
                caller = await self._caller(scope, headers, door, host, address)
            if is_base(path):
                self.noting.login(scope, caller, site)
        except ScrError as error:
            self.noting.refusal(error, scope, caller, site)
            await _refuse(scope, send, error, has_challenge=not door.is_beside_tls)
            return
        if scope["method"] not in _READING:  # the record of a change names the program too
            caller = msgspec.structs.replace(caller, client=agent_of(headers))
        if is_v2:
            await self.api(scope, receive, send, caller, site)
        else:
            scope["scr.caller"], scope["scr.site"] = caller, site
            await self.management(scope, receive, send)

    def _address(self, scope: Scope, host: bytes) -> str:
        """Return the address that the client really has, and put it where others look. Raises Invalid."""
        peer: str = scope["client"][0]
        if not self._trusted.trusts(peer):
            return peer
        told = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        if told and is_own_address(host.decode("latin-1"), scope["server"], scope["scheme"]):
            # as nginx does unless it is told otherwise: then it passes on an X-Forwarded-For of the client's own making
            raise Invalid(
                "the proxy does not pass on the Host that clients call, so its X-Forwarded-For is not believed; let it"
                " set both (nginx: proxy_set_header, Apache: ProxyPreserveHost On)"
            )
        address = self._trusted.client_of(peer, told)
        scope["client"] = address, scope["client"][1]
        return address

    async def _caller(self, scope: Scope, headers: Fields, door: Door, host: bytes, peer: str) -> Caller:
        authorization = headers.get(b"authorization")
        if self.doorkeeper.is_open:
            caller = self._open_caller(scope, headers, door, host, peer)
            if authorization is None:
                return caller
        if door.is_beside_tls:
            raise Unauthorized("plain HTTP is for anonymous pulls here; sign in with https:// in the address")
        if authorization is None:
            raise Unauthorized("sign in first: docker login with a user and password of this registry")
        return await self.doorkeeper.know(authorization, peer)

    def _open_caller(self, scope: Scope, headers: Fields, door: Door, host: bytes, peer: str) -> Caller:
        """Return the administrator of zero configuration. Raises Denied for what may come from elsewhere."""
        if (b"origin" in headers or b"sec-fetch-site" in headers) and not is_same_origin(
            headers, scope["method"], scope["path"], is_tls=door.is_tls
        ):
            raise Denied("a page of another site may not use this registry through your browser")
        local, port = scope["server"]
        is_forwarded = not (headers.keys() <= self._harmless) and self._says_forwarded(headers)
        arrival = Arrival(peer, local, port, host.decode("latin-1"), scope["http_version"], is_forwarded)
        caller = self._callers.get(arrival)
        if caller is None:
            caller = admit_open(arrival)
            if len(self._callers) >= _REMEMBERED:
                self._callers.clear()
            self._callers[arrival] = caller
        return caller

    def _says_forwarded(self, headers: Fields) -> bool:
        """Whether any header says that a proxy is in between; remembers the names that do not."""
        if any(name in _FORWARDING or name.startswith(b"x-forwarded") for name in headers):
            return True
        if len(self._harmless) >= _REMEMBERED:
            self._harmless.clear()
        self._harmless.update(headers)
        return False


def is_own_address(host: str, server: tuple[str, int], scheme: str) -> bool:
    """Whether a Host is only where we listen, as a proxy calls us, and no name or address that clients know."""
    name, port = split_host(host)
    return (port or (443 if scheme == "https" else 80)) == server[1] and name in ("localhost", server[0])


def is_same_origin(headers: Fields, method: str, path: str, *, is_tls: bool) -> bool:
    """Whether a request in a browser comes from our own pages, or from no page at all (DESIGN 4, "Browsers")."""
    site = headers.get(b"sec-fetch-site")
    origin = headers.get(b"origin")
    if site in _SAME or (site is None and origin is None):
        return True
    own = (b"https://" if is_tls else b"http://") + headers.get(b"host", b"")
    if site is None and origin == own:
        return True
    is_page = not path.startswith(_NO_BROWSER_PATHS)
    return method == "GET" and headers.get(b"sec-fetch-mode") == b"navigate" and is_page


async def _refuse(scope: Scope, send: Send, error: ScrError, *, has_challenge: bool) -> None:
    """Answer before anything was routed, in the form of the API that was asked. The connection drops the body."""
    path: str = scope["path"]
    is_v2 = path.startswith("/v2/") or path == "/v2"
    status, headers, body = problems.answer_to(error) if is_v2 else problem.answer_to(error)
    if isinstance(error, Unauthorized) and has_challenge:
        headers.append(_CHALLENGE)
    if is_v2:
        headers.append((b"docker-distribution-api-version", b"registry/2.0"))
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
