"""Refusals: who was refused what, by which rule. In `logs.sqlite`."""

from collections.abc import Iterable, Sequence

import msgspec

from appliance.db.database import Reader, Row, Transaction, Values
from appliance.domain.decision import Step
from appliance.domain.moment import Timestamp
from appliance.domain.registry import RegistryId


class Refusal(msgspec.Struct, frozen=True):
    """A request that a rule refused, and those that were the same."""

    id: str
    at: Timestamp
    last_at: Timestamp
    times: int
    registry: RegistryId  # 0: before it was known which one is meant
    principal: str  # "" before it was known who calls
    address: str
    client: str
    method: str
    path: str
    rule: str  # the kind of error
    says: str  # what the refused one was told
    steps: tuple[Step, ...]


_COLUMNS = "id, at, last_at, times, registry_id, principal, address, client, method, path, rule, says, steps"
_KEEP = f"""
INSERT INTO refusals ({_COLUMNS}) VALUES (:id, :at, :last_at, :times, :registry, :principal, :address, :client, :method,
 :path, :rule, :says, :steps)
ON CONFLICT (id) DO UPDATE SET last_at = excluded.last_at, times = excluded.times
"""
_STEPS = msgspec.json.Decoder(tuple[Step, ...])


def keep(tx: Transaction, refusals: Iterable[Refusal]) -> None:
    """Write `refusals`; of those that are there already, how often and when last."""
    tx.execute_many(_KEEP, ({**msgspec.structs.asdict(one), "steps": _text(one.steps)} for one in refusals))


def _text(steps: tuple[Step, ...]) -> str:
    return msgspec.json.encode(steps).decode()


def find(reader: Reader, refusal: str) -> Refusal | None:
    """Return the refusal of that id, or None."""
    row = reader.one(f"SELECT {_COLUMNS} FROM refusals WHERE id = ?", (refusal,))
    return _refusal(row) if row else None


_PAGE = f"""
SELECT {_COLUMNS} FROM refusals
WHERE {{place}} AND registry_id IN (SELECT value FROM json_each(:registries))
  AND (:principal IS NULL OR principal = :principal)
ORDER BY {{order}} LIMIT :limit
"""
_PAGES = {
    False: _PAGE.format(place="(last_at, id) < (:at, :id)", order="last_at DESC, id DESC"),
    True: _PAGE.format(place="(last_at, id) > (:at, :id)", order="last_at, id"),
}


def list_page(
    reader: Reader,
    registries: Sequence[RegistryId],
    principal: str | None,
    place: tuple[int, str],
    limit: int,
    *,
    onward: bool = False,
) -> list[Refusal]:
    """Return up to `limit` refusals whose last time and id come before `place`, the newest first.

    `onward`: after it, the oldest first.
    """
    values: Values = {
        "registries": msgspec.json.encode(registries).decode(),
        "principal": principal,
        "at": place[0],
        "id": place[1],
        "limit": limit,
    }
    return [_refusal(row) for row in reader.rows(_PAGES[onward], values)]


def _refusal(row: Row) -> Refusal:
    return Refusal(
        id=row[0],
        at=Timestamp(row[1]),
        last_at=Timestamp(row[2]),
        times=row[3],
        registry=RegistryId(row[4]),
        principal=row[5],
        address=row[6],
        client=row[7],
        method=row[8],
        path=row[9],
        rule=row[10],
        says=row[11],
        steps=_STEPS.decode(row[12]),
    )


def forget(tx: Transaction, before: Timestamp | None, most: int, limit: int) -> int:
    """Delete up to `limit` refusals older than `before` (None: of any age), and as many of those beyond `most`.

    Returns how many.
    """
    sql = (
        "DELETE FROM refusals WHERE id IN (SELECT id FROM refusals WHERE last_at < :before ORDER BY last_at, id"
        " LIMIT :limit)"
    )
    aged = tx.execute(sql, {"before": before, "limit": limit})
    row = tx.one("SELECT count(*) FROM refusals")
    spare = min((row[0] if row else 0) - most, limit)
    if spare <= 0:
        return aged
    return aged + tx.execute(
        "DELETE FROM refusals WHERE id IN (SELECT id FROM refusals ORDER BY last_at, id LIMIT ?)", (spare,)
    )
