"""`/api/v1/traffic`: who pulled and pushed what, in the registries whose traffic log is on."""

from contextlib import suppress
from datetime import datetime

import msgspec
from litestar import get
from litestar.params import FromQuery
from litestar.types import ControllerRouterHandler

from appliance.db import traffic
from appliance.db.traffic import KINDS, Passage, Wanted
from appliance.domain.access import Action
from appliance.domain.names import RegistryName, parse_digest, parse_image_path
from appliance.domain.registry import RegistryId
from appliance.errors import QueryInvalid, ScrError
from appliance.http.api.asking import InAsking, InBooks, InStock, RegistryOf
from appliance.http.api.page import Cursor, Limit, Page, collect_page, moment
from appliance.http.api.viewing import NEWEST, After, ByTime, Principal, Since, Until, find_viewed, seq_of, time_or


class Transfer(msgspec.Struct, frozen=True, rename="camel"):
    """A manifest or blob that went out or came in. `size` is bytes of the body."""

    seq: int  # the order of all of them
    at: datetime
    kind: str  # manifest.pulled, manifest.pushed, blob.pulled, blob.pushed, blob.mounted
    registry: str
    path: str
    tag: str  # by which it was asked for; "" where that was the digest
    digest: str
    size: int
    principal: str
    address: str
    client: str


@get("/api/v1/traffic", tags=["traffic"])
async def list_traffic(  # noqa: PLR0913, PLR0917 - one for each thing that can be asked for
    stock: InStock,
    books: InBooks,
    asking: InAsking,
    registry: RegistryOf = None,
    digest: FromQuery[str | None] = None,
    path: FromQuery[str | None] = None,
    kind: FromQuery[str | None] = None,
    principal: Principal = None,
    since: Since = None,
    until: Until = None,
    after: After = None,
    sort: ByTime = "-at",
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[Transfer]:
    """List allowed pulls and pushes, the newest first unless asked otherwise, of the registries the asker may view."""
    names = find_viewed(stock, asking, registry)
    if kind is not None and kind not in KINDS:
        raise QueryInvalid(f"kind={kind[:40]!r} is none of {', '.join(KINDS)}")
    wanted = Wanted(
        registries=list(names),
        digest=None if digest is None else parse_digest(digest),
        path=None if path is None else str(parse_image_path(path)),
        principal=principal,
        kind=kind,
        since=time_or(since, 0),
        until=time_or(until, NEWEST),
    )

    def keep(one: Passage) -> bool:
        there = asking.at(one.registry, RegistryName(names[one.registry]))
        return there.may(parse_image_path(one.path), Action.VIEW_REPOSITORY)

    with suppress(ScrError):  # what cannot be written now is not in the list yet
        await books.write_logs()
    if after is not None:
        found = await books.file.read(lambda reader: traffic.list_page(reader, wanted, after, limit, onward=True))
        return Page([_show(one, names) for one in found if keep(one)], str(found[-1].seq if found else after))
    onward = sort == "at"
    page = await collect_page(
        lambda last, count: books.file.read(
            lambda reader: traffic.list_page(reader, wanted, seq_of(last or "0" * onward), count, onward=onward)
        ),
        lambda one: str(one.seq),
        keep,
        cursor,
        limit,
    )
    return Page([_show(one, names) for one in page.items], page.next)


TRAFFIC: tuple[ControllerRouterHandler, ...] = (list_traffic,)


def _show(one: Passage, names: dict[RegistryId, str]) -> Transfer:
    return Transfer(
        seq=one.seq,
        at=moment(one.at),
        kind=one.kind,
        registry=names[one.registry],
        path=one.path,
        tag=one.tag,
        digest=one.digest,
        size=one.size,
        principal=one.principal,
        address=one.address,
        client=one.client,
    )
