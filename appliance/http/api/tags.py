"""`/api/v1/tags` and `/api/v1/images/<id>/tags`."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import Controller, Response, delete, get, patch, put
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from appliance.db import images, tag_history, tags
from appliance.db.tag_history import Past
from appliance.domain.access import Action
from appliance.domain.names import ImagePath, parse_digest, parse_image_path, parse_tag
from appliance.domain.registry import ImageId, ImageRef, TagRow
from appliance.domain.when import parse_when, split_as_of
from appliance.errors import ManifestUnknown, NameUnknown, QueryInvalid
from appliance.http.api.asking import InAsking, InStock, RegistryOf
from appliance.http.api.editing import IfMatch, expected, with_etag
from appliance.http.api.images import find_image
from appliance.http.api.page import Cursor, Limit, Name, Page, collect_page, moment, moment_or_none
from appliance.services import tagging
from appliance.services.delete import delete_tag
from appliance.services.stock import Stock

Sort = Annotated[
    Literal["name", "-name", "natural", "-natural", "pushed", "-pushed"],
    QueryParameter(description="order; `natural` puts 1.9 before 1.10, `-` turns it round"),
]
At = Annotated[
    str, QueryParameter(max_length=60, description="what it named then: 2026-11-20T12:00, tuesday, 2 hours ago")
]


class TagOfImage(msgspec.Struct, frozen=True, rename="camel"):
    """A tag and what it names. `size` is bytes of its blobs, those of an index's platforms together."""

    name: str
    path: str  # <image>:<tag>
    digest: str
    media_type: str
    artifact_type: str
    size: int
    locked: bool  # by its own lock, its image's or its repository's
    own_lock: bool
    pushed_at: datetime
    pushed_by: str


class Named(msgspec.Struct, frozen=True, rename="camel"):
    """A digest that a tag named for a while. `until`, `ended_by` and `reason` are null for what it names now."""

    digest: str
    since: datetime
    pushed_by: str
    pushed_from: str  # address; "" where the activity of then is not kept any more
    until: datetime | None
    ended_by: str | None
    reason: str | None
    is_there: bool  # the manifest is still here, so the tag can be put back


