"""Repositories: the unit of management, and the template of new images."""

import msgspec

from appliance.db import lists, resource_tags
from appliance.db.database import Reader, Row, Transaction, Values
from appliance.db.resource_tags import Tagged
from appliance.domain import image_policy
from appliance.domain.listing import Listing
from appliance.domain.moment import Timestamp
from appliance.domain.names import RegistryName, RepositoryName, natural_key
from appliance.domain.registry import ImageId, RegistryId, Repository, RepositoryId, RepositorySettings

_COLUMNS = (
    "r.id, r.public_id, r.registry_id, g.name, r.name, r.description, r.locked, r.policy, r.managed, r.by_push,"
    " r.revision, r.created_at, r.created_by, r.modified_at, r.modified_by, r.removed_at, r.purging"
)
_FIND = f"SELECT {_COLUMNS} FROM repositories r JOIN registries g ON g.id = r.registry_id WHERE"


class Made(msgspec.Struct, frozen=True):
    """Who makes a repository or an image, and when; for an image the policy it is born with, too."""

    public_id: str
    by: str
    now: Timestamp
    policy: str = ""  # JSON
    by_push: bool = False


def find(reader: Reader, registry: RegistryId, name: RepositoryName) -> RepositoryId | None:
    """Return the id of the live repository `name`, or None."""
    row = reader.one(
        "SELECT id FROM repositories WHERE registry_id = ? AND name = ? AND removed_at IS NULL", (registry, name)
    )
    return RepositoryId(row[0]) if row else None


def is_leaving(reader: Reader, registry: RegistryId, name: RepositoryName) -> bool:
    """Whether a repository of that name was removed and is not purged yet."""
    sql = "SELECT 1 FROM repositories WHERE registry_id = ? AND name = ? AND removed_at IS NOT NULL LIMIT 1"
    return reader.one(sql, (registry, name)) is not None


def get(reader: Reader, repository: RepositoryId) -> Repository | None:
    """Return the repository, a removed one too; None once it is purged."""
    row = reader.one(f"{_FIND} r.id = ?", (repository,))
    return _repository(row) if row else None


def find_by_id(reader: Reader, public_id: str) -> Repository | None:
    """Return the repository that has this public id, in whichever live registry, a removed one too, or None."""
    row = reader.one(f"{_FIND} r.public_id = ? AND g.removed_at IS NULL", (public_id,))
    return _repository(row) if row else None


def list_managed(reader: Reader) -> list[Repository]:
    """Return the live repositories of live registries that scr.toml declares."""
    rows = reader.rows(f"{_FIND} r.managed AND r.removed_at IS NULL AND g.removed_at IS NULL")
    return [_repository(row) for row in rows]


def insert(tx: Transaction, registry: RegistryId, settings: RepositorySettings, made: Made) -> RepositoryId:
    """Make a repository; its policy is that of `settings`."""
    values: Values = {
        **_values(settings),
        "public": made.public_id,
        "registry": registry,
        "by_push": made.by_push,
        "now": made.now,
        "by": made.by,
    }
    sql = (
        "INSERT INTO repositories (public_id, registry_id, name, sort_key, description, locked, policy, managed,"
        " by_push, created_at, created_by, modified_at, modified_by) VALUES (:public, :registry, :name, :sort,"
        " :description, :locked, :policy, :managed, :by_push, :now, :by, :now, :by)"
    )
    return RepositoryId(tx.insert(sql, values))


def count_images(reader: Reader, repository: RepositoryId) -> int:
    """Return how many visible images the repository has."""
    row = reader.one("SELECT images FROM repositories WHERE id = ?", (repository,))
    return row[0] if row else 0


