"""The cache before the bucket: nothing is fetched twice, nothing wrong comes out of it, and it keeps its limit."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.blobstore.cache import Cache
from appliance.blobstore.files import Files
from appliance.blobstore.forms import Forms
from appliance.blobstore.patience import Budget
from appliance.blobstore.s3 import S3Store
from appliance.blobstore.sums import CHUNK
from appliance.domain.registry import StoredBlob
from appliance.errors import BlobBroken, StoreDown
from tests.blobstore.conftest import Bench, Notes, Objects, forms, read
from tests.make.object_store import ObjectStore
from tests.make.proxy import Proxy

pytestmark = pytest.mark.anyio
SMALL = b"a config " * 50
LARGE = bytes(range(256)) * (3 * CHUNK // 256) + b"the end"
LIMIT = 8 << 20


class Site:
    """A store with a cache behind a proxy that counts; made again, it is the same site after a restart."""

    def __init__(
        self, folder: Path, store: ObjectStore, proxy: Proxy, executor: ThreadPoolExecutor, known: Forms
    ) -> None:
        self.folder = folder
        self.proxy = proxy
        self.room = 1 << 40
        self._bucket = store.bucket(f"{folder.name}/", endpoint=proxy.endpoint, deadline_s=3.0)
        self._shelf = Objects(store.client(f"{folder.name}/"))
        self._executor = executor
        self._known = known
        self._following: list[asyncio.Task[None]] = []
        self.stores: list[S3Store] = []
        self.open()

    def open(self, limit: int = LIMIT) -> None:
        files = Files()
        files.make_folder(self.folder / "cache")
        self.cache = Cache(self.folder / "cache", limit, self._known, files, self._executor, lambda: self.room)
        store = S3Store(self._bucket, self._known, self._executor, Budget(64 << 20), Notes(), self.cache)
        self.stores.append(store)
        self.bench = Bench(self.folder, lambda: store, self._shelf, self._known)
        self.store = store

    async def follow(self, group: asyncio.TaskGroup) -> None:
        self._following.append(group.create_task(self.store.follow()))
        await asyncio.sleep(0)

    def stop(self) -> None:
        for task in self._following:
            task.cancel()

    def names(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "cache").iterdir())

    def forget(self) -> None:
        """Empty the cache, as somebody who deletes its files and restarts."""
        for path in (self.folder / "cache").iterdir():
            path.unlink()
        self.open()

    def fetched(self) -> int:
        """Return how many GETs the bucket has seen."""
        return self.proxy.asked("GET")


@pytest.fixture(params=["plain", "encrypted"])
async def site(
    request: pytest.FixtureRequest, tmp_path: Path, object_store: ObjectStore, executor: ThreadPoolExecutor
) -> AsyncIterator[Site]:
    with Proxy(object_store.endpoint) as proxy:
        made = Site(tmp_path, object_store, proxy, executor, forms(encrypts=request.param == "encrypted"))
        yield made
        for store in made.stores:
            store.close()


async def test_what_was_pushed_is_never_fetched(site: Site) -> None:
    blobs = [await site.bench.seal(content) for content in (SMALL, LARGE)]

    for blob, content in zip(blobs, (SMALL, LARGE), strict=True):
        assert await read(site.store, blob) == content
        assert await read(site.store, blob, 5, 20) == content[5:20]

    assert site.fetched() == 0
    assert (site.cache.state.blobs, site.cache.state.misses) == (2, 0)


async def test_what_was_read_whole_is_not_fetched_again_not_even_by_many_at_once(site: Site) -> None:
    blob = await site.bench.seal(LARGE)
    site.forget()
    async with asyncio.TaskGroup() as group:
        await site.follow(group)

        found = await asyncio.gather(*(read(site.store, blob) for _ in range(6)))
        again = await read(site.store, blob)

        site.stop()

    assert {*found, again} == {LARGE}
    assert site.fetched() == 1
    assert len(site.names()) == 1


async def test_a_range_is_fetched_alone(site: Site) -> None:
    blob = await site.bench.seal(LARGE)
    site.forget()
    async with asyncio.TaskGroup() as group:
        await site.follow(group)

        assert await read(site.store, blob, CHUNK + 10, CHUNK + 50) == LARGE[CHUNK + 10 : CHUNK + 50]

        site.stop()
    assert site.names() == []


async def test_a_reader_that_leaves_does_not_stop_the_others(site: Site) -> None:
    blob = await site.bench.seal(LARGE)
    site.forget()
    async with asyncio.TaskGroup() as group:
        await site.follow(group)
        leaving = site.store.chunks(blob, 0, blob.size)
        await anext(leaving)
        staying = asyncio.gather(read(site.store, blob))
        await leaving.aclose()

        assert (await staying)[0] == LARGE

        site.stop()
    assert site.fetched() == 1


@pytest.mark.parametrize("fault", ["cut", "wrong", "reset", "error"])
async def test_a_fetch_that_goes_wrong_is_mended_or_read_past_the_cache(site: Site, fault: str) -> None:
    blob = await site.bench.seal(LARGE)
    site.forget()
    site.proxy.fail(fault, fault, method="GET")
    async with asyncio.TaskGroup() as group:
        await site.follow(group)

        assert await read(site.store, blob) == LARGE

        site.stop()


async def test_a_store_that_goes_down_in_the_middle_is_said_to_be_down(site: Site) -> None:
    blob = await site.bench.seal(LARGE)
    site.forget()
    site.proxy.choose = lambda *_: "error"
    async with asyncio.TaskGroup() as group:
        await site.follow(group)

        with pytest.raises(StoreDown):
            await read(site.store, blob)

        site.stop()
    assert site.names() == []


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a bit": damage,
    "the end": lambda path: os.truncate(path, path.stat().st_size - 5),
    "everything": lambda path: os.truncate(path, 0),
    "the file": lambda path: path.unlink(),
}


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
async def test_a_copy_that_is_broken_is_dropped_and_the_bucket_asked(site: Site, name: str, content: bytes) -> None:
    blob = await site.bench.seal(content)
    (copy,) = (site.folder / "cache").iterdir()
    DAMAGES[name](copy)

    assert await read(site.store, blob) == content

    assert site.names() == []
    assert site.fetched() > 0


async def test_a_blob_that_is_broken_in_the_bucket_never_comes_into_the_cache(site: Site) -> None:
    blob = await site.bench.seal(LARGE)
    site.bench.flip(blob, 2 * CHUNK + 7)
    site.forget()
    async with asyncio.TaskGroup() as group:
        await site.follow(group)

        with pytest.raises(BlobBroken):
            await read(site.store, blob)

        site.stop()
    assert site.names() == []


async def test_what_was_used_longest_ago_goes_first(site: Site) -> None:
    site.open(limit=5 * len(LARGE) // 2)
    blobs: list[StoredBlob] = [await site.bench.seal(LARGE[: -number - 1]) for number in range(2)]
    await read(site.store, blobs[0])

    await site.bench.seal(LARGE)

    assert {name.split(".")[1] for name in site.names()} == {blobs[0].generation, "00000002"}
    assert site.cache.state.size <= site.cache.limit


async def test_what_is_too_large_for_it_is_not_kept(site: Site) -> None:
    site.open(limit=len(LARGE))

    blob = await site.bench.seal(LARGE)

    assert site.names() == []
    assert await read(site.store, blob) == LARGE


async def test_on_a_disk_that_runs_full_it_gives_way(site: Site) -> None:
    blob = await site.bench.seal(LARGE)
    site.room = -1

    await site.bench.seal(SMALL)
    await asyncio.to_thread(site.cache.shrink)

    assert site.names() == []
    assert await read(site.store, blob) == LARGE


async def test_a_restart_keeps_what_is_whole_and_drops_what_was_half_fetched(site: Site) -> None:
    blob = await site.bench.seal(LARGE)
    (site.folder / "cache" / "half.part").write_bytes(b"half")

    site.open()

    assert site.cache.state.blobs == 1
    assert len(site.names()) == 1
    assert await read(site.store, blob) == LARGE
    assert site.fetched() == 0


async def test_a_delete_takes_the_copy_too(site: Site) -> None:
    first, second = await site.bench.seal(SMALL), await site.bench.seal(LARGE)

    await site.store.delete(first.digest, first.generation)
    await site.store.delete_all("blob", [(second.digest, second.generation)])

    assert site.names() == []
    assert site.cache.state.size == 0
