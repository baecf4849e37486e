"""What a page is made for: who looks, from which address, in which language; and how its answer is sent."""

import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote, unquote

import msgspec
from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from appliance.domain.access import PrincipalKind
from appliance.http.admit import Session
from appliance.http.api.asking import Asking
from appliance.http.api.images import EVERY
from appliance.http.door import Door
from appliance.http.ui import words
from appliance.http.ui.backend import AsgiApp, Backend
from appliance.http.ui.forms import Form, read_form
from appliance.http.ui.render import render
from appliance.http.ui.rights import Rights
from appliance.http.ui.sentences import say
from appliance.http.ui.texts import LANGUAGES, choose, translations

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_KEY = secrets.token_bytes(32)  # of the tokens in forms: a page from before a restart is loaded again
_FLASH = "scr-said"
_SAID = 3000  # bytes of it, quoted
_THERE = "\x1f"  # in the cookie, between what is said and the address of more
_LANGUAGE = "scr-language"
_REGISTRY = "scr-registry"
_REPOSITORY = "scr-repository"
_NAME = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*")
_LONGEST = 255  # characters of a name
_MINUTE_S = 60
_YEAR_S = 365 * 86_400
HtmlRequest = Request[Any, Any, Any]


def own_path(text: str) -> str:
    """Return `text` if it is a path of this console, else the first page: no form sends anybody elsewhere."""
    is_own = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if is_own else "/"


class View(msgspec.Struct, frozen=True):
    """One request for a page."""

    request: HtmlRequest
    api: Backend
    asking: Asking
    language: str
    now: datetime

    @property
    def csrf(self) -> str:
        """The token that forms of this viewer carry: the session's; without one (open mode) the process's own."""
        session: Session | None = cast("Any", self.request.scope).get("scr.session")
        if session is not None:
            return session.csrf
        return hmac.new(_KEY, str(self.asking.caller.principal).encode(), hashlib.sha256).hexdigest()

    @property
    def endpoint(self) -> str:
        """Host and port as the browser used them: what push and pull commands name."""
        return self.request.headers.get("host", "")

    @property
    def here(self) -> str:
        """The path of this page with all that was asked for."""
        asked = self.request.scope["query_string"].decode("latin-1")
        return quote(self.request.scope["path"]) + (f"?{asked}" if asked else "")

    @property
    def link(self) -> str:
        """The address of this page as the browser asked for it, to be sent on."""
        return f"{'https' if self.is_tls else 'http'}://{self.endpoint}{self.here}"

    @property
    def is_tls(self) -> bool:
        """Whether the browser came by TLS."""
        door = self.request.scope["state"].get("door")
        return isinstance(door, Door) and door.is_tls

    def page(self, template: str, *, status: int = 200, **values: object) -> Response[str]:
        """Return the page `template`; what was said before the redirect here is shown once."""
        said, _, more = unquote(self.request.cookies.get(_FLASH, "")).partition(_THERE)
        told: dict[str, object] = {
            "view": self,
            "csrf": self.csrf,
            "said": said[:500],
            "said_more": own_path(more) if more else "",
            "path": self.request.scope["path"],
            "principal": self.asking.caller.principal,
            "is_open": self.asking.caller.principal.kind == PrincipalKind.LOCAL,
            "has_session": cast("Any", self.request.scope).get("scr.session") is not None,
            "is_stranger": bool(cast("Any", self.request.scope).get("scr.is_stranger")),
            "languages": LANGUAGES,
            "language": self.language,
            "endpoint": self.endpoint,
            **Rights(self.asking).names(),
            "time": self._time,
            **values,
        }
        answer = Response(
            render(self.language, template, told),
            status_code=status,
            headers=HEADERS,
            media_type="text/html",
        )
        if said:
            answer.set_cookie(_cookie(_FLASH, "", 0, is_tls=self.is_tls))
        return answer

    def go(self, address: str, said: str = "", undo: str = "") -> Response[str]:
        """Return the redirect after a change; `said` is shown on the page it leads to, with a link to `undo` it."""
        answer: Response[str] = Response("", status_code=303, headers={**HEADERS, "Location": address})
        if said:
            answer.set_cookie(_cookie(_FLASH, f"{_quoted(said)}{quote(_THERE + undo)}", _MINUTE_S, is_tls=self.is_tls))
        return answer

    def text(self, message: str) -> str:
        """Return `message` in the viewer's language."""
        return translations(self.language).gettext(message)

    def say(self, sentence: str) -> str:
        """Return a sentence of the API in the viewer's language, as far as it is known."""
        return say(self.language, sentence)

    async def form(self) -> Form:
        """Return the form that was sent. Raises QueryInvalid, Denied."""
        body = await self.request.body()
        kind = self.request.headers.get("content-type", "")
        return read_form(body, kind, lambda token: hmac.compare_digest(token, self.csrf))

    def remembered(self) -> tuple[str, str]:
        """Return the registry that was last picked and the repository in it, "" for none. What is no name is none."""
        told = [self.request.cookies.get(name, "")[:_LONGEST] for name in (_REGISTRY, _REPOSITORY)]
        registry, repository = (text if text == EVERY or _NAME.fullmatch(text) else "" for text in told)
        return registry, repository

    def may_in(self, registry: str, path: str, action: str) -> bool:
        """Whether the viewer may do `action` on `path` (a repository, or an image in it) of the registry."""
        return Rights(self.asking).may_in(registry, path, action)

    def _time(self, at: datetime | None, absent: str = words.NOTHING) -> str:
        return words.time_tag(at, self.now, absent)


InView = NamedDependency[SkipValidation[View]]


def make_view(request: HtmlRequest, api: AsgiApp, asking: Asking) -> View:
    """Return the view of a request; `api` is what it asks."""
    language = choose(request.cookies.get(_LANGUAGE, ""), request.headers.get("accept-language", ""))
    return View(request, Backend(api, cast("Any", request.scope)), asking, language, datetime.now(UTC))


def language_cookie(language: str, *, is_tls: bool) -> Cookie:
    """Return the cookie that remembers a language."""
    return _cookie(_LANGUAGE, language, _YEAR_S, is_tls=is_tls)


def picked_cookie(repository: str, *, is_tls: bool) -> Cookie:
    """Return the cookie that remembers the picked repository, "" for all."""
    return _cookie(_REPOSITORY, repository, _YEAR_S if repository else 0, is_tls=is_tls)


def registry_cookie(name: str, *, is_tls: bool) -> Cookie:
    """Return the cookie that remembers the picked registry."""
    return _cookie(_REGISTRY, name, _YEAR_S, is_tls=is_tls)


def _cookie(name: str, value: str, age_s: int, *, is_tls: bool) -> Cookie:
    return Cookie(name, value=value, max_age=age_s, path="/", secure=is_tls, httponly=True, samesite="lax")


def _quoted(said: str) -> str:
    """Return what is said as a cookie takes it: browsers drop one of more than 4 KiB, and what it said with it."""
    text = said[:500]
    while len(told := quote(text)) > _SAID:
        text = text[: len(text) * 3 // 4]
    return told
