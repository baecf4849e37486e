"""`/api/v1/repositories`."""

from datetime import datetime

import msgspec
from litestar import Controller, delete, get
from litestar.params import FromPath, FromQuery

from appliance.db import repositories
from appliance.domain.access import Action
from appliance.domain.admission import Grant
from appliance.domain.names import of_repository, parse_repository_name
from appliance.domain.registry import RepositoryRow
from appliance.errors import NameUnknown, QueryInvalid
from appliance.http.api.asking import Asking, InAsking, InStock, RegistryOf
from appliance.http.api.page import Cursor, Limit, Name, Page, collect_page, moment
from appliance.services.delete import delete_repository
from appliance.services.stock import Stock


class Repository(msgspec.Struct, frozen=True, rename="camel"):
    """A repository."""

    id: str
    name: str
    images: int
    locked: bool
    created_at: datetime
    created_by: str


class Repositories(Controller):
    """Repositories: list, show, delete."""

    path = "/api/v1/repositories"
    tags = ["repositories"]  # noqa: RUF012 - Litestar's way

    @get()
    async def list(
        self,
        stock: InStock,
        asking: InAsking,
        registry: RegistryOf = None,
        path: FromQuery[str | None] = None,
        name: Name = "",
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[Repository]:
        """List repositories by name; `path` finds the one of that name."""
        asking = asking.at_name(stock, registry)
        site = asking.site
        if path is not None:
            wanted = parse_repository_name(path)
            asking.grant(of_repository(wanted), Action.VIEW_REPOSITORY)
            row = repositories.find_row(stock.db.reader, site.registry, wanted)
            return Page([_show(row)] if row else [], None)
        page = await collect_page(
            lambda last, count: stock.db.read(
                lambda reader: repositories.list_page(reader, site.registry, last, count, name)
            ),
            lambda row: row.name,
            lambda row: asking.may(of_repository(row.name), Action.VIEW_REPOSITORY),
            cursor,
            limit,
        )
        return Page([_show(row) for row in page.items], page.next)

    @get("/{repository_id:str}")
    async def show(self, stock: InStock, asking: InAsking, repository_id: FromPath[str]) -> Repository:
        """Show a repository."""
        grant = _find(stock, asking, repository_id, Action.VIEW_REPOSITORY)
        row = repositories.find_row(stock.db.reader, grant.image.registry, grant.path.repository)
        if row is None:
            raise _unknown(repository_id)
        return _show(row)

    @delete("/{repository_id:str}")
    async def delete(
        self,
        stock: InStock,
        asking: InAsking,
        repository_id: FromPath[str],
        confirm: FromQuery[str] = "",
        *,
        purge: FromQuery[bool] = False,
    ) -> None:
        """Delete a repository with all its images; `confirm` repeats its name, `purge` frees the bytes at once."""
        grant = _find(stock, asking, repository_id, Action.MANAGE_REPOSITORY)
        name = grant.path.repository
        if confirm != name:
            raise QueryInvalid(f"this deletes repository {name} and all its images; repeat its name: ?confirm={name}")
        await delete_repository(stock, grant, name, stock.clock(), purge=purge)


def _find(stock: Stock, asking: Asking, repository_id: str, action: Action) -> Grant:
    """Return the grant for `action` on the repository behind an id. Raises NameUnknown, AccessDenied."""
    place = repositories.locate(stock.db.reader, repository_id)
    if place is None:
        raise _unknown(repository_id)
    there = asking.at(place.registry, place.registry_name)
    return there.grant_found(place.path, Action.VIEW_REPOSITORY, action, _unknown(repository_id))


def _unknown(repository_id: str) -> NameUnknown:
    return NameUnknown(f"there is no repository with the id {repository_id[:40]!r}; find it by name with ?path=")


def _show(row: RepositoryRow) -> Repository:
    return Repository(row.id, row.name, row.images, row.locked, moment(row.created_at), row.created_by)
