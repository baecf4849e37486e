"""`/api/v1/activity`, and the same of one registry, repository or image: who changed what."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, QueryParameter, SkipValidation
from litestar.types import ControllerRouterHandler

from appliance.db import activity, images, registries, repositories
from appliance.db.activity import Happening, Wanted
from appliance.db.database import Reader
from appliance.domain.access import Action
from appliance.domain.names import RegistryName, RepositoryName, of_repository, parse_image_path, parse_repository_name
from appliance.errors import NameUnknown, RegistryUnknown
from appliance.http.api.asking import Asking, InAsking, InStock, RegistryOf
from appliance.http.api.images import find_image
from appliance.http.api.page import Cursor, Limit, Page, collect_page, moment
from appliance.http.api.repositories import find_repository
from appliance.http.api.viewing import NEWEST, After, Principal, Since, Until, may_view, may_view_all, seq_of, time_or
from appliance.services.stock import Stock

Sort = Annotated[
    Literal["-at", "at", "principal", "-principal", "kind", "-kind"],
    QueryParameter(description="the order; `-` turns it round. With `after` it is always that of `seq`"),
]


class Activity(msgspec.Struct, frozen=True, rename="camel"):
    """One change or sign-in. `registry`, `repository` and `image` are as they are called now; null: none, or gone."""

    seq: int  # the order of all of them
    at: datetime
    kind: str  # noun.verb, as tag.deleted
    principal: str
    address: str
    client: str
    registry: str | None
    repository: str | None
    image: str | None
    about: str  # what is none of these, as user:ann
    detail: dict[str, Any]  # `v` is its version; edits have `before` and `after`


class Narrowed(msgspec.Struct, frozen=True):
    """What of a resource's activity is asked for, and in which order."""

    kind: str | None
    principal: str | None
    sort: str


def provide_narrowed(kind: FromQuery[str | None] = None, principal: Principal = None, sort: Sort = "-at") -> Narrowed:
    """Return what the query of a resource's activity asks for."""
    return Narrowed(kind, principal, sort)


InNarrowed = NamedDependency[SkipValidation[Narrowed]]
_NARROWED = {"narrowed": Provide(provide_narrowed, sync_to_thread=False)}


