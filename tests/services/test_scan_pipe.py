"""The pipe to a scanning child: all of what is given, in order, and an end where nobody reads."""

import asyncio
import os

import pytest

from appliance.services.scan_pipe import Pipe

pytestmark = pytest.mark.anyio
LARGE = bytes(range(256)) * 20_000  # five times what the pipe holds


def _drain(descriptor: int, size: int) -> bytes:
    """Read in odd steps, so that writes end in the middle of a part."""
    taken = bytearray()
    while len(taken) < size and (piece := os.read(descriptor, 77_777)):
        taken += piece
    return bytes(taken)


async def test_more_than_it_holds_comes_through_in_order() -> None:
    pipe = Pipe()
    length = 3 + 2 * len(LARGE)
    reading = asyncio.get_running_loop().run_in_executor(None, _drain, pipe.reading, length)

    await pipe.write(b"abc", b"", memoryview(LARGE))
    await pipe.write(LARGE)

    assert await reading == b"abc" + LARGE + LARGE
    pipe.close()


async def test_it_takes_all_before_it_returns_so_a_view_may_change_then() -> None:
    pipe = Pipe()
    body = bytearray(LARGE)
    reading = asyncio.get_running_loop().run_in_executor(None, _drain, pipe.reading, len(LARGE))

    await pipe.write(memoryview(body))
    body[:] = bytes(len(body))

    assert await reading == LARGE
    pipe.close()


async def test_who_waits_hears_that_the_last_reader_has_gone() -> None:
    pipe = Pipe()

    async def leave() -> None:
        await asyncio.sleep(0)
        pipe.give()

    async with asyncio.TaskGroup() as group:
        group.create_task(leave())
        with pytest.raises(ConnectionError):
            await pipe.write(LARGE)
    pipe.close()
    with pytest.raises(ConnectionError):
        await pipe.write(b"more")
