"""Deletions: what one act took away together, and can bring back together until collection takes it."""

from collections.abc import Iterable
from typing import NewType

import msgspec

from appliance.db.columns import Placed, Query, list_sorted, make_sorted
from appliance.db.database import Reader, Row, Transaction, Values
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, Tag, from_bytes, to_bytes
from appliance.domain.registry import ImageId, ManifestId, RegistryId, Repository, RepositoryId

DeletionId = NewType("DeletionId", int)


class Deletion(msgspec.Struct, frozen=True):
    """One act. `tags` and `manifests` count what it took, those of a whole image or repository not."""

    id: DeletionId
    public_id: str
    kind: str  # tag, manifest, image, repository, retention
    registry: RegistryId
    repository: RepositoryId
    image: ImageId | None
    path: str
    tags: int
    manifests: int
    deleted_at: Timestamp
    deleted_by: str


class Taken(msgspec.Struct, frozen=True):
    """What a deletion is about."""

    kind: str
    registry: RegistryId
    repository: RepositoryId
    image: ImageId | None
    path: str


def insert(tx: Transaction, public_id: str, taken: Taken, by: str, now: Timestamp) -> DeletionId:
    """Begin the record of a deletion that happens now."""
    values: Values = {
        "public": public_id,
        "kind": taken.kind,
        "registry": taken.registry,
        "repository": taken.repository,
        "image": taken.image,
        "path": taken.path,
        "now": now,
        "by": by,
    }
    sql = (
        "INSERT INTO deletions (public_id, kind, registry_id, repository_id, image_id, path, deleted_at, deleted_by)"
        " VALUES (:public, :kind, :registry, :repository, :image, :path, :now, :by)"
    )
    return DeletionId(tx.insert(sql, values))


def renew(tx: Transaction, deletion: DeletionId, now: Timestamp) -> bool:
    """Let a deletion that goes on count from `now`; False where there is none any more."""
    return tx.execute("UPDATE deletions SET deleted_at = ? WHERE id = ?", (now, deletion)) == 1


def add(
    tx: Transaction, deletion: DeletionId, tags: Iterable[tuple[Tag, Digest]], manifests: Iterable[ManifestId]
) -> None:
    """Write down that `tags` and `manifests` went with it."""
    gone_tags, gone_manifests = list(tags), list(manifests)
    tx.execute_many(
        "INSERT OR REPLACE INTO deleted_tags (deletion_id, name, digest) VALUES (:deletion, :name, :digest)",
        ({"deletion": deletion, "name": name, "digest": to_bytes(digest)} for name, digest in gone_tags),
    )
    tx.execute_many(
        "INSERT OR IGNORE INTO deleted_manifests (deletion_id, manifest_id) VALUES (:deletion, :manifest)",
        ({"deletion": deletion, "manifest": manifest} for manifest in gone_manifests),
    )
    counts: Values = {"id": deletion, "tags": len(gone_tags), "manifests": len(gone_manifests)}
    tx.execute("UPDATE deletions SET tags = tags + :tags, manifests = manifests + :manifests WHERE id = :id", counts)


_COLUMNS = "id, public_id, kind, registry_id, repository_id, image_id, path, tags, manifests, deleted_at, deleted_by"
LIST = f"SELECT {_COLUMNS} FROM deletions WHERE registry_id = :of AND id < :last ORDER BY id DESC LIMIT :limit"
LIST_OF_PATH = LIST.replace("registry_id = :of", "registry_id = :of AND path = :path")
LIST_WITHIN = LIST.replace(  # "0" is what comes after "/"
    "registry_id = :of", "registry_id = :of AND (path = :path OR path > :path || '/' AND path < :path || '0')"
)


def list_page(reader: Reader, registry: RegistryId, last: int, limit: int, path: str = "") -> list[Deletion]:
    """Return up to `limit` deletions of `registry` before the row `last`, newest first.

    All of them, or those of the image at `path`, or of the repository there and of what is in it.
    """
    values: Values = {"of": registry, "last": last, "limit": limit, **({"path": path} if path else {})}
    sql = LIST if not path else LIST_OF_PATH if "/" in path else LIST_WITHIN
    return [_deletion(row) for row in reader.rows(sql, values)]


_WITHIN = "registry_id = :of AND (:path = '' OR path = :path OR path > :path || '/' AND path < :path || '0')"
_SORTED = make_sorted(
    _COLUMNS, f"deletions WHERE {_WITHIN}", {"deleted": "id", "path": "path", "kind": "kind", "by": "deleted_by"}, "id"
)


