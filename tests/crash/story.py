"""The life of a registry in a dozen operations, recorded step by step, with a journal of what was acknowledged."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from appliance.blobstore.files import Files
from appliance.db import blobs
from appliance.domain.names import parse_digest, parse_tag
from appliance.domain.registry import StoredBlob
from appliance.errors import BlobBroken
from appliance.services import delete, scrub
from tests.crash.journal import Journal, Key
from tests.crash.recording import Log, RecordingFiles, RecordingVfs, Sync, Write
from tests.crash.world import World, grant, open_world
from tests.make import images
from tests.make.images import Blob, Manifest

APP, COPY = "pay/api", "pay/copy"


class Chapter(msgspec.Struct, frozen=True):
    """One operation: the steps `first` to `last` (excluded) of the log."""

    name: str
    first: int
    last: int


class Story:
    """Tells the operations one after another; each name of a chapter is what a failure is reported under."""

    def __init__(self, world: World, log: Log) -> None:
        """Begin with an empty registry."""
        self.world = world
        self.log = log
        self.journal = Journal(log)
        self.chapters: list[Chapter] = []
        self._first = 0
        self.one = images.image([{"etc/motd": b"one" * 2000}])
        self.two = images.image([{"etc/motd": b"two" * 2000}, {"etc/issue": b"shared"}])

    def end(self, name: str) -> None:
        """Everything since the last chapter was the operation `name`."""
        self.chapters.append(Chapter(name, self._first, len(self.log.steps)))
        self._first = len(self.log.steps)

    async def tell(self) -> None:
        """Do every operation."""
        await self._push()
        await self._move_and_delete()
        await self._meet_collection()
        await self._break_and_heal()
        await self._delete_image()

    async def _push(self) -> None:
        for blob in self.one.blobs:
            await self.push_blob(APP, blob)
        self.end("monolithic push")
        await self.put(APP, self.one, "1")
        self.end("manifest put")
        for blob in self.two.blobs:
            await self._push_in_chunks(blob)
        self.end("chunked push with resume")
        await self.put(APP, self.two, "2")
        for blob in self.one.blobs:
            mounting = self.world.mount(APP, COPY, blob)
            await self.journal.act(mounting, gives={Key(COPY, blob.digest, is_blob=True): blob.digest})
        self.end("mount")
        both = images.index([self.one])
        await self.put(COPY, self.one)
        await self.put(COPY, both, "all")
        self.end("index put")

    async def _move_and_delete(self) -> None:
        await self.put(APP, self.two, "1", "3")
        self.end("re-tag")
        now = self.world.stock.clock()
        taking = delete.delete_tag(self.world.stock, grant(APP), parse_tag("3"), now)
        await self.journal.act(taking, gives={Key(APP, "3"): ""})
        self.end("tag delete")
        taking = delete.delete_manifest(self.world.stock, grant(APP), parse_digest(self.one.digest), now)
        await self.journal.act(taking, gives={Key(APP, self.one.digest): ""})
        self.end("manifest delete")

    async def _meet_collection(self) -> None:
        """Take a blob away, let collection condemn it, and push it again before its bytes are deleted."""
        stray = Blob(b"pushed, forgotten, pushed again" * 50)
        gone = {Key(path, blob.digest, is_blob=True): "" for path, blob in self._unneeded()}
        await self.push_blob(APP, stray)
        self.world.store.gate = asyncio.Event()
        collecting = asyncio.create_task(
            self.journal.act(self.world.collect(), gives={**gone, Key(APP, stray.digest, is_blob=True): ""})
        )
        await self._until_condemned(stray)
        pushing = self.world.push_blob(APP, stray)
        self.world.store.gate.set()
        await asyncio.gather(self.journal.act(pushing, gives={Key(APP, stray.digest, is_blob=True): stray.digest}))
        await collecting
        self.world.store.gate = None
        self.end("re-push of a condemned digest")
        removing = self.world.collect()
        await self.journal.act(removing, gives={Key(APP, stray.digest, is_blob=True): ""})
        self.end("collect")

    def _unneeded(self) -> list[tuple[str, Blob]]:
        needed = {blob.digest for blob in self.two.blobs}
        return [(APP, blob) for blob in self.one.blobs if blob.digest not in needed]

    async def _until_condemned(self, blob: Blob) -> None:
        """Wait until collection has taken the row of the blob away."""
        digest = parse_digest(blob.digest)
        while blobs.find_stored(self.world.database.reader, digest) is not None:
            await self.world.database.read(lambda reader: reader.one("SELECT 1"))

    async def _break_and_heal(self) -> None:
        blob = self.two.blobs[0]
        stored = blobs.find_stored(self.world.database.reader, parse_digest(blob.digest))
        assert stored is not None
        self.journal.damage(blob.digest)
        await self.journal.act(self._find_broken(stored), gives={Key(APP, blob.digest, is_blob=True): ""})
        self.end("quarantine")
        await self.push_blob(APP, blob)
        self.journal.heal()
        await self.world.collect()
        self.end("heal")

    async def _find_broken(self, stored: StoredBlob) -> None:
        self._damage(stored)
        try:
            async for _ in self.world.store.chunks(stored, 0, stored.size):
                raise AssertionError("a broken chunk was given")
        except BlobBroken as error:
            await scrub.judge(self.world.stock, stored, error)

    def _damage(self, stored: StoredBlob) -> None:
        """Flip the bits of one byte, on the platter."""
        path = self.world.store.path_of(stored.digest, stored.generation)
        name = self.log.relative(path)
        wrong = bytes([path.read_bytes()[0] ^ 0xFF])

        def flip() -> None:
            with path.open("r+b") as file:
                os.pwrite(file.fileno(), wrong, 0)

        self.log.run(flip, Write(name, 0, wrong), Sync(name))

    async def _delete_image(self) -> None:
        removing = delete.delete_image(self.world.stock, grant(COPY), self.world.stock.clock())
        references = ("all", self.one.digest, images.index([self.one]).digest)
        gone = {Key(COPY, reference): "" for reference in references}
        gone |= {Key(COPY, blob.digest, is_blob=True): "" for blob in self.one.blobs}
        await self.journal.act(removing, gives=gone)
        await self.world.collect()
        self.end("image delete and collect")

    async def push_blob(self, path: str, blob: Blob) -> None:
        """Push `blob` and write it down."""
        self.journal.blobs[blob.digest] = blob
        pushing = self.world.push_blob(path, blob)
        await self.journal.act(pushing, gives={Key(path, blob.digest, is_blob=True): blob.digest})

    async def _push_in_chunks(self, blob: Blob) -> None:
        """Send half, restart, find the session again, send the rest."""
        self.journal.blobs[blob.digest] = blob
        upload = await self.world.start_upload(APP)
        half = len(blob.data) // 2
        await upload.receive(_once(blob.data[:half]))
        self.world.forget_uploads()
        found = await self.world.stock.uploads.find(upload.session.id)
        assert found is not None
        assert found.offset == half
        finishing = self.world.finish_upload(APP, found, blob.data[half:], blob)
        await self.journal.act(finishing, gives={Key(APP, blob.digest, is_blob=True): blob.digest})

    async def put(self, path: str, manifest: Manifest, *tags: str) -> None:
        """PUT `manifest` and write it down."""
        gives = {Key(path, reference): manifest.digest for reference in (manifest.digest, *tags)}
        await self.journal.act(self.world.put_manifest(path, manifest, *tags), gives=gives)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


@asynccontextmanager
async def record(folder: Path, name: str, files: type[RecordingFiles] = RecordingFiles) -> AsyncIterator[Story]:
    """Open a recorded registry in `folder` (`name`: of its VFS) and hand out the story that can be told of it."""
    log = Log(folder)
    vfs = RecordingVfs(name, log)
    recorded: Files = files(log)
    try:
        async with open_world(folder, recorded, vfs.name) as world:
            story = Story(world, log)
            story.end("creation")
            yield story
        story.end("closing")
    finally:
        vfs.unregister()
