"""What the doors note of a request: that it was refused, where an error becomes an answer; sign-ins, pulls, pushes.

A refusal is what a rule forbids to somebody who said who they are, or tried to, or who may not even try. A challenge to
a request without credentials is none, and what a caller may not know about is none either: it reads as absent.
"""

from collections.abc import Iterator

from appliance.domain.admission import Caller, Grant, Site
from appliance.domain.decision import Stage, Step
from appliance.domain.foreign import printable
from appliance.domain.names import Digest, Tag
from appliance.domain.registry import RegistryId
from appliance.errors import (
    AccessDenied,
    Denied,
    PullDenied,
    QuotaExceeded,
    Removed,
    ScopeShort,
    ScrError,
    TagLocked,
    TokenInvalid,
    Unauthorized,
)
from appliance.http.agent import agent_of
from appliance.http.callers import is_registry_path
from appliance.http.challenge import Challenger
from appliance.http.door import Door
from appliance.http.entrance import Entrance
from appliance.http.slowdown import source_of
from appliance.http.v2.call import Call, Scope
from appliance.metrics import Counter
from appliance.services.books import Books
from appliance.services.logins import Login
from appliance.services.refusals import Asked

# how a push begins: who may not pull either is refused when the client looks which blobs are there
_PUSHING = (("manifests", "PUT"), ("uploads", "POST"), ("blobs", "HEAD"))
UNKNOWN = "(unknown)"  # whoever failed to prove who they are
_SIGN_IN_PATHS = ("/token", "/api/v1/session")
_PATH = 500  # characters of a path that are kept
_STAGES: dict[type[ScrError], Stage] = {
    AccessDenied: Stage.ACCESS_POLICY,
    PullDenied: Stage.PULL_LIMIT,
    QuotaExceeded: Stage.LOCK,
    TagLocked: Stage.LOCK,
    Removed: Stage.LOCK,
}
Fields = dict[bytes, bytes]


