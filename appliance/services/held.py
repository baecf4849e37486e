"""Which condemned bytes may go while a backup is made."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from appliance.db import blobs
from appliance.db.blobs import Condemned
from appliance.db.database import Database


class Held:
    """Condemned bytes that stay, because a backup gathers what its snapshot knows.

    In memory only: a backup that dies begins with another snapshot.
    """

    def __init__(self) -> None:
        """Begin without backups."""
        self._last: dict[object, int] = {}  # of each backup: the last row that its snapshot knows as condemned

    @asynccontextmanager
    async def hold(self, db: Database) -> AsyncIterator[None]:
        """Let all stay that is condemned from now on, until this is left."""
        backup = object()
        self._last[backup] = 0  # until it is known which it is, nothing may go
        try:
            self._last[backup] = await db.write(blobs.last_condemned)
            yield
        finally:
            del self._last[backup]

    def deletable(self, found: list[Condemned]) -> list[Condemned]:
        """Return those of `found` whose bytes may go now."""
        last = min(self._last.values(), default=None)
        return found if last is None else [one for one in found if one.id <= last]
