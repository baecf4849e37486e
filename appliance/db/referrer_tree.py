"""What refers to a manifest, and what refers to that: by its subject, or by a tag named after the digest (cosign's)."""

import msgspec

from appliance.db.database import Reader, Values
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, Tag, algorithm_of, from_bytes, hex_of, to_bytes
from appliance.domain.registry import ImageId

MOST = 500  # nodes of one tree
DEPTH = 5


class Node(msgspec.Struct, frozen=True):
    """A manifest that refers, and what refers to it. `tag` says by which name it does, "" for a subject."""

    digest: Digest
    media_type: str
    artifact_type: str
    content_size: int
    pushed_at: Timestamp
    tag: str
    referrers: tuple["Node", ...]


BY_SUBJECT = """
SELECT m.digest, m.media_type, m.artifact_type, m.content_size, m.pushed_at, '' AS tag
FROM needs n JOIN manifests m ON m.id = n.manifest_id AND m.removed_at IS NULL
WHERE n.image_id = :image AND n.digest = :digest AND n.kind = 3 ORDER BY n.manifest_id LIMIT :limit
"""
BY_TAG = """
SELECT m.digest, m.media_type, m.artifact_type, m.content_size, m.pushed_at, t.name
FROM tags t JOIN manifests m ON m.id = t.manifest_id AND m.removed_at IS NULL
WHERE t.image_id = :image AND t.name >= :first AND t.name < :end ORDER BY t.name LIMIT :limit
"""


def list_tree(reader: Reader, image: ImageId, digest: Digest) -> tuple[Node, ...]:
    """Return what refers to `digest` of `image`, at most MOST nodes and DEPTH levels."""
    left = [MOST]

    def below(subject: Digest, depth: int) -> tuple[Node, ...]:
        name = companion_of(subject)
        values: Values = {
            "image": image,
            "digest": to_bytes(subject),
            "first": name,
            "end": f"{name}/",  # "/" is what comes after "."
            "limit": max(left[0], 0),
        }
        rows = [*reader.rows(BY_SUBJECT, values), *reader.rows(BY_TAG, values)][: max(left[0], 0)]
        left[0] -= len(rows)
        return tuple(
            Node(found, row[1], row[2], row[3], Timestamp(row[4]), row[5], below(found, depth - 1) if depth > 1 else ())
            for row in rows
            if (found := from_bytes(row[0])) != subject
        )

    return below(digest, DEPTH)


def companion_of(subject: Digest) -> Tag:
    """Return how tags begin under which older clients keep what refers to `subject`: `sha256-<hex>`."""
    return Tag(f"{algorithm_of(subject)}-{hex_of(subject)[:64]}")
