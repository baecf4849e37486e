"""Manifests: one row an image and digest, with the bytes as they were pushed."""

from collections.abc import Iterable

import msgspec

from appliance.db.database import Reader, Row, Transaction, Values
from appliance.domain.manifest import Manifest
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, Tag, from_bytes, is_digest, to_bytes
from appliance.domain.registry import FoundManifest, ImageId, ImageRef, ManifestId

BLOB, CHILD, SUBJECT = 1, 2, 3  # kinds of need

_BY_TAG = """
SELECT m.id, i.id, m.digest, m.media_type, m.body, i.limited
FROM images i JOIN repositories r ON r.id = i.repository_id
JOIN tags t ON t.image_id = i.id AND t.name = ?3 JOIN manifests m ON m.id = t.manifest_id
WHERE i.registry_id = ?1 AND i.path = ?2 AND i.removed_at IS NULL AND r.removed_at IS NULL AND m.removed_at IS NULL
"""
_BY_DIGEST = """
SELECT m.id, i.id, m.digest, m.media_type, m.body, i.limited
FROM images i JOIN repositories r ON r.id = i.repository_id
JOIN manifests m ON m.image_id = i.id AND m.digest = ?3
WHERE i.registry_id = ?1 AND i.path = ?2 AND i.removed_at IS NULL AND r.removed_at IS NULL AND m.removed_at IS NULL
"""


def find(reader: Reader, image: ImageRef, reference: Tag | Digest) -> FoundManifest | None:
    """Return the live manifest that `reference` names in `image`, or None. A point read: for the loop."""
    if is_digest(reference):
        row = reader.one(_BY_DIGEST, (image.registry, str(image.path), to_bytes(Digest(reference))))
    else:
        row = reader.one(_BY_TAG, (image.registry, str(image.path), reference))
    return _found(row) if row else None


def find_in(reader: Reader, image: ImageId, digest: Digest) -> tuple[ManifestId, bool] | None:
    """Return id and whether it is removed of the manifest `digest` of `image`, or None."""
    sql = "SELECT id, removed_at IS NOT NULL FROM manifests WHERE image_id = ? AND digest = ?"
    row = reader.one(sql, (image, to_bytes(digest)))
    return (ManifestId(row[0]), bool(row[1])) if row else None


class Outline(msgspec.Struct, frozen=True):
    """The columns that tell what a manifest is."""

    id: ManifestId
    digest: Digest
    media_type: str
    artifact_type: str
    content_size: int


def find_outline(reader: Reader, image: ImageId, digest: Digest) -> Outline | None:
    """Return what the live manifest `digest` of `image` is, or None."""
    sql = (
        "SELECT id, media_type, artifact_type, content_size FROM manifests"
        " WHERE image_id = ? AND digest = ? AND removed_at IS NULL"
    )
    row = reader.one(sql, (image, to_bytes(digest)))
    return Outline(ManifestId(row[0]), digest, row[1], row[2], row[3]) if row else None


_OUTLINES = """
SELECT m.digest, m.id, m.media_type, m.artifact_type, m.content_size
FROM json_each(:digests) d CROSS JOIN manifests m ON m.image_id = :image AND m.digest = unhex(d.value)
WHERE m.removed_at IS NULL
"""


def find_outlines(reader: Reader, image: ImageId, digests: Iterable[Digest]) -> dict[Digest, Outline]:
    """Return what those of `digests` are that are live manifests of `image`: all of them by one query."""
    wanted = msgspec.json.encode([to_bytes(one).hex() for one in dict.fromkeys(digests)]).decode()
    rows = reader.rows(_OUTLINES, {"image": image, "digests": wanted})
    return {(digest := from_bytes(row[0])): Outline(ManifestId(row[1]), digest, *row[2:]) for row in rows}


_BELOW = """
SELECT coalesce(sum(c.content_size), 0) FROM needs n INDEXED BY needs_of_manifest
JOIN manifests c ON c.image_id = n.image_id AND c.digest = n.digest AND c.removed_at IS NULL
WHERE n.image_id = ? AND n.manifest_id = ? AND n.kind > 1 AND n.kind = 2
"""


def measure_below(reader: Reader, image: ImageId, manifest: ManifestId) -> int:
    """Return the bytes of what the index `manifest` lists, as its platforms' descriptors say; 0 for an image."""
    row = reader.one(_BELOW, (image, manifest))
    return row[0] if row else 0