@get("/api/v1/activity", tags=["activity"])
async def list_activity(  # noqa: PLR0913, PLR0917 - one for each thing that can be asked for
    stock: InStock,
    asking: InAsking,
    registry: RegistryOf = None,
    path: FromQuery[str | None] = None,
    kind: FromQuery[str | None] = None,
    principal: Principal = None,
    about: FromQuery[str | None] = None,
    since: Since = None,
    until: Until = None,
    after: After = None,
    sort: Sort = "-at",
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[Activity]:
    """List changes and sign-ins of one registry, or of everything to whoever may view all; the newest first by default.

    `path` is a repository (`pay`) or an image (`pay/api`).
    """
    only, repository, image = None, None, None
    if path is not None:
        asking = asking.at_name(stock, registry)
        repository, image = _find(stock, asking, path)
    elif registry is not None or not may_view_all(asking):
        asking = asking.at_name(stock, registry)
        asking.check(Action.VIEW_REGISTRY)
        only = asking.site.registry
    wanted = Wanted(
        registry=only,
        repository=repository,
        image=image,
        kind=kind,
        principal=principal,
        subject=about,
        since=time_or(since, 0),
        until=time_or(until, NEWEST),
    )
    return await _list(stock, asking, wanted, after, sort, cursor, limit)


@get("/api/v1/registries/{registry_id:str}/activity", tags=["activity"], dependencies=_NARROWED)
async def list_registry_activity(
    stock: InStock,
    asking: InAsking,
    registry_id: FromPath[str],
    narrowed: InNarrowed,
    after: After = None,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[Activity]:
    """List what happened to a registry and to everything in it, the newest first."""
    found = registries.find_by_id(stock.db.reader, registry_id)
    if found is None or not may_view(asking.at(found.id, found.name)):
        raise RegistryUnknown(f"there is no registry with the id {registry_id[:40]!r}; see: scr registry list")
    wanted = Wanted(registry=found.id, kind=narrowed.kind, principal=narrowed.principal)
    return await _list(stock, asking, wanted, after, narrowed.sort, cursor, limit)


@get("/api/v1/repositories/{repository_id:str}/activity", tags=["activity"], dependencies=_NARROWED)
async def list_repository_activity(
    stock: InStock,
    asking: InAsking,
    repository_id: FromPath[str],
    narrowed: InNarrowed,
    after: After = None,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[Activity]:
    """List what happened to a repository and to its images, the newest first."""
    found, _ = find_repository(stock, asking, repository_id, Action.VIEW_REPOSITORY)
    wanted = Wanted(repository=found.id, kind=narrowed.kind, principal=narrowed.principal)
    return await _list(stock, asking, wanted, after, narrowed.sort, cursor, limit)


@get("/api/v1/images/{image_id:str}/activity", tags=["activity"], dependencies=_NARROWED)
async def list_image_activity(
    stock: InStock,
    asking: InAsking,
    image_id: FromPath[str],
    narrowed: InNarrowed,
    after: After = None,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[Activity]:
    """List what happened to an image, the newest first."""
    grant = find_image(stock, asking, image_id, Action.VIEW_REPOSITORY)
    row = images.find_shown(stock.db.reader, grant.image)
    wanted = Wanted(image=row or 0, kind=narrowed.kind, principal=narrowed.principal)
    return await _list(stock, asking, wanted, after, narrowed.sort, cursor, limit)


ACTIVITY: tuple[ControllerRouterHandler, ...] = (
    list_activity,
    list_registry_activity,
    list_repository_activity,
    list_image_activity,
)


def _find(stock: Stock, asking: Asking, path: str) -> tuple[int | None, int | None]:
    """Return the repository or the image at `path`. Raises NameInvalid, NameUnknown, AccessDenied."""
    reader = stock.db.reader
    if "/" in path:
        wanted = asking.grant(parse_image_path(path), Action.VIEW_REPOSITORY).image
        image = images.find_shown(reader, wanted)
        found: tuple[int | None, int | None] = (None, image)
    else:
        name = parse_repository_name(path)
        asking.grant(of_repository(name), Action.VIEW_REPOSITORY)
        found = (repositories.find(reader, asking.site.registry, name), None)
    if found == (None, None):
        raise NameUnknown(f"there is no repository or image {path}")
    return found


async def _list(
    stock: Stock, asking: Asking, wanted: Wanted, after: int | None, sort: str, cursor: str, limit: int
) -> Page[Activity]:
    if after is None and sort != "-at":
        return await _page_by(stock, asking, wanted, sort, cursor, limit)
    return await _page(stock, asking, wanted, after, cursor, limit)


async def _page(
    stock: Stock, asking: Asking, wanted: Wanted, after: int | None, cursor: str, limit: int
) -> Page[Activity]:
    def keep(one: Happening) -> bool:
        return _may_see(asking, one)

    if after is not None:
        found = await stock.db.read(lambda reader: activity.list_page(reader, wanted, after, limit, onward=True))
        return Page([_show(one) for one in found if keep(one)], str(found[-1].seq if found else after))
    page = await collect_page(
        lambda last, count: stock.db.read(lambda reader: activity.list_page(reader, wanted, seq_of(last), count)),
        lambda one: str(one.seq),
        keep,
        cursor,
        limit,
    )
    return Page([_show(one) for one in page.items], page.next)


async def _page_by(stock: Stock, asking: Asking, wanted: Wanted, sort: str, cursor: str, limit: int) -> Page[Activity]:
    """Return a page in another order: the oldest first, or by who or what."""

    def fetch(reader: Reader, last: str, count: int) -> list[Happening]:
        number, _, text = last.partition("/")
        seq = seq_of(number) if last else 0
        if sort == "at":
            return activity.list_page(reader, wanted, seq, count, onward=True)
        return activity.list_sorted(reader, wanted, sort, (text, seq) if last else None, count)

    by = sort.removeprefix("-")
    page = await collect_page(
        lambda last, count: stock.db.read(lambda reader: fetch(reader, last, count)),
        lambda one: f"{one.seq}/{'' if by == 'at' else one.kind if by == 'kind' else one.principal}",
        lambda one: _may_see(asking, one),
        cursor,
        limit,
    )
    return Page([_show(one) for one in page.items], page.next)


def _may_see(asking: Asking, one: Happening) -> bool:
    """Whether the asker may view what a record is about; of what is gone, the registry it was in."""
    if one.registry is None or one.registry_name is None:
        return may_view_all(asking)
    there = asking.at(one.registry, RegistryName(one.registry_name))
    if one.image is not None:
        return there.may(parse_image_path(one.image), Action.VIEW_REPOSITORY)
    if one.repository is not None:
        return there.may(of_repository(RepositoryName(one.repository)), Action.VIEW_REPOSITORY)
    return may_view(there)


def _show(one: Happening) -> Activity:
    return Activity(
        seq=one.seq,
        at=moment(one.at),
        kind=one.kind,
        principal=one.principal,
        address=one.address,
        client=one.client,
        registry=one.registry_name,
        repository=one.repository,
        image=one.image,
        about=one.subject,
        detail=msgspec.json.decode(one.detail, type=dict[str, Any]),
    )
