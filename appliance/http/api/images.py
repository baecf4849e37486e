"""`/api/v1/images`."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import Controller, Response, delete, get, patch
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter, SkipValidation
from msgspec import UNSET, UnsetType

from appliance.db import image_lists, images, registries
from appliance.db.database import Reader
from appliance.domain import image_policy
from appliance.domain.access import Action, srn
from appliance.domain.admission import Grant
from appliance.domain.image_policy import ImagePolicy
from appliance.domain.listing import ImageListing
from appliance.domain.names import parse_image_path, parse_repository_name
from appliance.domain.policy_edit import PolicyEdit
from appliance.domain.registry import ImageRef, ImageRow, RepositoryState
from appliance.domain.resource_tags import check_tags, parse_filter
from appliance.errors import NameUnknown
from appliance.http.api.asking import Asking, InAsking, InStock, RegistryOf
from appliance.http.api.editing import IfMatch, expected, with_etag
from appliance.http.api.page import Cursor, Limit, Name, Page, TagQuery, collect_page, moment, moment_or_none
from appliance.services.amend import ImageEdit, edit_image
from appliance.services.delete import delete_image
from appliance.services.stock import Stock

Sort = Annotated[
    Literal["path", "-path", "pushed", "-pushed", "pulls", "-pulls", "created", "-created"],
    QueryParameter(description="order; `-` turns it round"),
]
Text = Annotated[str, msgspec.Meta(max_length=2000)]
EVERY = "*"  # in the place of a registry's name: images of all of them


class Image(msgspec.Struct, frozen=True, rename="camel"):
    """An image. `size` is bytes of the distinct blobs it uses."""

    id: str
    srn: str
    registry: str
    path: str
    state: RepositoryState
    description: str
    manifests: int
    tags: int
    size: int
    pulls: int
    locked: bool  # by its own lock or its repository's
    own_lock: bool
    pushed_at: datetime | None
    last_pulled_at: datetime | None
    created_at: datetime
    created_by: str
    modified_at: datetime
    modified_by: str
    resource_tags: dict[str, str]


class ImageInFull(Image, frozen=True, rename="camel"):
    """An image with its policy, and beside it the template that new images of its repository get."""

    policy: ImagePolicy
    template: ImagePolicy
    retention_due_at: datetime | None  # when tag deletion runs next; null where it is off


class ImageChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What to change of an image; what is left out stays. `resourceTags` replaces all of them."""

    description: Text | UnsetType = UNSET
    locked: bool | UnsetType = UNSET
    policy: PolicyEdit | UnsetType = UNSET
    resource_tags: dict[str, str] | UnsetType = UNSET


def provide_listing(
    repository: FromQuery[str | None] = None, name: Name = "", tag: TagQuery = None, sort: Sort = "path"
) -> ImageListing:
    """Return what a list of images is asked for. Raises NameInvalid, QueryInvalid."""
    only = None if repository is None else parse_repository_name(repository)
    return ImageListing(sort, only, name, None if tag is None else parse_filter(tag))


InImageListing = NamedDependency[SkipValidation[ImageListing]]


