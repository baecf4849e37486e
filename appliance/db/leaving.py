"""What is on its way out: which rows a collection will look at, and until when something still keeps a blob.

Everything here follows from the rows of the moment; a push, an undo or a lease may keep what is listed.
"""

import msgspec

from appliance.db.database import Reader, Row, Values
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, from_bytes, to_bytes
from appliance.domain.registry import BlobId, ImageId, ManifestId

FOR_EVER = 1 << 61  # later than any time: nothing takes it away

_PLACES = """
JOIN images i ON i.id = {image} JOIN repositories r ON r.id = i.repository_id JOIN registries g ON g.id = i.registry_id
"""
_LEAVES = (
    f"min(coalesce(i.removed_at, {FOR_EVER}), coalesce(r.removed_at, {FOR_EVER}), coalesce(g.removed_at, {FOR_EVER}))"
)


class Waiting(msgspec.Struct, frozen=True):
    """Bytes that are condemned already."""

    id: int
    kind: str  # blob, manifest
    digest: Digest
    size: int
    condemned_at: Timestamp


def list_condemned(reader: Reader, last: int, limit: int) -> list[Waiting]:
    """Return condemned generations after the row `last`, the oldest first."""
    sql = "SELECT id, kind, digest, size, condemned_at FROM condemned WHERE id > ? ORDER BY id LIMIT ?"
    rows = reader.rows(sql, (last, limit))
    return [Waiting(row[0], row[1], from_bytes(row[2]), row[3], Timestamp(row[4])) for row in rows]


class Loose(msgspec.Struct, frozen=True):
    """A link that collection will look at, and that no manifest of its image, not even a removed one, needs."""

    image: ImageId
    path: str
    blob: BlobId
    digest: Digest
    size: int
    check_at: Timestamp
    removed_at: Timestamp | None
    is_needed: bool


_LOOSE = f"""
SELECT l.image_id, i.path, b.id, b.digest, b.size, l.check_at, l.removed_at, EXISTS (
  SELECT 1 FROM needs n WHERE n.image_id = l.image_id AND n.digest = b.digest AND n.kind IN (1, 2))
FROM links l JOIN blobs b ON b.id = l.blob_id {_PLACES.format(image="l.image_id")}
WHERE (l.check_at, l.image_id, l.blob_id) > (?, ?, ?) AND l.check_at IS NOT NULL
ORDER BY l.check_at, l.image_id, l.blob_id LIMIT ?
"""


def list_loose(reader: Reader, last: tuple[int, int, int], limit: int) -> list[Loose]:
    """Return links that collection will look at, after that time, image and blob."""
    rows = reader.rows(_LOOSE, (*last, limit))
    return [
        Loose(
            ImageId(row[0]), row[1], BlobId(row[2]), from_bytes(row[3]), row[4], Timestamp(row[5]), row[6], bool(row[7])
        )
        for row in rows
    ]


class Gone(msgspec.Struct, frozen=True):
    """A manifest that is removed, or whose image, repository or registry is; `since` is when the first of them was."""

    id: ManifestId
    image: ImageId
    path: str
    digest: Digest
    size: int  # of its body, which lies in the store as a copy
    what: str  # what was removed first: manifest, image, repository, registry
    since: Timestamp
    body: bytes


_GONE_COLUMNS = f"""
SELECT m.id, m.image_id, i.path, m.digest, length(m.body), m.body,
  m.removed_at, i.removed_at, r.removed_at, g.removed_at
FROM manifests m {_PLACES.format(image="m.image_id")}
"""
_GONE_ALONE = f"""
{_GONE_COLUMNS} WHERE m.removed_at IS NOT NULL AND (m.removed_at, m.id) > (?, ?) AND {_LEAVES} = {FOR_EVER}
ORDER BY m.removed_at, m.id LIMIT ?
"""
_GONE_IMAGES = """
SELECT id FROM images WHERE removed_at IS NOT NULL AND id > :last
UNION SELECT i.id FROM repositories r JOIN images i ON i.repository_id = r.id
  WHERE r.removed_at IS NOT NULL AND i.id > :last
UNION SELECT i.id FROM registries g JOIN images i ON i.registry_id = g.id
  WHERE g.removed_at IS NOT NULL AND i.id > :last
ORDER BY 1 LIMIT :limit
"""
_GONE_OF_IMAGE = f"{_GONE_COLUMNS} WHERE m.image_id = ? AND m.id > ? ORDER BY m.id LIMIT ?"