def find_content(reader: Reader, image: ImageId, digest: Digest) -> tuple[ManifestId, bytes] | None:
    """Return id and body of the live manifest `digest` of `image`, or None."""
    sql = "SELECT id, body FROM manifests WHERE image_id = ? AND digest = ? AND removed_at IS NULL"
    row = reader.one(sql, (image, to_bytes(digest)))
    return (ManifestId(row[0]), row[1]) if row else None


def find_anywhere(reader: Reader, digest: Digest) -> bytes | None:
    """Return the body of the manifest `digest`, if any image has it alive, or None."""
    sql = "SELECT body FROM manifests WHERE digest = ? AND removed_at IS NULL LIMIT 1"
    row = reader.one(sql, (to_bytes(digest),))
    return row[0] if row else None


def list_holders(reader: Reader, image: ImageId, blob: Digest, limit: int) -> list[ManifestId]:
    """Return up to `limit` live manifests of `image` that need `blob`."""
    sql = (
        "SELECT m.id FROM needs n JOIN manifests m ON m.id = n.manifest_id"
        " WHERE n.image_id = ? AND n.digest = ? AND n.kind = 1 AND m.removed_at IS NULL LIMIT ?"
    )
    return [ManifestId(row[0]) for row in reader.rows(sql, (image, to_bytes(blob), limit))]


def list_needing(reader: Reader, image: ImageId, digest: Digest) -> list[ManifestId]:
    """Return all live manifests of `image` that need the blob or list the manifest `digest`."""
    sql = (
        "SELECT m.id FROM needs n JOIN manifests m ON m.id = n.manifest_id"
        " WHERE n.image_id = ? AND n.digest = ? AND n.kind IN (1, 2) AND m.removed_at IS NULL"
    )
    return [ManifestId(row[0]) for row in reader.rows(sql, (image, to_bytes(digest)))]


def is_removed(reader: Reader, manifest: ManifestId) -> bool:
    """Whether the row is there and taken away from readers."""
    return reader.one("SELECT 1 FROM manifests WHERE id = ? AND removed_at IS NOT NULL", (manifest,)) is not None


def missing(reader: Reader, image: ImageId, digests: list[Digest]) -> list[Digest]:
    """Return those of `digests` that are no live manifest of `image`."""
    return [digest for digest in digests if (found := find_in(reader, image, digest)) is None or found[1]]


def insert(tx: Transaction, image: ImageId, manifest: Manifest, generation: str, by: str, now: Timestamp) -> ManifestId:
    """Store `manifest` with all it needs; it must not be there yet."""
    values: Values = {
        "image": image,
        "digest": to_bytes(manifest.digest),
        "generation": generation,
        "media_type": manifest.media_type,
        "artifact_type": manifest.artifact_type,
        "config": manifest.config_media_type,
        "subject": to_bytes(manifest.subject) if manifest.subject else None,
        "content_size": manifest.content_size,
        "now": now,
        "by": by,
        "body": manifest.body,
    }
    sql = (
        "INSERT INTO manifests (image_id, digest, generation, media_type, artifact_type, config_media_type, subject,"
        " content_size, pushed_at, pushed_by, body) VALUES (:image, :digest, :generation, :media_type, :artifact_type,"
        " :config, :subject, :content_size, :now, :by, :body)"
    )
    row = ManifestId(tx.insert(sql, values))
    tx.execute_many(
        "INSERT OR IGNORE INTO needs (image_id, digest, kind, manifest_id, artifact_type)"
        " VALUES (:image, :digest, :kind, :row, :type)",
        (
            {
                "image": image,
                "digest": to_bytes(digest),
                "kind": kind,
                "row": row,
                "type": manifest.artifact_type if kind == SUBJECT else None,
            }
            for digest, kind in needs_of(manifest)
        ),
    )
    return row


def needs_of(manifest: Manifest) -> list[tuple[Digest, int]]:
    """Return digest and kind of all that `manifest` refers to."""
    parts = [(Digest(part.digest), BLOB) for part in (*manifest.blobs, *manifest.foreign)]
    parts += [(Digest(part.digest), CHILD) for part in manifest.children]
    if manifest.subject:
        parts.append((manifest.subject, SUBJECT))
    return parts


def recorded_needs(reader: Reader, image: ImageId, row: ManifestId) -> list[tuple[Digest, int]]:
    """Return digest and kind of what the manifest needs, from its rows: reads all needs of the image."""
    sql = "SELECT digest, kind FROM needs WHERE image_id = ? AND manifest_id = ?"
    return [(from_bytes(found[0]), found[1]) for found in reader.rows(sql, (image, row))]