def update(tx: Transaction, repository: RepositoryId, settings: RepositorySettings, by: str, now: Timestamp) -> None:
    """Replace the settings of a repository; its revision grows."""
    tx.execute(
        "UPDATE repositories SET name = :name, sort_key = :sort, description = :description, locked = :locked,"
        " policy = :policy, managed = :managed, revision = revision + 1, modified_at = :now, modified_by = :by"
        " WHERE id = :id",
        {**_values(settings), "id": repository, "now": now, "by": by},
    )


class RepositoryRow(msgspec.Struct, frozen=True):
    """A repository as a list shows it: with what is in it, and its resource tags."""

    repository: Repository
    images: int
    is_purging_images: bool  # some were deleted, and collection is at them
    tags: dict[str, str]


_SELECT = f"""
SELECT {_COLUMNS}, r.images,
EXISTS (SELECT 1 FROM images i WHERE i.repository_id = r.id AND i.purging)
FROM repositories r JOIN registries g ON g.id = r.registry_id
WHERE
"""
PAGES = lists.make_pages(_SELECT, Tagged.REPOSITORY, "r.registry_id = :registry AND")


def list_page(reader: Reader, registry: RegistryId, listing: Listing, last: str, limit: int) -> list[RepositoryRow]:
    """Return up to `limit` repositories of `registry` that come after `last` (a key of `key_in`)."""
    values: Values = {**lists.values_of(listing, last, limit), "registry": registry}
    return _rows(reader, PAGES[listing.effective], values)


def key_in(listing: Listing, row: RepositoryRow) -> str:
    """Return where `row` stands in the list."""
    return lists.key_in(listing, row.repository, row.repository.name)


def find_row(reader: Reader, repository: RepositoryId) -> RepositoryRow | None:
    """Return the repository, a removed one too, as a list shows it; None once it is purged."""
    return next(iter(_rows(reader, f"{_SELECT} r.id = :id", {"id": repository})), None)


def _rows(reader: Reader, sql: str, values: Values) -> list[RepositoryRow]:
    rows = reader.rows(sql, values)
    tags = resource_tags.of_many(reader, Tagged.REPOSITORY, [row[0] for row in rows])
    return [RepositoryRow(_repository(row), row[17], bool(row[18]), tags.get(row[0], {})) for row in rows]


def _values(settings: RepositorySettings) -> dict[str, str | bool]:
    return {
        "name": settings.name,
        "sort": natural_key(settings.name),
        "description": settings.description,
        "locked": settings.locked,
        "policy": image_policy.to_json(settings.policy),
        "managed": settings.managed,
    }


def _repository(row: Row) -> Repository:
    settings = RepositorySettings(
        name=RepositoryName(row[4]),
        description=row[5],
        locked=bool(row[6]),
        policy=image_policy.from_json(row[7]),
        managed=bool(row[8]),
    )
    return Repository(
        id=RepositoryId(row[0]),
        public_id=row[1],
        registry=RegistryId(row[2]),
        registry_name=RegistryName(row[3]),
        settings=settings,
        by_push=bool(row[9]),
        revision=row[10],
        created_at=Timestamp(row[11]),
        created_by=row[12],
        modified_at=Timestamp(row[13]),
        modified_by=row[14],
        removed_at=None if row[15] is None else Timestamp(row[15]),
        purging=bool(row[16]),
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


LOCK = """
SELECT 'repository ' || name FROM repositories WHERE id = :id AND locked
UNION ALL SELECT 'image ' || path FROM images INDEXED BY images_locked
WHERE repository_id = :id AND removed_at IS NULL AND locked
UNION ALL SELECT 'tag ' || i.path || ':' || t.name
FROM images i CROSS JOIN tags t INDEXED BY tags_locked ON t.image_id = i.id AND t.locked
WHERE i.repository_id = :id AND i.removed_at IS NULL
LIMIT 1
"""


def find_lock(reader: Reader, repository: RepositoryId) -> str | None:
    """Return what holds a lock in the repository, in words ("tag pay/api:1"), or None."""
    row = reader.one(LOCK, {"id": repository})
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
