import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.db.database import Database
from appliance.logs import Log


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=4) as threads:
        yield threads


@pytest.fixture
def database(tmp_path: Path, executor: ThreadPoolExecutor) -> Iterator[Database]:
    """A new database with a writer of its own, closed at the end."""
    opened = Database(tmp_path / "scr.sqlite", executor, Log(out=io.StringIO()))
    try:
        yield opened
    finally:
        opened.close()
