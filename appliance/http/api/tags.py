"""`/api/v1/tags` and `/api/v1/images/<id>/tags`."""

from datetime import datetime

import msgspec
from litestar import Controller, delete, get
from litestar.params import FromPath, FromQuery

from appliance.db import images, tags
from appliance.domain.access import Action
from appliance.domain.names import ImagePath, parse_image_path, parse_tag
from appliance.domain.registry import ImageRef, TagRow
from appliance.errors import ManifestUnknown, NameUnknown
from appliance.http.api.asking import InAsking, InStock, RegistryOf
from appliance.http.api.images import find_image
from appliance.http.api.page import Cursor, Limit, Name, Page, collect_page, moment
from appliance.services.delete import delete_tag
from appliance.services.stock import Stock


class TagOfImage(msgspec.Struct, frozen=True, rename="camel"):
    """A tag and what it names. `size` is bytes of the manifest's own blobs."""

    name: str
    path: str  # <image>:<tag>
    digest: str
    media_type: str
    artifact_type: str
    size: int
    locked: bool
    pushed_at: datetime
    pushed_by: str


class Tags(Controller):
    """Tags: list, show, delete."""

    path = "/api/v1"
    tags = ["tags"]  # noqa: RUF012 - Litestar's way

    @get("/tags")
    async def find(
        self,
        stock: InStock,
        asking: InAsking,
        path: FromQuery[str],
        registry: RegistryOf = None,
        name: Name = "",
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[TagOfImage]:
        """List the tags of the image `path`, or find the one tag that `path` names (`pay/api:1`)."""
        asking = asking.at_name(stock, registry)
        image, colon, tag = path.partition(":")
        wanted = asking.grant(parse_image_path(image), Action.VIEW_REPOSITORY).image
        if not colon:
            return await _list(stock, wanted, name, cursor, limit)
        found = _find(stock, wanted, tag)
        return Page([found] if found else [], None)

    @get("/images/{image_id:str}/tags")
    async def list(
        self,
        stock: InStock,
        asking: InAsking,
        image_id: FromPath[str],
        name: Name = "",
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[TagOfImage]:
        """List the tags of an image by name."""
        image = find_image(stock, asking, image_id, Action.VIEW_REPOSITORY).image
        return await _list(stock, image, name, cursor, limit)

    @get("/images/{image_id:str}/tags/{tag:str}")
    async def show(self, stock: InStock, asking: InAsking, image_id: FromPath[str], tag: FromPath[str]) -> TagOfImage:
        """Show a tag."""
        image = find_image(stock, asking, image_id, Action.VIEW_REPOSITORY).image
        found = _find(stock, image, tag)
        if found is None:
            raise ManifestUnknown(f"{image} has no tag {tag[:128]!r}")
        return found

    @delete("/images/{image_id:str}/tags/{tag:str}")
    async def delete(self, stock: InStock, asking: InAsking, image_id: FromPath[str], tag: FromPath[str]) -> None:
        """Delete a tag; the manifest it names stays, by its digest."""
        grant = find_image(stock, asking, image_id, Action.DELETE)
        await delete_tag(stock, grant, parse_tag(tag), stock.clock())


async def _list(stock: Stock, wanted: ImageRef, name: str, cursor: str, limit: int) -> Page[TagOfImage]:
    image = images.find_shown(stock.db.reader, wanted)
    if image is None:
        raise NameUnknown(f"there is no image {wanted}")
    page = await collect_page(
        lambda last, count: stock.db.read(lambda reader: tags.list_page(reader, image, last, count, name)),
        lambda row: row.name,
        lambda _: True,
        cursor,
        limit,
    )
    return Page([_show(wanted.path, row) for row in page.items], page.next)


def _find(stock: Stock, wanted: ImageRef, text: str) -> TagOfImage | None:
    tag = parse_tag(text)
    image = images.find_shown(stock.db.reader, wanted)
    row = tags.find_row(stock.db.reader, image, tag) if image is not None else None
    return _show(wanted.path, row) if row else None


def _show(path: ImagePath, row: TagRow) -> TagOfImage:
    return TagOfImage(
        name=row.name,
        path=f"{path}:{row.name}",
        digest=row.digest,
        media_type=row.media_type,
        artifact_type=row.artifact_type,
        size=row.size,
        locked=row.locked,
        pushed_at=moment(row.pushed_at),
        pushed_by=row.pushed_by,
    )
