"""A stock on a temporary folder with a clock that the test holds, and what clients do with it in few words."""

import io
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from appliance.blobstore.files import Files
from appliance.blobstore.local import LocalStore
from appliance.blobstore.upload import Upload, Uploads
from appliance.db import blobs, facts, images, manifests, tags, usage_check
from appliance.db.database import Database, Transaction
from appliance.domain.access import LOCAL
from appliance.domain.admission import FULL_ACCESS, Caller, Grant, Site, admit
from appliance.domain.moment import SECOND, Timestamp
from appliance.domain.names import DEFAULT_REGISTRY, Digest, Tag, parse_image_path
from appliance.domain.registry import ImageId, ImageRef, RegistryId, StoredBlob
from appliance.errors import BlobBroken
from appliance.logs import Log
from appliance.services import collect, push
from appliance.services.collect import Collected
from appliance.services.provision import claim_site
from appliance.services.push import ManifestPut, Placed
from appliance.services.stock import Rules, Stock
from tests import make


class House:
    """One stock. `now` is its clock, in milliseconds; `files` are what its store and uploads work with."""

    def __init__(self, folder: Path, executor: ThreadPoolExecutor, files: Files) -> None:
        self.folder = folder
        self.now = int(time.time() * SECOND)  # files bear the system's time
        self.printed = io.StringIO()
        log = Log(out=self.printed)
        self.stock = Stock(
            Database(folder / "scr.sqlite", executor, log),
            LocalStore(folder, files, executor),
            Uploads(folder / "uploads", files, executor, 0),
            Rules(),
            log,
            lambda: Timestamp(self.now),
        )
        self.site = Site("a1", RegistryId(1), DEFAULT_REGISTRY)

    async def open(self) -> None:
        def prepare(tx: Transaction) -> None:
            facts.put(tx, "appliance", self.site.appliance)
            claim_site(tx, "test", Timestamp(self.now))

        await self.stock.db.write(prepare)

    def set_rules(self, **changed: object) -> None:
        self.stock.rules = msgspec.structs.replace(self.stock.rules, **changed)

    def grant(self, name: str) -> Grant:
        return admit(Caller(LOCAL, FULL_ACCESS, "127.0.0.1"), self.site, parse_image_path(name), [])

    def image(self, name: str) -> ImageRef:
        return self.grant(name).image

    def image_id(self, name: str) -> ImageId:
        found = images.find(self.stock.db.reader, self.image(name))
        assert found is not None, f"there is no image {name}"
        return found

    async def begin(self, name: str, algorithm: str = "sha256") -> Upload:
        return await push.start_upload(self.stock, self.grant(name), algorithm, Timestamp(self.now))

    async def push_blob(self, name: str, blob: make.Blob) -> StoredBlob:
        upload = await self.begin(name)
        upload.claim()
        await upload.receive(pieces(blob.data))
        digest = Digest(blob.digest)
        return await push.finish_upload(self.stock, self.grant(name), upload, digest, Timestamp(self.now))

    async def put(self, name: str, manifest: make.Manifest, *names: str) -> Placed:
        """PUT the manifest alone, by digest, with the tags `names`."""
        wanted = ManifestPut(
            manifest.body, manifest.media_type, Digest(manifest.digest), tuple(Tag(tag) for tag in names)
        )
        return await push.put_manifest(self.stock, self.grant(name), wanted, Timestamp(self.now))

    async def push(self, name: str, manifest: make.Manifest, *names: str) -> None:
        """Push everything below `manifest`, and itself with the tags `names`."""
        for part in manifest.walk():
            for blob in part.blobs:
                await self.push_blob(name, blob)
            await self.put(name, part, *(names if part is manifest else ()))

    async def collect(self, *, after: int = 0, started: int = 0) -> Collected:
        """Let `after` milliseconds pass, then run collection in a process that began at `started`."""
        self.now += after
        return await collect.collect(self.stock, started=Timestamp(started))

    def has(self, name: str, reference: str) -> bool:
        """Whether the image has a readable manifest of that tag or digest."""
        return manifests.find(self.stock.db.reader, self.image(name), Digest(reference)) is not None

    def has_blob(self, name: str, blob: make.Blob) -> bool:
        return blobs.find(self.stock.db.reader, self.image(name), Digest(blob.digest)) is not None

    async def read_blob(self, name: str, blob: make.Blob) -> bytes:
        found = blobs.find(self.stock.db.reader, self.image(name), Digest(blob.digest))
        if found is None:
            raise BlobBroken(f"{name} has no {blob.digest}")
        return b"".join([bytes(part) async for part in self.stock.store.chunks(found.stored, 0, found.stored.size)])

    async def assert_whole(self, name: str, manifest: make.Manifest) -> None:
        for part in manifest.walk():
            found = manifests.find(self.stock.db.reader, self.image(name), Digest(part.digest))
            assert found is not None
            assert found.body == part.body
            for blob in part.blobs:
                assert await self.read_blob(name, blob) == blob.data

    def tags(self, name: str) -> dict[str, str]:
        """Return tag and digest of all tags of the image."""
        reader = self.stock.db.reader
        return {
            tag: tags.digest_of(reader, self.image_id(name), tag) or ""
            for tag in tags.list_names(reader, self.image(name))
        }

    def lying(self) -> list[str]:
        """Return the names of all files of the store and the uploads."""
        parts = ("blobs", "manifests", "quarantine", "uploads")
        found = (path for part in parts for path in (self.folder / part).rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.folder)) for path in found)

    def count(self, table: str) -> int:
        row = self.stock.db.reader.one(f"SELECT count(*) FROM {table}")  # noqa: S608 - a test's own table name
        assert row is not None
        return int(row[0])

    def assert_sound(self) -> None:
        reader = self.stock.db.reader
        assert reader.rows("PRAGMA integrity_check") == [("ok",)]
        assert reader.rows("PRAGMA foreign_key_check") == []
        assert usage_check.list_wrong(reader) == []


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=4) as threads:
        yield threads


@pytest.fixture
def files() -> Files:
    """What the house works with; a module that breaks disks has a fixture of this name."""
    return Files()


@pytest.fixture
async def house(tmp_path: Path, executor: ThreadPoolExecutor, files: Files) -> AsyncIterator[House]:
    """An empty house, sound when the test ends."""
    opened = House(tmp_path, executor, files)
    await opened.open()
    try:
        yield opened
        opened.assert_sound()
    finally:
        opened.stock.vulndb.close()
        opened.stock.db.close()
