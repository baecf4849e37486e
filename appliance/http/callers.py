"""Who calls, told by the whole request: open mode, Authorization, console cookie; and from which page in a browser.

Authority that is ambient (open mode, a cookie) counts for our own pages and for what is no browser only: a page from
elsewhere in a browser on this machine must not reach what needs no password (DESIGN 4, "Browsers").
"""

import hmac
from typing import Any

from appliance.domain.access import ANONYMOUS
from appliance.domain.accounts import Place
from appliance.domain.admission import Arrival, Caller, Site, admit_open
from appliance.errors import Denied, Unauthorized
from appliance.http.admit import Doorkeeper
from appliance.http.challenge import PLAIN_ONLY, Challenger
from appliance.http.v2.call import Scope
from appliance.services.first_link import FirstLink

_FORWARDING = (b"forwarded", b"via", b"x-real-ip")
_SAME = (b"same-origin", b"none")
_REMEMBERED = 1000  # header names and arrivals; they are few, and whoever sends many pays for it alone
_NO_BROWSER_PATHS = ("/v2", "/api", "/token", "/metrics")
_READING = ("GET", "HEAD", "OPTIONS")
SESSION_PATH = "/api/v1/session"
FIRST_PATH = "/api/v1/first-administrator"
_STRANGERS = (SESSION_PATH, FIRST_PATH)  # whoever posts there shows who it is in the body
CSRF = b"scr-csrf"
SECURE_COOKIE, PLAIN_COOKIE = "__Host-scr", "scr"  # browsers keep a __Host- name over TLS only

Fields = dict[bytes, bytes]


class Callers:
    """Tells who calls. `may_be_open` is replaced when the configuration changes."""

    def __init__(self, doorkeeper: Doorkeeper, challenger: Challenger, *, may_be_open: bool) -> None:
        """Ask `doorkeeper`; with `may_be_open` serve this machine without asking while there is nobody to sign in."""
        self.doorkeeper = doorkeeper
        self.challenger = challenger
        self.may_be_open = may_be_open
        self.first_link = FirstLink()
        self._harmless: set[bytes] = set()  # names of headers that say nothing about forwarding
        self._open: dict[Arrival, Caller] = {}

    def is_open(self) -> bool:
        """Whether this machine is served without asking: no user, key or trusted proxy is in force."""
        return self.may_be_open and not self.doorkeeper.is_anybody()

    async def find(self, scope: Scope, address: str, site: Site) -> Caller:
        """Return who calls from `address`: somebody, or the anonymous caller where that may ask for something.

        Raises Unauthorized, TooManyRequests, and Denied for a page of another site.
        """
        headers: Fields = scope["scr.headers"]
        authorization = headers.get(b"authorization")
        open_caller = self._open_caller(scope, headers, address, site) if self.is_open() else None
        if open_caller is not None and authorization is None:
            return open_caller
        if authorization is not None and authorization[:6].lower() == b"basic ":
            self._check_page(scope, headers, site)  # a browser adds these by itself, whoever's page asks
        is_registry = is_registry_path(scope["path"])
        if scope["state"]["door"].is_beside_tls and (authorization is not None or not is_registry):
            raise Unauthorized(PLAIN_ONLY)
        if authorization is not None:
            place = Place.REGISTRY if is_registry else Place.API
            known = await self.doorkeeper.know(authorization, address, place, site.registry)
            return open_caller if open_caller is not None and known.principal == ANONYMOUS else known
        return self.doorkeeper.anonymous(address) if is_registry else self._by_session(scope, headers, address, site)

    def cookie_name(self, scope: Scope, site: Site) -> str:
        """Return the name of the session cookie on the way that the client came."""
        return SECURE_COOKIE if self.challenger.base_url(scope, site).startswith("https:") else PLAIN_COOKIE

    def _by_session(self, scope: Scope, headers: Fields, address: str, site: Site) -> Caller:
        self._check_page(scope, headers, site)
        if scope["path"] in _STRANGERS and scope["method"] == "POST":  # whatever session there was
            return self.doorkeeper.anonymous(address)
        secret = _cookie(headers, self.cookie_name(scope, site))
        known = self.doorkeeper.know_session(secret, address) if secret else None
        if known is not None:
            caller, session = known
            is_form = not scope["path"].startswith("/api")  # a page's form sends it in the body: the page compares it
            sent = headers.get(CSRF, b"")
            if scope["method"] not in _READING and not is_form and not hmac.compare_digest(sent, session.csrf.encode()):
                raise Denied(
                    "the request lacks the session's token; send it as Scr-Csrf, as GET /api/v1/session has it"
                )
            scope["scr.session"] = session
            return caller
        if not scope["path"].startswith(_NO_BROWSER_PATHS):  # a page: it asks to sign in, and shows nothing else
            scope["scr.is_stranger"] = True
            return self.doorkeeper.anonymous(address)
        raise Unauthorized("sign in first: with an access key, or with the user and password where they are let in")

    def _check_page(self, scope: Scope, headers: Fields, site: Site) -> None:
        """Refuse what a page of elsewhere asks for in somebody's browser. Raises Denied."""
        if b"origin" not in headers and b"sec-fetch-site" not in headers:
            return
        if not is_same_origin(headers, scope["method"], scope["path"], self.challenger.base_url(scope, site)):
            raise Denied("a page of another site may not use this registry through your browser")

    def _open_caller(self, scope: Scope, headers: Fields, address: str, site: Site) -> Caller:
        """Return the administrator of zero configuration. Raises Denied for what may come from elsewhere."""
        self._check_page(scope, headers, site)
        local, port = scope["server"]
        host = headers.get(b"host", b"").decode("latin-1")
        is_forwarded = not (headers.keys() <= self._harmless) and self._says_forwarded(headers)
        arrival = Arrival(address, local, port, host, scope["http_version"], is_forwarded)
        caller = self._open.get(arrival)
        if caller is None:
            caller = admit_open(arrival)
            if len(self._open) >= _REMEMBERED:
                self._open.clear()
            self._open[arrival] = caller
        return caller

    def _says_forwarded(self, headers: Fields) -> bool:
        """Whether any header says that a proxy is in between; remembers the names that do not."""
        if any(name in _FORWARDING or name.startswith(b"x-forwarded") for name in headers):
            return True
        if len(self._harmless) >= _REMEMBERED:
            self._harmless.clear()
        self._harmless.update(headers)
        return False


def is_registry_path(path: str) -> bool:
    """Whether `path` is of the distribution API or its tokens."""
    return path.startswith("/v2/") or path in ("/v2", "/token")


def is_same_origin(headers: Fields, method: str, path: str, base: str) -> bool:
    """Whether a request in a browser comes from our own pages (at `base`), or from no page at all (DESIGN 4)."""
    site = headers.get(b"sec-fetch-site")
    origin = headers.get(b"origin")
    if site in _SAME or (site is None and origin is None):
        return True
    if site is None and origin == base.encode("latin-1"):
        return True
    is_page = not path.startswith(_NO_BROWSER_PATHS)
    return method == "GET" and headers.get(b"sec-fetch-mode") == b"navigate" and is_page


def _cookie(headers: dict[bytes, bytes], name: str) -> str:
    """Return the cookie `name`, "" for none, and for one that stands there twice: one of them is another's."""
    found: Any = [
        value.strip()
        for part in headers.get(b"cookie", b"").split(b";")
        for key, _, value in [part.partition(b"=")]
        if key.strip() == name.encode()
    ]
    return found[0].decode("latin-1") if len(found) == 1 else ""
