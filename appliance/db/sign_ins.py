"""Sign-ins that last: refresh tokens and console sessions, kept as SHA-256 of what the client holds."""

import enum

import msgspec

from appliance.db.database import Reader, Row, Transaction
from appliance.domain.access import KeyId, PrincipalId
from appliance.domain.moment import Timestamp
from appliance.domain.registry import RegistryId


class SignInKind(enum.StrEnum):
    """What the client holds."""

    REFRESH = "refresh"
    SESSION = "session"


class Kept(msgspec.Struct, frozen=True):
    """A sign-in, and the credential it came from: a key, or (None) the password of the principal."""

    id: int
    principal: PrincipalId
    key: KeyId | None
    generation: int
    registry: RegistryId | None
    created_at: Timestamp
    expires_at: Timestamp


class NewSignIn(msgspec.Struct, frozen=True):
    """A sign-in to be kept."""

    kind: str
    hash: bytes
    principal: PrincipalId
    key: KeyId | None
    generation: int
    registry: RegistryId | None
    address: str
    client: str
    now: Timestamp
    expires_at: Timestamp


_COLUMNS = "id, principal_id, key_id, generation, registry_id, created_at, expires_at"


def find(reader: Reader, kind: SignInKind, hashed: bytes) -> Kept | None:
    """Return the sign-in of this hash, an expired one too, or None. A point read: for the loop."""
    row = reader.one(f"SELECT {_COLUMNS} FROM sign_ins WHERE hash = ? AND kind = ?", (hashed, kind.value))
    return _kept(row) if row else None


def insert(tx: Transaction, new: NewSignIn) -> int:
    """Keep a sign-in."""
    sql = (
        "INSERT INTO sign_ins (kind, hash, principal_id, key_id, generation, registry_id, address, client, created_at,"
        " used_at, expires_at) VALUES (:kind, :hash, :principal, :key, :generation, :registry, :address, :client,"
        " :now, :now, :expires_at)"
    )
    return tx.insert(sql, msgspec.structs.asdict(new))


def touch(tx: Transaction, sign_in: int, at: Timestamp, expires_at: Timestamp) -> None:
    """Note a use, and let it last until `expires_at`, unless that is sooner than it would end anyway."""
    tx.execute(
        "UPDATE sign_ins SET used_at = :at, expires_at = max(expires_at, :expires) WHERE id = :id",
        {"id": sign_in, "at": at, "expires": expires_at},
    )


def delete(tx: Transaction, sign_in: int) -> None:
    """End a sign-in."""
    tx.execute("DELETE FROM sign_ins WHERE id = ?", (sign_in,))


def forget(tx: Transaction, before: Timestamp, limit: int) -> int:
    """Delete up to `limit` sign-ins that expired before `before`; return how many."""
    sql = "DELETE FROM sign_ins WHERE id IN (SELECT id FROM sign_ins WHERE expires_at < ? ORDER BY expires_at LIMIT ?)"
    return tx.execute(sql, (before, limit))


_SURPLUS = """
DELETE FROM sign_ins WHERE id IN (
  SELECT id FROM sign_ins WHERE principal_id = :principal AND kind = :kind ORDER BY id DESC LIMIT -1 OFFSET :keep
)
"""


def keep_newest(tx: Transaction, principal: PrincipalId, kind: SignInKind, keep: int) -> int:
    """Leave a principal its `keep` newest sign-ins of a kind; return how many went."""
    return tx.execute(_SURPLUS, {"principal": principal, "kind": kind.value, "keep": keep})


def _kept(row: Row) -> Kept:
    return Kept(
        id=row[0],
        principal=PrincipalId(row[1]),
        key=None if row[2] is None else KeyId(row[2]),
        generation=row[3],
        registry=None if row[4] is None else RegistryId(row[4]),
        created_at=Timestamp(row[5]),
        expires_at=Timestamp(row[6]),
    )
