"""The journal of uploads in parts: what a crash leaves in the object store is known at the next start, and aborted."""

from collections.abc import Awaitable, Callable

from appliance.db import multiparts
from appliance.db.database import Database
from appliance.domain.moment import Timestamp
from appliance.errors import StoreFailed
from appliance.logs import Log


class Multiparts:
    """A blobstore's Journal in the database."""

    def __init__(self, db: Database, clock: Callable[[], Timestamp]) -> None:
        """Write into `db`."""
        self._db = db
        self._clock = clock

    async def begin(self, key: str, upload: str) -> None:
        """Write an upload down; durable once this returns."""
        now = self._clock()
        await self._db.write(lambda tx: multiparts.begin(tx, key, upload, now))

    async def end(self, upload: str) -> None:
        """Take it out: it was completed or aborted."""
        await self._db.write(lambda tx: multiparts.end(tx, upload))


async def abort_left(db: Database, abort: Callable[[str, str], Awaitable[None]], log: Log) -> int:
    """Abort what was under way when the process ended; return how many. What fails is left to the daily sweep."""
    count = 0
    for key, upload in await db.read(multiparts.list_all):
        try:
            await abort(key, upload)
        except StoreFailed as error:
            log.warn("store.parts_left", reason=error.message, cure="none needed: the sweep takes them later")
            break
        count += 1
    return count
