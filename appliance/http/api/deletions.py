"""`/api/v1/deletions`: what was deleted, and its undo."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import Controller, get, post
from litestar.params import FromPath, FromQuery, QueryParameter

from appliance.db import deletions, registries
from appliance.db.columns import Placed
from appliance.db.database import Reader
from appliance.db.deletions import Deletion
from appliance.domain.access import Action
from appliance.domain.moment import Timestamp
from appliance.domain.names import ImagePath, RepositoryName, of_repository, parse_image_path
from appliance.errors import Unknown
from appliance.http.api.asking import Asking, InAsking, InStock, RegistryOf
from appliance.http.api.page import Cursor, Limit, Page, collect_page, moment
from appliance.http.api.tags import number_of
from appliance.services.stock import Stock
from appliance.services.undo import Left, undo

Sort = Annotated[
    Literal["-deleted", "deleted", "path", "-path", "kind", "-kind", "by", "-by"],
    QueryParameter(description="the order; `-` turns it round"),
]


class DeletionView(msgspec.Struct, frozen=True, rename="camel"):
    """What one act deleted. Tags and manifests of a whole image or repository are not counted."""

    id: str
    kind: str  # tag, manifest, image, repository, retention
    path: str
    tags: int
    manifests: int
    deleted_at: datetime
    deleted_by: str
    until: datetime  # it can be undone until then, unless the disk runs full


class UndoneView(msgspec.Struct, frozen=True):
    """What came back, and what did not."""

    manifests: int
    tags: int
    left: tuple[Left, ...]


class Deletions(Controller):
    """Deletions: list, undo."""

    path = "/api/v1/deletions"
    tags = ["deletions"]  # noqa: RUF012 - Litestar's way

    @get()
    async def list(
        self,
        stock: InStock,
        asking: InAsking,
        registry: RegistryOf = None,
        path: FromQuery[str] = "",
        sort: Sort = "-deleted",
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[DeletionView]:
        """List what was deleted and can still come back, the newest first unless asked otherwise.

        `path` names an image, or a repository and with it all that was in it.
        """
        asking = asking.at_name(stock, registry)
        site = asking.site

        def fetch(reader: Reader, last: str, count: int) -> list[Placed[Deletion]]:
            if sort != "-deleted":
                return deletions.list_by(reader, site.registry, sort, last, count, path)
            rows = deletions.list_page(reader, site.registry, number_of(last) or 1 << 62, count, path)
            return [Placed(str(row.id), row) for row in rows]

        page = await collect_page(
            lambda last, count: stock.db.read(lambda reader: fetch(reader, last, count)),
            lambda found: found.place,
            lambda found: asking.may(_path(found.one), Action.VIEW_REPOSITORY),
            cursor,
            limit,
        )
        return Page([_show(stock, found.one) for found in page.items], page.next)

    @post("/{deletion_id:str}/undo", status_code=200)
    async def undo(self, stock: InStock, asking: InAsking, deletion_id: FromPath[str]) -> UndoneView:
        """Bring back what one act deleted. Names that were given away meanwhile stay where they are."""
        found = deletions.find(stock.db.reader, deletion_id)
        absent = Unknown(f"there is no deletion {deletion_id[:40]!r} that could be undone; see: scr deletion list")
        if found is None:
            raise absent
        there = _at(stock, asking, found)
        action = Action.MANAGE_REPOSITORY if found.kind == "repository" else Action.DELETE
        there.grant_found(_path(found), Action.VIEW_REPOSITORY, action, absent)
        done = await undo(stock, asking.caller, found, stock.clock())
        return UndoneView(done.manifests, done.tags, done.left)


def _at(stock: Stock, asking: Asking, deletion: Deletion) -> Asking:
    """Return the caller asking in the registry of `deletion`."""
    found = registries.get(stock.db.reader, deletion.registry)
    return asking if found is None else asking.at(found.id, found.name)


def _path(deletion: Deletion) -> ImagePath:
    """Return what access is asked for."""
    if deletion.kind == "repository":
        return of_repository(RepositoryName(deletion.path))
    return parse_image_path(deletion.path)


def _show(stock: Stock, row: Deletion) -> DeletionView:
    return DeletionView(
        row.public_id,
        row.kind,
        row.path,
        row.tags,
        row.manifests,
        moment(row.deleted_at),
        row.deleted_by,
        moment(Timestamp(row.deleted_at + stock.rules.recycle)),
    )
