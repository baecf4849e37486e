"""A database of the size that a large installation has, written row by row: pushing it would take days.

Every row is what a push would have left: digests are those of the bodies, needs and links fit, triggers have counted.
Only the bytes of blobs are left out, but for those that a collection will delete.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from appliance.domain.names import natural_key
from tests.make.images import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST

REGISTRY = 1  # the one that the first start makes
_IMAGES_OF_REPOSITORY = 100
_PUSHED = 1_700_000_000_000  # unix milliseconds
_BATCH = 500  # images in one transaction
_BLOB = b"x" * 1024


class Size(msgspec.Struct, frozen=True):
    """How much there is: every image has so many manifests, a fifth of them referrers, and so many tags."""

    images: int
    manifests: int = 20
    tags: int = 200
    big_tags: int = 0  # of one image more, `big/tags`
    big_referrers: int = 0  # of one subject in one image more, `big/subject`
    condemned: int = 0  # images that are deleted, for a collection to take

    @property
    def all_tags(self) -> int:
        """How many tags there are."""
        return self.images * self.tags + self.big_tags


class Made(msgspec.Struct, frozen=True):
    """An image that was made, and what there is to ask of it."""

    id: str
    path: str
    tag: str
    subject: str  # a digest that others refer to


class Filled(msgspec.Struct, frozen=True):
    """What was made: images to ask for, some thousand at most, and the two large ones where they were wanted."""

    images: list[Made]
    big_tags: Made | None
    big_subject: Made | None


def fill(data: Path, size: Size) -> Filled:
    """Fill the database of a server that was started once and stopped."""
    connection = sqlite3.connect(data / "scr.sqlite", isolation_level=None)
    for pragma in ("synchronous = OFF", "cache_size = -400000", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    filling = _Filling(connection, data)
    made = []
    for start in range(0, size.images, _BATCH):
        connection.execute("BEGIN")
        for number in range(start, min(start + _BATCH, size.images)):
            one = filling.add_image(
                f"r{number // _IMAGES_OF_REPOSITORY:05}", f"i{number:05}", size.manifests, size.tags
            )
            if number % max(size.images // 2000, 1) == 0:
                made.append(one)
        connection.execute("COMMIT")
    connection.execute("BEGIN")
    big_tags = big_subject = None
    if size.big_tags:
        big_tags = filling.add_image("big", "tags", 1, size.big_tags)
    if size.big_referrers:
        big_subject = filling.add_image("big", "subject", 1, 1, referrers=size.big_referrers)
    for number in range(size.condemned):
        filling.add_image("gone", f"i{number:05}", size.manifests, 1, has_files=True)
    connection.execute("UPDATE images SET removed_at = 1 WHERE path LIKE 'gone/%'")
    connection.execute("COMMIT")
    connection.execute("PRAGMA optimize")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return Filled(made, big_tags, big_subject)


class _Filling:
    """Writes images, with ids of its own counting."""

    def __init__(self, connection: sqlite3.Connection, data: Path) -> None:
        self._connection = connection
        self._data = data
        self._repositories: dict[str, int] = {}
        self._seq = 1000
        self._blobs = 0

    def add_image(
        self,
        repository: str,
        name: str,
        manifests: int,
        tags: int,
        *,
        referrers: int = 0,
        has_files: bool = False,
    ) -> Made:
        """Write one image: a fifth of its manifests, or so many more, refer to its index."""
        path, public = f"{repository}/{name}", hashlib.sha256(f"{repository}/{name}".encode()).hexdigest()[:10]
        image = self._insert(
            "INSERT INTO images (public_id, registry_id, repository_id, name, path, sort_key, policy, created_at,"
            " created_by, modified_at, modified_by, shown_at, pushed_at, pulls)"
            " VALUES (?,?,?,?,?,?,'{}',?,'b',?,'b',?,?,?)",
            (
                public,
                REGISTRY,
                self._repository(repository),
                name,
                path,
                natural_key(name),
                *[_PUSHED + self._seq] * 4,
                self._seq,
            ),
        )
        plain = [
            self._add_plain(image, path, number, has_files=has_files)
            for number in range(max(manifests - manifests // 5 - 1, 1))
        ]
        index = self._add(image, _index(plain[:3]), OCI_INDEX, [(digest, 2) for _, digest in plain[:3]])
        tagged = [*plain, index]
        for number in range(referrers or manifests // 5):
            subject = index[1]
            self._add(
                image, _artifact(path, number, subject), OCI_MANIFEST, [(subject, 3)], "application/vnd.bench.sig"
            )
        self._connection.executemany(
            "INSERT INTO tags (image_id, name, manifest_id, seq, pushed_at, pushed_by, sort_key)"
            " VALUES (?,?,?,?,?,'b',?)",
            (
                (image, tag, tagged[number % len(tagged)][0], self._seq + number, _PUSHED + number, natural_key(tag))
                for number, tag in sorted(enumerate(_tag_names(tags)), key=lambda pair: pair[1])
            ),
        )
        self._seq += tags
        return Made(public, path, f"v{tags // 2}", index[1])

    def _add_plain(self, image: int, path: str, number: int, *, has_files: bool) -> tuple[int, str]:
        """Write an image manifest with one blob of its own and one of all."""
        own = self._blob(f"{path} {number}", has_files=has_files)
        shared = self._blob("shared", has_files=False)
        for blob, _ in (own, shared):
            self._connection.execute(
                "INSERT OR IGNORE INTO links (image_id, blob_id, since) VALUES (?,?,0)", (image, blob)
            )
        body = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": {"mediaType": OCI_CONFIG, "digest": own[1], "size": len(_BLOB)},
                "layers": [{"mediaType": OCI_LAYER, "digest": shared[1], "size": len(_BLOB)}],
            }
        ).encode()
        return self._add(image, body, OCI_MANIFEST, [(own[1], 1), (shared[1], 1)])

    def _add(
        self, image: int, body: bytes, media_type: str, needs: list[tuple[str, int]], artifact_type: str = OCI_CONFIG
    ) -> tuple[int, str]:
        digest = hashlib.sha256(body).hexdigest()
        self._seq += 1
        row = self._insert(
            "INSERT INTO manifests (image_id, digest, generation, media_type, artifact_type, config_media_type,"
            " subject, content_size, pushed_at, pushed_by, body) VALUES (?,?,'00000000',?,?,'',?,?,?,'b',?)",
            (
                image,
                _digest(f"sha256:{digest}"),
                media_type,
                artifact_type,
                next((_digest(one) for one, kind in needs if kind == 3), None),
                len(_BLOB) * sum(kind == 1 for _, kind in needs),
                _PUSHED + self._seq,
                body,
            ),
        )
        self._connection.executemany(
            "INSERT OR IGNORE INTO needs (image_id, digest, kind, manifest_id, artifact_type) VALUES (?,?,?,?,?)",
            [(image, _digest(one), kind, row, artifact_type if kind == 3 else None) for one, kind in needs],
        )
        return row, f"sha256:{digest}"

    def _blob(self, name: str, *, has_files: bool) -> tuple[int, str]:
        digest = hashlib.sha256(name.encode()).hexdigest()
        found = self._connection.execute(
            "SELECT id FROM blobs WHERE digest = ?", (_digest(f"sha256:{digest}"),)
        ).fetchone()
        if found:
            return found[0], f"sha256:{digest}"
        if has_files:
            path = self._data / "blobs" / "sha256" / digest[:2] / f"{digest}.00000000"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_BLOB)
        row = self._insert(
            "INSERT INTO blobs (digest, generation, driver, form, size, sealed_at, sums)"
            " VALUES (?,'00000000','local','plain',?,0,x'00000000')",
            (_digest(f"sha256:{digest}"), len(_BLOB)),
        )
        return row, f"sha256:{digest}"

    def _repository(self, name: str) -> int:
        if name not in self._repositories:
            self._repositories[name] = self._insert(
                "INSERT INTO repositories (public_id, registry_id, name, sort_key, policy, by_push, created_at,"
                " created_by, modified_at, modified_by) VALUES (?,?,?,?,'{}',1,0,'b',0,'b')",
                (hashlib.sha256(name.encode()).hexdigest()[:10], REGISTRY, name, natural_key(name)),
            )
        return self._repositories[name]

    def _insert(self, sql: str, values: tuple[object, ...]) -> int:
        return int(self._connection.execute(sql, values).lastrowid or 0)


def database_bytes(data: Path) -> int:
    """Return the size of the database and its log."""
    return sum((data / name).stat().st_size for name in ("scr.sqlite", "scr.sqlite-wal") if (data / name).exists())


def _tag_names(count: int) -> Iterator[str]:
    return (f"v{number}" for number in range(count))


def _digest(text: str) -> bytes:
    return b"\x01" + bytes.fromhex(text.partition(":")[2])


def _index(children: list[tuple[int, str]]) -> bytes:
    listed = [
        {
            "mediaType": OCI_MANIFEST,
            "digest": digest,
            "size": 500,
            "platform": {"os": "linux", "architecture": f"a{number}"},
        }
        for number, (_, digest) in enumerate(children)
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}).encode()


def _artifact(path: str, number: int, subject: str) -> bytes:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": "application/vnd.bench.sig",
            "subject": {"mediaType": OCI_INDEX, "digest": subject, "size": 500},
            "annotations": {"of": f"{path} {number}"},
        }
    ).encode()
