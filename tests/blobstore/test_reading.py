"""What reading does that its bytes do not show."""

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from appliance.blobstore.cipher import Content
from appliance.blobstore.files import Files
from appliance.blobstore.local import LocalStore
from appliance.blobstore.reading import BlobFile
from appliance.blobstore.spare import Spare
from appliance.blobstore.sums import CHUNK
from tests.blobstore.conftest import Bench, Folder, forms, s3_bench
from tests.make.object_store import ObjectStore

pytestmark = pytest.mark.anyio
CONTENT = os.urandom(5 * CHUNK + 7)


@pytest.fixture(params=[False, True], ids=["plain", "encrypted"])
def folder_bench(request: pytest.FixtureRequest, tmp_path: Path, executor: ThreadPoolExecutor) -> Bench:
    """A store in a folder."""
    known = forms(encrypts=request.param)
    return Bench(tmp_path, lambda: LocalStore(tmp_path, Files(), executor, known), Folder(tmp_path), known)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Event, Event, list[int]]]:
    """Let every read wait, in a thread: tells when one began, lets them go, and what they then had open."""
    began, goes_on, sizes = Event(), Event(), list[int]()
    read = BlobFile.read

    def wait(self: BlobFile, index: int, spare: Spare | None = None) -> Content:
        began.set()
        assert goes_on.wait(20)
        sizes.append(os.fstat(self.descriptor).st_size)
        return read(self, index, spare)

    monkeypatch.setattr(BlobFile, "read", wait)
    monkeypatch.setattr(BlobFile, "is_cached", lambda *_: False)
    yield began, goes_on, sizes
    goes_on.set()


async def test_a_chunk_that_is_kept_by_its_reader_never_changes(folder_bench: Bench) -> None:
    blob = await folder_bench.seal(CONTENT)

    kept = [chunk async for chunk in folder_bench.store.chunks(blob, 0, blob.size)]

    assert b"".join(kept) == CONTENT


async def test_who_leaves_while_a_thread_reads_waits_for_it(
    folder_bench: Bench, slow: tuple[Event, Event, list[int]]
) -> None:
    began, goes_on, sizes = slow
    blob = await folder_bench.seal(CONTENT[:CHUNK])

    async def take() -> None:
        async for _ in folder_bench.store.chunks(blob, 0, blob.size):
            raise AssertionError("a chunk came")

    task = asyncio.ensure_future(take())
    await asyncio.to_thread(began.wait, 20)
    task.cancel()
    for _ in range(50):  # turns of the loop: what does not wait ends in these
        await asyncio.sleep(0)
    was_waiting = (
        not task.done()
    )  # its file is open as long as a thread reads it: the number may be another file's next
    goes_on.set()
    await asyncio.wait([task])

    assert was_waiting
    assert task.cancelled()
    assert sizes == [len(folder_bench.content(blob))]


@pytest.mark.parametrize("encrypts", [False, True], ids=["plain", "encrypted"])
async def test_many_readers_of_a_bucket_wait_for_smaller_pieces(
    object_store: ObjectStore,
    tmp_path: Path,
    executor: ThreadPoolExecutor,
    encrypts: bool,  # noqa: FBT001
) -> None:
    bench, stores = s3_bench(object_store, tmp_path, executor, forms(encrypts=encrypts))
    blob = await bench.seal(CONTENT)
    alone = stores[0].objects.piece

    async def pull() -> bytes:
        return b"".join([bytes(chunk) async for chunk in bench.store.chunks(blob, 0, blob.size)])

    pulls = asyncio.gather(*(pull() for _ in range(20)))
    sizes = [alone]
    while not pulls.done():
        sizes.append(stores[0].objects.piece)
        await asyncio.sleep(0)

    assert all(found == CONTENT for found in await pulls)
    assert min(sizes) * 20 <= 8 * alone
    assert stores[0].objects.piece == alone  # once they are gone
    stores[0].close()
