"""The manual's counters as they are asked for: what is written, what still waits in memory, and when it was alive."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from appliance.db import metric_history
from appliance.db.database import Reader
from appliance.domain.moment import MINUTE, Timestamp
from appliance.domain.registry import RegistryId
from appliance.metrics import Counter, Counts
from appliance.services.books import Books


class Recorded(msgspec.Struct, frozen=True):
    """One span of time: the sums of the counts in it, and which part of it any of the registries served (0 to 1)."""

    at: Timestamp
    counts: Counts
    alive: float


async def read(
    books: Books, registries: Sequence[RegistryId], span: int, since: Timestamp, until: Timestamp
) -> list[Recorded]:
    """Return every span of [since, until) in its order, what was not written yet included."""
    first = since // span * span
    counts = {at: [0] * len(Counter) for at in range(first, until, span)}
    async with books.turn:
        waiting = books.tally.waiting()
        points, alive = await books.db.read(lambda reader: _read(reader, registries, span, Timestamp(first), until))
    for point in points:
        counts[point.at] = list(point.counts)
    for (registry, minute), more in waiting.items():
        at = minute * MINUTE // span * span
        if registry in registries and at in counts:
            counts[at] = [one + other for one, other in zip(counts[at], more, strict=True)]
    parts = _parts(alive, list(counts), span, books.clock())
    return [Recorded(Timestamp(at), one, part) for (at, one), part in zip(counts.items(), parts, strict=True)]


def _read(
    reader: Reader, registries: Sequence[RegistryId], span: int, since: Timestamp, until: Timestamp
) -> tuple[list[metric_history.Point], list[tuple[int, int]]]:
    points = metric_history.list_points(reader, registries, span, since, until)
    return points, _merge(metric_history.list_alive(reader, registries, since, until))


def _merge(alive: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return times (sorted by their beginning) in whole minutes, as far as begun, those that meet as one."""
    found: list[tuple[int, int]] = []
    for since, until in alive:
        start, end = since // MINUTE * MINUTE, until // MINUTE * MINUTE + MINUTE
        if found and start <= found[-1][1]:
            start, end = found[-1][0], max(end, found.pop()[1])
        found.append((start, end))
    return found


def _parts(alive: Sequence[tuple[int, int]], starts: Sequence[int], span: int, now: int) -> Iterator[float]:
    """Yield for each of the spans which part of it, as far as it is over, lies in `alive`; both are sorted."""
    first = 0
    for start in starts:
        end = max(min(start + span, now), start + 1)
        while first < len(alive) and alive[first][1] <= start:
            first += 1
        covered, place = 0, first
        while place < len(alive) and alive[place][0] < end:
            covered += min(alive[place][1], end) - max(alive[place][0], start)
            place += 1
        yield round(covered / (end - start), 4)
