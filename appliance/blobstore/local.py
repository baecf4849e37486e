"""A store in a local folder.

    <data>/blobs/sha256/4f/4f53cda1….9c1e22d0      a blob: <hex>.<generation>
    <data>/manifests/sha256/a1/a1b2….77aa01ff      the copy of a manifest, for `rebuild`
    <data>/quarantine/4f53cda1….9c1e22d0           bytes that are not what was sealed
    <data>/uploads/                                staging (upload.py); same file system, so a seal is a rename

Order of a seal: the staged file is synced, then renamed, then its folder is synced; only then may a row name it.
"""

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import TypeVarTuple, Unpack

from appliance.blobstore.files import Files, failed
from appliance.blobstore.store import Lying
from appliance.blobstore.sums import CHUNK, is_whole
from appliance.domain.names import Digest, algorithm_of, hex_of, parse_digest
from appliance.domain.registry import StoredBlob
from appliance.errors import BlobBroken, DigestInvalid, StoreFailed

Arguments = TypeVarTuple("Arguments")

CACHE_BYTES = 32 << 20  # bytes of checked chunks kept: small blobs are most of the requests, ranges come in clusters
SMALL = 256 << 10  # bytes; a blob up to this size is read on the loop, a thread costs more than the read
_AHEAD = 4  # chunks read ahead of the one being sent


class LocalStore:
    """A BlobStore over one folder. Reads run in `executor`; a reader never blocks another."""

    driver = "local"

    def __init__(self, folder: Path, files: Files, executor: Executor) -> None:
        """Serve the blobs of the data folder `folder`, which exists."""
        self.folder = folder
        self._files = files
        self._executor = executor
        self._cache = ChunkCache(CACHE_BYTES)
        for part in ("blobs", "manifests", "quarantine"):
            files.make_folder(folder / part)

    def path_of(self, digest: Digest, generation: str, kind: str = "blobs") -> Path:
        """Return where a generation lies; built from parsed values only, so it is inside the folder."""
        text = hex_of(digest)
        return self.folder / kind / algorithm_of(digest) / text[:2] / f"{text}.{generation}"

    async def chunks(self, blob: StoredBlob, start: int, end: int) -> AsyncIterator[memoryview]:
        """Yield `start` to `end` of `blob` in checked chunks. Raises BlobBroken before a chunk that changed is given."""
        if start >= end:
            return
        first, last = start // CHUNK, (end - 1) // CHUNK
        if first == last and (cached := self._cached(blob, first)) is not None:
            yield memoryview(cached)[start - first * CHUNK : end - first * CHUNK]
            return
        loop = asyncio.get_running_loop()
        descriptor = _open(self.path_of(blob.digest, blob.generation))
        reads: list[asyncio.Future[bytes]] = []
        try:
            following = first
            for index in range(first, last + 1):
                while following <= last and len(reads) < _AHEAD:
                    reads.append(loop.run_in_executor(self._executor, _read, descriptor, blob, following))
                    following += 1
                content = await reads.pop(0)
                if first == last:  # a range inside one chunk: the next one is likely near it
                    self._cache.put((blob.generation, blob.digest, index), content)
                base = index * CHUNK
                yield memoryview(content)[max(start - base, 0) : end - base]
        finally:
            if reads:  # a client left: the reads under way still use the descriptor
                await asyncio.wait(reads)
                for read in reads:
                    read.exception()
            os.close(descriptor)

    def _cached(self, blob: StoredBlob, index: int) -> bytes | None:
        """Return chunk `index` from memory, or read it on the loop where it is small; None: let a thread read it."""
        key = (blob.generation, blob.digest, index)
        content = self._cache.get(key)
        if content is None and min(blob.size, CHUNK) <= SMALL:
            descriptor = _open(self.path_of(blob.digest, blob.generation))
            try:
                content = _read(descriptor, blob, index)
            finally:
                os.close(descriptor)
            self._cache.put(key, content)
        return content

    async def seal(self, staged: Path, digest: Digest, generation: str) -> None:
        """Rename `staged` to its final name and sync the folder."""
        await self._run(self._seal, staged, self.path_of(digest, generation))

    def _seal(self, staged: Path, target: Path) -> None:
        self._files.make_folder(target.parent)
        self._files.rename(staged, target)
        self._files.sync_folder(target.parent)

    async def delete(self, digest: Digest, generation: str) -> None:
        """Delete one generation of a blob."""
        await self._run(self._files.remove, self.path_of(digest, generation))

    async def keep_manifest(self, digest: Digest, generation: str, body: bytes) -> None:
        """Store a copy of a manifest."""
        await self._run(self._keep, self.path_of(digest, generation, "manifests"), body)

    def _keep(self, path: Path, body: bytes) -> None:
        self._files.make_folder(path.parent)
        self._files.write_whole(path, body)

    async def drop_manifest(self, digest: Digest, generation: str) -> None:
        """Delete the copy of a manifest."""
        await self._run(self._files.remove, self.path_of(digest, generation, "manifests"))

    def walk_blobs(self) -> Iterator[Lying]:
        """Yield every blob that lies in the folder."""
        return self._walk("blobs")

    def walk_manifests(self) -> Iterator[Lying]:
        """Yield every copy of a manifest."""
        return self._walk("manifests")

    def read_manifest(self, digest: Digest, generation: str) -> bytes:
        """Return the bytes of a copy."""
        path = self.path_of(digest, generation, "manifests")
        try:
            return path.read_bytes()
        except OSError as error:
            raise failed("read", path, error) from error

    async def quarantine(self, blob: StoredBlob) -> None:
        """Move the file of a broken generation aside."""
        source = self.path_of(blob.digest, blob.generation)
        if source.exists():
            await self._run(self._files.rename, source, self.folder / "quarantine" / source.name)

    def free_bytes(self) -> int:
        """Return the bytes an unprivileged process may still write."""
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize

    def size_bytes(self) -> int:
        """Return the size of the file system."""
        disk = os.statvfs(self.folder)
        return disk.f_blocks * disk.f_frsize

    def _walk(self, kind: str) -> Iterator[Lying]:
        for algorithm in sorted((self.folder / kind).iterdir()):
            for part in sorted(algorithm.iterdir()):
                for entry in os.scandir(part):
                    name, _, generation = entry.name.partition(".")
                    try:
                        digest = parse_digest(f"{algorithm.name}:{name}")
                        status = entry.stat(follow_symlinks=False)
                    except (DigestInvalid, FileNotFoundError):  # not ours, or deleted meanwhile
                        continue
                    yield Lying(digest, generation, status.st_size, status.st_ctime)

    async def _run(self, function: Callable[[Unpack[Arguments]], object], *arguments: Unpack[Arguments]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)