def oldest_removal(reader: Reader) -> Timestamp | None:
    """Return when the manifest that waits in recycle longest was removed, or None."""
    row = reader.one("SELECT removed_at FROM manifests WHERE removed_at IS NOT NULL ORDER BY removed_at LIMIT 1")
    return Timestamp(row[0]) if row else None


def revive(tx: Transaction, manifest: ManifestId) -> None:
    """Undo a removal: the same digest was pushed again."""
    tx.execute("UPDATE manifests SET removed_at = NULL WHERE id = ?", (manifest,))


def remove(tx: Transaction, manifest: ManifestId, now: Timestamp) -> None:
    """Take the manifest away from all readers at once; collection purges it when the recycle time ends."""
    tx.execute(
        "UPDATE manifests SET removed_at = :now WHERE id = :id AND removed_at IS NULL", {"now": now, "id": manifest}
    )


def list_removed(reader: Reader, before: Timestamp, limit: int) -> list[ManifestId]:
    """Return manifests removed at or before `before`."""
    sql = "SELECT id FROM manifests WHERE removed_at <= ? ORDER BY removed_at LIMIT ?"
    return [ManifestId(row[0]) for row in reader.rows(sql, (before, limit))]


def count_removed(reader: Reader, before: Timestamp) -> int:
    """Return how many manifests a collection would purge now."""
    row = reader.one("SELECT count(*) FROM manifests WHERE removed_at <= ?", (before,))
    return row[0] if row else 0


def list_of_image(reader: Reader, image: ImageId, limit: int) -> list[ManifestId]:
    """Return manifests (removed ones too) of `image`."""
    return [
        ManifestId(row[0]) for row in reader.rows("SELECT id FROM manifests WHERE image_id = ? LIMIT ?", (image, limit))
    ]


def load(reader: Reader, manifest: ManifestId) -> tuple[ImageId, Digest, str, str, bytes] | None:
    """Return image, digest, generation of the copy, media type and body; None when the row is gone."""
    row = reader.one("SELECT image_id, digest, generation, media_type, body FROM manifests WHERE id = ?", (manifest,))
    return (ImageId(row[0]), from_bytes(row[1]), row[2], row[3], row[4]) if row else None


def holding_index(reader: Reader, image: ImageId, digest: Digest) -> Digest | None:
    """Return a live index of `image` that lists `digest`, or None."""
    sql = (
        "SELECT m.digest FROM needs n JOIN manifests m ON m.id = n.manifest_id"
        " WHERE n.image_id = ? AND n.digest = ? AND n.kind = 2 AND m.removed_at IS NULL LIMIT 1"
    )
    row = reader.one(sql, (image, to_bytes(digest)))
    return from_bytes(row[0]) if row else None


def is_listed(reader: Reader, image: ImageId, digest: Digest, indexes: list[ManifestId]) -> bool:
    """Whether one of `indexes` of `image` lists `digest`. A point read: for the loop."""
    sql = (
        "SELECT 1 FROM needs WHERE image_id = ? AND digest = ? AND kind = 2"
        " AND manifest_id IN (SELECT value FROM json_each(?)) LIMIT 1"
    )
    return reader.one(sql, (image, to_bytes(digest), msgspec.json.encode(indexes).decode())) is not None


def add_pulls(tx: Transaction, manifest: ManifestId, count: int, last: Timestamp) -> None:
    """Add `count` pulls, the newest of them at `last`."""
    sql = (
        "UPDATE manifests SET pulls = pulls + :count, last_pulled_at = max(coalesce(last_pulled_at, 0), :last)"
        " WHERE id = :id"
    )
    tx.execute(sql, {"count": count, "last": last, "id": manifest})


def _found(row: Row) -> FoundManifest:
    return FoundManifest(ManifestId(row[0]), ImageId(row[1]), from_bytes(row[2]), row[3], row[4], row[5])


def has_copy(reader: Reader, digest: Digest, generation: str) -> bool:
    """Whether a manifest owns the copy of that generation."""
    sql = "SELECT 1 FROM manifests WHERE digest = ? AND generation = ? LIMIT 1"
    return reader.one(sql, (to_bytes(digest), generation)) is not None


def relocate(tx: Transaction, digest: Digest, old: str, new: str) -> bool:
    """Let the manifest with the copy `old` own the copy `new`; False: it has another one by now, or is gone."""
    sql = "UPDATE manifests SET generation = ? WHERE digest = ? AND generation = ?"
    return tx.execute(sql, (new, to_bytes(digest), old)) == 1
