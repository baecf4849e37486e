"""The first page at a glance: counters of a day as small lines, recent pushes, running jobs, what needs care.

Each part is asked for by itself: who may not see one of them sees the others.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

import msgspec

from appliance.http.api.images import Image
from appliance.http.api.jobs import JobShown
from appliance.http.api.metrics import Series, Step
from appliance.http.api.page import Page
from appliance.http.api.status import Status
from appliance.http.ui.backend import Refused
from appliance.http.ui.view import View
from appliance.metrics import ALIVE

T = TypeVar("T")
_RECENT = 5
_WIDTH, _HEIGHT = 100, 24  # of a line, in its own units
_CURES = {  # check of /health/ready -> the page that helps
    "database": "/storage",
    "disk": "/storage",
    "object store": "/storage",
    "replication": "/settings?name=replic",
    "configuration": "/settings",
    "listeners": "/settings?name=listen",
    "tls certificate": "/settings?name=tls",
    "allowlists": "/allowlists",
    "vulnerability data": "/vulnerability-data",
}


class Line(msgspec.Struct, frozen=True):
    """A counter of the last 24 hours, by the hour: its sum, and the points of its line."""

    title: str
    total: int
    points: str


class Care(msgspec.Struct, frozen=True):
    """Something that needs somebody, and where it is mended."""

    what: str
    detail: str
    place: str


class Glance(msgspec.Struct, frozen=True):
    """All of it."""

    lines: Sequence[Line]
    pushes: Sequence[Image]
    jobs: Sequence[JobShown]
    cares: Sequence[Care]


async def look(view: View, appliance: Status | None) -> Glance:
    """Return what the viewer may see of it."""
    since = (view.now - timedelta(hours=24)).isoformat(timespec="seconds")
    series, images, running, failed = await asyncio.gather(
        _try(view, "/api/v1/metrics", Page[Series], since=since, step=Step.HOUR.value),
        _try(view, "/api/v1/images", Page[Image], registry="*", sort="-pushed", limit=_RECENT),
        _try(view, "/api/v1/jobs", Page[JobShown], state="running", limit=_RECENT),
        _try(view, "/api/v1/jobs", Page[JobShown], state="failed", limit=_RECENT),
    )
    return Glance(
        lines=[_line(one) for one in (series.items if series else []) if one.name != ALIVE.name],
        pushes=images.items if images else [],
        jobs=running.items if running else [],
        cares=list(_cares(view, appliance, failed.items if failed else [])),
    )


async def _try(view: View, path: str, shape: type[T], **query: object) -> T | None:
    try:
        return await view.api.get(path, shape, **query)
    except Refused as error:
        if error.status not in {403, 404}:
            raise
        return None


def _line(series: Series) -> Line:
    values = [one.value for one in series.points]
    top = max(1.0, *values) if values else 1.0
    step = _WIDTH / max(1, len(values) - 1)
    points = " ".join(
        f"{index * step:.1f},{_HEIGHT - 1 - (_HEIGHT - 2) * value / top:.1f}" for index, value in enumerate(values)
    )
    return Line(series.title, int(sum(values)), points)


def _cares(view: View, appliance: Status | None, failed: Sequence[JobShown]) -> Sequence[Care]:
    found = []
    if appliance is not None:
        found += [
            Care(view.text(one.name), one.detail, _CURES.get(one.name, "/settings"))
            for one in appliance.checks
            if not one.ok
        ]
        if broken := appliance.usage.quarantined:
            said = view.text("{} blobs are broken and in quarantine; the next push of each heals it").format(broken)
            found.append(Care(view.text("storage"), said, "/storage"))
        if denied := appliance.lately.pulls_denied:
            said = view.text("{} pulls were refused in the last 24 hours").format(denied)
            found.append(Care(view.text("refused pulls"), said, "/activity/refusals"))
    yesterday = view.now - timedelta(hours=24)
    recent = [one for one in failed if one.ended_at is not None and one.ended_at > yesterday]
    return [*found, *(Care(f"{view.text('failed job')} {one.kind}", one.reason, f"/jobs/{one.id}") for one in recent)]
