"""`/metrics` for Prometheus, and `/api/v1/metrics`: the same counts over time, under the manual's names."""

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter, SkipValidation

from appliance.domain.access import Action
from appliance.domain.moment import DAY, HOUR, MINUTE
from appliance.errors import QueryInvalid
from appliance.http.api.asking import InAsking, InBooks, InStock, RegistryOf
from appliance.http.api.page import Page, moment
from appliance.http.api.viewing import Since, Until, find_viewed, time_or
from appliance.http.gauges import gather
from appliance.http.meter import Meter
from appliance.metrics import ALIVE, CONTENT_TYPE, NAMED, Counter, Named, render
from appliance.services import metric_history
from appliance.services.metric_history import Recorded

InMeter = NamedDependency[SkipValidation[Meter]]
_MOST = 1500  # spans of one answer


class Step(enum.StrEnum):
    """How long each of the spans is."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


SPANS = {Step.MINUTE: MINUTE, Step.HOUR: HOUR, Step.DAY: DAY}
_NAMES: dict[str, Counter | None] = {ALIVE.name: None, **{named.name: counter for counter, named in NAMED.items()}}
NameOf = Annotated[
    list[str] | None, QueryParameter(name="name", description="a name of the manual, as often as you like; else all")
]


class Point(msgspec.Struct, frozen=True):
    """One span of time, from `at` on."""

    at: datetime
    value: float


class Series(msgspec.Struct, frozen=True):
    """One metric of the manual over time: `registry` null is the total of all registries the asker may view."""

    name: str
    title: str
    unit: str
    registry: str | None
    step: Step
    points: list[Point]


@get("/metrics", include_in_schema=False)
async def show_metrics(stock: InStock, books: InBooks, meter: InMeter, asking: InAsking) -> Response[bytes]:
    """Return everything that is measured, in the text form of Prometheus."""
    asking.check(Action.VIEW_REGISTRY)
    names = find_viewed(stock, asking, None)
    await books.audit.follow()
    return Response(render(await gather(stock, books, meter, names)), media_type=CONTENT_TYPE)


@get("/api/v1/metrics", tags=["metrics"])
async def list_metrics(
    stock: InStock,
    books: InBooks,
    asking: InAsking,
    registry: RegistryOf = None,
    name: NameOf = None,
    since: Since = None,
    until: Until = None,
    step: FromQuery[Step | None] = None,
) -> Page[Series]:
    """List the manual's metrics over time: of one registry or in total; without times, the last hour by the minute."""
    names = find_viewed(stock, asking, registry)
    wanted = list(_NAMES) if name is None else name
    for one in wanted:
        if one not in _NAMES:
            raise QueryInvalid(f"there is no metric {one[:80]!r}; leave name out to see all of them")
    await books.audit.follow()
    end = time_or(until, stock.clock())
    start = time_or(since, end - (HOUR if step in (None, Step.MINUTE) else DAY if step is Step.HOUR else 30 * DAY))
    chosen = step or _fitting(end - start)
    if not 0 < end - start <= _MOST * SPANS[chosen]:
        raise QueryInvalid(f"since must come before until, by {_MOST} steps at most; ask for less, or another step")
    found = await metric_history.read(books, list(names), SPANS[chosen], start, end)
    return Page([_series(one, registry, chosen, found) for one in wanted], None)


def _fitting(length: int) -> Step:
    """Return the step that a span of `length` milliseconds is best shown by."""
    return Step.MINUTE if length <= 6 * HOUR else Step.HOUR if length <= 14 * DAY else Step.DAY


def _series(name: str, registry: str | None, step: Step, found: Sequence[Recorded]) -> Series:
    counter = _NAMES[name]
    named: Named = ALIVE if counter is None else NAMED[counter]
    points = [Point(moment(one.at), one.alive if counter is None else one.counts[counter]) for one in found]
    return Series(name, named.title, named.unit, registry, step, points)
