"""A large file to one object, in parts: the upload's id is written down before the first part is sent.

So whatever a crash leaves in the store is known at the next start and aborted; what was begun and not written down yet
is found by the sweep. A file that was not stored whole is stored again from the beginning: it still lies in staging.
"""

import asyncio
import contextlib
import mmap
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from appliance.blobstore.files import failed
from appliance.blobstore.multipart import Multipart, Part
from appliance.blobstore.patience import Budget, Patience
from appliance.errors import BlobUnknown, ScrError, StoreDown, StoreFailed

T = TypeVar("T")

PART = 8 << 20  # bytes
MOST = 9000  # parts of an upload; the API allows 10 000
_AT_ONCE = 4  # parts of one upload on their way: one connection rarely fills the line
_TRIES = 2  # uploads of one file, where the store forgot the first


class Journal(Protocol):
    """Where uploads are written down."""

    async def begin(self, key: str, upload: str) -> None:
        """Write an upload down; durable once this returns."""

    async def end(self, upload: str) -> None:
        """Take it out: it was completed or aborted."""


class Parts:
    """Uploads in parts, and what became of them."""

    def __init__(
        self, multipart: Multipart, patience: Patience, budget: Budget, journal: Journal, threads: Executor
    ) -> None:
        """Send requests in `threads`; hold no more than `budget` in memory."""
        self._multipart = multipart
        self._patience = patience
        self._budget = budget
        self._journal = journal
        self._threads = threads
        self._running: set[str] = set()

    async def upload(self, path: Path, size: int, key: str, find_size: Callable[[], Awaitable[int]]) -> None:
        """Store the file `path` under `key`; `find_size` asks what lies there, if an answer got lost."""
        for _ in range(_TRIES):
            try:
                await self._attempt(path, size, key, find_size)
            except BlobUnknown:
                continue
            return
        raise StoreDown("the object store forgets uploads while they run; it will be asked again")

    async def _attempt(self, path: Path, size: int, key: str, find_size: Callable[[], Awaitable[int]]) -> None:
        upload = await self._ask(self._multipart.begin, key)
        self._running.add(upload)
        is_done = False
        try:
            await self._journal.begin(key, upload)
            parts = await self._send(path, size, key, upload)
            try:
                await self._ask(self._multipart.complete, key, upload, parts)
            except BlobUnknown:  # it may have been completed, and the answer got lost
                with contextlib.suppress(BlobUnknown):
                    is_done = await find_size() == size
                if not is_done:
                    raise
            if await find_size() != size:
                raise StoreFailed(f"the object store put {key.rpartition('/')[2]} together wrongly")
            is_done = True
        finally:
            await self._finish(key, upload, is_done=is_done)

    async def _send(self, path: Path, size: int, key: str, upload: str) -> list[Part]:
        """Send every part, some at once."""
        length = max(PART, -(-size // MOST))
        places = enumerate(range(0, size, length), 1)
        found: list[Part] = []
        descriptor = open_file(path)

        async def send(number: int, offset: int) -> None:  # a part's bytes are let go with it, before the budget is
            content = await self._run(read_into_pages, descriptor, min(length, size - offset), offset, path)
            asking = partial(self._run, self._multipart.put_part, key, upload, number, content)
            found.append(await self._patience.ask(asking, len(content)))

        async def work() -> None:
            for number, offset in places:
                async with self._budget.take(length):
                    await send(number, offset)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_AT_ONCE):
                    group.create_task(work())
        except BaseExceptionGroup as errors:  # not `except*`, which would wrap again what is raised here
            raise _first(errors) from None
        finally:
            os.close(descriptor)
        return sorted(found, key=lambda part: part.number)

    async def _finish(self, key: str, upload: str, *, is_done: bool) -> None:
        """Abort what was not done; take it out of the journal. What fails here is left to the sweep."""
        try:
            if not is_done:
                await asyncio.shield(self._run(self._multipart.abort, key, upload))
            await self._journal.end(upload)
        except ScrError:
            return
        finally:
            self._running.discard(upload)

    async def abort(self, key: str, upload: str) -> None:
        """Abort an upload that was begun before this start."""
        await self._ask(self._multipart.abort, key, upload)
        await self._journal.end(upload)

    async def prove(self, key: str) -> None:
        """Begin an upload, find it among the unfinished ones, abort it. Raises StoreFailed where one of them fails."""
        upload = await self._ask(self._multipart.begin, key)
        try:
            if upload not in {one.id for one in await self._ask(self._multipart.list_unfinished)}:
                raise StoreFailed("an upload that was begun is not listed: what a crash leaves would not be found")
        finally:
            await self._ask(self._multipart.abort, key, upload)

    async def sweep(self, before: float) -> int:
        """Abort what was begun before `before` (unix seconds) and does not run; return how many."""
        left = [one for one in await self._ask(self._multipart.list_unfinished) if one.begun < before]
        count = 0
        for one in left:
            if one.id not in self._running:
                await self.abort(one.key, one.id)
                count += 1
        return count

    async def _ask(self, function: Callable[..., T], *arguments: object) -> T:
        return await self._patience.ask(lambda: self._run(function, *arguments))

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error that came first."""
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


def open_file(path: Path) -> int:
    """Open a staged file to read it."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise failed("open", path, error) from error


def read_into_pages(descriptor: int, size: int, offset: int, path: Path) -> memoryview:
    """Return `size` bytes of an open file in memory of their own, which goes back to the system with them.

    From the allocator they would stay with whatever thread asked for them: a hundred MiB with eight threads.
    """
    content = memoryview(mmap.mmap(-1, max(size, 1)))[:size]
    try:
        found = os.preadv(descriptor, [content], offset)
    except OSError as error:
        raise failed("read", path, error) from error
    if found != size:
        raise StoreFailed(f"the store failed: read {path.name}: it is shorter than it was")
    return content
