"""`/api/v1/session`: sign in to the console, see who one is, sign out."""

from collections.abc import MutableMapping
from datetime import datetime
from typing import Annotated, Any, cast

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import Body, SkipValidation
from litestar.types import Scope

from appliance.db.sign_ins import SignInKind
from appliance.domain.accounts import Method, Place
from appliance.domain.admission import Caller, Site
from appliance.errors import AccessDenied, Conflict
from appliance.http.admit import Session, csrf_of
from appliance.http.agent import agent_of
from appliance.http.api.asking import InAsking, InStock
from appliance.http.api.page import moment
from appliance.http.callers import SECURE_COOKIE, Callers
from appliance.http.noting import Noting
from appliance.services import sign_ins


class SigningIn(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """An access key and its secret key, or a user and its password."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    secret: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class WhoAmI(msgspec.Struct, frozen=True, rename="camel"):
    """Who asks. `csrf` goes along with every change, as the header Scr-Csrf; only a session has one."""

    kind: str
    name: str
    method: Method | None
    access_key: str | None
    csrf: str | None = None
    expires_at: datetime | None = None


class Entry(msgspec.Struct, frozen=True):
    """What sign-ins need of the request."""

    callers: Callers
    site: Site
    cookie: str
    session: Session | None
    request: MutableMapping[str, Any]


def provide_entry(scope: Scope) -> Entry:
    """Return it, from what the front put into `scope`. Raises AccessDenied where it did not."""
    facts = cast("dict[str, Any]", scope)
    callers, site = facts.get("scr.callers"), facts.get("scr.site")
    if not isinstance(callers, Callers) or not isinstance(site, Site):
        raise AccessDenied("nobody was admitted to this request; the management API is reached through the front only")
    session: Session | None = facts.get("scr.session")
    return Entry(callers, site, callers.cookie_name(facts, site), session, facts)


InNoting = NamedDependency[SkipValidation[Noting]]
InEntry = NamedDependency[SkipValidation[Entry]]


class Sessions(Controller):
    """The session: begin, show, end."""

    path = "/api/v1/session"
    tags = ["session"]  # noqa: RUF012 - Litestar's way

    @post()
    async def begin(
        self, stock: InStock, asking: InAsking, way_in: InEntry, noting: InNoting, data: Annotated[SigningIn, Body()]
    ) -> Response[WhoAmI]:
        """Sign in to the console; the cookie that comes with the answer is the session."""
        doorkeeper = way_in.callers.doorkeeper
        address = asking.caller.address
        caller = await doorkeeper.sign_in(data.name, data.secret, address, Place.CONSOLE, asking.site.registry)
        credential, _ = doorkeeper.standing_of(caller)
        opened = await sign_ins.keep(
            stock,
            SignInKind.SESSION,
            credential,
            stock.clock(),
            address=address,
            client=agent_of(way_in.request["scr.headers"]),
        )
        noting.signed_in(way_in.request, caller, asking.site)
        shown = msgspec.structs.replace(_show(caller), csrf=csrf_of(opened.secret), expires_at=moment(opened.until))
        return Response(shown, cookies=[_cookie(way_in.cookie, opened.secret)], headers={"cache-control": "no-store"})

    @get()
    async def show(self, asking: InAsking, way_in: InEntry) -> Response[WhoAmI]:
        """Show who asks, however they signed in."""
        shown = _show(asking.caller)
        if way_in.session is not None:
            shown = msgspec.structs.replace(
                shown, csrf=way_in.session.csrf, expires_at=moment(way_in.session.kept.expires_at)
            )
        return Response(shown, headers={"cache-control": "no-store"})

    @delete(status_code=204)
    async def end(self, stock: InStock, way_in: InEntry) -> Response[None]:
        """Sign out of the console."""
        if way_in.session is None:
            raise Conflict("this is no console session; a token ends by itself, an access key is disabled or deleted")
        await sign_ins.end(stock, way_in.session.kept)
        way_in.callers.doorkeeper.forget_session(way_in.session)
        return Response(None, status_code=204, cookies=[_cookie(way_in.cookie, "", max_age=0)])


def _show(caller: Caller) -> WhoAmI:
    method = None if caller.credential is None else caller.credential.method
    return WhoAmI(caller.principal.kind.value, caller.principal.name, method, caller.access_key or None)


def _cookie(name: str, value: str, max_age: int | None = None) -> Cookie:
    """Return the session cookie. It ends with the browser; the session itself ends sooner, when it is not used."""
    return Cookie(
        key=name, value=value, path="/", httponly=True, secure=name == SECURE_COOKIE, samesite="lax", max_age=max_age
    )
