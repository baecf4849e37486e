"""What tag deletion looks at: all live manifests of one image with their tags and relations, and which images are due.

One image is read by its own rows alone, however many others there are.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from appliance.db.database import Reader, Transaction
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, Tag, from_bytes
from appliance.domain.registry import ImageId, ManifestId
from appliance.domain.retention import Candidate, TagState

MANIFESTS = """
SELECT id, digest, pushed_at, last_pulled_at, subject, content_size FROM manifests
WHERE image_id = ? AND removed_at IS NULL
"""
TAGS = "SELECT manifest_id, name, locked FROM tags WHERE image_id = ?"
CHILDREN = """
SELECT manifest_id, digest FROM needs INDEXED BY needs_of_manifest WHERE image_id = ? AND kind > 1 AND kind = 2
"""


class Facts(msgspec.Struct, frozen=True):
    """The candidates of one image, and the rows behind them."""

    candidates: tuple[Candidate, ...]
    rows: Mapping[Digest, ManifestId]
    pulls: Mapping[ManifestId, Timestamp | None]  # the last of each
    sizes: Mapping[Digest, int]  # bytes of the manifest's own blobs
    seq: int  # of the newest record of the image's activity: another one means that something changed


def load(reader: Reader, image: ImageId) -> Facts:
    """Return what there is of `image`. It reads all of its manifests: for a worker thread."""
    with reader.snapshot():
        manifests = reader.rows(MANIFESTS, (image,))
        tags = reader.rows(TAGS, (image,))
        children = reader.rows(CHILDREN, (image,))
        seq = newest_change(reader, image)
    tags_of: dict[int, list[TagState]] = defaultdict(list)
    for row, name, locked in tags:
        tags_of[row].append(TagState(Tag(name), bool(locked)))
    children_of: dict[int, list[Digest]] = defaultdict(list)
    for row, digest in children:
        children_of[row].append(from_bytes(digest))
    found = tuple(
        Candidate(
            digest=from_bytes(row[1]),
            pushed_at=Timestamp(row[2]),
            last_pulled_at=None if row[3] is None else Timestamp(row[3]),
            tags=tuple(tags_of.get(row[0], ())),
            children=tuple(children_of.get(row[0], ())),
            subject=None if row[4] is None else from_bytes(row[4]),
        )
        for row in manifests
    )
    rows = {one.digest: ManifestId(row[0]) for one, row in zip(found, manifests, strict=True)}
    return Facts(
        candidates=found,
        rows=rows,
        pulls={rows[one.digest]: one.last_pulled_at for one in found},
        sizes={one.digest: row[5] for one, row in zip(found, manifests, strict=True)},
        seq=seq,
    )


def newest_change(reader: Reader, image: ImageId) -> int:
    """Return the `seq` of the newest record of the image's activity, 0 for none."""
    row = reader.one("SELECT max(seq) FROM activity WHERE image_id = ?", (image,))
    return row[0] or 0 if row else 0


def last_pulls(reader: Reader, manifests: Iterable[ManifestId]) -> dict[ManifestId, Timestamp | None]:
    """Return when each of `manifests` that is live was pulled last."""
    ids = msgspec.json.encode(list(manifests)).decode()
    sql = (
        "SELECT m.id, m.last_pulled_at FROM json_each(?) j JOIN manifests m ON m.id = j.value"
        " WHERE m.removed_at IS NULL"
    )
    return {ManifestId(row[0]): None if row[1] is None else Timestamp(row[1]) for row in reader.rows(sql, (ids,))}


class Due(msgspec.Struct, frozen=True):
    """An image whose tag deletion is due."""

    image: ImageId
    public_id: str
    at: Timestamp


DUE = """
SELECT i.id, i.public_id, i.retention_at FROM images i
WHERE i.retention_at <= ? AND i.retention_at IS NOT NULL AND i.removed_at IS NULL ORDER BY i.retention_at LIMIT ?
"""


def list_due(reader: Reader, now: Timestamp, limit: int) -> list[Due]:
    """Return up to `limit` images whose tag deletion is due, the longest due first."""
    return [Due(ImageId(row[0]), row[1], Timestamp(row[2])) for row in reader.rows(DUE, (now, limit))]


def has_beyond(reader: Reader, latest: Timestamp) -> bool:
    """Whether tag deletion of an image is due after `latest`."""
    sql = "SELECT 1 FROM images WHERE retention_at > ? AND retention_at IS NOT NULL AND removed_at IS NULL LIMIT 1"
    return reader.one(sql, (latest,)) is not None


def mend_beyond(tx: Transaction, latest: Timestamp, at: Timestamp) -> None:
    """Let what is due after `latest` be due at `at`."""
    sql = (
        "UPDATE images SET retention_at = ? WHERE retention_at > ? AND retention_at IS NOT NULL AND removed_at IS NULL"
    )
    tx.execute(sql, (at, latest))


def next_due(reader: Reader) -> Timestamp | None:
    """Return when the next image is due, or None."""
    row = reader.one(
        "SELECT retention_at FROM images WHERE retention_at IS NOT NULL AND removed_at IS NULL"
        " ORDER BY retention_at LIMIT 1"
    )
    return Timestamp(row[0]) if row else None


def set_due(tx: Transaction, image: ImageId, at: Timestamp) -> None:
    """Let tag deletion of the image be due at `at`, if it is on."""
    tx.execute("UPDATE images SET retention_at = ? WHERE id = ? AND retention_at IS NOT NULL", (at, image))
