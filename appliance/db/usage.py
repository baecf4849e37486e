"""How much there is: the figures of the status."""

import msgspec

from appliance.db.database import Reader
from appliance.domain.registry import RegistryId


class Usage(msgspec.Struct, frozen=True, rename="camel"):
    """What the process keeps. Sizes are bytes."""

    repositories: int
    images: int
    manifests: int
    tags: int
    blobs: int
    bytes: int  # de-duplicated: every blob once
    apparent_bytes: int  # every blob once for each image that uses it
    quarantined: int  # blobs whose bytes are broken


_TOTALS = """
SELECT g.repositories, g.images, i.manifests, i.tags, b.blobs, b.bytes, i.bytes,
       (SELECT count(*) FROM blobs WHERE quarantined_at IS NOT NULL)
FROM (SELECT coalesce(sum(repositories), 0) AS repositories, coalesce(sum(images), 0) AS images FROM registry_usage) g,
     (SELECT coalesce(sum(manifests), 0) AS manifests, coalesce(sum(tags), 0) AS tags, coalesce(sum(bytes), 0) AS bytes
      FROM images) i,
     (SELECT count(*) AS blobs, coalesce(sum(size), 0) AS bytes FROM blobs) b
"""


def measure(reader: Reader) -> Usage:
    """Add up all there is. It walks the tables of images and of blobs: for a worker thread."""
    return Usage(*reader.rows(_TOTALS)[0])


_BY_REGISTRY = """
SELECT g.id, u.repositories, u.images, u.blob_bytes + u.manifest_bytes
FROM registries g JOIN registry_usage u ON u.registry_id = g.id WHERE g.removed_at IS NULL
"""


def count_by_registry(reader: Reader) -> dict[RegistryId, tuple[int, int, int]]:
    """Return how many repositories and images each registry has, and their bytes. For a worker thread."""
    return {RegistryId(row[0]): (row[1], row[2], row[3]) for row in reader.rows(_BY_REGISTRY)}