class Noting:
    """Handed to everything that answers requests."""

    def __init__(self, books: Books, entrance: Entrance, challenger: Challenger, default: Site) -> None:
        """Note in `books`; `entrance` says again how a request came in, `challenger` by which address."""
        self.books = books
        self._entrance = entrance
        self._challenger = challenger
        self._default = default

    def refusal(self, error: ScrError, scope: Scope, caller: Caller | None, site: Site | None) -> None:
        """Keep and count `error`, if it is a refusal, and let its message end with where "why?" is answered."""
        if not _is_refusal(error, scope):
            return
        headers: Fields = scope["scr.headers"]
        door: Door = scope["state"]["door"]
        host = headers.get(b"host", b"")
        if site is None and not door.is_control:
            site = self._entrance.site_of(door, host)
        asked = Asked(
            registry=site.registry if site else RegistryId(0),
            principal=_principal(error, caller),
            address=caller.address if caller else str(scope["client"][0]),
            client=agent_of(headers),
            method=scope["method"][:40],
            path=printable(scope["path"][:_PATH]),
        )
        steps = tuple(self._steps(error, door, host, asked))
        refusal = self.books.refusals.note(error, asked, steps, source_of(asked.address))
        error.why = f"; why: {self._where_to_ask(scope, door, site)}{refusal.id}"
        if site is not None:
            self._count(error, asked, is_scoped=_is_scoped(scope))

    def login(self, scope: Scope, caller: Caller, site: Site) -> None:
        """Keep a sign-in that succeeded, if the request is one: Basic credentials on `/v2/`."""
        headers: Fields = scope["scr.headers"]
        if headers.get(b"authorization", b"")[:6].lower() == b"basic ":
            self.signed_in(scope, caller, site)

    def signed_in(self, scope: Scope, caller: Caller, site: Site) -> None:
        """Keep a sign-in that succeeded: Basic on `/v2/`, a token without scope, a console session."""
        agent = agent_of(scope["scr.headers"])
        self.books.signed_in(Login(site.registry, str(caller.principal), caller.address, agent, is_allowed=True))

    def passage(
        self, call: Call, grant: Grant, kind: str, digest: Digest, size: int, reference: Tag | Digest | None = None
    ) -> None:
        """Keep a manifest or a blob that went out or came in, where its registry keeps such things. Hot."""
        books = self.books
        if grant.image.registry in books.traffic.registries:
            agent = call.headers.get(b"user-agent", b"")
            books.traffic.note((books.clock(), kind, grant, reference or digest, digest, size, agent))

    def _where_to_ask(self, scope: Scope, door: Door, site: Site | None) -> str:
        """Return what stands before the id of a refusal: an address, or the command where this door has no page."""
        if door.is_control:
            return f"{printable(self.books.own_url())}/why/"
        if not self._entrance.has_console(door):
            return "scr why "
        return f"{printable(self._challenger.base_url(scope, site or self._default))}/why/"

    def _steps(self, error: ScrError, door: Door, host: bytes, asked: Asked) -> Iterator[Step]:
        """Yield the decisions up to the refusal, as far as they are known: the last one is the refusal."""
        if door.is_control:
            yield Step(Stage.LISTENER, allowed=True, reason="it came by the control socket")
        else:
            is_registry = is_registry_path(asked.path)
            for step in self._entrance.steps(door, host, asked.address, is_registry=is_registry):
                yield step
                if not step.allowed:
                    return
        stage = _STAGES.get(type(error), Stage.AUTHENTICATION)
        if stage is not Stage.AUTHENTICATION:
            yield Step(Stage.AUTHENTICATION, allowed=True, reason=f"the caller is {asked.principal}")
        if stage in (Stage.PULL_LIMIT, Stage.LOCK):
            yield Step(Stage.ACCESS_POLICY, allowed=True, reason="the policies of the caller allow the action")
        yield Step(stage, allowed=False, reason=error.message)

    def _count(self, error: ScrError, asked: Asked, *, is_scoped: bool) -> None:
        """Count a refused sign-in (never one for a scoped token), pull or push."""
        books, now = self.books, self.books.clock()
        if is_base(asked.path) or asked.path in _SIGN_IN_PATHS:
            if isinstance(error, Unauthorized) and not is_scoped:
                who = asked.principal or UNKNOWN
                books.signed_in(Login(asked.registry, who, asked.address, asked.client, is_allowed=False))
            return
        who = asked.principal or asked.address
        name, kind, reference = split(asked.path)
        if kind == "manifests" and asked.method in ("GET", "HEAD"):
            books.tally.refused(asked.registry, Counter.PULLS_DENIED, (who, name, reference), now)
        elif (kind, asked.method) in _PUSHING:
            books.tally.refused(asked.registry, Counter.PUSHES_DENIED, (who, name), now)


def _is_refusal(error: ScrError, scope: Scope) -> bool:
    """Whether a rule refused somebody who came with credentials, or was kept out whatever they have.

    A token that has ended or is too narrow is a step on a client's way to the next one, and no end.
    """
    if isinstance(error, ScopeShort | TokenInvalid):
        return False
    is_asked_to_sign_in = b"authorization" not in scope["scr.headers"] and not (
        scope["method"] == "POST" and scope["path"] in _SIGN_IN_PATHS
    )
    return isinstance(error, Denied) or (isinstance(error, Unauthorized) and not is_asked_to_sign_in)


def _principal(error: ScrError, caller: Caller | None) -> str:
    """Return who was refused: who called, else whom wrong credentials named; "" where that is nobody."""
    if isinstance(error, Unauthorized):
        return error.claimed
    return str(caller.principal) if caller else ""


def _is_scoped(scope: Scope) -> bool:
    """Whether a token was asked for with a scope, in the address or in the form."""
    return b"scope=" in scope["query_string"] or bool(scope.get("scr.is_scoped"))


def is_base(path: str) -> bool:
    """Whether `path` is the distribution API's own: where clients sign in."""
    return path in ("/v2/", "/v2")


def split(path: str) -> tuple[str, str, str]:
    """Return name, kind and reference of a path of the distribution API; texts for nothing of any other."""
    parts = path.removeprefix("/v2/").rsplit("/", 2) if path.startswith("/v2/") else []
    if len(parts) != 3:
        return "", "", ""
    return parts[0].removesuffix("/blobs") if parts[1] == "uploads" else parts[0], parts[1], parts[2]
