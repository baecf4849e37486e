"""`/api/v1/images`."""

from datetime import datetime

import msgspec
from litestar import Controller, delete, get
from litestar.params import FromPath, FromQuery

from appliance.db import images
from appliance.domain.access import Action
from appliance.domain.admission import Grant
from appliance.domain.names import parse_image_path, parse_repository_name
from appliance.domain.registry import ImageRef, ImageRow
from appliance.errors import NameUnknown
from appliance.http.api.asking import Asking, InAsking, InStock, RegistryOf
from appliance.http.api.page import Cursor, Limit, Name, Page, collect_page, moment_or_none
from appliance.services.delete import delete_image
from appliance.services.stock import Stock


class Image(msgspec.Struct, frozen=True, rename="camel"):
    """An image. `size` is bytes of the distinct blobs it uses."""

    id: str
    path: str
    manifests: int
    tags: int
    size: int
    pulls: int
    locked: bool
    pushed_at: datetime | None
    last_pulled_at: datetime | None


class Images(Controller):
    """Images: list, show, delete."""

    path = "/api/v1/images"
    tags = ["images"]  # noqa: RUF012 - Litestar's way

    @get()
    async def list(
        self,
        stock: InStock,
        asking: InAsking,
        registry: RegistryOf = None,
        path: FromQuery[str | None] = None,
        repository: FromQuery[str | None] = None,
        name: Name = "",
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[Image]:
        """List images by path, of one `repository` or all; `path` finds the one of that path."""
        asking = asking.at_name(stock, registry)
        site = asking.site
        if path is not None:
            wanted = parse_image_path(path)
            asking.grant(wanted, Action.VIEW_REPOSITORY)
            row = await stock.db.read(lambda reader: images.find_row(reader, ImageRef(site.registry, wanted)))
            return Page([_show(row)] if row else [], None)
        only = None if repository is None else parse_repository_name(repository)
        page = await collect_page(
            lambda last, count: stock.db.read(
                lambda reader: images.list_page(reader, site.registry, only, last, count, name)
            ),
            lambda row: row.path,
            lambda row: asking.may(parse_image_path(row.path), Action.VIEW_REPOSITORY),
            cursor,
            limit,
        )
        return Page([_show(row) for row in page.items], page.next)

    @get("/{image_id:str}")
    async def show(self, stock: InStock, asking: InAsking, image_id: FromPath[str]) -> Image:
        """Show an image."""
        image = find_image(stock, asking, image_id, Action.VIEW_REPOSITORY).image
        row = await stock.db.read(lambda reader: images.find_row(reader, image))
        if row is None:
            raise _unknown(image_id)
        return _show(row)

    @delete("/{image_id:str}")
    async def delete(
        self, stock: InStock, asking: InAsking, image_id: FromPath[str], *, purge: FromQuery[bool] = False
    ) -> None:
        """Delete an image with all its manifests and tags; `purge` frees the bytes at once."""
        grant = find_image(stock, asking, image_id, Action.DELETE)
        await delete_image(stock, grant, stock.clock(), purge=purge)


def find_image(stock: Stock, asking: Asking, image_id: str, action: Action) -> Grant:
    """Return the grant for `action` on the image behind an id. Raises NameUnknown, AccessDenied."""
    place = images.locate(stock.db.reader, image_id)
    if place is None:
        raise _unknown(image_id)
    there = asking.at(place.registry, place.registry_name)
    return there.grant_found(place.path, Action.VIEW_REPOSITORY, action, _unknown(image_id))


def _unknown(image_id: str) -> NameUnknown:
    return NameUnknown(f"there is no image with the id {image_id[:40]!r}; find it by path with ?path=")


def _show(row: ImageRow) -> Image:
    return Image(
        id=row.id,
        path=row.path,
        manifests=row.manifests,
        tags=row.tags,
        size=row.size,
        pulls=row.pulls,
        locked=row.locked,
        pushed_at=moment_or_none(row.pushed_at),
        last_pulled_at=moment_or_none(row.last_pulled_at),
    )
