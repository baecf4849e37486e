"""Images: found by path, made by a first upload, shown from the first manifest on."""

import msgspec

from appliance.db.database import Reader, Transaction, Values
from appliance.db.repositories import Made
from appliance.domain import image_policy
from appliance.domain.moment import Timestamp
from appliance.domain.names import ImageName, ImagePath, RegistryName, RepositoryName, natural_key
from appliance.domain.registry import ImageId, ImageRef, ImageSettings, Place, RegistryId, RepositoryId


class Standing(msgspec.Struct, frozen=True):
    """What of an image's policy is asked without reading it: whether it limits pulls, when tag deletion is due."""

    is_limited: bool = False
    retention_at: Timestamp | None = None


_FIND = """
SELECT i.id FROM images i JOIN repositories r ON r.id = i.repository_id
WHERE i.registry_id = ? AND i.path = ? AND i.removed_at IS NULL AND r.removed_at IS NULL
"""


def find(reader: Reader, image: ImageRef) -> ImageId | None:
    """Return the id of the live image, hidden ones (no manifest yet) too; None when there is none."""
    row = reader.one(_FIND, (image.registry, str(image.path)))
    return ImageId(row[0]) if row else None


def template_of(reader: Reader, image: ImageId) -> str:
    """Return the policy that new images of its repository get, as JSON."""
    row = reader.one(
        "SELECT r.policy FROM images i JOIN repositories r ON r.id = i.repository_id WHERE i.id = ?", (image,)
    )
    return row[0] if row else "{}"


def find_limited(reader: Reader, image: ImageRef) -> ImageId | None:
    """Return the id of the live image, if its policy limits pulls; None for others."""
    row = reader.one(_FIND + " AND i.limited", (image.registry, str(image.path)))
    return ImageId(row[0]) if row else None


def policy_of(reader: Reader, image: ImageId) -> str:
    """Return the policy of the image, as JSON."""
    row = reader.one("SELECT policy FROM images WHERE id = ?", (image,))
    return row[0] if row else "{}"


class Stored(msgspec.Struct, frozen=True):
    """What is chosen of an image, its revision, and when tag deletion is due."""

    settings: ImageSettings
    revision: int
    retention_at: Timestamp | None


def settings_of(reader: Reader, image: ImageId) -> Stored:
    """Return what is chosen of an image that is there."""
    sql = "SELECT description, locked, policy, revision, retention_at FROM images WHERE id = ?"
    row = reader.rows(sql, (image,))[0]
    settings = ImageSettings(row[0], bool(row[1]), image_policy.from_json(row[2]))
    return Stored(settings, row[3], None if row[4] is None else Timestamp(row[4]))


_EDIT = """
UPDATE images SET description = :description, locked = :locked, policy = :policy, limited = :limited,
  retention_at = :retention, revision = revision + 1, modified_at = :now, modified_by = :by WHERE id = :id
"""


def edit(tx: Transaction, image: ImageId, settings: ImageSettings, standing: Standing, by: str, now: Timestamp) -> None:
    """Write down what is chosen of the image from now on."""
    values: Values = {
        "description": settings.description,
        "locked": settings.locked,
        "policy": image_policy.to_json(settings.policy),
        "limited": standing.is_limited,
        "retention": standing.retention_at,
        "now": now,
        "by": by,
        "id": image,
    }
    tx.execute(_EDIT, values)


def find_shown(reader: Reader, image: ImageRef) -> ImageId | None:
    """Return the id of the live image, if it has had a manifest; None for hidden ones too."""
    row = reader.one(_FIND + " AND i.shown_at IS NOT NULL", (image.registry, str(image.path)))
    return ImageId(row[0]) if row else None


def insert(
    tx: Transaction,
    image: ImageRef,
    repository: RepositoryId,
    made: Made,
    standing: Standing = Standing(),  # noqa: B008 - frozen
) -> ImageId:
    """Make the image in `repository`, hidden until its first manifest."""
    path: ImagePath = image.path
    values: Values = {
        "public": made.public_id,
        "registry": image.registry,
        "repository": repository,
        "name": path.image,
        "path": str(path),
        "sort": natural_key(path.image),
        "policy": made.policy,
        "limited": standing.is_limited,
        "retention": standing.retention_at,
        "now": made.now,
        "by": made.by,
    }
    sql = (
        "INSERT INTO images (public_id, registry_id, repository_id, name, path, sort_key, policy, limited,"
        " retention_at, created_at, created_by, modified_at, modified_by)"
        " VALUES (:public, :registry, :repository, :name, :path, :sort, :policy, :limited,"
        " :retention, :now, :by, :now, :by)"
    )
    return ImageId(tx.insert(sql, values))


