"""Referrers: manifests that name another as their subject."""

import msgspec

from appliance.db.database import Reader, Value
from appliance.domain.names import Digest, to_bytes
from appliance.domain.registry import ImageRef


class Referrer(msgspec.Struct, frozen=True):
    """A manifest with a subject, as the list needs it. `id` is the cursor."""

    id: int
    body: bytes
    media_type: str
    digest: bytes
    artifact_type: str


class Page(msgspec.Struct, frozen=True):
    """Some referrers in the order of their cursors, and whether there are more."""

    referrers: list[Referrer]
    is_last: bool


_LIST = """
SELECT m.id, length(m.body)
FROM images i JOIN repositories r ON r.id = i.repository_id
JOIN needs n ON n.image_id = i.id AND n.digest = :digest AND n.kind = 3 AND n.manifest_id > :last
JOIN manifests m ON m.id = n.manifest_id AND m.removed_at IS NULL
WHERE i.registry_id = :registry AND i.path = :path AND i.removed_at IS NULL AND r.removed_at IS NULL
ORDER BY n.manifest_id LIMIT :limit
"""
_LIST_OF_TYPE = _LIST.replace("AND n.kind = 3", "AND n.kind = 3 AND n.artifact_type = :type")
_LOAD = """
SELECT id, body, media_type, digest, artifact_type FROM manifests
WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id
"""


def list_page(
    reader: Reader, image: ImageRef, subject: Digest, artifact_type: str, last: int, limit: int, size: int
) -> Page:
    """Return live referrers of `subject` after the cursor `last`; "" asks for all artifact types.

    Up to `limit` of them, and only as many as have `size` bytes of body together, but always one: annotations may make
    each as large as a manifest can be.
    """
    values: dict[str, Value] = {
        "digest": to_bytes(subject),
        "last": last,
        "registry": image.registry,
        "path": str(image.path),
        "limit": limit + 1,
    }
    if artifact_type:
        values["type"] = artifact_type
    with reader.snapshot():
        rows = reader.rows(_LIST_OF_TYPE if artifact_type else _LIST, values)
        chosen: list[int] = []
        for row, length in rows[:limit]:
            size -= length
            if chosen and size < 0:
                break
            chosen.append(row)
        found = reader.rows(_LOAD, (msgspec.json.encode(chosen).decode(),))
    return Page([Referrer(*row) for row in found], is_last=len(chosen) == len(rows))
