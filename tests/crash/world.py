"""The registry without its doors: database, store, uploads and services over one folder, to be cut off anywhere."""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec

from appliance.blobstore.files import Files
from appliance.blobstore.local import LocalStore
from appliance.blobstore.upload import Upload, Uploads
from appliance.db.database import Database
from appliance.domain.access import LOCAL
from appliance.domain.admission import FULL_ACCESS, Caller, Grant
from appliance.domain.moment import HOUR, SECOND, Timestamp
from appliance.domain.names import Digest, Tag, is_digest, parse_digest, parse_image_path, parse_tag
from appliance.domain.registry import ImageRef, RegistryId
from appliance.errors import StoreFailed
from appliance.logs import Log
from appliance.services import collect, push, sweep
from appliance.services.collect import Collected
from appliance.services.provision import claim_site
from appliance.services.push import ManifestPut
from appliance.services.stock import Rules, Stock
from tests.make.images import Blob, Manifest

KEEPING = Rules(recycle=0)  # what is removed may go at once, what is new is left alone
CLEARING = Rules(recycle=0, grace=0, upload_expiry=0)  # whatever nothing owns goes at once
REGISTRY = RegistryId(1)
_HOURS = 3 * HOUR  # longer than the grace time a link is born with
PIECE = 3000  # bytes; how a body arrives


class GatedStore(LocalStore):
    """A local store whose deletes can be held up: what happens between condemning and deleting is then ours."""

    gate: asyncio.Event | None = None

    async def delete_all(self, kind: str, names: Sequence[tuple[Digest, str]]) -> list[StoreFailed | None]:
        """Wait for the gate, where there is one, then delete."""
        if self.gate is not None:
            await self.gate.wait()
        return await super().delete_all(kind, names)


class World:
    """A running registry that is driven by its services."""

    def __init__(self, folder: Path, files: Files, executor: ThreadPoolExecutor, vfs: str | None) -> None:
        """Open what lies in `folder`, or begin there."""
        log = Log(out=io.StringIO())
        self.folder = folder
        self._files = files
        self._executor = executor
        self.database = Database(folder / "scr.sqlite", executor, log, vfs=vfs)
        self.store = GatedStore(folder, files, executor)
        self.stock = Stock(self.database, self.store, self._uploads(), KEEPING, log, self._now)
        self.ahead = 0  # milliseconds that the registry's clock is ahead of the file system's

    def _uploads(self) -> Uploads:
        return Uploads(self.folder / "uploads", self._files, self._executor, 0)

    def _now(self) -> Timestamp:
        return Timestamp(int(time.time() * SECOND) + self.ahead)

    def forget_uploads(self) -> None:
        """Lose what is in memory of upload sessions, as a restart does."""
        self.stock.uploads = self._uploads()

    async def prepare(self) -> None:
        """Make the default registry, where it is missing."""
        await self.database.write(lambda tx: claim_site(tx, "test", self._now()))

    async def start_upload(self, path: str) -> Upload:
        """Begin an upload session."""
        return await push.start_upload(self.stock, grant(path), "sha256", self._now())

    async def push_blob(self, path: str, blob: Blob) -> None:
        """Push `blob` whole."""
        await self.finish_upload(path, await self.start_upload(path), blob.data, blob)

    async def finish_upload(self, path: str, upload: Upload, rest: bytes, blob: Blob) -> None:
        """Send the rest of a blob and close the session."""
        upload.claim()
        try:
            await upload.receive(pieces(rest))
            await push.finish_upload(self.stock, grant(path), upload, parse_digest(blob.digest), self._now())
        finally:
            upload.release()

    async def put_manifest(self, path: str, manifest: Manifest, *references: str) -> None:
        """PUT the manifest by digest and under the tags `references`."""
        tags = tuple(parse_tag(reference) for reference in references)
        put = ManifestPut(manifest.body, manifest.media_type, parse_digest(manifest.digest), tags)
        await push.put_manifest(self.stock, grant(path), put, self._now())

    async def push_image(self, path: str, manifest: Manifest, *references: str) -> None:
        """Push blobs, children and manifest."""
        for child in manifest.children:
            await self.push_image(path, child)
        for blob in manifest.blobs:
            await self.push_blob(path, blob)
        await self.put_manifest(path, manifest, *references)

    async def mount(self, source: str, path: str, blob: Blob) -> None:
        """Mount a blob that is there."""
        named = grant(source).image
        digest = parse_digest(blob.digest)
        assert await push.mount_blob(self.stock, grant(path), digest, lambda _: (), named, self._now())

    async def collect(self) -> Collected:
        """Collect and sweep as if hours had gone by, with no grace for anything."""
        with self._hours_later():
            collected = await collect.collect(self.stock, started=Timestamp(0))
            await collect.expire_uploads(self.stock)
            strays = await sweep.sweep_strays(self.stock)
        return msgspec.structs.replace(collected, strays=strays.strays)

    async def sweep(self) -> Collected:
        """Sweep in the same way, and nothing else."""
        with self._hours_later():
            return await sweep.sweep_strays(self.stock)

    @contextmanager
    def _hours_later(self) -> Iterator[None]:
        before = self.stock.rules
        self.stock.rules = CLEARING
        self.ahead += _HOURS
        try:
            yield
        finally:
            self.stock.rules = before
            self.ahead -= _HOURS


@asynccontextmanager
async def open_world(folder: Path, files: Files | None = None, vfs: str | None = None) -> AsyncIterator[World]:
    """Run a registry over `folder` for the time of the block."""
    with ThreadPoolExecutor(max_workers=2) as executor:
        world = World(folder, files or Files(), executor, vfs)
        try:
            await world.prepare()
            yield world
        finally:
            world.database.close()


def grant(path: str) -> Grant:
    """Return the local administrator's grant on the image `path`."""
    caller = Caller(LOCAL, FULL_ACCESS, "127.0.0.1")
    return Grant(caller, ImageRef(REGISTRY, parse_image_path(path)))


def reference_of(text: str) -> Tag | Digest:
    """Return a tag or a digest."""
    return parse_digest(text) if is_digest(text) else parse_tag(text)


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    """Yield `data` as it comes from a socket."""
    for start in range(0, len(data), PIECE):
        yield data[start : start + PIECE]
