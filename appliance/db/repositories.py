"""Repositories: the unit of management, and the template of new images."""

import msgspec

from appliance.db.database import Reader, Row, Transaction, Values
from appliance.domain.moment import Timestamp
from appliance.domain.names import RegistryName, RepositoryName, natural_key, of_repository
from appliance.domain.registry import ImageId, Place, RegistryId, RepositoryId, RepositoryRow


class Made(msgspec.Struct, frozen=True):
    """Who makes a repository or an image, when, and what it is born with."""

    public_id: str
    policy: str  # JSON
    by: str
    now: Timestamp
    by_push: bool = True


def find(reader: Reader, registry: RegistryId, name: RepositoryName) -> RepositoryId | None:
    """Return the id of the live repository `name`, or None."""
    row = reader.one(
        "SELECT id FROM repositories WHERE registry_id = ? AND name = ? AND removed_at IS NULL", (registry, name)
    )
    return RepositoryId(row[0]) if row else None


def insert(tx: Transaction, registry: RegistryId, name: RepositoryName, made: Made) -> RepositoryId:
    """Make the repository `name`."""
    values: Values = {
        "public": made.public_id,
        "registry": registry,
        "name": name,
        "sort": natural_key(name),
        "policy": made.policy,
        "by_push": made.by_push,
        "now": made.now,
        "by": made.by,
    }
    sql = (
        "INSERT INTO repositories (public_id, registry_id, name, sort_key, policy, by_push, created_at, created_by,"
        " modified_at, modified_by) VALUES (:public, :registry, :name, :sort, :policy, :by_push, :now, :by, :now, :by)"
    )
    return RepositoryId(tx.insert(sql, values))


def policy_of(reader: Reader, repository: RepositoryId) -> str:
    """Return the template of new images, as JSON."""
    row = reader.one("SELECT policy FROM repositories WHERE id = ?", (repository,))
    return row[0] if row else "{}"


_LIST = """
SELECT r.public_id, r.name, r.locked, r.created_at, r.created_by,
       (SELECT count(*) FROM images i WHERE i.repository_id = r.id AND i.removed_at IS NULL AND i.shown_at IS NOT NULL)
FROM repositories r
WHERE r.registry_id = :registry AND r.removed_at IS NULL AND r.name > :last AND instr(r.name, :contains)
ORDER BY r.name LIMIT :limit
"""
_ONE = (
    _LIST[: _LIST.index("WHERE r.registry_id")]
    + "WHERE r.registry_id = :registry AND r.removed_at IS NULL AND r.name = :name"
)


def list_page(reader: Reader, registry: RegistryId, last: str, limit: int, contains: str = "") -> list[RepositoryRow]:
    """Return up to `limit` repositories whose names come after `last` and have `contains` in them."""
    rows = reader.rows(_LIST, {"registry": registry, "last": last, "contains": contains, "limit": limit})
    return [_shown(row) for row in rows]


def find_row(reader: Reader, registry: RegistryId, name: RepositoryName) -> RepositoryRow | None:
    """Return the live repository `name` as a list shows it, or None."""
    row = reader.one(_ONE, {"registry": registry, "name": name})
    return _shown(row) if row else None


def locate(reader: Reader, public_id: str) -> Place | None:
    """Return where the live repository that has this public id lives, in whichever registry, or None."""
    row = reader.one(
        "SELECT g.id, g.name, r.name FROM repositories r JOIN registries g ON g.id = r.registry_id"
        " WHERE r.public_id = ? AND r.removed_at IS NULL AND g.removed_at IS NULL",
        (public_id,),
    )
    return Place(RegistryId(row[0]), RegistryName(row[1]), of_repository(RepositoryName(row[2]))) if row else None


def _shown(row: Row) -> RepositoryRow:
    return RepositoryRow(
        id=row[0],
        name=RepositoryName(row[1]),
        images=row[5],
        locked=bool(row[2]),
        created_at=Timestamp(row[3]),
        created_by=row[4],
    )


def remove(tx: Transaction, repository: RepositoryId, now: Timestamp) -> None:
    """Take the repository and its images away from all readers at once; collection purges them later."""
    tx.execute(
        "UPDATE repositories SET removed_at = :now WHERE id = :id AND removed_at IS NULL",
        {"now": now, "id": repository},
    )


def is_restorable(reader: Reader, repository: RepositoryId) -> bool:
    """Whether the repository is removed and all of it is still there."""
    sql = "SELECT 1 FROM repositories WHERE id = ? AND removed_at IS NOT NULL AND NOT purging"
    return reader.one(sql, (repository,)) is not None


def restore(tx: Transaction, repository: RepositoryId) -> None:
    """Give the repository and its images back to all readers."""
    tx.execute("UPDATE repositories SET removed_at = NULL WHERE id = ?", (repository,))


def begin_purge(tx: Transaction, repository: RepositoryId) -> None:
    """Write down that its data begin to go: from now on it cannot come back."""
    tx.execute("UPDATE repositories SET purging = 1 WHERE id = ? AND NOT purging", (repository,))


def list_removed(reader: Reader, before: Timestamp, limit: int) -> list[RepositoryId]:
    """Return repositories removed at or before `before`."""
    sql = "SELECT id FROM repositories WHERE removed_at <= ? ORDER BY removed_at LIMIT ?"
    return [RepositoryId(row[0]) for row in reader.rows(sql, (before, limit))]


def live_images(reader: Reader, repository: RepositoryId, limit: int) -> list[ImageId]:
    """Return the ids of up to `limit` images of the repository that are not removed themselves."""
    sql = "SELECT id FROM images WHERE repository_id = ? AND removed_at IS NULL LIMIT ?"
    return [ImageId(row[0]) for row in reader.rows(sql, (repository, limit))]


_LOCK = """
SELECT 'repository ' || name FROM repositories WHERE id = :id AND locked
UNION ALL SELECT 'image ' || path FROM images WHERE repository_id = :id AND removed_at IS NULL AND locked
UNION ALL SELECT 'tag ' || i.path || ':' || t.name FROM images i JOIN tags t ON t.image_id = i.id
WHERE i.repository_id = :id AND i.removed_at IS NULL AND t.locked
LIMIT 1
"""


def find_lock(reader: Reader, repository: RepositoryId) -> str | None:
    """Return what holds a lock in the repository, in words ("tag pay/api:1"), or None."""
    row = reader.one(_LOCK, {"id": repository})
    return row[0] if row else None


def oldest_removal(reader: Reader) -> Timestamp | None:
    """Return when the repository that waits in recycle longest was removed, or None."""
    row = reader.one("SELECT removed_at FROM repositories WHERE removed_at IS NOT NULL ORDER BY removed_at LIMIT 1")
    return Timestamp(row[0]) if row else None


def purge(tx: Transaction, repository: RepositoryId) -> bool:
    """Delete the row of a removed repository that has no images any more."""
    return (
        tx.execute(
            "DELETE FROM repositories WHERE id = :id AND removed_at IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM images WHERE repository_id = :id)",
            {"id": repository},
        )
        == 1
    )
