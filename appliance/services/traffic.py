"""The traffic log: allowed pulls and pushes of the registries that want it, so that "who pulled this?" has an answer.

The hot path appends one tuple; everything else is done a batch at a time, in a worker thread, into `logs.sqlite`. A
crash loses what is still in memory, 10 s of it at most; where the disk takes nothing, the newest lines find no room and
are counted.
"""

import asyncio
from collections.abc import Callable

from appliance.db import traffic
from appliance.db.database import Transaction
from appliance.db.side_file import SideFile
from appliance.db.traffic import Passage
from appliance.domain.admission import Grant
from appliance.domain.foreign import parse_agent
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, Tag, is_digest
from appliance.domain.registry import RegistryId
from appliance.errors import ScrError

BATCH = 5000  # lines that are written before their 10 s are over
MOST = 100_000  # lines in memory; some 50 MB, where nothing can be written
_SLICE = 5000  # lines deleted in one transaction
_SPARE = 0.02  # of the size that is deleted beyond it, so that not every batch deletes

Line = tuple[Timestamp, str, Grant, Tag | Digest, Digest, int, bytes]  # when, kind, whose, asked by, what, bytes, agent


class Traffic:
    """Lines that are not written yet. `registries` are those whose traffic is kept."""

    def __init__(self) -> None:
        """Begin with none."""
        self.registries: frozenset[RegistryId] = frozenset()
        self.is_due = asyncio.Event()  # a batch is full
        self.lost = 0
        self._lines: list[Line] = []

    def __len__(self) -> int:
        """Return how many lines wait."""
        return len(self._lines)

    def note(self, line: Line) -> None:
        """Keep a line. The caller has looked whether its registry is one of `registries`: most are not."""
        lines = self._lines
        if len(lines) >= MOST:
            self.lost += 1
            return
        lines.append(line)
        if len(lines) == BATCH:
            self.is_due.set()

    async def flush(self, file: SideFile) -> None:
        """Write what waits. What cannot be written is kept for the next time."""
        self.is_due.clear()
        lines, self._lines = self._lines, []
        if not lines:
            return

        def write(tx: Transaction) -> None:
            traffic.append(tx, map(_passage, lines))

        try:
            await file.write(write)
        except ScrError:
            self._lines = lines + self._lines
            raise


def _passage(line: Line) -> Passage:
    at, kind, grant, reference, digest, size, agent = line
    return Passage(
        at=at,
        kind=kind,
        registry=grant.image.registry,
        path=str(grant.path),
        tag="" if is_digest(reference) else reference,
        digest=digest,
        size=size,
        principal=str(grant.principal),
        address=grant.caller.address,
        client=parse_agent(agent),
    )


async def prune(file: SideFile, before: Timestamp, size: int) -> int:
    """Delete lines older than `before`, and the oldest while the file uses more than `size` bytes; return how many."""
    gone = 0
    while done := await file.write(_older_than(before)):
        gone += done
    if await file.read(traffic.used_bytes) > size:
        while await file.read(traffic.used_bytes) > size * (1 - _SPARE):
            done = await file.write(lambda tx: traffic.forget_oldest(tx, _SLICE))
            gone += done
            if not done:  # what is left are refusals, which have a bound of their own
                break
    if gone:
        await file.give_back()
    return gone


def _older_than(before: Timestamp) -> Callable[[Transaction], int]:
    return lambda tx: traffic.forget(tx, before, _SLICE)
