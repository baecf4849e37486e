"""What a search box finds: by a part of a name, by the beginning of a tag, by the beginning of a digest.

Names are looked through in whole; tags and digests are found by index, the tags by one look into each image. Everything
is bounded by `limit` rows, so that a word that is everywhere costs no more than one that is nowhere.
"""

import msgspec

from appliance.db.database import Reader, Values
from appliance.domain.names import from_bytes

_ALGORITHMS = {"sha256": (1, 64), "sha512": (2, 128)}  # the first byte of a digest, and how many hex digits it has
_SHORTEST = 6  # hex digits that are taken for a digest
_LAST_TEXT = "\U0010ffff"


class Hit(msgspec.Struct, frozen=True):
    """Something found. `image` is its path; "" for registries and repositories, whose names are `name`."""

    registry: str
    registry_row: int
    id: str  # of the registry, the repository, or the image
    name: str = ""  # of the registry or repository; the tag; the digest
    image: str = ""


_HERE = "JOIN registries g ON g.id = i.registry_id JOIN repositories r ON r.id = i.repository_id"
_SHOWN = "i.shown_at IS NOT NULL AND i.removed_at IS NULL AND r.removed_at IS NULL AND g.removed_at IS NULL"
_REGISTRIES = """
SELECT g.name, g.id, g.public_id, g.name, '' FROM registries g
WHERE g.removed_at IS NULL AND instr(g.name, :text) ORDER BY g.name LIMIT :limit
"""
_REPOSITORIES = """
SELECT g.name, g.id, r.public_id, r.name, '' FROM repositories r JOIN registries g ON g.id = r.registry_id
WHERE r.removed_at IS NULL AND g.removed_at IS NULL AND instr(r.name, :text) ORDER BY r.name LIMIT :limit
"""
_IMAGES = f"""
SELECT g.name, g.id, i.public_id, '', i.path FROM images i {_HERE}
WHERE {_SHOWN} AND instr(i.path, :text) ORDER BY i.path LIMIT :limit
"""
_TAGS = f"""
SELECT g.name, g.id, i.public_id, t.name, i.path FROM images i {_HERE}
CROSS JOIN tags t ON t.image_id = i.id AND t.name >= :tag AND t.name < :end
WHERE {_SHOWN} AND instr(i.path, :text) LIMIT :limit
"""
_MANIFESTS = f"""
SELECT g.name, g.id, i.public_id, m.digest, i.path FROM manifests m JOIN images i ON i.id = m.image_id {_HERE}
WHERE m.digest BETWEEN :first AND :last AND m.removed_at IS NULL AND {_SHOWN} LIMIT :limit
"""
_BLOBS = f"""
SELECT g.name, g.id, i.public_id, b.digest, i.path FROM blobs b
JOIN links l ON l.blob_id = b.id AND l.removed_at IS NULL JOIN images i ON i.id = l.image_id {_HERE}
WHERE b.digest BETWEEN :first AND :last AND {_SHOWN} LIMIT :limit
"""


def find_registries(reader: Reader, text: str, limit: int) -> list[Hit]:
    """Return registries with `text` in their names."""
    return _hits(reader, _REGISTRIES, {"text": text, "limit": limit})


def find_repositories(reader: Reader, text: str, limit: int) -> list[Hit]:
    """Return repositories with `text` in their names."""
    return _hits(reader, _REPOSITORIES, {"text": text, "limit": limit})


def find_images(reader: Reader, text: str, limit: int) -> list[Hit]:
    """Return images with `text` in their paths."""
    return _hits(reader, _IMAGES, {"text": text, "limit": limit})


def find_tags(reader: Reader, image: str, tag: str, limit: int) -> list[Hit]:
    """Return tags that begin with `tag`, of images with `image` in their paths."""
    return _hits(reader, _TAGS, {"text": image, "tag": tag, "end": tag + _LAST_TEXT, "limit": limit})


def find_manifests(reader: Reader, text: str, limit: int) -> list[Hit]:
    """Return manifests whose digest begins with `text`, with or without its algorithm; none for any other text."""
    return _by_digest(reader, _MANIFESTS, text, limit)


def find_blobs(reader: Reader, text: str, limit: int) -> list[Hit]:
    """Return images that use a blob whose digest begins with `text`."""
    return _by_digest(reader, _BLOBS, text, limit)


def _by_digest(reader: Reader, sql: str, text: str, limit: int) -> list[Hit]:
    found: list[Hit] = []
    for first, last in _spans(text.lower()):
        rows = reader.rows(sql, {"first": first, "last": last, "limit": limit - len(found)})
        found += [Hit(row[0], row[1], row[2], from_bytes(row[3]), row[4]) for row in rows]
    return found


def _spans(text: str) -> list[tuple[bytes, bytes]]:
    """Return the first and the last digest that `text` may be the beginning of, for each algorithm it may be of."""
    named, _, digits = text.rpartition(":")
    if len(digits) < _SHORTEST or not set(digits) <= set("0123456789abcdef"):
        return []
    return [
        (
            bytes([mark]) + bytes.fromhex(digits.ljust(length, "0")),
            bytes([mark]) + bytes.fromhex(digits.ljust(length, "f")),
        )
        for algorithm, (mark, length) in _ALGORITHMS.items()
        if named in {"", algorithm} and len(digits) <= length
    ]


def _hits(reader: Reader, sql: str, values: Values) -> list[Hit]:
    return [Hit(*row) for row in reader.rows(sql, values)]
