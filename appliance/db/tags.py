"""Tags: the present; what a tag named before stands in tag_history."""

from appliance.db.database import Reader, Row, Transaction, Values
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, Tag, from_bytes, natural_key
from appliance.domain.registry import ImageId, ImageRef, ManifestId, TagRow
from appliance.errors import QueryInvalid

_LATEST = (1 << 63) - 1  # SQLite's largest number
_KEEP = """
INSERT INTO tag_history (image_id, name, seq, digest, from_at, until_at, pushed_by, ended_by, reason)
SELECT t.image_id, t.name, t.seq, m.digest, t.pushed_at, :now, t.pushed_by, :by, :reason
FROM tags t JOIN manifests m ON m.id = t.manifest_id
WHERE t.image_id = :image AND t.name = :tag
"""
_POINT = """
INSERT INTO tags (image_id, name, sort_key, manifest_id, seq, pushed_at, pushed_by)
VALUES (:image, :tag, :sort, :manifest, :seq, :now, :by)
ON CONFLICT (image_id, name) DO UPDATE SET manifest_id = :manifest, seq = :seq, pushed_at = :now, pushed_by = :by
"""


def find(reader: Reader, image: ImageId, tag: Tag) -> tuple[ManifestId, bool] | None:
    """Return the manifest `tag` names and whether the tag itself is locked, or None."""
    row = reader.one("SELECT manifest_id, locked FROM tags WHERE image_id = ? AND name = ?", (image, tag))
    return (ManifestId(row[0]), bool(row[1])) if row else None


def point(tx: Transaction, image: ImageId, tag: Tag, manifest: ManifestId, seq: int, by: str, now: Timestamp) -> None:
    """Make `tag` name `manifest`; what it named before goes to the history. For guard.py alone, which asks locks."""
    tx.execute(_KEEP, {"image": image, "tag": tag, "now": now, "by": by, "reason": "moved"})
    values: Values = {
        "image": image,
        "tag": tag,
        "sort": natural_key(tag),
        "manifest": manifest,
        "seq": seq,
        "by": by,
        "now": now,
    }
    tx.execute(_POINT, values)


def remove(tx: Transaction, image: ImageId, tag: Tag, by: str, now: Timestamp, reason: str) -> None:
    """Take `tag` away; the history keeps what it named. For guard.py, and for collection of what went."""
    tx.execute(_KEEP, {"image": image, "tag": tag, "now": now, "by": by, "reason": reason})
    tx.execute("DELETE FROM tags WHERE image_id = ? AND name = ?", (image, tag))


def of_manifest(reader: Reader, manifest: ManifestId) -> list[tuple[Tag, bool]]:
    """Return the names, with their locks, of all tags of `manifest`."""
    rows = reader.rows("SELECT name, locked FROM tags WHERE manifest_id = ? ORDER BY sort_key, name", (manifest,))
    return [(Tag(row[0]), bool(row[1])) for row in rows]


def set_locked(tx: Transaction, image: ImageId, tag: Tag, *, locked: bool) -> None:
    """Lock `tag` itself, or unlock it."""
    tx.execute("UPDATE tags SET locked = ? WHERE image_id = ? AND name = ?", (locked, image, tag))


def any_locked(reader: Reader, image: ImageId) -> Tag | None:
    """Return a locked tag of `image`, or None."""
    row = reader.one("SELECT name FROM tags WHERE image_id = ? AND locked LIMIT 1", (image,))
    return Tag(row[0]) if row else None


LOCKED_ABOVE = """
WITH RECURSIVE above (id, digest) AS (
  SELECT id, digest FROM manifests WHERE id = :manifest
  UNION
  SELECT p.id, p.digest FROM above JOIN needs n ON n.image_id = :image AND n.digest = above.digest AND n.kind = 2
  JOIN manifests p ON p.id = n.manifest_id AND p.removed_at IS NULL
)
SELECT t.name, t.manifest_id = :manifest
FROM above CROSS JOIN tags t INDEXED BY tags_by_manifest ON t.manifest_id = above.id WHERE t.locked
"""


def locked_above(reader: Reader, image: ImageId, manifest: ManifestId) -> list[tuple[Tag, bool]]:
    """Return locked tags of `manifest` (True) and of the live indexes that list it, at any depth (False)."""
    rows = reader.rows(LOCKED_ABOVE, {"image": image, "manifest": manifest})
    return [(Tag(row[0]), bool(row[1])) for row in rows]


_NAMES = """
SELECT t.name FROM images i JOIN repositories r ON r.id = i.repository_id JOIN tags t ON t.image_id = i.id
WHERE i.registry_id = :registry AND i.path = :path AND i.removed_at IS NULL AND r.removed_at IS NULL AND t.name > :last
ORDER BY t.name LIMIT :limit
"""


