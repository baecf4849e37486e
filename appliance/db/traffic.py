"""Traffic: who pulled and pushed what. In `logs.sqlite`."""

from collections.abc import Iterable, Sequence

import msgspec

from appliance.db.database import Reader, Row, Transaction, Values
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, from_bytes, to_bytes
from appliance.domain.registry import RegistryId

KINDS = ("manifest.pulled", "manifest.pushed", "blob.pulled", "blob.pushed", "blob.mounted")  # by place; append only


class Passage(msgspec.Struct, frozen=True):
    """A manifest or blob that went out or came in. `size` is bytes of the body."""

    at: Timestamp
    kind: str  # one of KINDS
    registry: RegistryId
    path: str
    tag: str  # by which it was asked for; "" where that was the digest
    digest: Digest
    size: int
    principal: str
    address: str
    client: str
    seq: int = 0


class Wanted(msgspec.Struct, frozen=True):
    """What is asked for; None for anything. Times are [since, until)."""

    registries: Sequence[RegistryId]
    digest: Digest | None = None
    path: str | None = None
    principal: str | None = None
    kind: str | None = None
    since: Timestamp = Timestamp(0)
    until: Timestamp = Timestamp(1 << 62)


_INSERT = """
INSERT INTO traffic (at, kind, registry_id, path, tag, digest, size, principal, address, client)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}


def append(tx: Transaction, passages: Iterable[Passage]) -> None:
    """Append `passages` in their order."""
    tx.execute_many(_INSERT, map(_values, passages))


def _values(one: Passage) -> Values:
    return (
        *(one.at, _NUMBERS[one.kind], one.registry, one.path, one.tag, to_bytes(one.digest)),
        *(one.size, one.principal, one.address, one.client),
    )


_PAGE = """
SELECT at, kind, registry_id, path, tag, digest, size, principal, address, client, seq FROM traffic
WHERE {lead} AND registry_id IN (SELECT value FROM json_each(:registries))
  AND (:path IS NULL OR path = :path) AND (:principal IS NULL OR principal = :principal)
  AND (:kind IS NULL OR kind = :kind) AND at >= :since AND at < :until AND {order} LIMIT :limit
"""
_ORDERS = {False: "seq < :seq ORDER BY seq DESC", True: "seq > :seq ORDER BY seq"}
PAGES = {
    (has_digest, is_onward): _PAGE.format(lead="digest = :digest" if has_digest else "TRUE", order=order)
    for has_digest in (False, True)
    for is_onward, order in _ORDERS.items()
}


def list_page(reader: Reader, wanted: Wanted, seq: int, limit: int, *, onward: bool = False) -> list[Passage]:
    """Return up to `limit` passages before the `seq`, newest first; `onward`: after it, oldest first."""
    values: Values = {
        "registries": msgspec.json.encode(wanted.registries).decode(),
        "digest": None if wanted.digest is None else to_bytes(wanted.digest),
        "path": wanted.path,
        "principal": wanted.principal,
        "kind": None if wanted.kind is None else KINDS.index(wanted.kind),
        "since": wanted.since,
        "until": wanted.until,
        "seq": seq,
        "limit": limit,
    }
    return [_passage(row) for row in reader.rows(PAGES[wanted.digest is not None, onward], values)]


def _passage(row: Row) -> Passage:
    return Passage(
        at=Timestamp(row[0]),
        kind=KINDS[row[1]],
        registry=RegistryId(row[2]),
        path=row[3],
        tag=row[4],
        digest=from_bytes(row[5]),
        size=row[6],
        principal=row[7],
        address=row[8],
        client=row[9],
        seq=row[10],
    )


def forget(tx: Transaction, before: Timestamp, limit: int) -> int:
    """Delete those of the `limit` oldest lines that are older than `before`; return how many."""
    sql = (
        "DELETE FROM traffic WHERE seq IN"
        " (SELECT seq FROM (SELECT seq, at FROM traffic ORDER BY seq LIMIT :limit) WHERE at < :before)"
    )
    return tx.execute(sql, {"limit": limit, "before": before})


def forget_oldest(tx: Transaction, limit: int) -> int:
    """Delete the `limit` oldest lines; return how many there were."""
    return tx.execute("DELETE FROM traffic WHERE seq IN (SELECT seq FROM traffic ORDER BY seq LIMIT ?)", (limit,))


def used_bytes(reader: Reader) -> int:
    """Return the bytes of the file that are in use, by everything in it."""
    row = reader.one(
        "SELECT (p.page_count - f.freelist_count) * s.page_size"
        " FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s"
    )
    return row[0] if row else 0
