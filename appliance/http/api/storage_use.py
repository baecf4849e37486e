"""`/api/v1/storage/repositories`: the bytes of each repository by what keeps them."""

import re
from datetime import datetime
from functools import partial
from typing import Annotated, Literal

import msgspec
from litestar import get
from litestar.params import QueryParameter

from appliance.db import repository_measures
from appliance.db.repository_measures import Measured
from appliance.db.repository_usage import RepositoryUsage
from appliance.domain.access import Action
from appliance.domain.registry import RegistryId
from appliance.errors import QueryInvalid
from appliance.http.api.asking import InAsking, InStock, RegistryOf
from appliance.http.api.page import Cursor, Limit, Page, collect_page, moment_or_none
from appliance.http.api.viewing import everywhere
from appliance.services import measure
from appliance.services.stock import Stock

UseSort = Annotated[
    Literal[
        "name", "-name", "live", "-live", "shared", "-shared", "untagged", "-untagged",
        "unfinished", "-unfinished", "leaving", "-leaving",
    ],
    QueryParameter(name="sort", description="the order; `-` turns it round"),
]  # fmt: skip
_PLACE = re.compile(r"(\d{20})/(.+)")


class RepositoryUse(RepositoryUsage, frozen=True, rename="camel"):
    """A repository and its bytes; `staged` are those of uploads that are not finished.

    `measuredAt`: when that was so. In a registry of at most 1000 images it is now; else the job `measure` says. What it
    has not come to yet has null in an order of bytes, and is measured now in the order of names.
    """

    id: str = ""
    registry: str = ""
    name: str = ""
    staged: int = 0
    measured_at: datetime | None = None


@get("/api/v1/storage/repositories", tags=["storage"])
async def list_use(
    stock: InStock,
    asking: InAsking,
    registry: RegistryOf = None,
    sort: UseSort = "name",
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[RepositoryUse]:
    """List the repositories of a registry, with their bytes: live, untagged, in no manifest, shared, leaving.

    It tells what repositories have in common, so it is for whoever may view everything.
    """
    everywhere(asking).check(Action.VIEW_REGISTRY)
    site = asking.at_name(stock, registry).site
    if sort.removeprefix("-") == "name":
        page = await collect_page(
            lambda last, count: measure.list_by_name(stock, site.registry, sort, last, count),
            lambda row: row.name,
            lambda _: True,
            cursor,
            limit,
        )
    else:
        page = await _list_by_bytes(stock, site.registry, sort, cursor, limit)
    return Page([_show(row, site.name) for row in page.items], page.next)


async def _list_by_bytes(stock: Stock, registry: RegistryId, sort: str, cursor: str, limit: int) -> Page[Measured]:
    """Return a page in the order `sort`: of what is measured now, or of what was, where the registry is large."""
    by, is_falling = sort.removeprefix("-"), sort.startswith("-")
    found = await measure.list_all(stock, registry)
    if found is not None:
        found.sort(key=lambda one: _key(by, one), reverse=is_falling)

    async def fetch(last: str, count: int) -> list[Measured]:
        if found is None:
            after = _place_in(last)
            return await stock.db.read(
                partial(repository_measures.list_page, registry=registry, order=sort, after=after, limit=count)
            )
        rest = [one for one in found if not last or (_key(by, one) < last if is_falling else _key(by, one) > last)]
        return rest[:count]

    return await collect_page(fetch, lambda one: _key(by, one), lambda _: True, cursor, limit)


def _key(by: str, one: Measured) -> str:
    """Return where the repository stands in the order of these bytes."""
    size = {
        "live": one.usage.live,
        "shared": one.usage.shared,
        "untagged": one.usage.untagged,
        "unfinished": one.usage.unclaimed + one.staged,
        "leaving": one.usage.leaving,
    }[by]
    return f"{size:020}/{one.name}"


def _place_in(last: str) -> tuple[int, str] | None:
    """Return the bytes and the name in a key, None at the beginning. Raises QueryInvalid for another list's key."""
    if not last:
        return None
    if not (found := _PLACE.fullmatch(last)):
        raise QueryInvalid("cursor is of a list in another order; take it from `next` of the page before")
    return min(int(found[1]), 1 << 62), found[2]


def _show(one: Measured, registry: str) -> RepositoryUse:
    return RepositoryUse(
        **msgspec.structs.asdict(one.usage),
        id=one.public_id,
        registry=registry,
        name=one.name,
        staged=one.staged,
        measured_at=moment_or_none(one.measured_at),
    )
