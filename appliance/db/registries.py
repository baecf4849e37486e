"""Registries: found by name, public id and port; listed with what each of them uses."""

import msgspec

from appliance.db import lists, resource_tags
from appliance.db.database import Reader, Row, Transaction, Values
from appliance.db.resource_tags import Tagged
from appliance.domain.listing import Listing
from appliance.domain.moment import Timestamp
from appliance.domain.names import RegistryName
from appliance.domain.registry import (
    EndpointType,
    Registry,
    RegistryId,
    RegistrySettings,
    RegistryUsage,
    RepositoryId,
    Visibility,
)

_COLUMNS = (
    "r.id, r.public_id, r.name, r.description, r.visibility, r.endpoint, r.private_access_control,"
    " r.public_access_control, r.port, r.quota_bytes, r.quota_images, r.managed, r.revision, r.created_at,"
    " r.created_by, r.modified_at, r.modified_by, r.ready_at, r.removed_at, r.purging, r.log_traffic"
)
_FIND = f"SELECT {_COLUMNS} FROM registries r WHERE"


def find(reader: Reader, name: RegistryName) -> Registry | None:
    """Return the live registry `name`, or None. A point read: for the loop."""
    return _one(reader, f"{_FIND} r.name = ? AND r.removed_at IS NULL", (name,))


def find_by_id(reader: Reader, public_id: str) -> Registry | None:
    """Return the registry that has this public id, a removed one too, or None. A point read: for the loop."""
    return _one(reader, f"{_FIND} r.public_id = ?", (public_id,))


def find_by_port(reader: Reader, port: int) -> Registry | None:
    """Return the live registry with a listener of its own on `port`, or None. A point read: for the loop."""
    return _one(reader, f"{_FIND} r.port = ? AND r.removed_at IS NULL", (port,))


def get(reader: Reader, registry: RegistryId) -> Registry | None:
    """Return the registry `registry`, a removed one too; None once it is purged. A point read: for the loop."""
    return _one(reader, f"{_FIND} r.id = ?", (registry,))


def list_all(reader: Reader) -> list[Registry]:
    """Return all live registries by name."""
    rows = reader.rows(f"{_FIND} r.removed_at IS NULL ORDER BY r.name")
    return [_registry(row) for row in rows]


def list_controlled(reader: Reader) -> list[Registry]:
    """Return the live registries of which an allowlist decides who may use an endpoint."""
    where = "r.removed_at IS NULL AND (r.private_access_control OR r.public_access_control)"
    return [_registry(row) for row in reader.rows(f"{_FIND} {where}")]


def list_managed(reader: Reader) -> list[Registry]:
    """Return the live registries that scr.toml declares."""
    return [_registry(row) for row in reader.rows(f"{_FIND} r.managed AND r.removed_at IS NULL")]


def is_any_public(reader: Reader) -> bool:
    """Whether a live registry is served at the public endpoint too."""
    sql = "SELECT 1 FROM registries WHERE removed_at IS NULL AND endpoint = 'private+public' LIMIT 1"
    return reader.one(sql) is not None


def list_ports(reader: Reader) -> dict[int, RegistryName]:
    """Return the ports on which live registries have listeners of their own, and whose they are."""
    rows = reader.rows("SELECT port, name FROM registries WHERE removed_at IS NULL AND port IS NOT NULL ORDER BY port")
    return {row[0]: RegistryName(row[1]) for row in rows}


def insert(tx: Transaction, settings: RegistrySettings, public_id: str, by: str, now: Timestamp) -> RegistryId:
    """Make a registry; it does not serve before `set_ready`."""
    values: Values = {**_values(settings), "public": public_id, "now": now, "by": by}
    sql = (
        "INSERT INTO registries (public_id, name, description, visibility, endpoint, private_access_control,"
        " public_access_control, port, quota_bytes, quota_images, log_traffic, managed, created_at, created_by,"
        " modified_at, modified_by) VALUES (:public, :name, :description, :visibility, :endpoint,"
        " :private_access_control, :public_access_control, :port, :quota_bytes, :quota_images, :log_traffic, :managed,"
        " :now, :by, :now, :by)"
    )
    return RegistryId(tx.insert(sql, values))


def set_ready(tx: Transaction, registry: RegistryId, now: Timestamp) -> None:
    """Let the registry serve: all that its creation does is done."""
    tx.execute(
        "UPDATE registries SET ready_at = :now WHERE id = :id AND ready_at IS NULL", {"now": now, "id": registry}
    )


