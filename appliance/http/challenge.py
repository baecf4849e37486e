"""What a 401 asks a client for: where to get a token, for which registry and for what, on this very request.

Spec: distribution, "Token Authentication Specification"; RFC 6750, 3.
"""

import re
from urllib.parse import parse_qs, urlsplit

from appliance.domain.admission import Site
from appliance.domain.names import ImagePath, parse_image_path
from appliance.domain.registry import RegistryId
from appliance.domain.scope import CATALOG, MANAGEMENT
from appliance.errors import NameInvalid, ScopeShort, ScrError, TokenInvalid, Unauthorized
from appliance.http.v2.call import Headers, Scope
from appliance.http.v2.routes import match

_FORWARDED_HOST = re.compile(rb"[A-Za-z0-9.\-:\[\]]{1,260}")
PLAIN_ONLY = "plain HTTP is for anonymous pulls here; sign in with https:// in the address"
_BASIC = (b"www-authenticate", b'Basic realm="scr"')


class Challenger:
    """Knows how clients reach the token endpoint."""

    def __init__(self, public_url: str, default: RegistryId) -> None:
        """`public_url` is how clients call the registry `default` where a proxy stands before it; "" for none."""
        self.public_url = public_url
        self._default = default

    def reword(self, scope: Scope, error: Unauthorized) -> Unauthorized:
        """Return `error`, or what cures it where signing in would not: https."""
        return Unauthorized(PLAIN_ONLY) if scope["state"]["door"].is_beside_tls else error

    def headers(self, scope: Scope, site: Site, error: ScrError) -> Headers:
        """Return the challenges that go with `error`; none for plain HTTP beside TLS, which takes no secrets."""
        if scope["state"]["door"].is_beside_tls:
            return []
        path: str = scope["path"]
        is_registry = path.startswith("/v2/") or path == "/v2"
        bearer = (b"www-authenticate", self._bearer(scope, site, error, is_registry=is_registry).encode())
        headers = scope["scr.headers"]
        if is_registry or (b"sec-fetch-site" in headers and headers.get(b"sec-fetch-mode") != b"navigate"):
            return [bearer]  # for a script's request a browser would ask for a password by itself
        return [_BASIC] if path == "/token" else [_BASIC, bearer]

    def _bearer(self, scope: Scope, site: Site, error: ScrError, *, is_registry: bool) -> str:
        realm = self.base_url(scope, site)
        parts = [f'realm="{realm}/token"', f'service="{urlsplit(realm).netloc}"']
        asked = scopes_of(scope) if is_registry else MANAGEMENT
        if asked:
            parts.append(f'scope="{asked}"')
        if isinstance(error, ScopeShort):
            parts.append('error="insufficient_scope"')
        elif isinstance(error, TokenInvalid):
            parts.append('error="invalid_token"')
        return "Bearer " + ",".join(parts)

    def base_url(self, scope: Scope, site: Site) -> str:
        """Return scheme and host by which the client reaches this registry.

        A Host header has been judged by then: only what means this registry gets here. What a proxy says of the way
        before it counts only from a trusted one.
        """
        if self.public_url and site.registry == self._default:
            return self.public_url
        headers: dict[bytes, bytes] = scope["scr.headers"]
        is_tls = scope["state"]["door"].is_tls
        host = headers.get(b"host", b"")
        if scope.get("scr.is_forwarded"):
            told = headers.get(b"x-forwarded-host", b"").partition(b",")[0].strip()
            host = told if _FORWARDED_HOST.fullmatch(told) else host
            scheme = headers.get(b"x-forwarded-proto", b"").partition(b",")[0].strip().lower()
            is_tls = scheme == b"https" if scheme in (b"http", b"https") else is_tls
        return f"{'https' if is_tls else 'http'}://{host.decode('latin-1').lower()}"


def scopes_of(scope: Scope) -> str:
    """Return the scopes that a token needs for the request; "" where it needs none, or is no request of the API."""
    try:
        kind, name, _ = match(scope)
        if kind == "_catalog":
            return CATALOG
        path = parse_image_path(name) if name else None
    except ScrError:
        return ""
    if path is None:
        return ""
    found = [f"repository:{path}:{_words(kind, scope['method'])}"]
    source = _source(scope) if kind == "uploads" else None
    if source is not None and source != path:
        found.append(f"repository:{source}:pull")
    return " ".join(found)


def _words(kind: str, method: str) -> str:
    if method == "DELETE" and kind != "uploads":
        return "delete"
    return "pull,push" if kind == "uploads" or method == "PUT" else "pull"


def _source(scope: Scope) -> ImagePath | None:
    """Return the image that a POST wants to mount from, if it names one."""
    query: bytes = scope["query_string"]
    if b"from=" not in query:
        return None
    try:
        named = parse_qs(query.decode("ascii"), max_num_fields=200).get("from", [])
        return parse_image_path(named[0]) if named else None
    except (ValueError, NameInvalid):
        return None
