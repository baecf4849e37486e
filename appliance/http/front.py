"""The one ASGI entry: client address, which registry, who calls; `/v2` to the distribution API, the rest to Litestar.

Each is somebody else's decision (`entrance.py`, `callers.py`) and falls before anything is routed.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from appliance.domain.admission import Site, split_host
from appliance.errors import Invalid, PageUnknown, ScrError, Unauthorized
from appliance.http.admit import OPERATOR
from appliance.http.agent import agent_of
from appliance.http.api import problem
from appliance.http.callers import Callers, is_registry_path
from appliance.http.door import Door
from appliance.http.entrance import Entrance
from appliance.http.noting import Noting, is_base
from appliance.http.proxy import TrustedProxies
from appliance.http.v2 import problems
from appliance.http.v2.app import DistributionApi
from appliance.http.v2.call import Receive, Scope, Send
from appliance.http.v2.token import TokenApi

_READING = ("GET", "HEAD")
_OLD = "/v1/"

AsgiApp = Callable[[Any, Any, Any], Any]
Fields = dict[bytes, bytes]


class Front:
    """Dispatches requests. What the parts consult may change while they run."""

    def __init__(
        self,
        api: DistributionApi,
        tokens: TokenApi,
        management: AsgiApp,
        noting: Noting,
        callers: Callers,
        site: Site,
        entrance: Entrance,
        trusted: TrustedProxies | None = None,
    ) -> None:
        """Let in whom `entrance` lets in; the operator's door serves `site`."""
        self.api = api
        self.tokens = tokens
        self.management = management
        self.noting = noting
        self.callers = callers
        self.site = site
        self.entrance = entrance
        self._trusted = TrustedProxies() if trusted is None else trusted  # an empty one is filled later

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path: str = scope["path"]
        headers: Fields = scope["scr.headers"]
        door: Door = scope["state"]["door"]
        if path.startswith("/health/"):  # probes know no password, call by any name, and learn nothing
            await self.management(scope, receive, send)
            return
        is_registry = is_registry_path(path)
        is_reading = scope["method"] in _READING
        site = caller = None
        try:
            if path.startswith(_OLD):  # asked by skopeo and podman where /v2/ fails: any other answer hides why it did
                raise PageUnknown("this registry speaks version 2 of the API; upgrade the client")
            if door.is_control:
                caller, site = OPERATOR, self.site
            else:
                host = headers.get(b"host", b"")
                address = self._address(scope, host)
                site = self.entrance.admit(door, host, address, is_registry=is_registry, is_reading=is_reading)
                caller = await self.callers.find(scope, address, site)
            if len(path) < 5 and is_base(path):  # hot: nearly every path is longer
                self.noting.login(scope, caller, site)
        except ScrError as error:
            self.noting.refusal(error, scope, caller, site)
            await self._refuse(scope, send, error, site or self.site)
            return
        if not is_reading:  # the record of a change names the program too
            caller = msgspec.structs.replace(caller, client=agent_of(headers))
        if is_registry:
            await (self.tokens if path == "/token" else self.api)(scope, receive, send, caller, site)
        else:
            scope["scr.caller"], scope["scr.site"], scope["scr.callers"] = caller, site, self.callers
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
        scope["scr.is_forwarded"] = True
        address = self._trusted.client_of(peer, told)
        scope["client"] = address, scope["client"][1]
        return address

    async def _refuse(self, scope: Scope, send: Send, error: ScrError, site: Site) -> None:
        """Answer before anything was routed, in the form of the API that was asked. The connection drops the body."""
        is_registry = is_registry_path(scope["path"])
        status, headers, body = problems.answer_to(error) if is_registry else problem.answer_to(error)
        if isinstance(error, Unauthorized):
            headers += self.callers.challenger.headers(scope, site, error)
        if is_registry:
            headers.append((b"docker-distribution-api-version", b"registry/2.0"))
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def is_own_address(host: str, server: tuple[str, int], scheme: str) -> bool:
    """Whether a Host is only where we listen, as a proxy calls us, and no name or address that clients know."""
    name, port = split_host(host)
    return (port or (443 if scheme == "https" else 80)) == server[1] and name in ("localhost", server[0])