_UPDATE = """
UPDATE registries SET name = :name, description = :description, visibility = :visibility, endpoint = :endpoint,
private_access_control = :private_access_control, public_access_control = :public_access_control, port = :port,
quota_bytes = :quota_bytes, quota_images = :quota_images, log_traffic = :log_traffic, managed = :managed,
revision = revision + 1, modified_at = :now, modified_by = :by WHERE id = :id
"""


def update(tx: Transaction, registry: RegistryId, settings: RegistrySettings, by: str, now: Timestamp) -> None:
    """Replace the settings of a registry; its revision grows."""
    values: Values = {**_values(settings), "id": registry, "now": now, "by": by}
    tx.execute(_UPDATE, values)


def remove(tx: Transaction, registry: RegistryId, since: Timestamp, *, purging: bool) -> None:
    """Take the registry away from all readers at once, as of `since`; `purging`: there is no way back."""
    tx.execute(
        "UPDATE registries SET removed_at = ?, purging = ? WHERE id = ? AND removed_at IS NULL",
        (since, purging, registry),
    )


def restore(tx: Transaction, registry: RegistryId) -> bool:
    """Give a removed registry back; False where its data has begun to go."""
    sql = "UPDATE registries SET removed_at = NULL, revision = revision + 1 WHERE id = ? AND NOT purging"
    return tx.execute(sql, (registry,)) == 1


def begin_purge(tx: Transaction, registry: RegistryId) -> None:
    """Write down that its data begins to go: from now on it cannot come back."""
    tx.execute("UPDATE registries SET purging = 1 WHERE id = ? AND NOT purging", (registry,))


def purge(tx: Transaction, registry: RegistryId) -> bool:
    """Delete the row of a removed registry, or of one that never was ready, that has no repository left."""
    sql = (
        "DELETE FROM registries WHERE id = :id AND (removed_at IS NOT NULL OR ready_at IS NULL)"
        " AND NOT EXISTS (SELECT 1 FROM repositories WHERE registry_id = :id)"
    )
    return tx.execute(sql, {"id": registry}) == 1


def list_removed(reader: Reader, before: Timestamp, limit: int) -> list[RegistryId]:
    """Return registries removed at or before `before`."""
    sql = "SELECT id FROM registries WHERE removed_at <= ? ORDER BY removed_at LIMIT ?"
    return [RegistryId(row[0]) for row in reader.rows(sql, (before, limit))]


def list_deleted(reader: Reader) -> list[Registry]:
    """Return registries that were removed and whose rows are still there."""
    return [_registry(row) for row in reader.rows(f"{_FIND} r.removed_at IS NOT NULL")]


def list_unready(reader: Reader) -> list[Registry]:
    """Return registries whose creation was begun and not ended."""
    return [_registry(row) for row in reader.rows(f"{_FIND} r.ready_at IS NULL AND r.removed_at IS NULL")]


def oldest_removal(reader: Reader) -> Timestamp | None:
    """Return when the registry that waits in recycle longest was removed, or None."""
    row = reader.one("SELECT removed_at FROM registries WHERE removed_at IS NOT NULL ORDER BY removed_at LIMIT 1")
    return Timestamp(row[0]) if row else None


def live_repositories(reader: Reader, registry: RegistryId, limit: int) -> list[RepositoryId]:
    """Return up to `limit` repositories of the registry that are not removed themselves."""
    sql = "SELECT id FROM repositories WHERE registry_id = ? AND removed_at IS NULL LIMIT ?"
    return [RepositoryId(row[0]) for row in reader.rows(sql, (registry, limit))]


LOCK = """
SELECT 'repository ' || name FROM repositories WHERE registry_id = :id AND removed_at IS NULL AND locked
UNION ALL SELECT 'image ' || i.path
FROM repositories r CROSS JOIN images i INDEXED BY images_locked ON i.repository_id = r.id AND i.locked
WHERE r.registry_id = :id AND i.removed_at IS NULL AND r.removed_at IS NULL
UNION ALL SELECT 'tag ' || i.path || ':' || t.name
FROM repositories r CROSS JOIN images i ON i.repository_id = r.id
CROSS JOIN tags t INDEXED BY tags_locked ON t.image_id = i.id AND t.locked
WHERE r.registry_id = :id AND i.removed_at IS NULL AND r.removed_at IS NULL
LIMIT 1
"""


