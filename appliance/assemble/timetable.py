"""What the program does by itself, each at its own pace; and a guard against a clock that jumps.

Each entry sleeps until it is due: nothing polls. A piece of work that fails is said once and done again next time; it
never takes the server with it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from appliance.domain.moment import HOUR, SECOND, Timestamp
from appliance.errors import ScrError
from appliance.logs import Log

Work = Callable[[], Awaitable[None]]


class Entry(msgspec.Struct, frozen=True):
    """Work that is done again and again: first after `first_s` seconds, then `every_s` seconds after each end.

    `every_s` is asked anew each time: it is a setting, and may change; 0 or less sleeps until it does.
    """

    name: str
    work: Work
    every_s: Callable[[], float]
    first_s: float


class Timetable:
    """Runs entries, each in a task of its own, until they are cancelled."""

    def __init__(self, log: Log) -> None:
        """Complain to `log`."""
        self._log = log
        self._changed = asyncio.Event()

    def change(self) -> None:
        """Let every entry ask anew when it is due: settings have changed."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def follow(self, entry: Entry) -> None:
        """Do the work of `entry` for ever."""
        loop = asyncio.get_running_loop()
        began, wait = loop.time(), entry.first_s
        is_first = True
        while True:
            changed = self._changed
            try:
                async with asyncio.timeout_at(began + wait if wait > 0 or is_first else None):
                    await changed.wait()
            except TimeoutError:
                await self.run(entry)
                is_first = False
                began = loop.time()
            every = entry.every_s()
            if not is_first:
                wait = every
            elif 0 < every < wait:
                wait = every  # a pace that grew faster counts for the first time too

    async def run(self, entry: Entry) -> None:
        """Do the work once; say what goes wrong."""
        try:
            await entry.work()
        except ScrError as error:
            self._log.warn("timetable.failed", work=entry.name, reason=error.message)
        except Exception as error:  # noqa: BLE001 - the last border: said once, tried again later
            self._log.error("timetable.failed", work=entry.name, reason=repr(error))


class Clock:
    """The wall's clock, and whether it can be trusted: it is compared with one that nobody sets.

    Times in the database are the wall's. When it jumps, everything that counts a time from them (recycle, grace,
    expiry) would end too early, so whoever deletes asks `is_steady` first.
    """

    JUMP = HOUR  # milliseconds; less is a clock being set right, and no time that matters is shorter

    def __init__(
        self,
        log: Log,
        wall: Callable[[], float] = time.time,
        running: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
    ) -> None:
        """`running` counts on while the machine sleeps: a laptop that wakes up has not jumped."""
        self._log = log
        self._wall = wall
        self._running = running
        self._offset = wall() - running()
        self._distrusted_until = 0.0

    def now(self) -> Timestamp:
        """Return the time of the wall."""
        return Timestamp(int(self._wall() * SECOND))

    def is_steady(self, pause: int) -> bool:
        """Whether the clock can be trusted; a jump distrusts it for `pause` milliseconds, an hour at least."""
        offset = self._wall() - self._running()
        moved = int((offset - self._offset) * SECOND)
        if abs(moved) > self.JUMP:
            self._offset = offset
            self.distrust(moved, pause)
        return self._running() >= self._distrusted_until

    def left_of_pause(self, pause: int) -> int:
        """Return the milliseconds until the clock can be trusted again, 0 where it can now."""
        return 0 if self.is_steady(pause) else int((self._distrusted_until - self._running()) * SECOND) + 1

    def distrust(self, moved: int, pause: int) -> None:
        """Pause whatever deletes by time, because the clock moved by `moved` milliseconds; say so."""
        pause = max(pause, HOUR)
        self._distrusted_until = self._running() + pause / SECOND
        self._log.warn(
            "clock.moved",
            by_s=moved // SECOND,
            paused_s=pause // SECOND,
            cure="check the time of the host; what deletes by time goes on after the pause",
        )
