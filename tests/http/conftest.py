"""The doorkeeper of `gate.py`, for tests that need no sockets."""

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.blobstore.files import Files
from tests.http.gate import Gate
from tests.services.conftest import House


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=4) as threads:
        yield threads


@pytest.fixture
async def gate(tmp_path: Path, executor: ThreadPoolExecutor) -> AsyncIterator[Gate]:
    house = House(tmp_path, executor, Files())
    await house.open()
    try:
        yield Gate(house, executor)
        house.assert_sound()
    finally:
        house.stock.db.close()
