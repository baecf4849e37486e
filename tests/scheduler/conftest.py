"""A scheduler on a real database, with a clock that the test holds."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from appliance.db import jobs
from appliance.db.database import Database
from appliance.domain.job import Job, JobId, JobState
from appliance.domain.moment import Timestamp
from appliance.logs import Log
from appliance.scheduler import Schedule, Scheduler, Work

NOON = Timestamp(1_800_000_000_000)
PATIENCE_S = 30


class Desk:
    """A database and its scheduler; `now` is the clock, in milliseconds."""

    def __init__(self, path: Path, executor: ThreadPoolExecutor) -> None:
        self._path = path
        self._executor = executor
        self.printed = io.StringIO()
        self.now = NOON
        self.parallel = 4
        self.open()

    def open(self) -> None:
        self.db = Database(self._path, self._executor, Log(out=self.printed))

    def clock(self) -> Timestamp:
        return self.now

    async def enqueue(self, kind: str, subject: str = "", not_before: Timestamp | None = None, **detail: str) -> JobId:
        return await self.db.write(
            lambda tx: jobs.enqueue(tx, kind, subject, detail, self.now, by="test", not_before=not_before)
        )

    def job(self, job_id: JobId) -> Job:
        found = jobs.find_by_id(self.db.reader, job_id)
        assert found is not None
        return found

    def lines(self, job_id: JobId) -> list[str]:
        return [line.text for line in jobs.list_lines(self.db.reader, job_id, 0, 100)]

    @asynccontextmanager
    async def serving(self, works: Sequence[Work], entries: Sequence[Schedule] = ()) -> AsyncIterator[Scheduler]:
        """Run a scheduler; leaving stops it as the appliance does."""
        scheduler = Scheduler(self.db, self.clock, works, entries, lambda: self.parallel, Log(out=self.printed))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(scheduler.run())
            try:
                yield scheduler
            finally:
                task.cancel()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for the condition."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 - what is waited for is a row
                await asyncio.sleep(0.005)

    async def until_state(self, job_id: JobId, state: JobState) -> Job:
        await self.until(lambda: self.job(job_id).state is state)
        return self.job(job_id)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with ThreadPoolExecutor(max_workers=4) as executor:
        opened = Desk(tmp_path / "scr.sqlite", executor)
        try:
            yield opened
        finally:
            opened.db.close()