def note_push(tx: Transaction, image: ImageId, now: Timestamp) -> None:
    """Write down that the image got a manifest."""
    tx.execute("UPDATE images SET pushed_at = ? WHERE id = ?", (now, image))


_SHOW = """
UPDATE images SET shown_at = :now, pushed_at = coalesce(pushed_at, :now) WHERE id = :id AND shown_at IS NULL
"""


def show(tx: Transaction, image: ImageId, now: Timestamp) -> bool:
    """Make the image visible; True when it was not (its creation happens now)."""
    return tx.execute(_SHOW, {"now": now, "id": image}) == 1


_CATALOG = """
SELECT i.path FROM images i JOIN repositories r ON r.id = i.repository_id
WHERE i.registry_id = :registry AND i.path > :last
  AND i.shown_at IS NOT NULL AND i.removed_at IS NULL AND r.removed_at IS NULL
ORDER BY i.path LIMIT :limit
"""


def list_paths(reader: Reader, registry: RegistryId, last: str, limit: int) -> list[str]:
    """Return up to `limit` paths of visible images that come after `last`, in ASCII order."""
    return [row[0] for row in reader.rows(_CATALOG, {"registry": registry, "last": last, "limit": limit})]


_LOCATE = """
SELECT g.id, g.name, r.name, i.name FROM images i JOIN repositories r ON r.id = i.repository_id
JOIN registries g ON g.id = i.registry_id
WHERE i.public_id = ? AND i.shown_at IS NOT NULL AND i.removed_at IS NULL AND r.removed_at IS NULL
  AND g.removed_at IS NULL
"""


def locate(reader: Reader, public_id: str) -> Place | None:
    """Return where the visible image that has this public id lives, in whichever registry, or None."""
    row = reader.one(_LOCATE, (public_id,))
    return (
        Place(RegistryId(row[0]), RegistryName(row[1]), ImagePath(RepositoryName(row[2]), ImageName(row[3])))
        if row
        else None
    )


_LOCK = """
SELECT CASE WHEN r.locked THEN 'repository ' || r.name WHEN i.locked THEN 'image ' || i.path END
FROM images i JOIN repositories r ON r.id = i.repository_id WHERE i.id = ?
"""


def find_lock(reader: Reader, image: ImageId) -> str | None:
    """Return which lock holds the whole image, in words ("image pay/api"), or None. A repository's is read live."""
    row = reader.one(_LOCK, (image,))
    return row[0] if row else None


def remove(tx: Transaction, image: ImageId, now: Timestamp) -> None:
    """Take the image away from all readers at once; collection purges it later."""
    tx.execute("UPDATE images SET removed_at = :now WHERE id = :id AND removed_at IS NULL", {"now": now, "id": image})


class Removal(msgspec.Struct, frozen=True):
    """What stands in the way of a removed image's return."""

    is_purging: bool
    is_repository_removed: bool
    is_name_taken: bool


_REMOVAL = """
SELECT i.purging, r.removed_at IS NOT NULL, EXISTS (
  SELECT 1 FROM images o WHERE o.repository_id = i.repository_id AND o.name = i.name AND o.removed_at IS NULL)
FROM images i JOIN repositories r ON r.id = i.repository_id WHERE i.id = ? AND i.removed_at IS NOT NULL
"""


def find_removal(reader: Reader, image: ImageId) -> Removal | None:
    """Return what stands in the way of the image's return; None where it is not removed, or gone."""
    row = reader.one(_REMOVAL, (image,))
    return Removal(*map(bool, row)) if row else None


def restore(tx: Transaction, image: ImageId) -> None:
    """Give the image back to all readers."""
    tx.execute("UPDATE images SET removed_at = NULL WHERE id = ?", (image,))


