"""Reads the chunks of a blob from an open file, each checked before it is given: of the folder, and of the cache."""

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Self

from appliance.blobstore.cipher import Content
from appliance.blobstore.files import failed
from appliance.blobstore.forms import Forms
from appliance.blobstore.spare import Spare
from appliance.blobstore.sums import CHUNK
from appliance.domain.names import Digest
from appliance.domain.registry import StoredBlob
from appliance.errors import BlobBroken, StoreFailed

CACHE_BYTES = 32 << 20  # bytes of checked chunks kept: small blobs are most of the requests, ranges come in clusters
SMALL = 256 << 10  # bytes; a blob up to this size is read on the loop, a thread costs more than the read
_AHEAD = 4  # chunks read ahead of the one being sent


class BlobFile:
    """One open file of a blob. Its chunks come whole and checked, or BlobBroken is raised."""

    __slots__ = ("_form", "blob", "descriptor")

    def __init__(self, path: Path, blob: StoredBlob, forms: Forms) -> None:
        """Open `path`. Raises BlobBroken where it is gone or its header changed, StoreFailed."""
        self.blob = blob
        self._form = forms.of(blob)
        self.descriptor = _open(path)
        if self._form.start:
            try:
                self._form.check_start(self._pread(self._form.start, 0))
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)

    def read(self, index: int, spare: Spare | None = None) -> Content:
        """Return chunk `index`, checked; in the memory of an earlier one, where `spare` has some."""
        try:
            return self._form.read(self.descriptor, index, spare or Spare())
        except OSError as error:
            raise self._failed(error) from error

    def is_cached(self, index: int) -> bool:
        """Whether both ends of a chunk are in the page cache, so that reading it will hardly wait."""
        offset, size = self._form.place(index)
        try:
            return all(
                os.preadv(self.descriptor, [bytearray(1)], end, os.RWF_NOWAIT) == 1
                for end in (offset, offset + size - 1)
            )
        except OSError:  # EAGAIN: not there; EOPNOTSUPP: this file system cannot tell
            return False

    def forget(self) -> None:
        """Ask the page cache to forget the file, so that the disk is read."""
        os.posix_fadvise(self.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def _pread(self, size: int, offset: int) -> bytes:
        try:
            return os.pread(self.descriptor, size, offset)
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> StoreFailed:
        return StoreFailed(f"the store failed: read {self.blob.digest}: {error.strerror}")


class Reading:
    """Gives blobs from files: small ones and parts of chunks from memory, the others read ahead in threads."""

    def __init__(self, executor: Executor, forms: Forms, find: Callable[[StoredBlob], Path]) -> None:
        """Read in `executor`; a reader never blocks another. `find` tells the file of a blob."""
        self._executor = executor
        self._forms = forms
        self._find = find
        self.memory = ChunkCache(CACHE_BYTES)

    async def chunks(self, blob: StoredBlob, start: int, end: int) -> AsyncGenerator[memoryview, None]:
        """Yield `start` to `end` of `blob` in checked chunks."""
        if start >= end:
            return
        first, last = start // CHUNK, (end - 1) // CHUNK
        if first == last and (cached := self._cached(blob, first)) is not None:
            yield memoryview(cached)[start - first * CHUNK : end - first * CHUNK]
            return
        with BlobFile(self._find(blob), blob, self._forms) as file:
            ahead = _Ahead(self._executor, file, last)
            try:
                for index in range(first, last + 1):
                    content = await ahead.take(index)
                    if first == last:  # a range inside one chunk: the next one is likely near it
                        self.memory.put((blob.generation, blob.digest, index), content)
                    base = index * CHUNK
                    yield memoryview(content)[max(start - base, 0) : end - base]
                    if first != last:
                        ahead.give_back(content)
            finally:
                await ahead.stop()

    def _cached(self, blob: StoredBlob, index: int) -> Content | None:
        """Return chunk `index` from memory, or read it on the loop where it is small; None: let a thread read it."""
        key = (blob.generation, blob.digest, index)
        content = self.memory.get(key)
        if content is None and min(blob.size, CHUNK) <= SMALL:
            with BlobFile(self._find(blob), blob, self._forms) as file:
                content = file.read(index)
            self.memory.put(key, content)
        return content


class _Ahead:
    """Reads the chunks of one blob in order: those in the page cache at once, the others ahead, in threads.

    A plain mebibyte of the cache takes some 110 us, an encrypted one 220, less than a thread is worth: it would stop
    for the interpreter's lock after each 64 KiB, and took twice the processor time with two chunks read ahead.
    """

    def __init__(self, executor: Executor, file: BlobFile, last: int) -> None:
        self._executor = executor
        self._file = file
        self._last = last
        self._spare = Spare()
        self._reads: list[asyncio.Future[Content]] = []  # of the next chunks, in order

    async def take(self, index: int) -> Content:
        """Return chunk `index`; called with each index once, in order."""
        if not self._reads and self._file.is_cached(index):
            return self._file.read(index, self._spare)
        loop = asyncio.get_running_loop()
        following = index + len(self._reads)
        while following <= self._last and len(self._reads) < _AHEAD:
            self._reads.append(loop.run_in_executor(self._executor, self._file.read, following))
            following += 1
        await asyncio.wait(self._reads[:1])  # it stays there meanwhile: who leaves waits for it in `stop`
        return self._reads.pop(0).result()

    def give_back(self, content: Content) -> None:
        """Say that a chunk was sent: its memory may be used for another one."""
        self._spare.give_back(content)

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
        self._chunks: OrderedDict[tuple[str, Digest, int], Content] = OrderedDict()

    def get(self, key: tuple[str, Digest, int]) -> Content | None:
        """Return the chunk, or None."""
        content = self._chunks.get(key)
        if content is not None:
            self._chunks.move_to_end(key)
        return content

    def put(self, key: tuple[str, Digest, int], content: Content) -> None:
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
