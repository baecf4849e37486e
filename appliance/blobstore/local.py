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
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import TypeVarTuple, Unpack

from appliance.blobstore.files import Files, failed
from appliance.blobstore.store import FileSpan, Lying
from appliance.blobstore.sums import CHUNK, chunk_count, is_whole
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
        self._scratch = bytearray(CHUNK)  # for checks on the loop, which are never interrupted
        for part in ("blobs", "manifests", "quarantine"):
            files.make_folder(folder / part)

    def path_of(self, digest: Digest, generation: str, kind: str = "blobs") -> Path:
        """Return where a generation lies; built from parsed values only, so it is inside the folder."""
        text = hex_of(digest)
        return self.folder / kind / algorithm_of(digest) / text[:2] / f"{text}.{generation}"

    async def chunks(self, blob: StoredBlob, start: int, end: int) -> AsyncGenerator[memoryview, None]:
        """Yield `start` to `end` of `blob` in checked chunks. Raises BlobBroken before it gives one that changed."""
        if start >= end:
            return
        first, last = start // CHUNK, (end - 1) // CHUNK
        if first == last and (cached := self._cached(blob, first)) is not None:
            yield memoryview(cached)[start - first * CHUNK : end - first * CHUNK]
            return
        descriptor = _open(self.path_of(blob.digest, blob.generation))
        ahead = _Ahead(self._executor, descriptor, blob, last)
        try:
            for index in range(first, last + 1):
                content = await ahead.take(index)
                if first == last:  # a range inside one chunk: the next one is likely near it
                    self._cache.put((blob.generation, blob.digest, index), content)
                base = index * CHUNK
                yield memoryview(content)[max(start - base, 0) : end - base]
        finally:
            await ahead.stop()
            os.close(descriptor)

    async def pieces(self, blob: StoredBlob, start: int, end: int) -> AsyncGenerator[memoryview | FileSpan, None]:
        """Yield the same as spans of the file, each checked just before. What lies within one chunk comes as bytes."""
        if start // CHUNK == (max(end, 1) - 1) // CHUNK:
            async for chunk in self.chunks(blob, start, end):
                yield chunk
            return
        descriptor = _open(self.path_of(blob.digest, blob.generation))
        try:
            while start < end:
                index = start // CHUNK
                if _is_cached(descriptor, blob, index):
                    _check(descriptor, blob, index, self._scratch)
                else:
                    loop = asyncio.get_running_loop()
                    await loop.run_in_executor(self._executor, _check, descriptor, blob, index, bytearray(CHUNK))
                following = min((index + 1) * CHUNK, end)
                yield FileSpan(descriptor, start, following - start)
                start = following
        finally:
            os.close(descriptor)

    async def fresh(self, blob: StoredBlob) -> AsyncGenerator[memoryview, None]:
        """Yield all of `blob` from the disk: the page cache is asked to forget it first, and afterwards."""
        descriptor = _open(self.path_of(blob.digest, blob.generation))
        loop = asyncio.get_running_loop()
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            for index in range(chunk_count(blob.size)):
                content = await loop.run_in_executor(self._executor, _read, descriptor, blob, index)
                yield memoryview(content)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
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
        self._make_folders(target)
        self._files.rename(staged, target)
        self._files.sync_folder(target.parent)

    async def delete(self, digest: Digest, generation: str) -> None:
        """Delete one generation of a blob, wherever it lies."""
        await self._run(self._delete, self.path_of(digest, generation))

    def _delete(self, path: Path) -> None:
        self._files.remove(path)
        self._files.remove(self._aside(path))

    async def keep_manifest(self, digest: Digest, generation: str, body: bytes) -> None:
        """Store a copy of a manifest."""
        await self._run(self._keep, self.path_of(digest, generation, "manifests"), body)

    def _make_folders(self, path: Path) -> None:
        """Make `<kind>/<algorithm>/<two hex>` for the file `path`."""
        self._files.make_folder(path.parent.parent)
        self._files.make_folder(path.parent)

    def _keep(self, path: Path, body: bytes) -> None:
        self._make_folders(path)
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

    def walk_quarantine(self) -> Iterator[Lying]:
        """Yield every broken generation that was put aside."""
        for entry in sorted((self.folder / "quarantine").iterdir()):
            algorithm = "sha512" if len(entry.name.partition(".")[0]) == 128 else "sha256"
            if found := _lying(entry, algorithm):
                yield found

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
            await self._run(self._files.rename, source, self._aside(source))

    def _aside(self, path: Path) -> Path:
        """Return where a broken generation is put; its row, or its condemnation, owns it there too."""
        return self.folder / "quarantine" / path.name

    def free_bytes(self) -> int:
        """Return the bytes an unprivileged process may still write."""
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize

    def size_bytes(self) -> int:
        """Return the size of the file system."""
        disk = os.statvfs(self.folder)
        return disk.f_blocks * disk.f_frsize

    def _walk(self, kind: str) -> Iterator[Lying]:
        for part in sorted((self.folder / kind).glob("*/*")):
            for entry in sorted(part.iterdir()) if part.is_dir() else ():
                if found := _lying(entry, part.parent.name):
                    yield found

    async def _run(self, function: Callable[[Unpack[Arguments]], object], *arguments: *Arguments) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)


