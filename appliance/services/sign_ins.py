"""Refresh tokens and console sessions: random, kept as a hash, as good as the credential they came from."""

import secrets

import msgspec

from appliance.db import sign_ins
from appliance.db.database import Reader, Transaction
from appliance.db.sign_ins import Kept, NewSignIn, SignInKind
from appliance.domain.accounts import Credential
from appliance.domain.moment import DAY, HOUR, Timestamp
from appliance.domain.registry import RegistryId
from appliance.services.credentials import hash_secret
from appliance.services.stock import Stock

REFRESH_LIFE = 90 * DAY  # since the last use; docker keeps one a host for as long as somebody is logged in
SESSION_IDLE = 12 * HOUR
SESSION_LIFE = 7 * DAY
_MOST = {SignInKind.REFRESH: 10_000, SignInKind.SESSION: 100}  # of a principal; the oldest go first
_PREFIX = {SignInKind.REFRESH: "scrr_", SignInKind.SESSION: "scrc_"}
_BATCH = 1000
_FORMS = 128  # characters; a longer text is none of ours


class Opened(msgspec.Struct, frozen=True):
    """A sign-in that was made: what the client is given, once, and until when it is good."""

    secret: str
    until: Timestamp


async def keep(
    stock: Stock,
    kind: SignInKind,
    credential: Credential,
    now: Timestamp,
    *,
    address: str,
    client: str = "",
    registry: RegistryId | None = None,
) -> Opened:
    """Make a sign-in. The credential it came from is judged again at each use, so it outlives none."""
    secret = _PREFIX[kind] + secrets.token_urlsafe(32)
    end = Timestamp(now + (REFRESH_LIFE if kind is SignInKind.REFRESH else SESSION_IDLE))
    new = NewSignIn(
        kind=kind.value,
        hash=hash_secret(secret),
        principal=credential.principal,
        key=credential.key,
        generation=credential.generation,
        registry=registry,
        address=address,
        client=client,
        now=now,
        expires_at=end,
    )

    def write(tx: Transaction) -> None:
        sign_ins.insert(tx, new)
        sign_ins.keep_newest(tx, credential.principal, kind, _MOST[kind])

    await stock.db.write(write)
    return Opened(secret, end)


def find(reader: Reader, kind: SignInKind, secret: str, now: Timestamp) -> Kept | None:
    """Return the sign-in that `secret` is of, unless it has ended. A point read: for the loop."""
    if not secret.startswith(_PREFIX[kind]) or len(secret) > _FORMS:
        return None
    kept = sign_ins.find(reader, kind, hash_secret(secret))
    return kept if kept is not None and kept.created_at - DAY <= now < kept.expires_at else None


def credential_of(kept: Kept) -> Credential:
    """Return what the sign-in came from."""
    return Credential(kept.principal, kept.key, kept.generation)


async def end(stock: Stock, kept: Kept) -> None:
    """End a sign-in."""
    await stock.db.write(lambda tx: sign_ins.delete(tx, kept.id))


async def forget(stock: Stock, now: Timestamp) -> int:
    """Delete what expired, in small steps; return how many."""
    total = 0
    while True:
        count = await stock.db.write(lambda tx: sign_ins.forget(tx, now, _BATCH))
        total += count
        if count < _BATCH:
            return total
