"""Access keys: several a principal; the secret is kept as SHA-256 only."""

import msgspec

from appliance.db.database import Reader, Row, Transaction, Values
from appliance.db.principals import PROOF, proof_of
from appliance.domain.access import Account, Holder, KeyId, PrincipalId
from appliance.domain.accounts import KeyProof, KeyRow
from appliance.domain.moment import Timestamp

_SELECT = """
SELECT k.id, k.access_key, k.principal_id, o.kind, o.name, k.name, k.description, k.enabled, k.expires_at,
  k.earlier_until, k.managed, k.last_used_at, coalesce(k.last_used_from, ''), k.created_at, k.created_by, k.modified_at,
  k.modified_by, k.revision
FROM access_keys k JOIN principals o ON o.id = k.principal_id
"""
_PROOF = f"""
SELECT {PROOF}, k.id, k.access_key, k.secret_hash, k.generation, k.earlier_hash, k.earlier_until, k.enabled,
       k.expires_at
FROM access_keys k JOIN principals p ON p.id = k.principal_id
"""


def find(reader: Reader, access_key: str) -> KeyRow | None:
    """Return the access key, or None."""
    return _row(reader.one(f"{_SELECT} WHERE k.access_key = ?", (access_key,)))


def find_named(reader: Reader, owner: PrincipalId, name: str) -> KeyRow | None:
    """Return the key that its owner calls `name`, or None."""
    return _row(reader.one(f"{_SELECT} WHERE k.principal_id = ? AND k.name = ?", (owner, name)))


def find_proof(reader: Reader, access_key: str) -> KeyProof | None:
    """Return what the secret of an access key is checked against, or None."""
    return _proof(reader.one(_PROOF + "WHERE k.access_key = ?", (access_key,)))


def find_proof_by_row(reader: Reader, key: KeyId) -> KeyProof | None:
    """Return the same for a key's inner id."""
    return _proof(reader.one(_PROOF + "WHERE k.id = ?", (key,)))


def list_managed(reader: Reader) -> list[KeyRow]:
    """Return the keys that scr.toml declares."""
    return [found for row in reader.rows(f"{_SELECT} WHERE k.managed") if (found := _row(row)) is not None]


_PAGE = f"{_SELECT} WHERE instr(lower(k.name), lower(:contains)) AND (:enabled IS NULL OR k.enabled = :enabled)"
PAGES = {
    False: f"{_PAGE} AND (k.principal_id, k.name) > (:last, :name) ORDER BY k.principal_id, k.name LIMIT :limit",
    True: f"{_PAGE} AND k.principal_id = :owner AND k.name > :name ORDER BY k.name LIMIT :limit",
}


# few enough to put them in order for each page: no index is written at each use of a key
_NEVER = 1 << 62
_KEYS = {
    "owner": "o.kind || ':' || o.name",
    "name": "k.name",
    "expires": f"coalesce(k.expires_at, {_NEVER})",
    "used": "coalesce(k.last_used_at, 0)",
}
_SORTED = {
    f"{sign}{by}": f"{_PAGE} AND (:owner IS NULL OR k.principal_id = :owner)"
    f" AND (:id IS NULL OR ({key}, k.id) {is_after} (:key, :id)) ORDER BY {key}{turn}, k.id{turn} LIMIT :limit"
    for by, key in _KEYS.items()
    for sign, is_after, turn in (("", ">", ""), ("-", "<", " DESC"))
}


class WantedKeys(msgspec.Struct, frozen=True):
    """A list of access keys; None for any."""

    owner: PrincipalId | None = None
    contains: str = ""  # in the name
    enabled: bool | None = None


def list_page(reader: Reader, wanted: WantedKeys, last: tuple[int, str] = (0, ""), limit: int = 1000) -> list[KeyRow]:
    """Return up to `limit` keys by owner and name, behind the owner and the name `last`."""
    values: Values = {
        "contains": wanted.contains,
        "enabled": wanted.enabled,
        "owner": wanted.owner,
        "last": last[0],
        "name": last[1],
        "limit": limit,
    }
    rows = reader.rows(PAGES[wanted.owner is not None], values)
    return [found for row in rows if (found := _row(row)) is not None]


def key_in(sort: str, row: KeyRow) -> tuple[str | int, KeyId]:
    """Return where `row` stands in a list of the order `sort`."""
    keys: dict[str, str | int] = {
        "owner": str(row.holder),
        "name": row.name,
        "expires": _NEVER if row.expires_at is None else row.expires_at,
        "used": row.last_used_at or 0,
    }
    return keys[sort.removeprefix("-")], row.row


def list_sorted(
    reader: Reader, wanted: WantedKeys, sort: str, last: tuple[str | int, KeyId] | None, limit: int
) -> list[KeyRow]:
    """Return up to `limit` keys by `sort` (`owner`, `name`, `expires`, `used`; `-` turns it round) after `last`.

    What never expires comes last, what was never used first.
    """
    values: Values = {
        "contains": wanted.contains,
        "enabled": wanted.enabled,
        "owner": wanted.owner,
        "key": last[0] if last else "",
        "id": last[1] if last else None,
        "limit": limit,
    }
    return [found for row in reader.rows(_SORTED[sort], values) if (found := _row(row)) is not None]


