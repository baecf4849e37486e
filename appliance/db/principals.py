"""Users and roles. Whatever changes here ends remembered decisions: services bump the access epoch."""

import msgspec

from appliance.db.database import Reader, Row, Transaction, Values
from appliance.domain.access import PrincipalId, PrincipalKind
from appliance.domain.accounts import PrincipalRow, Proof, SignIn
from appliance.domain.moment import Timestamp
from appliance.domain.names import natural_key

_SIGN_IN = msgspec.json.Decoder(SignIn)
COLUMNS = (
    "id, public_id, kind, name, description, password_hash IS NOT NULL, sign_in, enabled, managed,"
    " last_used_at, coalesce(last_used_from, ''), created_at, created_by, modified_at, modified_by, revision"
)
PROOF = "p.id, p.kind, p.name, p.password_hash, p.generation, p.sign_in, p.enabled, p.managed"


def sort_key(name: str) -> str:
    """Return what lists are sorted by: natural order, whatever the case, the name itself where that is the same."""
    return f"{natural_key(name.lower())}\x00{name}"


def find(reader: Reader, kind: PrincipalKind, name: str) -> PrincipalRow | None:
    """Return the user or role `name`, or None."""
    return row_of(reader.one(f"SELECT {COLUMNS} FROM principals WHERE kind = ? AND name = ?", (kind.value, name)))


def find_id(reader: Reader, public_id: str) -> PrincipalRow | None:
    """Return the user or role of this public id, or None."""
    return row_of(reader.one(f"SELECT {COLUMNS} FROM principals WHERE public_id = ?", (public_id,)))


def find_row(reader: Reader, principal: PrincipalId) -> PrincipalRow | None:
    """Return the user or role of this inner id, or None."""
    return row_of(reader.one(f"SELECT {COLUMNS} FROM principals WHERE id = ?", (principal,)))


def find_proof(reader: Reader, principal: PrincipalId) -> Proof | None:
    """Return what the principal's password is checked against, or None."""
    row = reader.one(f"SELECT {PROOF} FROM principals p WHERE p.id = ?", (principal,))
    return proof_of(row) if row else None


def find_user_proof(reader: Reader, name: str) -> Proof | None:
    """Return what the password of the user `name` is checked against, or None."""
    row = reader.one(f"SELECT {PROOF} FROM principals p WHERE p.kind = 'user' AND p.name = ?", (name,))
    return proof_of(row) if row else None


def proof_of(row: Row) -> Proof:
    """Return the proof that the columns PROOF hold."""
    return Proof(
        principal=PrincipalId(row[0]),
        kind=PrincipalKind(row[1]),
        name=row[2],
        password_hash=row[3],
        generation=row[4],
        sign_in=_SIGN_IN.decode(row[5]),
        enabled=bool(row[6]),
        managed=bool(row[7]),
    )


def is_any_in_force(reader: Reader) -> bool:
    """Whether anybody could sign in: an enabled user or role with a password or an enabled key."""
    row = reader.one(
        "SELECT 1 FROM principals p WHERE p.enabled AND (p.password_hash IS NOT NULL OR EXISTS"
        " (SELECT 1 FROM access_keys k WHERE k.principal_id = p.id AND k.enabled)) LIMIT 1"
    )
    return row is not None


def has_key_in_force(reader: Reader, principal: PrincipalId, now: Timestamp) -> bool:
    """Whether the user or role has an access key that is enabled and has not expired."""
    sql = "SELECT 1 FROM access_keys WHERE principal_id = ? AND enabled AND coalesce(expires_at, ?) > ? LIMIT 1"
    return reader.one(sql, (principal, now + 1, now)) is not None


def list_managed(reader: Reader, kind: PrincipalKind) -> list[PrincipalRow]:
    """Return the users or roles that scr.toml declares."""
    rows = reader.rows(f"SELECT {COLUMNS} FROM principals WHERE kind = ? AND managed", (kind.value,))
    return [found for row in rows if (found := row_of(row)) is not None]


class NewPrincipal(msgspec.Struct, frozen=True):
    """A user or role to be made."""

    public_id: str
    kind: PrincipalKind
    name: str
    description: str
    password_hash: str | None
    sign_in: SignIn
    managed: bool
    by: str
    now: Timestamp


