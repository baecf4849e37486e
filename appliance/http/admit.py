"""Who calls: the control socket, somebody by Basic or Bearer, a console session by cookie.

What a header proved is remembered for a minute, passwords under a keyed hash, and judged again whenever the access
epoch moves: a key that was disabled, a password that was changed, a policy that was taken away count for the very next
request.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import TypeVar

import msgspec

from appliance.db.database import Reader
from appliance.db.sign_ins import Kept, SignInKind
from appliance.domain.access import ANONYMOUS, Principal, PrincipalKind
from appliance.domain.accounts import Credential, Method, Place, is_access_key
from appliance.domain.admission import FULL_ACCESS, Caller
from appliance.domain.moment import MINUTE, Timestamp
from appliance.domain.registry import RegistryId
from appliance.domain.scope import Scopes
from appliance.errors import TokenInvalid, Unauthorized
from appliance.http.verify import WRONG, Verifier, parse_basic
from appliance.services import sign_ins
from appliance.services.directory import Directory, Standing
from appliance.services.signing import Claims, Signer
from appliance.services.uses import Uses

REMEMBERED_MS = MINUTE  # a verified password, a token, a session; argon2id costs some 50 ms each time (DESIGN 4)
_ENTRIES = 10_000
_WEIGHT = 100_000  # images in the scopes of all tokens that are remembered; some 400 bytes each
OPERATOR = Caller(Principal(PrincipalKind.OPERATOR, "control socket"), FULL_ACCESS, "local")
_CURES = {
    Place.REGISTRY: "sign in with an access key instead: scr key create",
    Place.API: "use an access key: scr key create",
    Place.CONSOLE: "see the user's security settings",
}
Key = bytes | tuple[bytes, str, Place, RegistryId]
K = TypeVar("K")
V = TypeVar("V")


class Session(msgspec.Struct, frozen=True):
    """A console session: what a form or a script has to send along, and until when it lasts unless it is used."""

    kept: Kept
    csrf: str


class Known(msgspec.Struct, frozen=True):
    """Somebody who was told apart: good at `epoch` until `until`."""

    caller: Caller
    epoch: int
    since: Timestamp
    until: Timestamp
    session: Session | None = None


class Doorkeeper:
    """Tells who calls. Used on the loop only."""

    def __init__(
        self,
        directory: Directory,
        signer: Signer,
        verifier: Verifier,
        uses: Uses,
        reader: Reader,
        clock: Callable[[], Timestamp],
    ) -> None:
        """Look people up in `directory` and sessions in `reader`; note in `uses` who came."""
        self.directory = directory
        self.signer = signer
        self.verifier = verifier
        self.uses = uses
        self._reader = reader
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._known: dict[Key, Known] = {}  # tokens as they are: they end soon, and hashing them takes a while
        self._weight = 0
        self._proven: dict[bytes, tuple[Credential, Timestamp]] = {}  # by Basic
        self._wrong: dict[bytes, tuple[int, Timestamp]] = {}  # the epoch it was wrong at, and until when that counts

    def is_anybody(self) -> bool:
        """Whether there is anybody who could sign in; nobody: the open mode of zero configuration."""
        self.directory.look()
        return self.directory.is_anybody_in_force()

    def anonymous(self, address: str, scopes: Scopes | None = None) -> Caller:
        """Return somebody who calls from `address` without saying who it is."""
        self.directory.look()
        return self._fresh(Caller(ANONYMOUS, self.directory.rights_of_anonymous(), address, scopes=scopes))

    async def know(self, authorization: bytes, address: str, place: Place, registry: RegistryId) -> Caller:
        """Return whom an Authorization header names, who calls from `address` at `place`.

        Raises Unauthorized for wrong credentials, unknown and wrong ones alike, TokenInvalid, TooManyRequests.
        """
        if authorization[:7].lower() == b"bearer ":
            key = authorization, address, place, registry
            if (known := self._recall(key)) is not None:
                return self._fresh(known.caller)
            return self._by_token(key, authorization[7:].strip(), address, place, registry)
        digest = self._digest(authorization, address, place)
        if (known := self._recall(digest)) is not None:
            return self._fresh(known.caller)
        try:
            return await self._by_basic(digest, authorization, address, place)
        except Unauthorized as error:
            error.claimed = self._claimed(authorization)
            raise

    def _claimed(self, authorization: bytes) -> str:
        """Return whom Basic credentials name, "" for nobody: what is no name of ours may be a password."""
        try:
            name = parse_basic(authorization).name
        except Unauthorized:
            return ""
        if is_access_key(name):
            key = self.directory.find_key(name)
            return "" if key is None else f"{key.owner.kind}:{key.owner.name}"
        return "" if self.directory.find_user(name) is None else f"{PrincipalKind.USER}:{name}"

    def know_session(self, secret: str, address: str) -> tuple[Caller, Session] | None:
        """Return whose console session `secret` is, or None."""
        digest = self._digest(secret.encode(), address, Place.CONSOLE)
        if (known := self._recall(digest)) is not None and known.session is not None:
            return self._fresh(known.caller), known.session
        now = self._clock()
        kept = sign_ins.find(self._reader, SignInKind.SESSION, secret, now)
        if kept is None:
            return None
        credential = sign_ins.credential_of(kept)
        standing = self.directory.judge(credential, now)
        if standing is None or not standing.owner.sign_in.opens(Place.CONSOLE, credential.method):
            return None
        self.uses.note_sign_in(kept, now)
        session = Session(kept, csrf_of(secret))
        caller = self.caller_of(credential, standing, address)
        self._keep(digest, caller, standing.until, kept.expires_at, session=session)
        return self._fresh(caller), session

    def forget_session(self, session: Session) -> None:
        """Forget that a session was known, from whatever address: it was ended."""
        ended = [
            digest for digest, one in self._known.items() if one.session and one.session.kept.id == session.kept.id
        ]
        for digest in ended:
            del self._known[digest]

    async def sign_in(self, name: str, secret: str, address: str, place: Place, registry: RegistryId) -> Caller:
        """Return whom name and secret are of. Raises Unauthorized, TooManyRequests."""
        basic = base64.b64encode(f"{name}:{secret}".encode())
        return await self.know(b"Basic " + basic, address, place, registry)

    def standing_of(self, caller: Caller) -> tuple[Credential, Standing]:
        """Return what somebody signed in with, and how long that counts. Raises Unauthorized if it ended meanwhile."""
        credential = caller.credential
        standing = self.directory.judge(credential, self._clock()) if credential is not None else None
        if credential is None or standing is None:
            raise Unauthorized("the sign-in has ended; sign in again")
        return credential, standing

    def caller_of(
        self, credential: Credential, standing: Standing, address: str, scopes: Scopes | None = None
    ) -> Caller:
        """Return who holds `credential` as a caller."""
        owner = standing.owner
        return Caller(
            Principal(owner.kind, owner.name),
            self.directory.rights_of(owner),
            address,
            scopes=scopes,
            credential=credential,
            access_key=standing.access_key,
        )

    def check_place(self, credential: Credential, standing: Standing, place: Place) -> None:
        """Refuse a method that the user's security settings do not let in at `place`. Raises Unauthorized."""
        if standing.owner.sign_in.opens(place, credential.method):
            return
        method = "a password" if credential.method is Method.PASSWORD else "an access key"
        where = "the registry" if place is Place.REGISTRY else f"the {place}"
        raise Unauthorized(f"{standing.owner.name} may not sign in to {where} with {method}; {_CURES[place]}")

    def _by_token(self, digest: Key, token: bytes, address: str, place: Place, registry: RegistryId) -> Caller:
        now = self._clock()
        claims = self.signer.verify(token, now)
        if place is Place.REGISTRY and claims.registry != registry:
            raise TokenInvalid("the token is of another registry; fetch one here")
        if claims.credential is None:
            caller = self.anonymous(address, claims.scopes)
            self._keep(digest, caller, claims.until, None)
            return caller
        return self._by_claims(digest, claims, claims.credential, address, place)

    def _by_claims(self, digest: Key, claims: Claims, credential: Credential, address: str, place: Place) -> Caller:
        standing = self.directory.judge(credential, self._clock())
        if standing is None:
            raise TokenInvalid("the access key or password behind the token counts no more; sign in again")
        self.check_place(credential, standing, place)
        caller = self.caller_of(credential, standing, address, claims.scopes)
        self._keep(digest, caller, standing.until, claims.until)
        return self._fresh(caller)

    async def _by_basic(self, digest: bytes, authorization: bytes, address: str, place: Place) -> Caller:
        credential = self._proven_before(digest) or await self._prove(digest, authorization, address)
        self.directory.look()
        now = self._clock()
        standing = self.directory.judge(credential, now)
        if standing is None:
            raise Unauthorized("the sign-in has ended; sign in again")
        _put(self._proven, digest, (credential, Timestamp(now + REMEMBERED_MS)))
        self.check_place(credential, standing, place)
        caller = self.caller_of(credential, standing, address)
        self._keep(digest, caller, standing.until, None)
        return self._fresh(caller)

    async def _prove(self, digest: bytes, authorization: bytes, address: str) -> Credential:
        epoch, until = self._wrong.get(digest, (-1, 0))
        if epoch == self.directory.look() and self._clock() < until:
            raise Unauthorized(WRONG)
        try:
            return await self.verifier.prove(parse_basic(authorization), address, lambda: self._proven_before(digest))
        except Unauthorized:
            _put(self._wrong, digest, (self.directory.epoch, Timestamp(self._clock() + REMEMBERED_MS)))
            raise

    def _proven_before(self, digest: bytes) -> Credential | None:
        """Return what the same header proved a while ago, if that still counts."""
        self.directory.look()
        now = self._clock()
        credential, until = self._proven.get(digest, (None, 0))
        if credential is None or now >= until or self.directory.judge(credential, now) is None:
            return None
        return credential

    def _recall(self, digest: Key) -> Known | None:
        epoch = self.directory.look()
        known = self._known.get(digest)
        if known is None or known.epoch != epoch or not known.since <= self._clock() < known.until:
            return None
        return known

    def _keep(
        self,
        digest: Key,
        caller: Caller,
        one: Timestamp | None,
        other: Timestamp | None,
        *,
        session: Session | None = None,
    ) -> None:
        """Remember the caller for a minute, or until one of the ends, and note the use."""
        now = self._clock()
        until = min((Timestamp(now + REMEMBERED_MS), *(end for end in (one, other) if end is not None)))
        self._weight += len(caller.scopes.images) if caller.scopes else 0
        if self._weight > _WEIGHT or len(self._known) >= _ENTRIES:
            self._known.clear()
            self._weight = 0
        self._known[digest] = Known(caller, self.directory.epoch, now, until, session)
        if caller.credential is not None:
            self.uses.note(caller.credential, caller.address, now)

    def _fresh(self, caller: Caller) -> Caller:
        """Return the caller as of now, where its rights depend on the time."""
        return msgspec.structs.replace(caller, at=self._clock()) if caller.rights.is_timed else caller

    def _digest(self, secret: bytes, address: str, place: Place) -> bytes:
        text = b"%b\0%b\0%b" % (secret, address.encode(), place.encode())
        return hashlib.blake2b(text, key=self._key, digest_size=16).digest()


def csrf_of(secret: str) -> str:
    """Return what a page of the session has to send with every change: who reads it has the page, not the cookie."""
    return hmac.digest(secret.encode(), b"csrf", "sha256").hex()


def _put(known: dict[K, V], key: K, entry: V) -> None:
    if len(known) >= _ENTRIES:
        known.clear()
    known[key] = entry