class _Ahead:
    """Reads the chunks of one blob in order: those in the page cache at once, the others ahead, in threads.

    A read of a cached mebibyte takes some 100 us, less than handing it to a thread and back.
    """

    def __init__(self, executor: Executor, descriptor: int, blob: StoredBlob, last: int) -> None:
        self._executor = executor
        self._descriptor = descriptor
        self._blob = blob
        self._last = last
        self._reads: list[asyncio.Future[bytes]] = []  # of the next chunks, in order

    async def take(self, index: int) -> bytes:
        """Return chunk `index`; called with each index once, in order."""
        if not self._reads and _is_cached(self._descriptor, self._blob, index):
            return _read(self._descriptor, self._blob, index)
        loop = asyncio.get_running_loop()
        following = index + len(self._reads)
        while following <= self._last and len(self._reads) < _AHEAD:
            self._reads.append(loop.run_in_executor(self._executor, _read, self._descriptor, self._blob, following))
            following += 1
        return await self._reads.pop(0)

    async def stop(self) -> None:
        """Wait for reads under way: a client left, and they still use the descriptor."""
        if self._reads:
            await asyncio.wait(self._reads)
            for read in self._reads:
                read.exception()


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


def _lying(path: Path, algorithm: str) -> Lying | None:
    """Return what the file `path` is by its name; None when it is not ours, or was deleted meanwhile."""
    name, _, generation = path.name.partition(".")
    try:
        digest = parse_digest(f"{algorithm}:{name}")
        status = path.lstat()
    except (DigestInvalid, FileNotFoundError):
        return None
    return Lying(digest, generation, status.st_size, status.st_ctime)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError as error:
        raise BlobBroken(f"the bytes of {path.name} are gone from the store") from error
    except OSError as error:
        raise failed("open", path, error) from error


def _check(descriptor: int, blob: StoredBlob, index: int, scratch: bytearray) -> None:
    """Read chunk `index` into `scratch` (CHUNK bytes, one for all so that it stays in the cache), checked."""
    wanted = min(CHUNK, blob.size - index * CHUNK)
    try:
        found = os.preadv(descriptor, [memoryview(scratch)[:wanted]], index * CHUNK)
    except OSError as error:
        raise StoreFailed(f"the store failed: read {blob.digest}: {error.strerror}") from error
    if found != wanted or not is_whole(memoryview(scratch)[:wanted], blob.sums, index):
        raise BlobBroken(f"chunk {index} of {blob.digest} is not what was stored")


def _is_cached(descriptor: int, blob: StoredBlob, index: int) -> bool:
    """Whether both ends of a chunk are in the page cache, so that reading it will hardly wait."""
    ends = (index * CHUNK, min((index + 1) * CHUNK, blob.size) - 1)
    try:
        return all(os.preadv(descriptor, [bytearray(1)], end, os.RWF_NOWAIT) == 1 for end in ends)
    except OSError:  # EAGAIN: not there; EOPNOTSUPP: this file system cannot tell
        return False


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
