"""What is counted in memory and written every 10 s, so that nothing that is counted waits for the writer.

A crash may lose the last 10 s of it (DESIGN 1), and nothing else. Each part hands out what it has counted (`take`), all
parts are written in one transaction (`flush`), and what could not be written goes back to where it came from.
"""

import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from appliance.db import facts, images, manifests, metric_history
from appliance.db.database import Database, Reader, Transaction
from appliance.domain.access import Principal
from appliance.domain.admission import Grant
from appliance.domain.manifest import INDEXES, Manifest
from appliance.domain.moment import MINUTE, Timestamp
from appliance.domain.registry import FoundManifest, ImageId, ManifestId, RegistryId
from appliance.errors import ScrError
from appliance.metrics import Counter, Counts
from appliance.services.kinship import Fetched, Pushed

FLUSH_S = 10.0  # seconds between two flushes
FOLD_S = 10.0  # seconds; clients ask in several ways at once, and retry: a refused pull or push counts once meanwhile
FOLLOWED = "activity_followed"  # fact: the `seq` of the last activity that is in the counts
_PULLS = int(Counter.PULLS)  # looking up a member of an enum takes longer than counting
_REFUSED = 10_000  # refused pulls and pushes that are remembered


class Taken(msgspec.Struct, frozen=True):
    """What a part has counted: how it is written, and how it goes back where that failed."""

    write: Callable[[Transaction], None]
    give_back: Callable[[], None]


class Part(Protocol):
    """Something that counts in memory."""

    def take(self) -> Taken | None:
        """Hand out what was counted and count anew; None for nothing."""


async def flush(db: Database, *parts: Part) -> None:
    """Write what `parts` have counted, in one transaction. What cannot be written now (a full disk) is kept."""
    taken = [one for part in parts if (one := part.take()) is not None]
    if not taken:
        return

    def record(tx: Transaction) -> None:
        for one in taken:
            one.write(tx)

    try:
        await db.write(record)
    except ScrError:
        for one in taken:
            one.give_back()
        raise


class _Fetches:
    __slots__ = ("fetches", "image", "last", "pulls")

    def __init__(self, image: ImageId, fetches: int, pulls: int, last: Timestamp) -> None:
        self.image, self.fetches, self.pulls, self.last = image, fetches, pulls, last


class Pulls:
    """Fetches of manifests, and which of them were pulls: what the lists of images and manifests show."""

    def __init__(self) -> None:
        """Begin with none."""
        self._counts: dict[ManifestId, _Fetches] = {}

    def count(self, image: ImageId, manifest: ManifestId, now: Timestamp, fetches: int = 1, pulls: int = 1) -> None:
        """Count `fetches` of `manifest`, `pulls` of which were pulls of `image`, the newest of them at `now`."""
        counts = self._counts.get(manifest)
        if counts is None:
            self._counts[manifest] = _Fetches(image, fetches, pulls, now)
            return
        counts.fetches += fetches
        counts.pulls += pulls
        counts.last = max(counts.last, now)

    def take(self) -> Taken | None:
        """Hand out what was counted."""
        counts, self._counts = self._counts, {}

        def write(tx: Transaction) -> None:
            for manifest, one in counts.items():
                manifests.add_pulls(tx, manifest, one.fetches, one.last)
                images.add_pulls(tx, one.image, one.pulls, one.last)

        def give_back() -> None:
            for manifest, one in counts.items():
                self.count(one.image, manifest, one.last, one.fetches, one.pulls)

        return Taken(write, give_back) if counts else None


