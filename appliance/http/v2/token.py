"""`/token`: tokens for the distribution API and the management API, to who signs in and to anybody.

GET with Basic (or nothing), and the OAuth2 POST with a password or a refresh token. A scope that is not allowed is left
out, never refused: the request it was for says what is missing. Spec: distribution, "Token Authentication
Specification" and "Oauth2 Token Authentication".
"""

from datetime import UTC, datetime
from urllib.parse import parse_qs

import msgspec

from appliance.db.sign_ins import SignInKind
from appliance.domain.access import ANONYMOUS
from appliance.domain.accounts import Place
from appliance.domain.admission import Caller, Site, may_image
from appliance.domain.moment import SECOND, Timestamp
from appliance.domain.scope import Scopes, narrow, parse_scopes
from appliance.errors import QueryInvalid, ScrError, Unauthorized, Unsupported
from appliance.http.admit import Doorkeeper
from appliance.http.agent import agent_of
from appliance.http.challenge import Challenger
from appliance.http.noting import Noting
from appliance.http.v2.call import Call, ClientLeft, Receive, Scope, Send
from appliance.http.v2.problems import answer_to
from appliance.services import sign_ins
from appliance.services.signing import LIFE, Claims
from appliance.services.stock import Stock

_FORM_BYTES = 64 << 10
_LEAST_S = 60  # what clients count with at least; a token that ends sooner is refused then, and fetched anew
_NO_STORE = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
Parameters = dict[str, list[str]]


class _Answer(msgspec.Struct, omit_defaults=True):
    token: str
    access_token: str
    expires_in: int
    issued_at: str
    scope: str
    refresh_token: str = ""


class TokenApi:
    """Issues tokens. Nothing here is needed in open mode, where nobody is asked for one."""

    def __init__(self, stock: Stock, noting: Noting, doorkeeper: Doorkeeper, challenger: Challenger) -> None:
        """Ask `doorkeeper` who signs in, and keep that in `noting`."""
        self._stock = stock
        self._noting = noting
        self._doorkeeper = doorkeeper
        self.challenger = challenger

    async def __call__(self, scope: Scope, receive: Receive, send: Send, caller: Caller, site: Site) -> None:
        """Answer one request that came from the caller's address; a POST says itself who calls."""
        call = Call(scope, receive, send, caller, site)
        try:
            if call.method in ("GET", "HEAD"):
                await self._by_header(call)
            elif call.method == "POST":
                await self._by_form(call)
            else:
                raise Unsupported(f"{call.method[:40]} is not for this address; it takes GET and POST")
        except ClientLeft:
            return
        except ScrError as error:
            self._noting.refusal(error, scope, caller, site)
            status, headers, body = answer_to(error)
            if isinstance(error, Unauthorized):
                headers += self.challenger.headers(scope, site, error)
            if isinstance(error, Unsupported):
                headers.append((b"allow", b"GET, HEAD, POST"))
            await call.reply(status, headers, body)

    async def _by_header(self, call: Call) -> None:
        """GET: who calls was told apart by the header, as for any request."""
        asked = call.parameters()
        is_lasting = asked.get("offline_token", [""])[0].lower() == "true"
        await self._answer(call, call.caller, asked.get("scope", []), is_lasting=is_lasting)

    async def _by_form(self, call: Call) -> None:
        """POST: a password or a refresh token in the form."""
        form = await _form(call)
        call.scope["scr.is_scoped"] = "scope" in form
        if not _one(form, "client_id"):
            raise QueryInvalid("the form has no client_id; name the program that asks")
        grant = _one(form, "grant_type")
        if grant == "password":
            name, secret = _one(form, "username"), _one(form, "password")
            caller = await self._doorkeeper.sign_in(
                name, secret, call.caller.address, Place.REGISTRY, call.site.registry
            )
        elif grant == "refresh_token":
            caller = await self._by_refresh_token(call, _one(form, "refresh_token"))
        else:
            raise QueryInvalid(f"grant_type {grant[:40]!r} is not known here; use password or refresh_token")
        is_lasting = grant == "password" and _one(form, "access_type") == "offline"
        await self._answer(call, caller, form.get("scope", []), is_lasting=is_lasting)

    async def _by_refresh_token(self, call: Call, secret: str) -> Caller:
        doorkeeper, address = self._doorkeeper, call.caller.address
        now = self._stock.clock()
        kept = sign_ins.find(self._stock.db.reader, SignInKind.REFRESH, secret, now)
        if kept is not None and kept.registry == call.site.registry:
            credential = sign_ins.credential_of(kept)
            doorkeeper.directory.look()
            if (standing := doorkeeper.directory.judge(credential, now)) is not None:
                doorkeeper.check_place(credential, standing, Place.REGISTRY)
                doorkeeper.uses.note_sign_in(kept, now)
                doorkeeper.uses.note(credential, address, now)
                return doorkeeper.caller_of(credential, standing, address)
        await doorkeeper.verifier.refuse(address)
        raise Unauthorized("the refresh token is none of this registry, or it has ended; sign in again")

    async def _answer(self, call: Call, caller: Caller, texts: list[str], *, is_lasting: bool) -> None:
        """Issue the token, and with `is_lasting` a refresh token to who has signed in."""
        now = self._stock.clock()
        scopes = self._allowed(caller, call.site, parse_scopes(texts, strict=self._stock.rules.strict))
        until = Timestamp(now + LIFE)
        credential = None
        refresh = ""
        if caller.credential is not None:
            credential, standing = self._doorkeeper.standing_of(caller)
            until = until if standing.until is None else min(until, standing.until)
            if is_lasting:
                opened = await sign_ins.keep(
                    self._stock,
                    SignInKind.REFRESH,
                    credential,
                    now,
                    address=caller.address,
                    client=agent_of(call.headers),
                    registry=call.site.registry,
                )
                refresh = opened.secret
            if not texts:  # a login; a token for something is none
                self._noting.signed_in(call.scope, caller, call.site)
        token = self._doorkeeper.signer.sign(Claims(credential, call.site.registry, scopes, until))
        issued = datetime.fromtimestamp(now // SECOND, UTC).isoformat().replace("+00:00", "Z")
        expires_in = max((until - now) // SECOND, _LEAST_S)
        answer = _Answer(token, token, expires_in, issued, str(scopes), refresh)
        await call.reply(200, _NO_STORE, msgspec.json.encode(answer))

    def _allowed(self, caller: Caller, site: Site, scopes: Scopes) -> Scopes:
        """Return what of `scopes` the caller's policies allow at present; each request is judged again."""
        narrowed = narrow(scopes, lambda path, action: may_image(caller, site, path, action))
        return msgspec.structs.replace(narrowed, management="") if caller.principal == ANONYMOUS else narrowed


async def _form(call: Call) -> Parameters:
    """Return the fields of a form. Raises QueryInvalid, TooLarge, ClientLeft."""
    kind = call.header(b"content-type").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise QueryInvalid("a token is asked for with GET, or with POST of a form (application/x-www-form-urlencoded)")
    body = await call.body(_FORM_BYTES)
    try:
        return parse_qs(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=1000)
    except ValueError as error:
        raise QueryInvalid("the form is not well formed; encode it as UTF-8 with %XX") from error


def _one(form: Parameters, name: str) -> str:
    """Return the field `name`, "" for none. Raises QueryInvalid when it stands there twice."""
    values = form.get(name, [""])
    if len(values) > 1:
        raise QueryInvalid(f"the form has {name} {len(values)} times; give it once")
    return values[0]
