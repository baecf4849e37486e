"""Activity: changes, refusals, pulls and pushes; by who, what and when; taken away as a file."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from litestar import Controller, Response, get
from litestar.response import Stream

from appliance.db.traffic import KINDS
from appliance.http.api.activity import Activity
from appliance.http.api.page import Page
from appliance.http.api.refusals import Refused
from appliance.http.api.traffic import Transfer
from appliance.http.ui.backend import Refused as NotAllowed
from appliance.http.ui.lists import ACTIVITY_SORTS, Asked
from appliance.http.ui.picking import list_registries
from appliance.http.ui.view import HEADERS, InView, View

T = TypeVar("T")
_CHANGES = ("registry", "kind", "principal", "about", "since", "until")
_REFUSALS = ("registry", "principal")
_TRAFFIC = ("registry", "kind", "principal", "path", "digest", "since", "until")
_TIMES = ("since", "until")
_SHEET = 1000  # rows that are fetched at once for a file
_COLUMNS = ("seq", "at", "kind", "principal", "address", "client", "registry", "repository", "image", "about", "detail")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a program for tables would run what begins so
_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}


class ActivityPages(Controller):
    """The pages of what happened."""

    path = "/activity"

    @get()
    async def changes(self, view: InView) -> Response[str]:
        """Show who changed what."""
        asked = _asked(view, _CHANGES, ACTIVITY_SORTS)
        page = await _fetch(view, "/api/v1/activity", Page[Activity], asked)
        return await _show(view, "pages/activity.html", page, asked)

    @get("/refusals")
    async def refusals(self, view: InView) -> Response[str]:
        """Show what was refused."""
        asked = _asked(view, _REFUSALS)
        page = await _fetch(view, "/api/v1/refusals", Page[Refused], asked)
        return await _show(view, "pages/refusals.html", page, asked)

    @get("/traffic")
    async def traffic(self, view: InView) -> Response[str]:
        """Show who pulled and pushed what."""
        asked = _asked(view, _TRAFFIC)
        page = await _fetch(view, "/api/v1/traffic", Page[Transfer], asked)
        return await _show(view, "pages/traffic.html", page, asked, KINDS)

    @get("/export")
    async def export(self, view: InView) -> Stream:
        """Send what the filters of the list of changes let through, all of it, as a file."""
        asked = _asked(view, _CHANGES)
        form = "csv" if view.request.query_params.get("format") == "csv" else "jsonl"
        first = await view.api.get("/api/v1/activity", Page[Activity], limit=_SHEET, **_wanted(asked))
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="activity.{form}"'}
        write = _csv if form == "csv" else _lines
        return Stream(write(_follow(view, first, asked)), headers=headers, media_type=_TYPES[form])


def _asked(view: View, filters: tuple[str, ...], sorts: tuple[str, ...] = ("at",)) -> Asked:
    """Return what was asked for, without times that are none."""
    asked = Asked.of(view, sorts=sorts, default="-at", filters=filters)
    more = {name: value for name, value in asked.more.items() if name not in _TIMES or _time(value) is not None}
    return msgspec.structs.replace(asked, more=more)


def _wanted(asked: Asked) -> dict[str, object]:
    """Return the filters as the API wants them: a time without a zone is UTC."""
    return {name: _time(value) if name in _TIMES else value for name, value in asked.more.items()}


def _time(text: str) -> str | None:
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return None


async def _fetch(view: View, path: str, shape: type[T], asked: Asked) -> T:
    return await view.api.get(path, shape, sort=asked.sort, limit=asked.size, cursor=asked.cursor, **_wanted(asked))


async def _show(view: View, template: str, page: object, asked: Asked, kinds: Sequence[str] = ()) -> Response[str]:
    names = await list_registries(view)
    return view.page(template, page=page, asked=asked, registries=names, kinds=kinds)


async def _follow(view: View, first: Page[Activity], asked: Asked) -> AsyncIterator[Activity]:
    page = first
    while True:
        for one in page.items:
            yield one
        if page.next is None:
            return
        try:
            page = await view.api.get(
                "/api/v1/activity", Page[Activity], limit=_SHEET, cursor=page.next, **_wanted(asked)
            )
        except NotAllowed:  # taken away meanwhile: the file ends here
            return


async def _lines(rows: AsyncIterator[Activity]) -> AsyncIterator[bytes]:
    async for one in rows:
        yield msgspec.json.encode(one) + b"\n"


async def _csv(rows: AsyncIterator[Activity]) -> AsyncIterator[str]:
    yield ",".join(_COLUMNS) + "\r\n"
    async for one in rows:
        row = io.StringIO()
        told = msgspec.to_builtins(one)
        told["detail"] = msgspec.json.encode(one.detail).decode()
        csv.writer(row).writerow([_cell(told[name]) for name in _COLUMNS])
        yield row.getvalue()


def _cell(value: object) -> str:
    """Return a value as a cell of text: never one that a program for tables takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
