"""What repositories used when they were last measured: kept, for a whole large registry is too much for one look."""

from collections.abc import Iterable

import msgspec

from appliance.db.database import Reader, Row, Transaction, Values
from appliance.db.repository_usage import RepositoryUsage
from appliance.domain.moment import Timestamp
from appliance.domain.registry import RegistryId, RepositoryId


class Measured(msgspec.Struct, frozen=True):
    """A repository and its bytes. `measured_at` is None where nobody has measured it yet: then all of them are 0."""

    id: RepositoryId
    public_id: str
    name: str
    usage: RepositoryUsage
    staged: int  # bytes of uploads that are not finished
    measured_at: Timestamp | None


_SELECT = """
SELECT r.id, r.public_id, r.name, coalesce(m.live, 0), coalesce(m.untagged, 0), coalesce(m.unclaimed, 0),
       coalesce(m.shared, 0), coalesce(m.leaving, 0), coalesce(m.staged, 0), m.measured_at
FROM repositories r LEFT JOIN repository_measures m ON m.repository_id = r.id
WHERE r.registry_id = :registry AND r.removed_at IS NULL
"""
_BYTES = {
    "live": "coalesce(m.live, 0)",
    "shared": "coalesce(m.shared, 0)",
    "untagged": "coalesce(m.untagged, 0)",
    "unfinished": "coalesce(m.unclaimed + m.staged, 0)",
    "leaving": "coalesce(m.leaving, 0)",
}
PAGES = {"name": f"{_SELECT} AND r.name > :name ORDER BY r.name LIMIT :limit"} | {
    "-name": f"{_SELECT} AND r.name < :name ORDER BY r.name DESC LIMIT :limit"
}
for _by, _bytes in _BYTES.items():
    PAGES[_by] = f"{_SELECT} AND ({_bytes}, r.name) > (:bytes, :name) ORDER BY {_bytes}, r.name LIMIT :limit"
    PAGES[f"-{_by}"] = (
        f"{_SELECT} AND ({_bytes}, r.name) < (:bytes, :name) ORDER BY {_bytes} DESC, r.name DESC LIMIT :limit"
    )


def list_page(
    reader: Reader, registry: RegistryId, order: str, after: tuple[int, str] | None, limit: int
) -> list[Measured]:
    """Return up to `limit` repositories behind the bytes and name `after`, None for the beginning.

    By bytes it reads a row for each repository; that is what it is for.
    """
    bytes_, name = after or ((1 << 62, "\U0010ffff") if order.startswith("-") else (-1, ""))
    values: Values = {"registry": registry, "bytes": bytes_, "name": name, "limit": limit}
    return [_shown(row) for row in reader.rows(PAGES[order], values)]


def has_any(reader: Reader, registry: RegistryId) -> bool:
    """Whether repositories of the registry were measured before."""
    sql = (
        "SELECT 1 FROM repository_measures m JOIN repositories r ON r.id = m.repository_id"
        " WHERE r.registry_id = ? LIMIT 1"
    )
    return reader.one(sql, (registry,)) is not None


def list_larger(reader: Reader, images: int) -> list[RegistryId]:
    """Return the live registries with more than so many images."""
    sql = (
        "SELECT g.id FROM registries g JOIN registry_usage u ON u.registry_id = g.id"
        " WHERE g.removed_at IS NULL AND u.images > ? ORDER BY g.id"
    )
    return [RegistryId(row[0]) for row in reader.rows(sql, (images,))]


_KEEP = """
INSERT INTO repository_measures (repository_id, live, untagged, unclaimed, shared, leaving, staged, measured_at)
SELECT :id, :live, :untagged, :unclaimed, :shared, :leaving, :staged, :now
WHERE EXISTS (SELECT 1 FROM repositories WHERE id = :id)  -- it may have been purged since
ON CONFLICT (repository_id) DO UPDATE SET live = excluded.live, untagged = excluded.untagged,
  unclaimed = excluded.unclaimed, shared = excluded.shared, leaving = excluded.leaving, staged = excluded.staged,
  measured_at = excluded.measured_at
"""


def keep(tx: Transaction, measured: Iterable[tuple[RepositoryId, RepositoryUsage, int]], now: Timestamp) -> None:
    """Keep what repositories use now, each with the bytes of its unfinished uploads."""
    tx.execute_many(
        _KEEP,
        ({"id": one, **msgspec.structs.asdict(usage), "staged": staged, "now": now} for one, usage, staged in measured),
    )


def _shown(row: Row) -> Measured:
    live, untagged, unclaimed, shared, leaving = row[3:8]
    usage = RepositoryUsage(live, untagged, unclaimed, shared, leaving)
    return Measured(RepositoryId(row[0]), row[1], row[2], usage, row[8], row[9])
