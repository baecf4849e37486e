"""Whatever goes wrong between scr and the object store: what was acknowledged is there, and nothing wrong is given."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.blobstore.s3 import SINGLE, S3Store
from appliance.blobstore.sums import CHUNK
from appliance.errors import StoreDown
from tests.blobstore.conftest import Bench, forms, read, s3_bench
from tests.make.object_store import ObjectStore
from tests.make.proxy import FAULTS, Proxy

pytestmark = pytest.mark.anyio
SMALL = b"some bytes of a config " * 20
LARGE = bytes(range(256)) * (3 * CHUNK // 256) + b"the end"
HUGE = LARGE * (1 + SINGLE // len(LARGE))  # goes up in parts
DEADLINE_S = 3.0
LATER = 2e10  # unix seconds
PATIENCE_S = 30.0


@pytest.fixture
def proxy(object_store: ObjectStore) -> Iterator[Proxy]:
    with Proxy(object_store.endpoint) as running:
        yield running


@pytest.fixture(params=["plain", "encrypted"])
def bench(
    request: pytest.FixtureRequest,
    object_store: ObjectStore,
    proxy: Proxy,
    tmp_path: Path,
    executor: ThreadPoolExecutor,
) -> Iterator[Bench]:
    known = forms(encrypts=request.param == "encrypted")
    made, stores = s3_bench(object_store, tmp_path, executor, known, proxy.endpoint, DEADLINE_S)
    yield made
    for store in stores:
        store.close()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("content", [SMALL, HUGE], ids=["one request", "in parts"])
async def test_a_push_survives_one_of_each(bench: Bench, proxy: Proxy, fault: str, content: bytes) -> None:
    proxy.fail(fault)

    blob = await bench.seal(content)

    assert [one[0] for one in proxy.made] == [fault]
    assert await read(bench.make(), blob) == content


@pytest.mark.parametrize("bench", ["encrypted"], indirect=True)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("number", range(4))
async def test_a_push_in_parts_survives_it_at_any_request(bench: Bench, proxy: Proxy, fault: str, number: int) -> None:
    proxy.choose = lambda asked, *_: fault if asked == number else ""

    blob = await bench.seal(HUGE)

    assert await read(bench.make(), blob) == HUGE
    proxy.choose = lambda *_: ""
    await bench.store.sweep(LATER)  # what was begun and nobody heard of
    assert await bench.store.sweep(LATER) == 0


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
async def test_a_pull_survives_one_of_each(bench: Bench, proxy: Proxy, fault: str, content: bytes) -> None:
    blob = await bench.seal(content)
    proxy.fail(fault, method="GET")

    assert await read(bench.store, blob) == content
    assert [one[0] for one in proxy.made] == [fault]


@pytest.mark.parametrize("seed", range(4))
async def test_under_many_faults_what_is_acknowledged_is_there_and_nothing_wrong_is_given(
    bench: Bench, proxy: Proxy, seed: int
) -> None:
    proxy.fail_often(0.25, seed, tuple(fault for fault in FAULTS if fault not in ("hang", "drip")))
    contents = [b"%d " % number + (SMALL if number % 3 else LARGE) for number in range(12)]

    async def push_and_pull(content: bytes) -> None:
        try:
            blob = await bench.seal(content)
        except StoreDown:  # not acknowledged
            return
        for store in (bench.store, bench.make()):
            given = b""
            try:
                async for chunk in store.chunks(blob, 0, blob.size):
                    given += chunk
            except StoreDown:
                assert content.startswith(given)
            else:
                assert given == content

    await asyncio.gather(*(push_and_pull(content) for content in contents))

    assert proxy.made
    proxy.choose = lambda *_: ""
    found = {one.digest for one in bench.make().walk_blobs()}
    assert len(found) <= len(contents)


@pytest.mark.parametrize("fault", ["error", "reset", "busy", "hang"])
async def test_a_store_that_is_down_is_said_to_be_and_the_file_stays(bench: Bench, proxy: Proxy, fault: str) -> None:
    proxy.choose = lambda *_: fault

    with pytest.raises(StoreDown):
        await bench.seal(SMALL)
    (staged,) = bench.folder.glob("staged*")

    proxy.choose = lambda *_: ""
    assert staged.stat().st_size
    assert isinstance(bench.store, S3Store)
    assert await bench.store.find_fault() == ""
    assert await read(bench.store, await bench.seal(SMALL)) == SMALL


async def test_a_store_that_takes_no_parts_is_said_to_be_down(bench: Bench, proxy: Proxy) -> None:
    proxy.choose = lambda _, method, path: "error" if method == "PUT" and "partNumber" in path else ""

    with pytest.raises(StoreDown):
        await bench.seal(HUGE)

    proxy.choose = lambda *_: ""
    assert await bench.store.sweep(LATER) == 0  # it was aborted


async def test_while_it_is_down_nobody_waits_for_the_deadline_again(bench: Bench, proxy: Proxy) -> None:
    proxy.choose = lambda *_: "error"
    with pytest.raises(StoreDown):
        await bench.seal(SMALL)
    made = len(proxy.made)

    with pytest.raises(StoreDown):
        await bench.seal(SMALL)

    assert len(proxy.made) == made + 1


async def test_no_connection_is_left_behind(bench: Bench, proxy: Proxy) -> None:
    blob = await bench.seal(LARGE)
    proxy.fail_often(0.5, 1, ("reset", "cut", "wrong", "lost"))
    for _ in range(8):
        try:
            chunks = bench.store.chunks(blob, 0, blob.size)
            await anext(chunks)  # a client that leaves after a mebibyte
            await chunks.aclose()
        except StoreDown:
            continue
    assert isinstance(bench.store, S3Store)

    bench.store.close()
    del bench.store

    assert await asyncio.to_thread(proxy.is_idle, 1, PATIENCE_S)  # the library may keep one for the next request