def list_by(
    reader: Reader, registry: RegistryId, sort: str, last: str, limit: int, path: str = ""
) -> list[Placed[Deletion]]:
    """Return the same in another order, after the place `last`: `deleted`, `path`, `kind`, `by`; `-` turns it round."""
    return list_sorted(reader, Query(_SORTED[sort], {"of": registry, "path": path}, _deletion), last, limit)


def find_of_repository(reader: Reader, repository: Repository) -> Deletion | None:
    """Return the newest deletion of the repository as a whole, or None."""
    row = reader.one(
        f"SELECT {_COLUMNS} FROM deletions WHERE registry_id = ? AND path = ? AND kind = 'repository'"
        " AND repository_id = ? ORDER BY id DESC LIMIT 1",
        (repository.registry, repository.name, repository.id),
    )
    return _deletion(row) if row else None


def find(reader: Reader, public_id: str) -> Deletion | None:
    """Return the deletion of that public id, or None."""
    row = reader.one(f"SELECT {_COLUMNS} FROM deletions WHERE public_id = ?", (public_id,))
    return _deletion(row) if row else None


def public_id_of(reader: Reader, deletion: DeletionId) -> str:
    """Return the public id of a deletion that is there."""
    row = reader.one("SELECT public_id FROM deletions WHERE id = ?", (deletion,))
    return row[0] if row else ""


def list_manifests(reader: Reader, deletion: DeletionId, limit: int) -> list[ManifestId]:
    """Return up to `limit` manifests that went with it and did not come back yet."""
    rows = reader.rows("SELECT manifest_id FROM deleted_manifests WHERE deletion_id = ? LIMIT ?", (deletion, limit))
    return [ManifestId(row[0]) for row in rows]


def list_tags(reader: Reader, deletion: DeletionId, limit: int) -> list[tuple[Tag, Digest]]:
    """Return up to `limit` tags that went with it and did not come back yet, with what they named."""
    rows = reader.rows("SELECT name, digest FROM deleted_tags WHERE deletion_id = ? LIMIT ?", (deletion, limit))
    return [(Tag(row[0]), from_bytes(row[1])) for row in rows]


def settle_manifests(tx: Transaction, deletion: DeletionId, manifests: Iterable[ManifestId]) -> None:
    """Forget `manifests` of it: they came back, or never will."""
    tx.execute_many(
        "DELETE FROM deleted_manifests WHERE deletion_id = :deletion AND manifest_id = :manifest",
        ({"deletion": deletion, "manifest": manifest} for manifest in manifests),
    )


def settle_tags(tx: Transaction, deletion: DeletionId, names: Iterable[Tag]) -> None:
    """Forget tags of it: they came back, or never will."""
    tx.execute_many(
        "DELETE FROM deleted_tags WHERE deletion_id = :deletion AND name = :name",
        ({"deletion": deletion, "name": name} for name in names),
    )


def close(tx: Transaction, deletion: DeletionId, limit: int) -> bool:
    """Delete the record, its rows first and at most `limit` of each; False while some are left."""
    for table, column in (("deleted_tags", "name"), ("deleted_manifests", "manifest_id")):
        tx.execute(
            f"DELETE FROM {table} WHERE deletion_id = :id AND {column} IN"
            f" (SELECT {column} FROM {table} WHERE deletion_id = :id LIMIT :limit)",
            {"id": deletion, "limit": limit},
        )
    return (
        tx.execute(
            "DELETE FROM deletions WHERE id = :id AND NOT EXISTS (SELECT 1 FROM deleted_tags WHERE deletion_id = :id)"
            " AND NOT EXISTS (SELECT 1 FROM deleted_manifests WHERE deletion_id = :id)",
            {"id": deletion},
        )
        == 1
    )


def forget(tx: Transaction, before: Timestamp, limit: int) -> bool:
    """Forget a deletion that happened at or before `before`, at most `limit` of its rows; False: there is none left."""
    row = tx.one("SELECT id FROM deletions WHERE deleted_at <= ? ORDER BY deleted_at LIMIT 1", (before,))
    if row is None:
        return False
    close(tx, DeletionId(row[0]), limit)
    return True


def has_older(reader: Reader, before: Timestamp) -> bool:
    """Whether there is one that happened at or before `before`."""
    return reader.one("SELECT 1 FROM deletions WHERE deleted_at <= ? LIMIT 1", (before,)) is not None


def _deletion(row: Row) -> Deletion:
    return Deletion(
        DeletionId(row[0]),
        row[1],
        row[2],
        RegistryId(row[3]),
        RepositoryId(row[4]),
        None if row[5] is None else ImageId(row[5]),
        row[6],
        row[7],
        row[8],
        Timestamp(row[9]),
        row[10],
    )
