"""The books of the appliance: what happened, kept in memory by whoever is fast and written down by whoever is patient.

Counters and sign-ins go to the metadata in one transaction every 10 s; traffic and refusals go to `logs.sqlite`. What
cannot be written is kept, and tried again.
"""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable

import msgspec

from appliance.db import metric_history, registries
from appliance.db.side_file import SideFile
from appliance.domain.moment import Timestamp
from appliance.errors import ScrError
from appliance.metrics import Counter
from appliance.services import audit, refusals, tally, traffic
from appliance.services.alive import Alive
from appliance.services.audit import Audit
from appliance.services.course import UNFOLLOWED, Course
from appliance.services.logins import Login, Logins
from appliance.services.refusals import Refusals
from appliance.services.stock import Stock
from appliance.services.tally import Tally
from appliance.services.traffic import Traffic

_GATHER_S = 0.2  # seconds in which commits are gathered before they are looked at
_SLICE = 200  # rows deleted in one transaction


class Bounds(msgspec.Struct, frozen=True):
    """How long (milliseconds) and how much (bytes) is kept."""

    activity_keep: int
    activity_size: int
    traffic_keep: int
    traffic_size: int


class Pruned(msgspec.Struct, frozen=True):
    """How much was deleted: spans of counters, records of activity, lines of traffic."""

    spans: int
    records: int
    lines: int


class Books:
    """Handed to the doors; made once, by `assemble/`."""

    def __init__(
        self, stock: Stock, file: SideFile, bounds: Bounds, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep the books of `stock`; `clock` counts seconds steadily. `bounds` may be replaced while it runs."""
        self.bounds = bounds
        self.file = file
        self.tally = Tally(clock)
        self.logins = Logins(stock.clock)
        self.alive = Alive()
        self.traffic = Traffic()
        self.refusals = Refusals(stock.clock, stock.log)
        self.audit = Audit(stock.db, self.tally, stock.log, stock.clock)
        self.own_url: Callable[[], str] = lambda: "http://localhost"  # of a listener, for who comes by none
        self.is_short: Callable[[], bool] = lambda: False  # whether the disk has no room for what may be lost
        self.is_full: Callable[[], bool] = lambda: False  # whether a commit might take the ballast, kept for deletes
        self.clock = stock.clock
        self.db = stock.db
        self._stock = stock
        self.turn = asyncio.Lock()  # what was counted is either in memory or written, while somebody holds it
        self._committed = asyncio.Event()
        self._has_changed = True  # registries, perhaps

    async def begin(self) -> None:
        """Go on where the last process ended."""
        await self.audit.begin()
        self.audit.changed = self._note_change
        self.db.committed = self._committed.set
        self._committed.set()  # what a crash left unsaid
        await self._look()

    def signed_in(self, login: Login) -> None:
        """Count and keep a sign-in, allowed or denied."""
        counter = Counter.LOGINS if login.is_allowed else Counter.LOGINS_DENIED
        self.tally.count(login.registry, counter, self.clock())
        self.logins.note(login)

    async def follow(self) -> None:
        """Say and count changes soon after they are committed, for ever."""
        while True:
            await self._committed.wait()
            await asyncio.sleep(_GATHER_S)
            self._committed.clear()
            await self._try(self.audit.follow)
            if self._has_changed:
                await self._try(self._look)

    async def write_traffic(self) -> None:
        """Write full batches of the traffic log at once, for ever."""
        while True:
            await self.traffic.is_due.wait()
            await self._try(self.write_logs)

    async def write_logs(self) -> None:
        """Write traffic and refusals, unless the disk is short of room. Raises StorageFull, StoreFailed, Stopping."""
        self.traffic.is_due.clear()
        if self.is_short():
            return
        await self.traffic.flush(self.file)
        await self.refusals.flush(self.file)

    async def write_counts(self, *, is_last: bool = False) -> None:
        """Write what was counted, unless the disk is about full. Raises StorageFull, StoreFailed, Stopping."""
        self.tally.sweep(is_last=is_last)
        self.logins.sweep(is_last=is_last)
        if self.is_full() and not is_last:
            return
        if is_last or self.alive.is_due(self.clock()):
            await self._look()
        async with self.turn:
            await tally.flush(self.db, self.tally.pulls, self.tally, self.logins, self.alive)

    async def write(self) -> None:
        """Write everything: the work of the timetable."""
        try:
            await self.write_counts()
        finally:
            await self.write_logs()

    async def close(self) -> None:
        """Write everything for the last time; what cannot be written is lost, and said."""
        await self._try(self.audit.follow)
        await self._try(functools.partial(self.write_counts, is_last=True))
        await self._try(self.write_logs)
        await asyncio.get_running_loop().run_in_executor(None, self.file.close)

    async def prune(self, course: Course = UNFOLLOWED) -> Pruned:
        """Delete what is older, or more, than is kept; return how much. Minutes go first, then hours, then days."""
        db, bounds, now = self.db, self.bounds, self.clock()
        spans = 0
        while done := await db.write(lambda tx: metric_history.forget(tx, now, _SLICE)):
            spans += done
            course.check()
        records = await audit.prune(db, Timestamp(now - bounds.activity_keep), bounds.activity_size)
        await refusals.prune(self.file, Timestamp(now - bounds.traffic_keep))
        lines = await traffic.prune(self.file, Timestamp(now - bounds.traffic_keep), bounds.traffic_size)
        return Pruned(spans, records, lines)

    def _note_change(self) -> None:
        self._has_changed = True

    async def _look(self) -> None:
        """Look which registries serve, and whose traffic is kept."""
        self._has_changed = False
        found = await self.db.read(registries.list_all)
        self.alive.see((one.id for one in found if one.is_ready), self.clock())
        self.traffic.registries = frozenset(one.id for one in found if one.settings.log_traffic)

    async def _try(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work`; what goes wrong is said once, and tried again with what comes next."""
        try:
            await work()
        except ScrError as error:
            self._stock.log.warn("books.failed", reason=error.message)
        except Exception as error:  # noqa: BLE001 - the last border: keeping books must not take the server with it
            self._stock.log.error("books.failed", reason=repr(error))
