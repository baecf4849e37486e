"""Metrics: the manual's counters over time, from an hour to a year, of one registry or of all."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from litestar import Response, get

from appliance.http.api.metrics import SPANS, Series, Step
from appliance.http.api.page import Page
from appliance.http.ui.picking import list_registries
from appliance.http.ui.view import InView
from appliance.metrics import ALIVE

RANGES = {  # name -> how far back, by which step
    "1h": (timedelta(hours=1), Step.MINUTE),
    "6h": (timedelta(hours=6), Step.MINUTE),
    "24h": (timedelta(hours=24), Step.MINUTE),
    "7d": (timedelta(days=7), Step.HOUR),
    "30d": (timedelta(days=30), Step.HOUR),
    "1y": (timedelta(days=365), Step.DAY),
}
_DEFAULT = "24h"
_ROWS = 100  # of a chart's table: the newest spans in which something happened


class Chart(msgspec.Struct, frozen=True):
    """One counter: its values from `since` (seconds since 1970) on, one each `step` seconds."""

    name: str
    title: str
    total: float
    since: int
    step: int
    values: str  # with commas between them
    rows: Sequence[tuple[datetime, float]]
    is_share: bool  # whether values are a part of one, not a count


@get("/charts")
async def show_charts(view: InView) -> Response[str]:
    """Show a chart of each counter; without scripts a table of each."""
    told = view.request.query_params
    span = told.get("range", _DEFAULT)
    span = span if span in RANGES else _DEFAULT
    registry = told.get("registry", "")[:255]
    length, step = RANGES[span]
    since = (view.now - length).isoformat(timespec="seconds")
    page = await view.api.get("/api/v1/metrics", Page[Series], registry=registry, since=since, step=step.value)
    return view.page(
        "pages/charts.html",
        charts=[_chart(one) for one in page.items],
        ranges=list(RANGES),
        span=span,
        registry=registry,
        registries=await list_registries(view),
        step=step.value,
    )


def _chart(series: Series) -> Chart:
    is_share = series.name == ALIVE.name
    points = series.points
    happened = [(one.at, one.value) for one in points if one.value != is_share]
    return Chart(
        name=series.name,
        title=series.title,
        total=sum(one.value for one in points) / (len(points) or 1 if is_share else 1),
        since=int(points[0].at.timestamp()) if points else 0,
        step=SPANS[series.step] // 1000,
        values=",".join(f"{one.value:g}" for one in points),
        rows=happened[: -_ROWS - 1 : -1],
        is_share=is_share,
    )