def count(reader: Reader, owner: PrincipalId) -> int:
    """Return how many keys a principal has."""
    row = reader.one("SELECT count(*) FROM access_keys WHERE principal_id = ?", (owner,))
    return int(row[0]) if row else 0


class NewKey(msgspec.Struct, frozen=True):
    """An access key to be made."""

    access_key: str
    owner: PrincipalId
    name: str
    description: str
    secret_hash: bytes
    expires_at: Timestamp | None
    managed: bool
    by: str
    now: Timestamp


def insert(tx: Transaction, new: NewKey) -> KeyId:
    """Make an access key."""
    sql = (
        "INSERT INTO access_keys (access_key, principal_id, name, description, secret_hash, expires_at, managed,"
        " created_at, created_by, modified_at, modified_by) VALUES (:access_key, :owner, :name, :description,"
        " :secret_hash, :expires_at, :managed, :now, :by, :now, :by)"
    )
    return KeyId(tx.insert(sql, msgspec.structs.asdict(new)))


_UPDATE = """
UPDATE access_keys SET name = :name, description = :description, enabled = :enabled, expires_at = :expires,
  managed = :managed, revision = revision + 1, modified_at = :now, modified_by = :by
WHERE id = :id
"""


def update(tx: Transaction, row: KeyRow, by: str, now: Timestamp) -> None:
    """Write what may be edited of a key."""
    values: Values = {
        "id": row.row,
        "name": row.name,
        "description": row.description,
        "enabled": row.enabled,
        "expires": row.expires_at,
        "managed": row.managed,
        "by": by,
        "now": now,
    }
    tx.execute(_UPDATE, values)


def rotate(
    tx: Transaction, key: KeyId, secret_hash: bytes, earlier_until: Timestamp | None, by: str, now: Timestamp
) -> None:
    """Put another secret in place; with `earlier_until` the one before is good until then, too.

    Without an overlap the generation skips one, so that nothing counts as the one before.
    """
    values: Values = {
        "id": key,
        "hash": secret_hash,
        "until": earlier_until,
        "step": 1 if earlier_until is not None else 2,
        "by": by,
        "now": now,
    }
    tx.execute(
        "UPDATE access_keys SET earlier_hash = CASE WHEN :until IS NULL THEN NULL ELSE secret_hash END,"
        " earlier_until = :until, secret_hash = :hash, generation = generation + :step,"
        " revision = revision + 1, modified_at = :now, modified_by = :by WHERE id = :id",
        values,
    )


def end_sign_ins(tx: Transaction, key: KeyId) -> None:
    """Let everything that the key opened end, the secret before a rotation with it."""
    tx.execute(
        "UPDATE access_keys SET generation = generation + 2, earlier_hash = NULL, earlier_until = NULL WHERE id = ?",
        (key,),
    )


def touch(tx: Transaction, key: KeyId, address: str, at: Timestamp) -> None:
    """Note the last use of a key."""
    tx.execute(
        "UPDATE access_keys SET last_used_at = :at, last_used_from = :address"
        " WHERE id = :id AND coalesce(last_used_at, 0) <= :at",
        {"id": key, "address": address, "at": at},
    )


def delete(tx: Transaction, key: KeyId) -> None:
    """Delete a key and what it opened."""
    tx.execute("DELETE FROM sign_ins WHERE key_id = ?", (key,))
    tx.execute("DELETE FROM access_keys WHERE id = ?", (key,))


def _proof(row: Row | None) -> KeyProof | None:
    if row is None:
        return None
    return KeyProof(
        key=KeyId(row[8]),
        access_key=row[9],
        owner=proof_of(row),
        secret_hash=row[10],
        generation=row[11],
        earlier_hash=row[12],
        earlier_until=None if row[13] is None else Timestamp(row[13]),
        enabled=bool(row[14]),
        expires_at=None if row[15] is None else Timestamp(row[15]),
    )


def _row(row: Row | None) -> KeyRow | None:
    if row is None:
        return None
    return KeyRow(
        row=KeyId(row[0]),
        access_key=row[1],
        owner=PrincipalId(row[2]),
        holder=Account(Holder(row[3]), row[4]),
        name=row[5],
        description=row[6],
        enabled=bool(row[7]),
        expires_at=None if row[8] is None else Timestamp(row[8]),
        earlier_until=None if row[9] is None else Timestamp(row[9]),
        managed=bool(row[10]),
        last_used_at=None if row[11] is None else Timestamp(row[11]),
        last_used_from=row[12],
        created_at=Timestamp(row[13]),
        created_by=row[14],
        modified_at=Timestamp(row[15]),
        modified_by=row[16],
        revision=row[17],
    )