def find_lock(reader: Reader, registry: RegistryId) -> str | None:
    """Return what holds a lock in the registry, in words ("tag pay/api:1"), or None."""
    row = reader.one(LOCK, {"id": registry})
    return row[0] if row else None


class RegistryRow(msgspec.Struct, frozen=True):
    """A registry as a list shows it: with what is in it, what it uses, and its resource tags."""

    registry: Registry
    repositories: int
    images: int
    usage: RegistryUsage
    tags: dict[str, str]


_COUNTS = "u.repositories, u.images, u.blob_bytes, u.sole_bytes, u.apparent_bytes, u.manifest_bytes"
_SELECT = f"SELECT {_COLUMNS}, {_COUNTS} FROM registries r JOIN registry_usage u ON u.registry_id = r.id WHERE"
PAGES = lists.make_pages(_SELECT, Tagged.REGISTRY)


def list_page(reader: Reader, listing: Listing, last: str, limit: int) -> list[RegistryRow]:
    """Return up to `limit` registries that come after `last` (a key of `key_in`); no order reads more than the page."""
    return _rows(reader, PAGES[listing.effective], lists.values_of(listing, last, limit))


def key_in(listing: Listing, row: RegistryRow) -> str:
    """Return where `row` stands in the list."""
    return lists.key_in(listing, row.registry, row.registry.name)


def count_images(reader: Reader, registry: RegistryId) -> int:
    """Return how many images the registry shows."""
    row = reader.one("SELECT images FROM registry_usage WHERE registry_id = ?", (registry,))
    return row[0] if row else 0


def hide_all(tx: Transaction) -> int:
    """Make every registry private; return how many were not."""
    return tx.execute("UPDATE registries SET visibility = 'private' WHERE visibility <> 'private'")


def find_row(reader: Reader, registry: RegistryId) -> RegistryRow | None:
    """Return the registry, a removed one too, as a list shows it; None once it is purged."""
    return next(iter(_rows(reader, f"{_SELECT} r.id = :id", {"id": registry})), None)


def usage_of(reader: Reader, registry: RegistryId) -> RegistryUsage:
    """Return what the registry uses. A point read: for the loop."""
    row = reader.one(
        "SELECT blob_bytes, sole_bytes, apparent_bytes, manifest_bytes FROM registry_usage WHERE registry_id = ?",
        (registry,),
    )
    return RegistryUsage(*(row or (0, 0, 0, 0)))


def _one(reader: Reader, sql: str, values: Values) -> Registry | None:
    row = reader.one(sql, values)
    return _registry(row) if row else None


def _rows(reader: Reader, sql: str, values: Values) -> list[RegistryRow]:
    rows = reader.rows(sql, values)
    tags = resource_tags.of_many(reader, Tagged.REGISTRY, [row[0] for row in rows])
    return [
        RegistryRow(_registry(row), row[21], row[22], RegistryUsage(*row[23:27]), tags.get(row[0], {})) for row in rows
    ]


def _values(settings: RegistrySettings) -> dict[str, str | int | None]:
    return {
        "name": settings.name,
        "description": settings.description,
        "visibility": settings.visibility.value,
        "endpoint": settings.endpoint.value,
        "private_access_control": settings.private_access_control,
        "public_access_control": settings.public_access_control,
        "port": settings.port,
        "quota_bytes": settings.quota_bytes,
        "quota_images": settings.quota_images,
        "log_traffic": settings.log_traffic,
        "managed": settings.managed,
    }


def _registry(row: Row) -> Registry:
    settings = RegistrySettings(
        name=RegistryName(row[2]),
        description=row[3],
        visibility=Visibility(row[4]),
        endpoint=EndpointType(row[5]),
        private_access_control=bool(row[6]),
        public_access_control=bool(row[7]),
        port=row[8],
        quota_bytes=row[9],
        quota_images=row[10],
        managed=bool(row[11]),
        log_traffic=bool(row[20]),
    )
    return Registry(
        id=RegistryId(row[0]),
        public_id=row[1],
        settings=settings,
        revision=row[12],
        created_at=Timestamp(row[13]),
        created_by=row[14],
        modified_at=Timestamp(row[15]),
        modified_by=row[16],
        ready_at=None if row[17] is None else Timestamp(row[17]),
        removed_at=None if row[18] is None else Timestamp(row[18]),
        purging=bool(row[19]),
    )
