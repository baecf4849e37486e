"""`/api/v1/storage/repositories`: the bytes of each repository by what keeps them."""

import asyncio

import msgspec
from litestar import get

from appliance.blobstore.session import list_idle
from appliance.db import repositories, repository_usage
from appliance.db.repositories import RepositoryRow
from appliance.db.repository_usage import RepositoryUsage
from appliance.domain.access import Action
from appliance.domain.listing import Listing
from appliance.domain.registry import RegistryId
from appliance.http.api.asking import InAsking, InStock, RegistryOf
from appliance.http.api.page import Cursor, Limit, Page, collect_page
from appliance.http.api.viewing import everywhere
from appliance.services.stock import Stock


class RepositoryUse(RepositoryUsage, frozen=True, rename="camel"):
    """A repository and its bytes; `staged` are those of uploads that are not finished."""

    id: str = ""
    registry: str = ""
    name: str = ""
    staged: int = 0


@get("/api/v1/storage/repositories", tags=["storage"])
async def list_use(
    stock: InStock, asking: InAsking, registry: RegistryOf = None, cursor: Cursor = "", limit: Limit = 100
) -> Page[RepositoryUse]:
    """List the repositories of a registry by name, with their bytes: live, untagged, in no manifest, shared, leaving.

    It tells what repositories have in common, so it is for whoever may view everything.
    """
    everywhere(asking).check(Action.VIEW_REGISTRY)
    site = asking.at_name(stock, registry).site
    listing = Listing()
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