class ChunkCache:
    """The chunks asked for last, up to a number of bytes. Content never changes under a key: no invalidation."""

    def __init__(self, limit: int) -> None:
        """Keep up to `limit` bytes."""
        self._limit = limit
        self._size = 0
        self._chunks: OrderedDict[tuple[str, Digest, int], bytes] = OrderedDict()

    def get(self, key: tuple[str, Digest, int]) -> bytes | None:
        """Return the chunk, or None."""
        content = self._chunks.get(key)
        if content is not None:
            self._chunks.move_to_end(key)
        return content

    def put(self, key: tuple[str, Digest, int], content: bytes) -> None:
        """Keep `content`, dropping what was not asked for longest."""
        if key in self._chunks:
            return
        self._chunks[key] = content
        self._size += len(content)
        while self._size > self._limit:
            self._size -= len(self._chunks.popitem(last=False)[1])


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError as error:
        raise BlobBroken(f"the bytes of {path.name} are gone from the store") from error
    except OSError as error:
        raise failed("open", path, error) from error


def _read(descriptor: int, blob: StoredBlob, index: int) -> bytes:
    """Return chunk `index` of `blob`, checked."""
    wanted = min(CHUNK, blob.size - index * CHUNK)
    try:
        content = os.pread(descriptor, wanted, index * CHUNK)
    except OSError as error:
        raise StoreFailed(f"the store failed: read {blob.digest}: {error.strerror}") from error
    if len(content) != wanted or not is_whole(content, blob.sums, index):
        raise BlobBroken(f"chunk {index} of {blob.digest} is not what was stored")
    return content
