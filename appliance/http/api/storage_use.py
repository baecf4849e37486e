"""`/api/v1/storage/repositories`: the bytes of each repository by what keeps them."""

import asyncio
from typing import Annotated, Literal

import msgspec
from litestar import get
from litestar.params import QueryParameter

from appliance.blobstore.session import list_idle
from appliance.db import repositories, repository_usage
from appliance.db.database import Reader
from appliance.db.repositories import RepositoryRow
from appliance.db.repository_usage import RepositoryUsage
from appliance.domain.access import Action
from appliance.domain.admission import Site
from appliance.domain.listing import Listing, parse_order
from appliance.domain.registry import RegistryId
from appliance.http.api.asking import InAsking, InStock, RegistryOf
from appliance.http.api.page import Cursor, Limit, Page, collect_page
from appliance.http.api.viewing import everywhere
from appliance.services.stock import Stock

UseSort = Annotated[
    Literal[
        "name", "-name", "live", "-live", "shared", "-shared", "untagged", "-untagged",
        "unfinished", "-unfinished", "leaving", "-leaving",
    ],
    QueryParameter(name="sort", description="the order; `-` turns it round. By bytes, every repository is measured"),
]  # fmt: skip
_SLICE = 500  # repositories that are measured at once where all are


class RepositoryUse(RepositoryUsage, frozen=True, rename="camel"):
    """A repository and its bytes; `staged` are those of uploads that are not finished."""

    id: str = ""
    registry: str = ""
    name: str = ""
    staged: int = 0


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
    if sort.removeprefix("-") != "name":
        return await _list_by_bytes(stock, site, sort, cursor, limit)
    listing = Listing(parse_order(sort))
    page = await collect_page(
        lambda last, count: stock.db.read(
            lambda reader: repositories.list_page(reader, site.registry, listing, last, count)
        ),
        lambda row: repositories.key_in(listing, row),
        lambda _: True,
        cursor,
        limit,
    )
    ids = [row.repository.id for row in page.items]
    usage = await stock.db.read(lambda reader: repository_usage.measure(reader, ids))
    staged = await _measure_staged(stock, site.registry)
    return Page(
        [_show(row, site.name, usage[row.repository.id], staged.get(row.repository.name, 0)) for row in page.items],
        page.next,
    )


async def _list_by_bytes(stock: Stock, site: Site, sort: str, cursor: str, limit: int) -> Page[RepositoryUse]:
    """Measure every repository, and return those of the page in the order `sort`."""

    def read(reader: Reader) -> list[tuple[RepositoryRow, RepositoryUsage]]:
        found: list[tuple[RepositoryRow, RepositoryUsage]] = []
        last = ""
        while rows := repositories.list_page(reader, site.registry, Listing(), last, _SLICE):
            usage = repository_usage.measure(reader, [row.repository.id for row in rows])
            found += [(row, usage[row.repository.id]) for row in rows]
            last = repositories.key_in(Listing(), rows[-1])
        return found

    measured = await stock.db.read(read)
    staged = await _measure_staged(stock, site.registry)
    uses = [_show(row, site.name, usage, staged.get(row.repository.name, 0)) for row, usage in measured]
    by, is_falling = sort.removeprefix("-"), sort.startswith("-")

    def key(one: RepositoryUse) -> str:
        found = {
            "live": one.live,
            "shared": one.shared,
            "untagged": one.untagged,
            "unfinished": one.unclaimed + one.staged,
            "leaving": one.leaving,
        }[by]
        return f"{found:020}/{one.name}"

    uses.sort(key=key, reverse=is_falling)

    async def fetch(last: str, count: int) -> list[RepositoryUse]:
        rest = [one for one in uses if not last or (key(one) < last if is_falling else key(one) > last)]
        return rest[:count]

    return await collect_page(fetch, key, lambda _: True, cursor, limit)


async def _measure_staged(stock: Stock, registry: RegistryId) -> dict[str, int]:
    """Return the bytes that lie in uploads of `registry`, by repository."""

    def read() -> dict[str, int]:
        found: dict[str, int] = {}
        for one in list_idle(stock.uploads.folder):
            if one.registry == registry:
                name = one.path.partition("/")[0]
                found[name] = found.get(name, 0) + one.size
        return found

    return await asyncio.to_thread(read)


def _show(row: RepositoryRow, registry: str, usage: RepositoryUsage, staged: int) -> RepositoryUse:
    one = row.repository
    return RepositoryUse(
        **msgspec.structs.asdict(usage), id=one.public_id, registry=registry, name=one.name, staged=staged
    )