def list_names(reader: Reader, image: ImageRef, last: str = "", limit: int = 1 << 30) -> list[Tag]:
    """Return up to `limit` tags of `image` that come after `last`, in ASCII order."""
    rows = reader.rows(_NAMES, {"registry": image.registry, "path": str(image.path), "last": last, "limit": limit})
    return [Tag(row[0]) for row in rows]


_LIST = """
SELECT t.name, m.digest, m.media_type, m.artifact_type, m.content_size + coalesce((
         SELECT sum(c.content_size) FROM needs n INDEXED BY needs_of_manifest
         JOIN manifests c ON c.image_id = n.image_id AND c.digest = n.digest AND c.removed_at IS NULL
         WHERE n.image_id = m.image_id AND n.manifest_id = m.id AND n.kind > 1 AND n.kind = 2), 0),
       t.pushed_at, t.pushed_by, t.locked OR i.locked OR r.locked, t.seq, t.locked
FROM images i JOIN repositories r ON r.id = i.repository_id JOIN tags t ON t.image_id = i.id
JOIN manifests m ON m.id = t.manifest_id
WHERE i.id = :image
"""
_ORDERS = {
    "name": "t.name > :name ORDER BY t.name",
    "-name": "t.name < :name ORDER BY t.name DESC",
    "natural": "(t.sort_key, t.name) > (:key, :name) ORDER BY t.sort_key, t.name",
    "-natural": "(t.sort_key, t.name) < (:key, :name) ORDER BY t.sort_key DESC, t.name DESC",
    "pushed": "(t.pushed_at, t.name) > (:at, :name) ORDER BY t.pushed_at, t.name",
    "-pushed": "(t.pushed_at, t.name) < (:at, :name) ORDER BY t.pushed_at DESC, t.name DESC",
}
PAGES = {order: f"{_LIST} AND instr(t.name, :contains) AND {rest} LIMIT :limit" for order, rest in _ORDERS.items()}


def list_page(
    reader: Reader, image: ImageId, last: str, limit: int, contains: str = "", order: str = "name"
) -> list[TagRow]:
    """Return up to `limit` tags of `image` that come after `last` (a key of `key_in`), with what they name.

    Only those that have `contains` in their name. `natural` counts as people do: 1.9 before 1.10. Raises QueryInvalid
    for the key of another order.
    """
    at, _, name = last.rpartition("/")
    if last and at.isdecimal() != order.endswith("pushed"):
        raise QueryInvalid("cursor is of a list in another order; take it from `next` of the page before")
    is_down = order.startswith("-")
    values: Values = {
        "image": image,
        "name": name or ("\x7f" if is_down else ""),
        "key": natural_key(name) if name else ("\x7f" if is_down else ""),
        "at": int(at or (_LATEST if is_down else -1)),
        "contains": contains,
        "limit": limit,
    }
    return [_shown(row) for row in reader.rows(PAGES[order], values)]


def key_in(order: str, row: TagRow) -> str:
    """Return where `row` stands in a list of that order."""
    return f"{row.pushed_at}/{row.name}" if order.endswith("pushed") else row.name


def find_row(reader: Reader, image: ImageId, tag: Tag) -> TagRow | None:
    """Return `tag` of `image` as a list shows it, or None."""
    row = reader.one(f"{_LIST} AND t.name = :name", {"image": image, "name": tag})
    return _shown(row) if row else None


def _shown(row: Row) -> TagRow:
    return TagRow(
        name=Tag(row[0]),
        digest=from_bytes(row[1]),
        media_type=row[2],
        artifact_type=row[3],
        size=row[4],
        pushed_at=Timestamp(row[5]),
        pushed_by=row[6],
        locked=bool(row[7]),
        seq=row[8],
        own_lock=bool(row[9]),
    )


def digest_of(reader: Reader, image: ImageId, tag: Tag) -> Digest | None:
    """Return the digest that `tag` names, or None."""
    sql = "SELECT m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id WHERE t.image_id = ? AND t.name = ?"
    row = reader.one(sql, (image, tag))
    return from_bytes(row[0]) if row else None


def drop_of_image(tx: Transaction, image: ImageId, now: Timestamp, limit: int) -> int:
    """Take up to `limit` tags of a removed image away; return how many."""
    rows = tx.rows("SELECT name FROM tags WHERE image_id = ? LIMIT ?", (image, limit))
    for row in rows:
        remove(tx, image, Tag(row[0]), "collection", now, "image deleted")
    return len(rows)