def list_removed(reader: Reader, last: tuple[int, int], limit: int) -> list[Gone]:
    """Return removed manifests of images that are there, after that time and row."""
    return [_gone(row) for row in reader.rows(_GONE_ALONE, (*last, limit))]


def list_gone_images(reader: Reader, last: int, limit: int) -> list[ImageId]:
    """Return images after the row `last` that are removed themselves, or with their repository or registry."""
    return [ImageId(row[0]) for row in reader.rows(_GONE_IMAGES, {"last": last, "limit": limit})]


def list_of_image(reader: Reader, image: ImageId, last: int, limit: int) -> list[Gone]:
    """Return the manifests of such an image, after the row `last`."""
    return [_gone(row) for row in reader.rows(_GONE_OF_IMAGE, (image, last, limit))]


def _gone(row: Row) -> Gone:
    number, image, path, digest, size, body, *times = row
    since, what = min((at, what) for at, what in zip(times, _WHAT, strict=True) if at is not None)
    return Gone(ManifestId(number), ImageId(image), path, from_bytes(digest), size, what, Timestamp(since), body)


_WHAT = ("manifest", "image", "repository", "registry")


class Keeper(msgspec.Struct, frozen=True):
    """What keeps a blob longest: a manifest of an image, or (manifest 0) only a link; and until when."""

    until: int  # FOR_EVER for what is not going away
    image: ImageId
    manifest: ManifestId


_IS_KEPT = f"""
SELECT 1 FROM links l {_PLACES.format(image="l.image_id")}
JOIN needs n ON n.image_id = l.image_id AND n.digest = :digest AND n.kind IN (1, 2)
JOIN manifests m ON m.id = n.manifest_id AND m.removed_at IS NULL
WHERE l.blob_id = :blob AND {_LEAVES} = {FOR_EVER} LIMIT 1
"""
_KEEPER = f"""
SELECT until, image_id, manifest_id FROM (
  SELECT min(max(x.manifest_ends, x.check_at), max(x.manifest_ends, x.image_ends)) AS until, x.image_id, x.manifest_id
  FROM (
    SELECT l.image_id, m.id AS manifest_id, coalesce(l.check_at, 0) AS check_at, {_LEAVES} + :recycle AS image_ends,
      min({_LEAVES}, coalesce(m.removed_at, {FOR_EVER})) + :recycle AS manifest_ends
    FROM links l {_PLACES.format(image="l.image_id")}
    JOIN needs n ON n.image_id = l.image_id AND n.digest = :digest AND n.kind IN (1, 2)
    JOIN manifests m ON m.id = n.manifest_id
    WHERE l.blob_id = :blob) x
  UNION ALL
  SELECT min(coalesce(l.check_at, {FOR_EVER}), {_LEAVES} + :recycle), l.image_id, 0
  FROM links l {_PLACES.format(image="l.image_id")}
  WHERE l.blob_id = :blob AND NOT EXISTS (
    SELECT 1 FROM needs n WHERE n.image_id = l.image_id AND n.digest = :digest AND n.kind IN (1, 2))
) ORDER BY until DESC, image_id DESC, manifest_id DESC LIMIT 1
"""


def find_keeper(reader: Reader, blob: BlobId, digest: Digest, recycle: int) -> Keeper | None:
    """Return what keeps the blob longest, if that is going away; None where something keeps it for ever."""
    values: Values = {"blob": blob, "digest": to_bytes(digest), "recycle": recycle}
    if reader.one(_IS_KEPT, values):
        return None
    row = reader.one(_KEEPER, values)
    if row is None or row[0] >= FOR_EVER:
        return None
    return Keeper(row[0], ImageId(row[1]), ManifestId(row[2]))


def find_blob(reader: Reader, digest: Digest) -> tuple[BlobId, int] | None:
    """Return row and size of a blob, a quarantined one too, or None."""
    row = reader.one("SELECT id, size FROM blobs WHERE digest = ?", (to_bytes(digest),))
    return (BlobId(row[0]), row[1]) if row else None
