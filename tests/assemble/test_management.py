"""Console and API are made once, with the first request or soon after the start, and nobody else waits for them."""

import asyncio
import threading
from pathlib import Path

import pytest

from appliance.assemble.management import Management
from appliance.http.front import AsgiApp
from tests.make.client import Client
from tests.make.server import Server


class Maker:
    """Makes an application that counts, when it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.made = 0
        self.served = 0

    def __call__(self) -> AsgiApp:
        assert self.may.wait(30)
        self.made += 1

        async def serve(*_: object) -> None:
            self.served += 1

        return serve


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_everybody_who_asks_waits_for_the_same_making() -> None:
    maker = Maker()
    management = Management(maker)
    asking = [asyncio.ensure_future(management({}, None, None)) for _ in range(5)]
    await asyncio.sleep(0)  # they have begun

    maker.may.set()
    await asyncio.gather(*asking)

    assert (maker.made, maker.served) == (1, 5)


@pytest.mark.anyio
async def test_who_leaves_meanwhile_does_not_stop_it_for_the_others() -> None:
    maker = Maker()
    management = Management(maker)
    leaving, staying = (asyncio.ensure_future(management({}, None, None)) for _ in range(2))
    await asyncio.sleep(0)

    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    maker.may.set()
    await staying

    assert (maker.made, maker.served) == (1, 1)


@pytest.mark.anyio
async def test_what_could_not_be_made_is_tried_again_by_the_next_one() -> None:
    maker = Maker()
    maker.may.set()
    outcomes = iter([OSError(24, "Too many open files"), None])

    def make() -> AsgiApp:
        if (failed := next(outcomes)) is not None:
            raise failed
        return maker()

    management = Management(make)
    with pytest.raises(OSError, match="Too many"):
        await management({}, None, None)
    await management({}, None, None)

    assert (maker.made, maker.served) == (1, 1)


def test_the_first_page_is_answered_by_a_server_that_just_began(tmp_path: Path) -> None:
    with Server(tmp_path) as server, Client(server.url) as client:
        client.get("/health/ready").expect(200)
