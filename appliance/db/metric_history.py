"""The manual's counters over time: each minute, hour and day of a registry, and when it served.

What is counted is added to its minute, its hour and its day in the same transaction, so the three always agree and no
roll-up can be interrupted; each span is deleted at its own age.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from appliance.db.database import Reader, Transaction, Value, Values
from appliance.domain.moment import DAY, HOUR, MINUTE, Timestamp
from appliance.domain.registry import RegistryId
from appliance.metrics import Counter, Counts

KEPT = {MINUTE: 14 * DAY, HOUR: 120 * DAY, DAY: 400 * DAY}  # span -> milliseconds that it is kept

_NAMES = [counter.name.lower() for counter in Counter]
_ADD = (
    f"INSERT INTO counted (registry_id, span, at, {', '.join(_NAMES)})"
    f" VALUES (:registry, :span, :at, {', '.join(f':{name}' for name in _NAMES)})"
    f" ON CONFLICT (registry_id, span, at) DO UPDATE SET {', '.join(f'{name} = {name} + :{name}' for name in _NAMES)}"
)
_POINTS = (
    f"SELECT at, {', '.join(f'sum({name})' for name in _NAMES)} FROM counted"
    " WHERE span = :span AND registry_id IN (SELECT value FROM json_each(:registries)) AND at >= :since AND at < :until"
    " GROUP BY at ORDER BY at"
)


class Point(msgspec.Struct, frozen=True):
    """What was counted in the span that begins at `at`."""

    at: Timestamp
    counts: Counts


def add(tx: Transaction, counted: Mapping[tuple[RegistryId, int], Counts]) -> None:
    """Add counts by registry and minute (of unix time) to the minute, its hour and its day."""
    tx.execute_many(_ADD, _rows(counted))


def _rows(counted: Mapping[tuple[RegistryId, int], Counts]) -> Iterable[Mapping[str, Value]]:
    for (registry, minute), counts in counted.items():
        values: dict[str, Value] = dict(zip(_NAMES, counts, strict=True))
        for span in KEPT:
            yield {**values, "registry": registry, "span": span, "at": minute * MINUTE // span * span}


def list_points(
    reader: Reader, registries: Sequence[RegistryId], span: int, since: Timestamp, until: Timestamp
) -> list[Point]:
    """Return the sums over `registries` for each span of [since, until) in which anything was counted."""
    values: Values = {
        "registries": msgspec.json.encode(registries).decode(),
        "span": span,
        "since": since,
        "until": until,
    }
    return [Point(Timestamp(row[0]), list(row[1:])) for row in reader.rows(_POINTS, values)]


def see_alive(tx: Transaction, registry: RegistryId, since: Timestamp, until: Timestamp) -> None:
    """Write down that `registry` served from `since` on, until `until` at least."""
    sql = (
        "INSERT INTO alive (registry_id, since, until) VALUES (?, ?, ?)"
        " ON CONFLICT (registry_id, since) DO UPDATE SET until = max(until, excluded.until)"
    )
    tx.execute(sql, (registry, since, until))


def list_alive(
    reader: Reader, registries: Sequence[RegistryId], since: Timestamp, until: Timestamp
) -> list[tuple[Timestamp, Timestamp]]:
    """Return from when until when any of `registries` served, as far as it touches [since, until); they may overlap."""
    sql = (
        "SELECT since, until FROM alive WHERE registry_id IN (SELECT value FROM json_each(:registries))"
        " AND until >= :since AND since < :until ORDER BY since"
    )
    values: Values = {"registries": msgspec.json.encode(registries).decode(), "since": since, "until": until}
    return [(Timestamp(row[0]), Timestamp(row[1])) for row in reader.rows(sql, values)]


def forget(tx: Transaction, now: Timestamp, limit: int) -> int:
    """Delete up to `limit` rows of each span that are older than it is kept; return how many."""
    gone = sum(
        tx.execute(
            "DELETE FROM counted WHERE (registry_id, span, at) IN"
            " (SELECT registry_id, span, at FROM counted WHERE span = :span AND at < :before LIMIT :limit)",
            {"span": span, "before": now - kept, "limit": limit},
        )
        for span, kept in KEPT.items()
    )
    return gone + tx.execute("DELETE FROM alive WHERE until < ?", (now - max(KEPT.values()),))
