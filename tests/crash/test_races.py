"""Two that meet at one blob: each order of events is brought about by hand, none is left to luck."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from appliance.db import blobs
from appliance.db.database import Transaction
from appliance.domain.moment import Timestamp
from appliance.domain.names import parse_digest
from appliance.domain.registry import BlobId, FoundBlob, ImageId
from appliance.services import collect, delete, push
from appliance.services.stock import Leases
from tests.crash.inspection import check_files
from tests.crash.world import World, grant, open_world, pieces
from tests.make import images
from tests.make.images import Blob

pytestmark = pytest.mark.anyio
PATIENCE_S = 60
APP = "pay/api"
LAYER = Blob(b"a layer" * 500)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A registry with nothing in it."""
    async with open_world(tmp_path_factory.mktemp("races")) as opened:
        yield opened


class HeldLeases(Leases):
    """Stops the writer between deciding that a link may go and deleting it."""

    def __init__(self) -> None:
        super().__init__()
        self.decided, self.may_go_on = threading.Event(), threading.Event()

    def may_go(self, image: ImageId, blob: BlobId, now: Timestamp) -> bool:
        decision = super().may_go(image, blob, now)
        self.decided.set()
        assert self.may_go_on.wait(PATIENCE_S)
        return decision


async def seen(event: threading.Event) -> None:
    """Wait for `event` without holding up the loop."""
    assert await asyncio.get_running_loop().run_in_executor(None, event.wait, PATIENCE_S)


def waiting(world: World) -> int:
    """Return how many writes wait for the writer."""
    return world.database._requests.qsize()  # noqa: SLF001 - no door shows it


async def until(claim: Callable[[], bool]) -> None:
    """Let everything else run until `claim` holds; the test's own time limit is the patience."""
    while not claim():  # noqa: ASYNC110 - a queue rings no bell
        await asyncio.sleep(0)


def found(world: World, blob: Blob) -> FoundBlob | None:
    return blobs.find(world.database.reader, grant(APP).image, parse_digest(blob.digest))


async def test_a_blob_pushed_again_outlives_the_manifest_that_needed_it_before(world: World) -> None:
    first, second = images.image([{"a": b"1"}]), images.image([{"a": b"1"}], annotations={"build": "2"})
    await world.push_image(APP, first, "1")
    await delete.delete_manifest(world.stock, grant(APP), parse_digest(first.digest), world.stock.clock())
    for blob in second.blobs:
        await world.push_blob(APP, blob)

    await collect.collect(world.stock, started=Timestamp(0))
    await world.put_manifest(APP, second, "2")

    assert all(found(world, blob) for blob in second.blobs)


async def test_nobody_is_told_that_a_blob_is_there_while_it_is_being_collected(world: World) -> None:
    await world.push_blob(APP, LAYER)
    there = found(world, LAYER)
    assert there is not None
    leases = world.stock.leases = HeldLeases()
    collecting = asyncio.create_task(world.collect())
    await seen(leases.decided)

    is_promised = leases.give(there.image, there.stored.id, world.stock.clock())  # HEAD, of the last commit
    leases.may_go_on.set()
    await collecting

    assert not is_promised
    assert found(world, LAYER) is None
    await world.push_blob(APP, LAYER)
    again = found(world, LAYER)
    assert again is not None
    assert leases.give(again.image, again.stored.id, world.stock.clock())


async def test_what_a_client_was_told_is_there_is_not_collected(world: World) -> None:
    await world.push_blob(APP, LAYER)
    there = found(world, LAYER)
    assert there is not None

    assert world.stock.leases.give(there.image, there.stored.id, Timestamp(world.stock.clock() + 3 * 3_600_000))
    await world.collect()

    assert found(world, LAYER) is not None


async def test_the_sweep_leaves_a_push_whose_client_has_left_while_its_row_was_on_its_way(world: World) -> None:
    is_held, may_go_on = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> None:
        del tx
        is_held.set()
        assert may_go_on.wait(PATIENCE_S)

    upload = await world.start_upload(APP)
    await upload.receive(pieces(LAYER.data))
    holding = asyncio.create_task(world.database.write(hold))
    await seen(is_held)
    finishing = asyncio.create_task(
        push.finish_upload(world.stock, grant(APP), upload, parse_digest(LAYER.digest), world.stock.clock())
    )
    await until(lambda: waiting(world) == 1)
    finishing.cancel()
    await asyncio.wait([finishing])
    sweeping = asyncio.create_task(world.sweep())
    await until(lambda: waiting(world) == 2)
    may_go_on.set()
    await asyncio.gather(holding, sweeping)

    there = found(world, LAYER)
    assert there is not None
    assert b"".join([bytes(chunk) async for chunk in world.store.chunks(there.stored, 0, there.stored.size)]) == (
        LAYER.data
    )
    check_files(world)
