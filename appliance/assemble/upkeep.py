"""What the appliance does by itself in moments, and so needs no jobs: write its books, make room, lay ballast."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

from appliance.assemble.folder import DataFolder
from appliance.assemble.stock import Opened
from appliance.assemble.timetable import Clock, Entry
from appliance.config import Config
from appliance.db.database import BALLAST
from appliance.logs import Log
from appliance.services import collect, tally
from appliance.services.books import Books

_UPKEEP_S = 600.0  # between two looks at the disk: ballast, reserve
_ROOM_S = 30.0  # between two looks whether the disk still has room for new bytes
_SOON_S = 60.0  # after the start, when what is not urgent begins


class Upkeep:
    """The work of the timetable."""

    def __init__(
        self,
        config: Callable[[], Config],
        folder: DataFolder,
        opened: Opened,
        books: Books,
        clock: Clock,
        executor: Executor,
        log: Log,
    ) -> None:
        """Look after `opened`; `config` returns what is in force."""
        self._config = config
        self._folder = folder
        self._opened = opened
        self._stock = opened.stock
        self._books = books
        books.is_short = self.is_short
        books.is_full = lambda: folder.free_bytes() < BALLAST
        self._clock = clock
        self._executor = executor
        self._log = log

    def entries(self) -> tuple[Entry, ...]:
        """Return the timetable."""
        return (
            Entry("books", self._books.write, lambda: tally.FLUSH_S, tally.FLUSH_S),
            Entry("room", self._make_room, lambda: _ROOM_S, _ROOM_S),
            Entry("upkeep", self._keep_house, lambda: _UPKEEP_S, _SOON_S),
        )

    def follow_disk(self) -> int:
        """Keep as much of the disk free as is asked for, whatever its size is now; return the bytes."""
        reserve = self._config().storage.min_free.of(self._folder.size_bytes())
        self._stock.uploads.min_free = reserve
        return reserve

    def is_short(self) -> bool:
        """Whether the disk has no room for anything new."""
        return self._folder.free_bytes() < self._stock.uploads.min_free

    async def _keep_house(self) -> None:
        """Lay out the ballast where there is room, and follow a disk that was made larger or smaller."""
        laid = await asyncio.get_running_loop().run_in_executor(
            self._executor, self._folder.lay_ballast, BALLAST, self.follow_disk()
        )
        if laid:
            self._log.debug("disk.ballast_laid", size=BALLAST)
        if self._stock.vault is not None:
            await self._stock.vault.copy()

    async def _make_room(self) -> None:
        """Give up what waits in recycle, the oldest first, where nothing new would be taken for want of room."""
        if self.is_short() and self._clock.is_steady(self._config().storage.recycle):
            freed = await collect.make_room(self._stock, self.is_short, started=self._opened.started)
            self._log.warn("disk.nearly_full", freed=freed.bytes, cure="free the disk, or delete images")
