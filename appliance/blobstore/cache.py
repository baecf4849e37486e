"""Copies of an object store's blobs in a local folder, so that none is fetched twice and small ones never wait.

    <data>/cache/blobs/<hex>.<generation>[.e1]     a whole blob, in the form it has in the store
    <data>/cache/blobs/….part                      one that is being fetched

Nothing here is a promise: what is missing, broken or too much is dropped, and the store is asked. A blob comes in when
it is pushed, or when it is read whole: then one fetch fills the file, its chunks and its digest checked, while every
reader of the blob follows it, each at its own pace.
"""

import asyncio
import contextlib
import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

import msgspec

from appliance.blobstore.fetching import Fetched
from appliance.blobstore.files import Files
from appliance.blobstore.forms import Forms, size_of
from appliance.blobstore.names import BLOBS, path_of
from appliance.blobstore.reading import BlobFile, Reading
from appliance.blobstore.sums import CHUNK
from appliance.domain.names import algorithm_of, hex_of
from appliance.domain.registry import StoredBlob
from appliance.errors import BlobBroken, ScrError, StoreFailed

T = TypeVar("T")
Fetch = Callable[[StoredBlob], AsyncGenerator[Fetched, None]]  # all chunks, as the store has them

_AT_ONCE = 8  # blobs fetched at the same time; others are read past the cache
_SHARE = 2  # a blob larger than this part of the limit is not kept: it would push out too much
_TOUCH_S = 3600.0  # a file that is used tells so by its time, but no more often


class CacheState(msgspec.Struct, frozen=True, rename="camel"):
    """What the cache holds and how often it had what was asked for, since the start. Sizes are bytes."""

    limit: int
    size: int
    blobs: int
    hits: int
    misses: int


class Cache:
    """The folder. `follow` must run for anything to be fetched into it."""

    def __init__(
        self, folder: Path, limit: int, forms: Forms, files: Files, executor: Executor, room: Callable[[], int]
    ) -> None:
        """Keep up to `limit` bytes in `folder`; `room` tells how much the disk can take. Blocks."""
        self.limit = limit
        self._folder = folder
        self._forms = forms
        self._files = files
        self._executor = executor
        self._room = room
        self._reading = Reading(executor, forms, lambda blob: folder / _name(blob))
        self._held: OrderedDict[str, int] = OrderedDict()  # file names and sizes, used last at the end
        self._size = self._hits = self._misses = 0
        self._fills: dict[str, _Fill] = {}
        self._wanted: asyncio.Queue[_Fill] = asyncio.Queue(_AT_ONCE)
        self._is_open = False
        files.make_folder(folder)
        self._look()

    @property
    def state(self) -> CacheState:
        """What it holds now."""
        return CacheState(self.limit, self._size, len(self._held), self._hits, self._misses)

    async def follow(self, fetch: Fetch) -> None:
        """Fetch what is wanted, for ever."""
        self._is_open = True
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    fill = await self._wanted.get()
                    group.create_task(self._fetch(fill, fetch))
        finally:
            self._is_open = False

    async def chunks(self, blob: StoredBlob, start: int, end: int) -> AsyncGenerator[memoryview, None]:
        """Yield as much of `start` to `end` as the cache has or is being filled with; the rest is the store's."""
        name = _name(blob)
        if name in self._held:
            self._hits += 1
            self._use(name)
            try:
                async with aclosing(self._reading.chunks(blob, start, end)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except StoreFailed:  # a copy that is broken is none
                await self.drop(blob)
            return
        self._misses += 1
        fill = self._join(name, blob) if (start, end) == (0, blob.size) else None
        if fill is not None:
            async with aclosing(fill.chunks()) as chunks:
                async for chunk in chunks:
                    yield chunk

    def _join(self, name: str, blob: StoredBlob) -> "_Fill | None":
        """Return the fetch of `blob` under way, or begin one; None where it does not fit or too much is under way."""
        if (fill := self._fills.get(name)) is not None:
            return fill
        size = size_of(blob.form, blob.size)
        if not self._is_open or size > self.limit // _SHARE or len(self._fills) >= _AT_ONCE or self._room() < size:
            return None
        fill = self._fills[name] = _Fill(self._folder / f"{name}.part", blob, self._forms, self._executor)
        self._wanted.put_nowait(fill)
        return fill

    async def _fetch(self, fill: "_Fill", fetch: Fetch) -> None:
        name = _name(fill.blob)
        try:
            await fill.run(fetch)
            await self._run(fill.path.rename, self._folder / name)
            self._add(name, size_of(fill.blob.form, fill.blob.size))
        except (ScrError, OSError):  # its readers go on without it, and meet the reason themselves
            with contextlib.suppress(OSError):
                await self._run(_unlink, fill.path)
        finally:
            fill.end()
            self._fills.pop(name, None)

    async def adopt(self, staged: Path, blob: StoredBlob) -> None:
        """Keep the file of a blob that was just stored, or remove it."""
        name, size = _name(blob), size_of(blob.form, blob.size)
        if size > self.limit // _SHARE or self._room() < 0:
            await self._run(_unlink, staged)
            return
        await self._run(staged.rename, self._folder / name)
        self._add(name, size)

    async def drop(self, blob: StoredBlob) -> None:
        """Forget a blob."""
        await self._run(self._remove, _name(blob))

    def forget(self, names: list[str]) -> None:
        """Forget files by their names (blocking)."""
        for name in names:
            self._remove(name.rpartition("/")[2])

    def shrink(self) -> None:
        """Drop what was used longest ago while there is too much, or too little room on the disk (blocking)."""
        while self._held and (self._size > self.limit or self._room() < 0):
            self._remove(next(iter(self._held)))

    def _add(self, name: str, size: int) -> None:
        self._size += size - self._held.pop(name, 0)
        self._held[name] = size
        self.shrink()

    def _remove(self, name: str) -> None:
        self._size -= self._held.pop(name, 0)
        _unlink(self._folder / name)

    def _use(self, name: str) -> None:
        """Put a file to the end of those that may go, for the next start too."""
        self._held.move_to_end(name)
        path = self._folder / name
        with contextlib.suppress(OSError):
            if abs(path.stat().st_mtime - time.time()) > _TOUCH_S:
                os.utime(path)

    def _look(self) -> None:
        """Take stock of what an earlier run left; half-fetched files go."""
        found = []
        for entry in os.scandir(self._folder):
            if entry.name.endswith(".part"):
                _unlink(Path(entry.path))
            else:
                status = entry.stat(follow_symlinks=False)
                found.append((status.st_mtime, entry.name, status.st_size))
        for _, name, size in sorted(found):
            self._held[name] = size
            self._size += size
        self.shrink()

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)


