"""Manifests as lists show them: a row a digest, by push or by the first of its tags."""

import msgspec

from appliance.db import lists
from appliance.db.database import Reader, Row, Value
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, Tag, from_bytes, natural_key, to_bytes
from appliance.domain.registry import ImageId, ManifestId

TAGS_SHOWN = 20  # names of one digest in a list; the count tells of more


class ManifestRow(msgspec.Struct, frozen=True):
    """One line of a list of manifests. Sizes are bytes."""

    id: ManifestId
    digest: Digest
    media_type: str
    artifact_type: str
    config_media_type: str
    subject: Digest | None
    content_size: int
    size: int  # of the manifest itself
    pushed_at: Timestamp
    pushed_by: str
    changed_at: Timestamp  # when it got its newest tag; else its push
    pulls: int
    last_pulled_at: Timestamp | None
    tag_count: int
    is_listed: bool  # by an index of the image
    tags: tuple[tuple[Tag, bool], ...] = ()  # names and own locks, the first of them


_SELECT = """
SELECT m.id, m.digest, m.media_type, m.artifact_type, m.config_media_type, m.subject, m.content_size, length(m.body),
       m.pushed_at, m.pushed_by, m.pulls, m.last_pulled_at, (SELECT count(*) FROM tags t WHERE t.manifest_id = m.id),
       EXISTS (SELECT 1 FROM needs n JOIN manifests p ON p.id = n.manifest_id AND p.removed_at IS NULL
               WHERE n.image_id = m.image_id AND n.digest = m.digest AND n.kind = 2)
FROM manifests m WHERE m.image_id = :image AND m.removed_at IS NULL
"""
_TAGGED = (
    "(:tagged IS NULL OR :tagged = EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id)) AND (:contains = ''"
    " OR EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id AND instr(t.name, :contains)))"
)
PAGES = {
    "pushed": f"{_SELECT} AND {_TAGGED} AND (m.pushed_at, m.id) > (:at, :id) ORDER BY m.pushed_at, m.id LIMIT :limit",
    "-pushed": f"{_SELECT} AND {_TAGGED} AND (m.pushed_at, m.id) < (:at, :id)"
    " ORDER BY m.pushed_at DESC, m.id DESC LIMIT :limit",
}
# by the first of its tags, as people count: through the index of tags, each digest where its first one stands
_BY_TAG = _SELECT.replace(
    "FROM manifests m WHERE m.image_id = :image",
    "FROM tags f CROSS JOIN manifests m ON m.id = f.manifest_id WHERE f.image_id = :image AND NOT EXISTS (SELECT 1 FROM"
    " tags o WHERE o.manifest_id = f.manifest_id AND (o.sort_key, o.name) < (f.sort_key, f.name))",
)
PAGES |= {
    "tag": f"{_BY_TAG} AND {_TAGGED} AND (f.sort_key, f.name) > (:key, :name) ORDER BY f.sort_key, f.name LIMIT :limit",
    "-tag": f"{_BY_TAG} AND {_TAGGED} AND (f.sort_key, f.name) < (:key, :name)"
    " ORDER BY f.sort_key DESC, f.name DESC LIMIT :limit",
}
_LAST_TEXT = "\x7f"  # comes after every tag


def list_page(
    reader: Reader, image: ImageId, last: str, limit: int, order: str, *, tagged: bool | None = None, contains: str = ""
) -> list[ManifestRow]:
    """Return up to `limit` live manifests of `image` after `last` (a key of `key_in`): all, or those with tags or none.

    With `contains`, those that have a tag with this text in its name; in the order of tags, those that have any. Raises
    QueryInvalid for a key of another list.
    """
    is_down = order.startswith("-")
    values: dict[str, Value] = {"image": image, "tagged": tagged, "contains": contains, "limit": limit}
    if order.removeprefix("-") == "tag":
        values["name"] = last or (_LAST_TEXT if is_down else "")
        values["key"] = natural_key(last) if last else values["name"]
    else:
        values |= lists.place_after(last, descending=is_down)
    return [_row(reader, row) for row in reader.rows(PAGES[order], values)]


def key_in(order: str, row: ManifestRow) -> str:
    """Return where `row` stands in a list of that order."""
    return row.tags[0][0] if order.removeprefix("-") == "tag" else f"{row.pushed_at}.{row.id}"


def find_row(reader: Reader, image: ImageId, digest: Digest) -> ManifestRow | None:
    """Return the live manifest `digest` of `image` as a list shows it, or None."""
    row = reader.one(f"{_SELECT} AND m.digest = :digest", {"image": image, "digest": to_bytes(digest)})
    return _row(reader, row) if row else None


def _row(reader: Reader, row: Row) -> ManifestRow:
    named = reader.rows(
        "SELECT name, locked, pushed_at FROM tags WHERE manifest_id = ? ORDER BY sort_key, name LIMIT ?",
        (row[0], TAGS_SHOWN),
    )
    return ManifestRow(
        id=ManifestId(row[0]),
        digest=from_bytes(row[1]),
        media_type=row[2],
        artifact_type=row[3],
        config_media_type=row[4],
        subject=None if row[5] is None else from_bytes(row[5]),
        content_size=row[6],
        size=row[7],
        pushed_at=Timestamp(row[8]),
        pushed_by=row[9],
        changed_at=Timestamp(max([row[8], *(tag[2] for tag in named)])),
        pulls=row[10],
        last_pulled_at=None if row[11] is None else Timestamp(row[11]),
        tag_count=row[12],
        is_listed=bool(row[13]),
        tags=tuple((Tag(tag[0]), bool(tag[1])) for tag in named),
    )
