"""What the handler of a job sees of it: what was ordered, whether to go on, and where to say how it goes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from appliance.db import jobs
from appliance.db.database import Database, Transaction
from appliance.domain.job import Cancelled, Job
from appliance.domain.moment import Timestamp

T = TypeVar("T")
_LINES = 1000  # that wait to be written; the oldest go


class Postponed(Exception):
    """The job cannot be done now; it waits until `until` without an attempt being counted."""

    def __init__(self, until: Timestamp, reason: str) -> None:
        super().__init__(reason)
        self.until = until
        self.reason = reason


class Run:
    """One attempt at a job.

    A handler may be killed at any moment and is called again then: every effect is idempotent, keyed by job and step.
    A long one asks `is_cancelled` (or `check`) between its steps; one that does not ask is cancelled as a task.
    """

    def __init__(self, job: Job, db: Database, clock: Callable[[], Timestamp]) -> None:
        """Run `job`, as it was claimed."""
        self.job = job
        self.is_asked_to_end = job.is_cancelling
        self.has_seen_it = False
        self.forcing: asyncio.TimerHandle | None = None  # cancels the task of a handler that does not ask
        self.reported = ""
        self._db = db
        self._clock = clock
        self._lines: list[tuple[Timestamp, str]] = []
        self._far = (0, 0)
        self._news = asyncio.Event()

    def order(self, shape: type[T]) -> T:
        """Return what was ordered, as `shape`."""
        return msgspec.json.decode(self.job.detail, type=shape)

    def checkpoint(self, shape: type[T]) -> T | None:
        """Return what `keep` kept in an attempt that was interrupted, or None."""
        return msgspec.json.decode(self.job.checkpoint, type=shape) if self.job.checkpoint else None

    async def keep(self, checkpoint: object) -> None:
        """Write down where the next attempt goes on, should this one be interrupted (durable when it returns)."""
        await self._db.write(lambda tx: self.keep_in(tx, checkpoint))

    def keep_in(self, tx: Transaction, checkpoint: object) -> None:
        """Keep it in the transaction of what was done, so that neither is there without the other."""
        jobs.keep_checkpoint(tx, self.job.id, msgspec.json.encode(checkpoint).decode())

    def say(self, text: str) -> None:
        """Append a line to the job's log. It is written within a second."""
        self._lines.append((self._clock(), text))
        self._news.set()

    def progress(self, done: int, total: int) -> None:
        """Say how far it is, in a unit of its own."""
        self._far = (done, total)
        self._news.set()

    def report(self, value: object) -> None:
        """Say what it did: what JSON knows, shown when the job has ended."""
        self.reported = msgspec.json.encode(value).decode()

    def is_cancelled(self) -> bool:
        """Whether somebody asked for its end; who gets True returns soon, and the job is cancelled."""
        self.has_seen_it = self.has_seen_it or self.is_asked_to_end
        return self.is_asked_to_end

    def check(self) -> None:
        """Go on, unless somebody asked for the job's end. Raises Cancelled, which the scheduler catches."""
        if self.is_cancelled():
            raise Cancelled

    async def write_news(self) -> None:
        """Write what was said since the last time. What cannot be written now is kept."""
        self._news.clear()
        lines, far = self._lines, self._far
        self._lines = []
        try:
            await self._db.write(lambda tx: jobs.note(tx, self.job.id, *far, lines))
        except BaseException:
            self._lines = (lines + self._lines)[-_LINES:]
            raise

    def take_news(self) -> tuple[int, int, list[tuple[Timestamp, str]]]:
        """Return what was said and not yet written, for the transaction that ends the job."""
        lines, self._lines = self._lines, []
        return *self._far, lines

    async def has_news(self) -> None:
        """Wait until something was said."""
        await self._news.wait()


Handler = Callable[[Run], Awaitable[None]]


class Work(msgspec.Struct, frozen=True):
    """How jobs of one kind are run: by whom, how many at once, and how often they are tried."""

    kind: str
    handler: Handler
    parallel: Callable[[], int] = lambda: 1
    attempts: int = 5
    is_quick: bool = False  # begins however many others run: it is soon over, and must not wait for days