def begin_purge(tx: Transaction, image: ImageId, before: Timestamp) -> bool:
    """Write down that the data of an image removed at or before `before` begin to go: from now on it cannot come back.

    False where it came back already.
    """
    row = tx.one("SELECT purging FROM images WHERE id = ? AND removed_at <= ?", (image, before))
    if row is not None and not row[0]:
        tx.execute("UPDATE images SET purging = 1 WHERE id = ?", (image,))
    return row is not None


def is_live(reader: Reader, image: ImageId) -> bool:
    """Whether the image and its repository are there for readers."""
    sql = (
        "SELECT 1 FROM images i JOIN repositories r ON r.id = i.repository_id"
        " WHERE i.id = ? AND i.removed_at IS NULL AND r.removed_at IS NULL"
    )
    return reader.one(sql, (image,)) is not None


def count_content(reader: Reader, image: ImageId) -> tuple[int, int]:
    """Return how many live manifests and tags the image has."""
    row = reader.one("SELECT manifests, tags FROM images WHERE id = ?", (image,)) or (0, 0)
    return row[0], row[1]


def find_by_public_id(reader: Reader, public_id: str) -> ImageId | None:
    """Return the image of that public id, whether it is live or removed, or None."""
    row = reader.one("SELECT id FROM images WHERE public_id = ?", (public_id,))
    return ImageId(row[0]) if row else None


class Seat(msgspec.Struct, frozen=True):
    """Where an image is, by rows, and its path."""

    registry: RegistryId
    repository: RepositoryId
    path: str
    public_id: str


def find_seat(reader: Reader, image: ImageId) -> Seat:
    """Return where an image that is there is."""
    row = reader.rows("SELECT registry_id, repository_id, path, public_id FROM images WHERE id = ?", (image,))[0]
    return Seat(RegistryId(row[0]), RepositoryId(row[1]), row[2], row[3])


def list_removed(reader: Reader, before: Timestamp, limit: int) -> list[ImageId]:
    """Return images removed at or before `before`."""
    sql = "SELECT id FROM images WHERE removed_at <= ? ORDER BY removed_at LIMIT ?"
    return [ImageId(row[0]) for row in reader.rows(sql, (before, limit))]


REMOVED = """
SELECT removed_at, id FROM images WHERE removed_at <= ? AND (removed_at, id) > (?, ?) ORDER BY removed_at, id LIMIT ?
"""


def list_removed_after(
    reader: Reader, last: tuple[Timestamp, int], before: Timestamp, limit: int
) -> list[tuple[Timestamp, ImageId]]:
    """Return images removed at or before `before` with their times, behind that time and row."""
    return [(Timestamp(row[0]), ImageId(row[1])) for row in reader.rows(REMOVED, (before, *last, limit))]


def oldest_removal(reader: Reader) -> Timestamp | None:
    """Return when the image that waits in recycle longest was removed, or None."""
    row = reader.one("SELECT removed_at FROM images WHERE removed_at IS NOT NULL ORDER BY removed_at LIMIT 1")
    return Timestamp(row[0]) if row else None


def list_hidden(reader: Reader, before: Timestamp, limit: int) -> list[ImageId]:
    """Return images made before `before` that never got a manifest and hold no link any more."""
    sql = (
        "SELECT i.id FROM images i WHERE i.shown_at IS NULL AND i.created_at <= ?"
        " AND NOT EXISTS (SELECT 1 FROM links l WHERE l.image_id = i.id) LIMIT ?"
    )
    return [ImageId(row[0]) for row in reader.rows(sql, (before, limit))]


def add_pulls(tx: Transaction, image: ImageId, count: int, last: Timestamp) -> None:
    """Add `count` pulls, the newest of them at `last`."""
    sql = (
        "UPDATE images SET pulls = pulls + :count, last_pulled_at = max(coalesce(last_pulled_at, 0), :last)"
        " WHERE id = :id"
    )
    tx.execute(sql, {"count": count, "last": last, "id": image})


def purge(tx: Transaction, image: ImageId) -> bool:
    """Delete the row of an image that has nothing left; False while it has."""
    return (
        tx.execute(
            "DELETE FROM images WHERE id = :id AND NOT EXISTS (SELECT 1 FROM manifests WHERE image_id = :id)"
            " AND NOT EXISTS (SELECT 1 FROM links WHERE image_id = :id)"
            " AND NOT EXISTS (SELECT 1 FROM tags WHERE image_id = :id)",
            {"id": image},
        )
        == 1
    )
