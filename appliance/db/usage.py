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


def measure(reader: Reader) -> Usage:
    """Count everything. It walks whole indexes and the table of blobs: for a worker thread."""
    stored = reader.one("SELECT count(*), coalesce(sum(size), 0) FROM blobs") or (0, 0)
    return Usage(
        repositories=_count(reader, "SELECT count(*) FROM repositories WHERE removed_at IS NULL"),
        images=_count(
            reader,
            "SELECT count(*) FROM images i JOIN repositories r ON r.id = i.repository_id"
            " WHERE i.shown_at IS NOT NULL AND i.removed_at IS NULL AND r.removed_at IS NULL",
        ),
        # the table's rows hold bodies; two indexes answer without touching one of them
        manifests=_count(reader, "SELECT count(*) FROM manifests")
        - _count(reader, "SELECT count(*) FROM manifests WHERE removed_at IS NOT NULL"),
        tags=_count(reader, "SELECT count(*) FROM tags"),
        blobs=stored[0],
        bytes=stored[1],
        apparent_bytes=_count(
            reader,
            "SELECT coalesce(sum(b.size), 0) FROM links l JOIN blobs b ON b.id = l.blob_id WHERE l.removed_at IS NULL",
        ),
        quarantined=_count(reader, "SELECT count(*) FROM blobs WHERE quarantined_at IS NOT NULL"),
    )


_BY_REGISTRY = """
SELECT g.id,
       (SELECT count(*) FROM repositories r WHERE r.registry_id = g.id AND r.removed_at IS NULL),
       (SELECT count(*) FROM repositories r JOIN images i ON i.repository_id = r.id
        WHERE r.registry_id = g.id AND r.removed_at IS NULL AND i.shown_at IS NOT NULL AND i.removed_at IS NULL),
       u.blob_bytes + u.manifest_bytes
FROM registries g JOIN registry_usage u ON u.registry_id = g.id WHERE g.removed_at IS NULL
"""


def count_by_registry(reader: Reader) -> dict[RegistryId, tuple[int, int, int]]:
    """Return how many repositories and images each registry has, and their bytes. For a worker thread."""
    return {RegistryId(row[0]): (row[1], row[2], row[3]) for row in reader.rows(_BY_REGISTRY)}


def _count(reader: Reader, sql: str) -> int:
    row = reader.one(sql)
    return row[0] if row else 0