class _Fill:
    """One blob on its way into the cache: written by one, read by many."""

    def __init__(self, path: Path, blob: StoredBlob, forms: Forms, executor: Executor) -> None:
        self.path = path
        self.blob = blob
        self._forms = forms
        self._executor = executor
        self._arrived = 0  # chunks that lie in the file
        self._is_over = False
        self._news = asyncio.Event()

    async def run(self, fetch: Fetch) -> None:
        """Fetch the blob into the file. Raises BlobBroken where it is not what its digest says."""
        form = self._forms.of(self.blob)
        state = hashlib.new(algorithm_of(self.blob.digest))
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if form.start:
                os.pwrite(descriptor, self.blob.sums, 0)
            async with aclosing(fetch(self.blob)) as chunks:
                async for chunk in chunks:
                    await self._run(_keep, descriptor, form.place(chunk.index)[0], state, chunk)
                    self._arrived = chunk.index + 1
                    self._ring()
        finally:
            os.close(descriptor)
        if state.hexdigest() != hex_of(self.blob.digest):
            raise BlobBroken(f"the hash of {self.blob.digest} is another")

    def end(self) -> None:
        """Say that nothing more comes."""
        self._is_over = True
        self._ring()

    async def chunks(self) -> AsyncGenerator[memoryview, None]:
        """Yield the chunks of the blob as they arrive, up to the last that does."""
        count = -(-self.blob.size // CHUNK)
        file: BlobFile | None = None
        try:
            for index in range(count):
                while self._arrived <= index and not self._is_over:
                    await self._news.wait()
                if self._arrived <= index:
                    return
                if file is None:
                    file = self._open()
                    if file is None:
                        return
                yield memoryview(await self._run(file.read, index))
        finally:
            if file is not None:
                file.close()

    def _open(self) -> BlobFile | None:
        for path in (self.path, self.path.with_suffix("")):  # it may be whole by now and have its name
            try:
                return BlobFile(path, self.blob, self._forms)
            except StoreFailed:
                continue
        return None

    def _ring(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)


def _keep(descriptor: int, offset: int, state: "hashlib._Hash", chunk: Fetched) -> None:
    """Write a chunk as it lies in the store and hash its content (in a worker thread)."""
    for part in chunk.raw:
        left = memoryview(part)
        while left:
            written = os.pwrite(descriptor, left, offset)
            left, offset = left[written:], offset + written
    for part in chunk.content:
        state.update(part)


def _name(blob: StoredBlob) -> str:
    return path_of(blob.digest, blob.generation, BLOBS, blob.form).rpartition("/")[2]


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
