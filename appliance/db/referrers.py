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


_LIST = """
SELECT m.id, m.body, m.media_type, m.digest, m.artifact_type
FROM images i JOIN repositories r ON r.id = i.repository_id
JOIN needs n ON n.image_id = i.id AND n.digest = :digest AND n.kind = 3 AND n.manifest_id > :last
JOIN manifests m ON m.id = n.manifest_id AND m.removed_at IS NULL
WHERE i.registry_id = :registry AND i.path = :path AND i.removed_at IS NULL AND r.removed_at IS NULL
ORDER BY n.manifest_id LIMIT :limit
"""
_LIST_OF_TYPE = _LIST.replace("AND n.kind = 3", "AND n.kind = 3 AND n.artifact_type = :type")


def list_page(
    reader: Reader, image: ImageRef, subject: Digest, artifact_type: str, last: int, limit: int
) -> list[Referrer]:
    """Return up to `limit` live referrers of `subject` after the cursor `last`; "" asks for all artifact types."""
    values: dict[str, Value] = {
        "digest": to_bytes(subject),
        "last": last,
        "registry": image.registry,
        "path": str(image.path),
        "limit": limit,
    }
    if artifact_type:
        values["type"] = artifact_type
    rows = reader.rows(_LIST_OF_TYPE if artifact_type else _LIST, values)
    return [Referrer(*row) for row in rows]
