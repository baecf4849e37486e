"""What tags named, and when: the present row and those that ended, in the order of `seq`, never of the clock."""

import msgspec

from appliance.db import manifests
from appliance.db.database import Reader, Row, Transaction, Values
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, Tag, from_bytes
from appliance.domain.registry import ImageId, TagRow


class Past(msgspec.Struct, frozen=True):
    """One digest that a tag named for a while; `until` and what follows are None for what it names now."""

    seq: int
    digest: Digest
    since: Timestamp
    pushed_by: str
    until: Timestamp | None
    ended_by: str | None
    reason: str | None
    is_there: bool  # the image has a live manifest of that digest, so the tag can be put back
    pushed_from: str  # address; "" where the activity of then is not kept any more


_PRESENT = """
SELECT t.seq, m.digest, t.pushed_at, t.pushed_by, NULL, NULL, NULL, m.removed_at IS NULL,
       (SELECT a.address FROM activity a WHERE a.seq = t.seq)
FROM tags t JOIN manifests m ON m.id = t.manifest_id WHERE t.image_id = :image AND t.name = :tag
"""
_PAST = """
SELECT h.seq, h.digest, h.from_at, h.pushed_by, h.until_at, h.ended_by, h.reason, EXISTS (
  SELECT 1 FROM manifests m WHERE m.image_id = h.image_id AND m.digest = h.digest AND m.removed_at IS NULL),
  (SELECT a.address FROM activity a WHERE a.seq = h.seq)
FROM tag_history h WHERE h.image_id = :image AND h.name = :tag AND h.seq < :last
"""


def list_page(reader: Reader, image: ImageId, tag: Tag, last: int, limit: int) -> list[Past]:
    """Return up to `limit` entries before the one of `last` (0: from the present on), newest first."""
    values: Values = {"image": image, "tag": tag, "last": last or 1 << 62, "limit": limit}
    present = [] if last else reader.rows(_PRESENT, values)
    return [_past(row) for row in (*present, *reader.rows(f"{_PAST} ORDER BY h.seq DESC LIMIT :limit", values))][:limit]


class Span(msgspec.Struct, frozen=True, gc=False):
    """From when until when a tag named a digest; `until` lies in the far future for what it names now."""

    name: Tag
    digest: Digest
    since: Timestamp
    until: Timestamp


_SPANS = """
SELECT h.name, h.digest, h.from_at, h.until_at FROM tag_history h WHERE h.image_id = :image
UNION ALL
SELECT t.name, m.digest, t.pushed_at, 1 << 62 FROM tags t JOIN manifests m ON m.id = t.manifest_id
WHERE t.image_id = :image
"""


def list_spans(reader: Reader, image: ImageId) -> list[Span]:
    """Return all that tags of `image` name and named. It reads its whole history: for a worker thread."""
    rows = reader.rows(_SPANS, {"image": image})
    return [Span(Tag(row[0]), from_bytes(row[1]), Timestamp(row[2]), Timestamp(row[3])) for row in rows]


def find_as_of(reader: Reader, image: ImageId, tag: Tag, at: Timestamp) -> Past | None:
    """Return what `tag` named at the moment `at`; None where it was not there, or where the history begins later.

    Where the clock jumped, the entry that was made last of those that fit.
    """
    present = reader.one(f"{_PRESENT} AND t.pushed_at <= :at", {"image": image, "tag": tag, "at": at})
    if present:
        return _past(present)
    values: Values = {"image": image, "tag": tag, "last": 1 << 62, "at": at}
    row = reader.one(f"{_PAST} AND h.from_at <= :at AND h.until_at > :at ORDER BY h.seq DESC LIMIT 1", values)
    return _past(row) if row else None


def find_row(reader: Reader, image: ImageId, tag: Tag, at: Timestamp) -> TagRow | None:
    """Return `tag` as a list would have shown it at the moment `at`, or None; of a manifest that is gone, less."""
    past = find_as_of(reader, image, tag, at)
    if past is None:
        return None
    found = manifests.find_outline(reader, image, past.digest)
    return TagRow(
        name=tag,
        digest=past.digest,
        media_type=found.media_type if found else "",
        artifact_type=found.artifact_type if found else "",
        size=found.content_size + manifests.measure_below(reader, image, found.id) if found else 0,
        pushed_at=past.since,
        pushed_by=past.pushed_by,
        locked=False,
        seq=past.seq,
        own_lock=False,
    )


def list_names(reader: Reader, image: ImageId, last: str, limit: int) -> list[Tag]:
    """Return up to `limit` names after `last` that tags of `image` had once, whether they are there now or not."""
    sql = "SELECT DISTINCT name FROM tag_history WHERE image_id = ? AND name > ? ORDER BY name LIMIT ?"
    return [Tag(row[0]) for row in reader.rows(sql, (image, last, limit))]


def forget(tx: Transaction, before: Timestamp, limit: int) -> int:
    """Delete up to `limit` entries that ended before `before`; return how many."""
    return tx.execute(
        "DELETE FROM tag_history WHERE (image_id, name, seq) IN"
        " (SELECT image_id, name, seq FROM tag_history WHERE until_at < ? LIMIT ?)",
        (before, limit),
    )


def _past(row: Row) -> Past:
    return Past(
        seq=row[0],
        digest=from_bytes(row[1]),
        since=Timestamp(row[2]),
        pushed_by=row[3],
        until=None if row[4] is None else Timestamp(row[4]),
        ended_by=row[5],
        reason=row[6],
        is_there=bool(row[7]),
        pushed_from=row[8] or "",
    )


def has_older(reader: Reader, before: Timestamp) -> bool:
    """Whether there is history that ended before `before`."""
    return reader.one("SELECT 1 FROM tag_history WHERE until_at < ? LIMIT 1", (before,)) is not None
