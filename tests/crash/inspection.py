"""What must be true of a data folder after any crash, and is checked through the program's own eyes."""

import hashlib
from pathlib import Path

from appliance.db import blobs, manifests, migrate
from appliance.db.database import Database
from appliance.domain.manifest import carries_itself, parse_manifest
from appliance.domain.names import Digest, algorithm_of, from_bytes, parse_digest
from appliance.domain.registry import BlobId, ManifestId
from appliance.errors import BlobBroken
from appliance.services import scrub
from tests.crash.journal import Key
from tests.crash.world import World, grant, open_world, reference_of
from tests.make.images import Blob

OUTSIDE = frozenset(
    {
        "format",
        "lock",
        "ballast",
        *(f"{name}.sqlite{tail}" for name in ("scr", "logs", "scan") for tail in ("", "-wal", "-shm")),
    }
)
ROOMS = ("keys", "tls", "allowlists", "backups", "cache", "vulndb", "lib")  # whose files no row owns; lib: packed


async def inspect(folder: Path, allowed: dict[Key, set[str]], damaged: set[str], blobs_known: dict[str, Blob]) -> None:
    """Start on `folder` and fail unless it is sound, holds what was acknowledged, frees the rest, and takes pushes.

    `allowed` says what each reference may name, `damaged` which blobs may be broken, `blobs_known` what to push.
    """
    async with open_world(folder) as world:
        check_database(world.database)
        await _check_blobs(world, damaged)
        _check_manifests(world, damaged)
        _check_references(world, allowed)
        await world.collect()
        check_database(world.database)
        await _check_blobs(world, damaged)
        _check_manifests(world, damaged)
        _check_references(world, {key: values for key, values in allowed.items() if not key.is_blob})
        check_files(world)
        await _check_pushes(world, blobs_known)


def check_database(database: Database) -> None:
    """Fail unless SQLite finds nothing wrong, and the file has the format that was decided."""
    reader = database.reader
    assert reader.rows("PRAGMA integrity_check") == [("ok",)]
    assert reader.rows("PRAGMA foreign_key_check") == []
    pragmas = ("page_size", "auto_vacuum", "application_id", "user_version", "journal_mode")
    found = [reader.one(f"PRAGMA {pragma}") for pragma in pragmas]
    assert found == [(8192,), (2,), (migrate.APPLICATION_ID,), (migrate.latest(),), ("wal",)]


async def _check_blobs(world: World, damaged: set[str]) -> None:
    """Fail unless the bytes of every row are there and are what the digest says."""
    for blob in await world.database.read(lambda reader: blobs.list_after(reader, BlobId(0), 1000)):
        try:
            content = b"".join([bytes(chunk) async for chunk in world.store.chunks(blob, 0, blob.size)])
        except BlobBroken as error:
            if blob.digest not in damaged:
                raise
            await scrub.judge(world.stock, blob, error)
            continue
        assert _digest(content, blob.digest) == blob.digest
        assert len(content) == blob.size


def _check_manifests(world: World, damaged: set[str]) -> None:
    """Fail unless every live manifest is whole, with all it needs and its copy in the store."""
    reader = world.database.reader
    for row, generation, media_type, body, digest, image in reader.rows(
        "SELECT id, generation, media_type, body, digest, image_id FROM manifests WHERE removed_at IS NULL"
    ):
        named = from_bytes(digest)
        assert _digest(body, named) == named
        assert world.store.read_manifest(named, generation) == body
        manifest = parse_manifest(body, media_type, algorithm_of(named))
        needed = [Digest(part.digest) for part in manifest.blobs if not carries_itself(part)]
        assert set(blobs.missing(reader, image, needed)) <= damaged
        assert manifests.missing(reader, image, [Digest(part.digest) for part in manifest.children]) == []
        assert manifests.load(reader, ManifestId(row)) is not None
    orphans = "SELECT count(*) FROM tags t JOIN manifests m ON m.id = t.manifest_id WHERE m.removed_at IS NOT NULL"
    assert reader.one(orphans) == (0,)


def _check_references(world: World, allowed: dict[Key, set[str]]) -> None:
    """Fail unless each reference names what was acknowledged last, or what was under way."""
    reader = world.database.reader
    for key, values in allowed.items():
        image = grant(key.path).image
        if key.is_blob:
            blob = blobs.find(reader, image, parse_digest(key.reference))
            found = blob.stored.digest if blob else ""
        else:
            manifest = manifests.find(reader, image, reference_of(key.reference))
            found = manifest.digest if manifest else ""
        assert str(found) in values, f"{key} is {found!r}, and must be one of {values}"


def check_files(world: World) -> None:
    """Fail unless every file is owned by a row."""
    reader = world.database.reader
    owned = {
        world.store.path_of(from_bytes(digest), generation, kind)
        for kind in ("blobs", "manifests")
        for digest, generation in reader.rows(f"SELECT digest, generation FROM {kind}")  # noqa: S608 - two constants
    }
    rooms = {world.folder / name for name in ROOMS}
    lying = {path for path in world.folder.rglob("*") if path.is_file() and path.name not in OUTSIDE}
    lying = {path for path in lying if not rooms.intersection(path.parents)}
    kept_aside = {path for path in lying if path.parent.name == "quarantine"}
    quarantined = reader.rows("SELECT digest, generation FROM blobs WHERE quarantined_at IS NOT NULL")
    names = {world.store.path_of(from_bytes(digest), generation).name for digest, generation in quarantined}
    assert {path.name for path in kept_aside} <= names
    assert lying - kept_aside <= owned, f"nothing owns {sorted(map(str, lying - kept_aside - owned))}"
    assert reader.one("SELECT count(*) FROM condemned") == (0,)


async def _check_pushes(world: World, known: dict[str, Blob]) -> None:
    """Fail unless every blob of the story can be pushed again and is then whole: a push heals."""
    for blob in known.values():
        await world.push_blob("after/crash", blob)
        found = blobs.find(world.database.reader, grant("after/crash").image, parse_digest(blob.digest))
        assert found is not None
        content = [bytes(chunk) async for chunk in world.store.chunks(found.stored, 0, found.stored.size)]
        assert b"".join(content) == blob.data


def _digest(content: bytes, like: str) -> str:
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