class Tally:
    """The manual's counters of each registry: since the start, and by the minute until they are written."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing counted. `clock` counts seconds steadily."""
        self.pulls = Pulls()
        self.followed = 0  # `seq` of the last activity that is counted here
        self._clock = clock
        self._fetched = Fetched(clock)
        self._pushed = Pushed(clock)
        self._refused: dict[tuple[object, ...], float] = {}
        self._waiting: dict[tuple[RegistryId, int], Counts] = {}
        self._minute = -1  # which `_now` counts; what was counted in another one waits already
        self._now: dict[RegistryId, Counts] = {}
        self._written: dict[RegistryId, Counts] = {}
        self._noted = 0  # what `followed` was when it was last written

    def begin(self, followed: int) -> None:
        """Begin behind the activity `followed`, which is counted already."""
        self.followed = self._noted = followed

    def count(self, registry: RegistryId, counter: int, now: Timestamp, by: int = 1) -> None:
        """Count `by` happenings at `now`. Hot."""
        if now // MINUTE != self._minute:
            self._turn(now // MINUTE)
        counts = self._now.get(registry)
        if counts is None:
            counts = self._now[registry] = self._waiting.setdefault((registry, self._minute), _none())
        counts[counter] += by

    def _turn(self, minute: int) -> None:
        self._minute, self._now = minute, {}

    def fetched(
        self, reader: Reader, registry: RegistryId, principal: Principal, found: FoundManifest, now: Timestamp
    ) -> None:
        """Count a manifest that was sent: as a pull, unless it is the child of an index that came before it."""
        fetched = self._fetched
        is_pull = not (fetched.indexes and fetched.is_child(reader, principal, found))
        if found.media_type in INDEXES:
            fetched.remember(principal, found)
        if is_pull:
            self.count(registry, _PULLS, now)
        self.pulls.count(found.image, found.id, now, 1, is_pull)

    def pushed(self, grant: Grant, manifest: Manifest, now: Timestamp, *, tagged: bool) -> None:
        """Count a manifest that was stored: as a push, unless it is the child of an index that comes with it."""
        self._pushed.add(grant.image, grant.principal, manifest, now, tagged=tagged)
        self._settle()

    def refused(self, registry: RegistryId, counter: Counter, asked: tuple[object, ...], now: Timestamp) -> None:
        """Count a refused pull or push, once in a while for the same `asked`: by whom, from where, of what."""
        key = registry, counter, *asked
        if self._refused.get(key, -FOLD_S) > self._clock() - FOLD_S:
            return
        if len(self._refused) >= _REFUSED:
            self._refused.clear()
        self._refused[key] = self._clock()
        self.count(registry, counter, now)

    def waiting(self) -> dict[tuple[RegistryId, int], Counts]:
        """Return what is not written yet, by registry and minute (of unix time)."""
        return {key: list(counts) for key, counts in self._waiting.items()}

    def totals(self) -> dict[RegistryId, Counts]:
        """Return what was counted since the start, by registry."""
        found = {registry: list(counts) for registry, counts in self._written.items()}
        for (registry, _), counts in self._waiting.items():
            _add(found.setdefault(registry, _none()), counts)
        return found

    def sweep(self, *, is_last: bool = False) -> None:
        """Count what has waited long enough (everything, where it is the last time), and forget what is too old."""
        self._pushed.sweep(everything=is_last)
        self._settle()
        self._fetched.sweep()
        since = self._clock() - FOLD_S
        self._refused = {key: at for key, at in self._refused.items() if at >= since}

    def take(self) -> Taken | None:
        """Hand out what was counted, and up to which activity."""
        counted, self._waiting = self._waiting, {}
        self._turn(-1)
        followed, noted = self.followed, self._noted
        if not counted and followed == noted:
            return None
        self._noted = followed
        for (registry, _), counts in counted.items():
            _add(self._written.setdefault(registry, _none()), counts)

        def write(tx: Transaction) -> None:
            metric_history.add(tx, counted)
            facts.put(tx, FOLLOWED, str(followed))

        def give_back() -> None:
            self._noted = min(self._noted, noted)
            for (registry, minute), counts in counted.items():
                _add(self._waiting.setdefault((registry, minute), _none()), counts)
                _add(self._written[registry], [-one for one in counts])

        return Taken(write, give_back)

    def _settle(self) -> None:
        for registry, at in self._pushed.take():
            self.count(registry, Counter.PUSHES, at)


def _none() -> Counts:
    return [0] * len(Counter)


def _add(counts: Counts, more: Counts) -> None:
    for place, count in enumerate(more):
        counts[place] += count