class Images(Controller):
    """Images: list, show, edit, delete."""

    path = "/api/v1/images"
    tags = ["images"]  # noqa: RUF012 - Litestar's way
    dependencies = {"listing": Provide(provide_listing, sync_to_thread=False)}  # noqa: RUF012

    @get()
    async def list(
        self,
        stock: InStock,
        asking: InAsking,
        listing: InImageListing,
        registry: RegistryOf = None,
        path: FromQuery[str | None] = None,
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[Image]:
        """List images, of one `repository` or all; `path` finds the one of that path.

        The registry `*` stands for all that are there: then registry follows registry, each in the order asked for.
        """
        if registry == EVERY and path is None:
            return await _list_everywhere(stock, asking, listing, cursor, limit)
        asking = asking.at_name(stock, registry)
        site = asking.site
        if path is not None:
            wanted = asking.grant(parse_image_path(path), Action.VIEW_REPOSITORY).image
            row = await stock.db.read(lambda reader: image_lists.find_row(reader, wanted))
            return Page([_show(asking, row)] if row else [], None)
        page = await collect_page(
            lambda last, count: stock.db.read(
                lambda reader: image_lists.list_page(reader, site.registry, listing, last, count)
            ),
            lambda row: image_lists.key_in(listing.order, row),
            lambda row: asking.may(parse_image_path(row.path), Action.VIEW_REPOSITORY),
            cursor,
            limit,
        )
        return Page([_show(asking, row) for row in page.items], page.next)

    @get("/{image_id:str}")
    async def show(self, stock: InStock, asking: InAsking, image_id: FromPath[str]) -> Response[ImageInFull]:
        """Show an image with its policy."""
        grant = find_image(stock, asking, image_id, Action.VIEW_REPOSITORY)
        return await _answer(stock, asking, grant, image_id)

    @patch("/{image_id:str}")
    async def edit(
        self,
        stock: InStock,
        asking: InAsking,
        image_id: FromPath[str],
        data: JSONBody[ImageChange],
        if_match: IfMatch = None,
    ) -> Response[ImageInFull]:
        """Change description, policy or lock. While its repository is locked its own lock cannot be changed."""
        grant = find_image(stock, asking, image_id, Action.MANAGE_REPOSITORY)
        tags = data.resource_tags if data.resource_tags is UNSET else check_tags(data.resource_tags)
        order = ImageEdit(data.description, data.locked, data.policy, tags)
        await edit_image(stock, grant, order, expected(if_match), stock.clock())
        return await _answer(stock, asking, grant, image_id)

    @delete("/{image_id:str}")
    async def delete(
        self, stock: InStock, asking: InAsking, image_id: FromPath[str], *, purge: FromQuery[bool] = False
    ) -> None:
        """Delete an image with all its manifests and tags; `purge` frees the bytes at once, and for good."""
        grant = find_image(stock, asking, image_id, Action.DELETE)
        await delete_image(stock, grant, stock.clock(), purge=purge)


async def _list_everywhere(stock: Stock, asking: Asking, listing: ImageListing, cursor: str, limit: int) -> Page[Image]:
    """Return a page of the images of all registries; its key is the registry's name and the key there."""
    known = await stock.db.read(registries.list_all)

    def fetch(reader: Reader, last: str, count: int) -> list[tuple[Asking, ImageRow]]:
        name, _, key = last.partition("/")
        found: list[tuple[Asking, ImageRow]] = []
        for one in known:
            if one.name >= name and len(found) < count:
                after = key if one.name == name else ""
                rows = image_lists.list_page(reader, one.id, listing, after, count - len(found))
                found += [(asking.at(one.id, one.name), row) for row in rows]
        return found

    page = await collect_page(
        lambda last, count: stock.db.read(lambda reader: fetch(reader, last, count)),
        lambda pair: f"{pair[0].site.name}/{image_lists.key_in(listing.order, pair[1])}",
        lambda pair: pair[0].may(parse_image_path(pair[1].path), Action.VIEW_REPOSITORY),
        cursor,
        limit,
    )
    return Page([_show(there, row) for there, row in page.items], page.next)


def find_image(stock: Stock, asking: Asking, image_id: str, action: Action) -> Grant:
    """Return the grant for `action` on the image behind an id. Raises NameUnknown, AccessDenied."""
    place = images.locate(stock.db.reader, image_id)
    if place is None:
        raise _unknown(image_id)
    there = asking.at(place.registry, place.registry_name)
    return there.grant_found(place.path, Action.VIEW_REPOSITORY, action, _unknown(image_id))


def _unknown(image_id: str) -> NameUnknown:
    return NameUnknown(f"there is no image with the id {image_id[:40]!r}; find it by path with ?path=")


class _Found(msgspec.Struct, frozen=True):
    """An image with what stands beside it."""

    row: ImageRow
    stored: images.Stored
    template: str


def _find(reader: Reader, image: ImageRef) -> _Found | None:
    with reader.snapshot():
        row = image_lists.find_row(reader, image)
        if row is None:
            return None
        return _Found(row, images.settings_of(reader, row.number), images.template_of(reader, row.number))


async def _answer(stock: Stock, asking: Asking, grant: Grant, image_id: str) -> Response[ImageInFull]:
    """Return the image with its ETag. Raises NameUnknown."""
    found = await stock.db.read(lambda reader: _find(reader, grant.image))
    place = images.locate(stock.db.reader, image_id)
    if found is None or place is None:
        raise _unknown(image_id)
    shown = _show(asking.at(place.registry, place.registry_name), found.row)
    full = ImageInFull(
        **msgspec.structs.asdict(shown),
        policy=found.stored.settings.policy,
        template=image_policy.from_json(found.template),
        retention_due_at=moment_or_none(found.stored.retention_at),
    )
    return with_etag(full, found.stored.revision)


def _show(asking: Asking, row: ImageRow) -> Image:
    repository, _, name = row.path.partition("/")
    return Image(
        id=row.id,
        srn=srn(asking.site.appliance, asking.site.name, repository, name),
        registry=str(asking.site.name),
        path=row.path,
        state=RepositoryState.EDITING if row.is_editing else RepositoryState.ACTIVE,
        description=row.description,
        manifests=row.manifests,
        tags=row.tags,
        size=row.size,
        pulls=row.pulls,
        locked=row.locked,
        own_lock=row.own_lock,
        pushed_at=moment_or_none(row.pushed_at),
        last_pulled_at=moment_or_none(row.last_pulled_at),
        created_at=moment(row.created_at),
        created_by=row.created_by,
        modified_at=moment(row.modified_at),
        modified_by=row.modified_by,
        resource_tags=row.resource_tags,
    )