class TagTarget(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What a tag is to name: a digest, or what it named at a moment."""

    digest: str = ""
    as_of: str = ""


class TagEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a tag."""

    locked: bool


class Tags(Controller):
    """Tags: list, show, make, move, put back, lock, delete; their history."""

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
        sort: Sort = "name",
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[TagOfImage]:
        """List the tags of the image `path`, or find the one tag that `path` names (`pay/api:1`).

        `pay/api:1@{2026-11-20T12:00}` finds what the tag named then; such an entry is of a manifest that is still here
        or of one that is gone (`mediaType` is empty).
        """
        asking = asking.at_name(stock, registry)
        path, as_of = split_as_of(path)
        image, colon, tag = path.partition(":")
        wanted = asking.grant(parse_image_path(image), Action.VIEW_REPOSITORY).image
        if not colon and as_of is None:
            return await _list(stock, wanted, name, sort, cursor, limit)
        found = _find(stock, wanted, tag) if as_of is None else await _find_as_of(stock, wanted, tag, as_of)
        return Page([_show(wanted.path, found)] if found else [], None)

    @get("/images/{image_id:str}/tags")
    async def list(
        self,
        stock: InStock,
        asking: InAsking,
        image_id: FromPath[str],
        name: Name = "",
        sort: Sort = "name",
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[TagOfImage]:
        """List the tags of an image."""
        image = find_image(stock, asking, image_id, Action.VIEW_REPOSITORY).image
        return await _list(stock, image, name, sort, cursor, limit)

    @get("/images/{image_id:str}/tags/{tag:str}")
    async def show(
        self, stock: InStock, asking: InAsking, image_id: FromPath[str], tag: FromPath[str]
    ) -> Response[TagOfImage]:
        """Show a tag."""
        image = find_image(stock, asking, image_id, Action.VIEW_REPOSITORY).image
        return _answer(stock, image, tag)

    @get("/images/{image_id:str}/tags/{tag:str}/history")
    async def history(
        self,
        stock: InStock,
        asking: InAsking,
        image_id: FromPath[str],
        tag: FromPath[str],
        at: At = "",
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[Named]:
        """List which digests a tag named, newest first; with `at`, the one of that moment."""
        wanted = find_image(stock, asking, image_id, Action.VIEW_REPOSITORY).image
        image, name = _shown(stock, wanted), parse_tag(tag)
        if at:
            when = parse_when(at, stock.clock())
            past = await stock.db.read(lambda reader: tag_history.find_as_of(reader, image, name, when))
            return Page([_named(past)] if past else [], None)
        page = await collect_page(
            lambda last, count: stock.db.read(
                lambda reader: tag_history.list_page(reader, image, name, number_of(last), count)
            ),
            lambda row: str(row.seq),
            lambda _: True,
            cursor,
            limit,
        )
        return Page([_named(row) for row in page.items], page.next)

    @put("/images/{image_id:str}/tags/{tag:str}")
    async def point(
        self,
        stock: InStock,
        asking: InAsking,
        image_id: FromPath[str],
        tag: FromPath[str],
        data: JSONBody[TagTarget],
        if_match: IfMatch = None,
    ) -> Response[TagOfImage]:
        """Make a tag name a manifest that the image has: a new tag, one moved, or one put back to what it named."""
        grant = find_image(stock, asking, image_id, Action.PUSH)
        name = parse_tag(tag)
        if bool(data.digest) == bool(data.as_of):
            raise QueryInvalid("say either digest or asOf: what the tag is to name")
        if data.as_of:
            image, at = _shown(stock, grant.image), parse_when(data.as_of, stock.clock())
            past = await stock.db.read(lambda reader: tag_history.find_as_of(reader, image, name, at))
            if past is None:
                raise ManifestUnknown(f"tag {name} of {grant.path} named nothing then, as far as its history goes back")
            digest = past.digest
        else:
            digest = parse_digest(data.digest)
        await tagging.point_tag(stock, grant, name, digest, stock.clock(), expected(if_match))
        return _answer(stock, grant.image, tag)

    @patch("/images/{image_id:str}/tags/{tag:str}")
    async def edit(
        self,
        stock: InStock,
        asking: InAsking,
        image_id: FromPath[str],
        tag: FromPath[str],
        data: JSONBody[TagEdit],
    ) -> Response[TagOfImage]:
        """Lock a tag, or unlock it. While its repository is locked that is refused."""
        grant = find_image(stock, asking, image_id, Action.MANAGE_REPOSITORY)
        await tagging.lock_tag(stock, grant, parse_tag(tag), stock.clock(), locked=data.locked)
        return _answer(stock, grant.image, tag)

    @delete("/images/{image_id:str}/tags/{tag:str}")
    async def delete(self, stock: InStock, asking: InAsking, image_id: FromPath[str], tag: FromPath[str]) -> None:
        """Delete a tag; the manifest it names stays, by its digest."""
        grant = find_image(stock, asking, image_id, Action.DELETE)
        await delete_tag(stock, grant, parse_tag(tag), stock.clock())


def number_of(last: str) -> int:
    """Return the row that a cursor of a list by number stands for, 0 for none. Raises QueryInvalid."""
    if last and not (last.isascii() and last.isdecimal() and len(last) < 19):
        raise QueryInvalid("cursor is none of this list; take it from `next` of the page before")
    return int(last or 0)


async def _list(stock: Stock, wanted: ImageRef, name: str, sort: str, cursor: str, limit: int) -> Page[TagOfImage]:
    image = _shown(stock, wanted)
    page = await collect_page(
        lambda last, count: stock.db.read(lambda reader: tags.list_page(reader, image, last, count, name, sort)),
        lambda row: tags.key_in(sort, row),
        lambda _: True,
        cursor,
        limit,
    )
    return Page([_show(wanted.path, row) for row in page.items], page.next)


def _shown(stock: Stock, wanted: ImageRef) -> ImageId:
    """Return the image. Raises NameUnknown."""
    image = images.find_shown(stock.db.reader, wanted)
    if image is None:
        raise NameUnknown(f"there is no image {wanted}")
    return image


def _find(stock: Stock, wanted: ImageRef, text: str) -> TagRow | None:
    tag = parse_tag(text)
    image = images.find_shown(stock.db.reader, wanted)
    return tags.find_row(stock.db.reader, image, tag) if image is not None else None


async def _find_as_of(stock: Stock, wanted: ImageRef, text: str, as_of: str) -> TagRow | None:
    """Return the tag as it was at a moment."""
    tag, at = parse_tag(text), parse_when(as_of, stock.clock())
    image = images.find_shown(stock.db.reader, wanted)
    return None if image is None else await stock.db.read(lambda reader: tag_history.find_row(reader, image, tag, at))


def _answer(stock: Stock, wanted: ImageRef, text: str) -> Response[TagOfImage]:
    """Return the tag with its ETag. Raises ManifestUnknown."""
    found = _find(stock, wanted, text)
    if found is None:
        raise ManifestUnknown(f"{wanted} has no tag {text[:128]!r}")
    return with_etag(_show(wanted.path, found), found.seq)


def _show(path: ImagePath, row: TagRow) -> TagOfImage:
    return TagOfImage(
        name=row.name,
        path=f"{path}:{row.name}",
        digest=row.digest,
        media_type=row.media_type,
        artifact_type=row.artifact_type,
        size=row.size,
        locked=row.locked,
        own_lock=row.own_lock,
        pushed_at=moment(row.pushed_at),
        pushed_by=row.pushed_by,
    )


def _named(row: Past) -> Named:
    return Named(
        row.digest,
        moment(row.since),
        row.pushed_by,
        row.pushed_from,
        moment_or_none(row.until),
        row.ended_by,
        row.reason,
        row.is_there,
    )