def insert(tx: Transaction, new: NewPrincipal) -> PrincipalId:
    """Make a user or role."""
    values: Values = {
        "public": new.public_id,
        "kind": new.kind.value,
        "name": new.name,
        "sort": sort_key(new.name),
        "description": new.description,
        "password": new.password_hash,
        "sign_in": msgspec.json.encode(new.sign_in).decode(),
        "managed": new.managed,
        "by": new.by,
        "now": new.now,
    }
    sql = (
        "INSERT INTO principals (public_id, kind, name, sort_key, description, password_hash, sign_in, managed,"
        " created_at, created_by, modified_at, modified_by)"
        " VALUES (:public, :kind, :name, :sort, :description, :password, :sign_in, :managed, :now, :by, :now, :by)"
    )
    return PrincipalId(tx.insert(sql, values))


_UPDATE = """
UPDATE principals SET description = :description, sign_in = :sign_in, enabled = :enabled, managed = :managed,
  revision = revision + 1, modified_at = :now, modified_by = :by
WHERE id = :id
"""


def update(tx: Transaction, row: PrincipalRow, by: str, now: Timestamp) -> None:
    """Write what may be edited of a user or role."""
    values: Values = {
        "id": row.row,
        "description": row.description,
        "sign_in": msgspec.json.encode(row.sign_in).decode(),
        "enabled": row.enabled,
        "managed": row.managed,
        "by": by,
        "now": now,
    }
    tx.execute(_UPDATE, values)


_UPDATE_HASH = """
UPDATE principals SET password_hash = :hash, generation = generation + 1, revision = revision + 1, modified_at = :now,
  modified_by = :by
WHERE id = :id
"""


def set_password(tx: Transaction, principal: PrincipalId, password_hash: str | None, by: str, now: Timestamp) -> None:
    """Put another password in place: whatever the earlier one opened ends."""
    tx.execute(_UPDATE_HASH, {"id": principal, "hash": password_hash, "by": by, "now": now})


def renew_hash(tx: Transaction, principal: PrincipalId, known: str, renewed: str) -> None:
    """Keep the same password in another form, unless it was changed meanwhile; nothing ends by that."""
    values: Values = {"id": principal, "known": known, "renewed": renewed}
    tx.execute("UPDATE principals SET password_hash = :renewed WHERE id = :id AND password_hash = :known", values)


def password_hash_of(reader: Reader, principal: PrincipalId) -> str | None:
    """Return the hash of the principal's password, or None where it has none."""
    row = reader.one("SELECT password_hash FROM principals WHERE id = ?", (principal,))
    return row[0] if row else None


def end_sign_ins(tx: Transaction, principal: PrincipalId) -> None:
    """Let everything that the password opened end."""
    tx.execute("UPDATE principals SET generation = generation + 1 WHERE id = ?", (principal,))


def touch(tx: Transaction, principal: PrincipalId, address: str, at: Timestamp) -> None:
    """Note the last use of a password."""
    tx.execute(
        "UPDATE principals SET last_used_at = :at, last_used_from = :address"
        " WHERE id = :id AND coalesce(last_used_at, 0) <= :at",
        {"id": principal, "address": address, "at": at},
    )


def delete(tx: Transaction, principal: PrincipalId, kind: PrincipalKind) -> None:
    """Delete a user or role with its keys, sign-ins, memberships and attachments."""
    values: Values = {"id": principal, "kind": kind.value}
    for sql in (
        "DELETE FROM sign_ins WHERE principal_id = :id",
        "DELETE FROM access_keys WHERE principal_id = :id",
        "DELETE FROM group_members WHERE principal_id = :id",
        "DELETE FROM policy_attachments WHERE holder_id = :id AND kind = :kind",
        "DELETE FROM principals WHERE id = :id AND kind = :kind",
    ):
        tx.execute(sql, values)


def row_of(row: Row | None) -> PrincipalRow | None:
    """Return the user or role that the columns COLUMNS hold."""
    if row is None:
        return None
    return PrincipalRow(
        row=PrincipalId(row[0]),
        id=row[1],
        kind=PrincipalKind(row[2]),
        name=row[3],
        description=row[4],
        has_password=bool(row[5]),
        sign_in=_SIGN_IN.decode(row[6]),
        enabled=bool(row[7]),
        managed=bool(row[8]),
        last_used_at=None if row[9] is None else Timestamp(row[9]),
        last_used_from=row[10],
        created_at=Timestamp(row[11]),
        created_by=row[12],
        modified_at=Timestamp(row[13]),
        modified_by=row[14],
        revision=row[15],
    )
