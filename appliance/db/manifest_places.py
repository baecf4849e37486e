"""Where a manifest is, whichever images hold it: for what is known by digest only."""

from collections.abc import Iterable

import msgspec

from appliance.db.database import Reader
from appliance.domain.names import Digest, RegistryName, to_bytes
from appliance.domain.registry import ManifestId, RegistryId

_MOST = 200  # images that one digest is told to be in
_SELECT = """
SELECT m.id, r.id, r.name, i.public_id, i.path,
       (SELECT group_concat(name, char(10)) FROM (SELECT name FROM tags t WHERE t.manifest_id = m.id LIMIT 20))
FROM manifests m JOIN images i ON i.id = m.image_id JOIN repositories p ON p.id = i.repository_id
JOIN registries r ON r.id = i.registry_id
WHERE m.digest = ? AND m.removed_at IS NULL AND i.removed_at IS NULL AND i.shown_at IS NOT NULL
AND p.removed_at IS NULL AND r.removed_at IS NULL LIMIT ?
"""


class ManifestPlace(msgspec.Struct, frozen=True):
    """An image that holds a manifest, and the names it has there."""

    manifest: ManifestId
    digest: Digest
    registry: RegistryId
    registry_name: RegistryName
    image: str  # public id
    path: str
    tags: tuple[str, ...]


def list_places(reader: Reader, digests: Iterable[Digest]) -> list[ManifestPlace]:
    """Return the live images that hold one of `digests`."""
    return [
        ManifestPlace(
            ManifestId(row[0]),
            digest,
            RegistryId(row[1]),
            RegistryName(row[2]),
            row[3],
            row[4],
            tuple(row[5].split("\n")) if row[5] else (),
        )
        for digest in dict.fromkeys(digests)
        for row in reader.rows(_SELECT, (to_bytes(digest), _MOST))
    ]
