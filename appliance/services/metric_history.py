"""The manual's counters as they are asked for: what is written, what still waits in memory, and when it was alive."""

from collections.abc import Sequence

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
    return [Recorded(Timestamp(at), one, _part(alive, at, min(at + span, books.clock()))) for at, one in counts.items()]


def _read(
    reader: Reader, registries: Sequence[RegistryId], span: int, since: Timestamp, until: Timestamp
) -> tuple[list[metric_history.Point], list[tuple[Timestamp, Timestamp]]]:
    return (
        metric_history.list_points(reader, registries, span, since, until),
        metric_history.list_alive(reader, registries, since, until),
    )


def _part(alive: Sequence[tuple[Timestamp, Timestamp]], start: int, end: int) -> float:
    """Return which part of [start, end) lies in one of `alive`, which are sorted; a minute begun counts whole."""
    minutes, reached = 0, start
    for since, until in alive:
        low, high = max(since // MINUTE * MINUTE, reached), min(until // MINUTE * MINUTE + MINUTE, end)
        if high > low:
            minutes += high - low
            reached = high
    return round(min(minutes / max(end - start, 1), 1.0), 4)
