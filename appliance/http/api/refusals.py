"""`/api/v1/refusals` and `/why/<id>`: why somebody was refused."""

from contextlib import suppress
from datetime import datetime
from urllib.parse import quote

import msgspec
from litestar import Controller, MediaType, get
from litestar.params import FromPath

from appliance.db import refusals, registries
from appliance.db.refusals import Refusal
from appliance.domain.decision import Step
from appliance.domain.names import parse_image_path, parse_reference
from appliance.errors import Invalid, PullDenied, QueryInvalid, RefusalUnknown, ScrError, kind_of
from appliance.http.api.asking import Asking, InAsking, InBooks, InStock, RegistryOf
from appliance.http.api.blocked import Blocked, find_blocked
from appliance.http.api.page import Cursor, Limit, Page, collect_page, moment
from appliance.http.api.viewing import NEWEST, ByTime, Principal, find_viewed, may_view, may_view_all
from appliance.http.noting import split
from appliance.services.books import Books
from appliance.services.stock import Stock

_PULL_DENIED = kind_of(PullDenied(""))


class Refused(msgspec.Struct, frozen=True, rename="camel"):
    """A refusal. The one who was refused gets what the message said; everything else is for who may view the registry.

    `times` counts the same request refused again; fields that the asker may not see are null. `blocked` is told of one
    refusal, not in lists: of a pull that a pull limit refused, to whoever may view the image.
    """

    id: str
    says: str
    at: datetime
    last_at: datetime
    times: int
    registry: str | None = None
    principal: str | None = None
    address: str | None = None
    client: str | None = None
    method: str | None = None
    path: str | None = None
    rule: str | None = None
    steps: list[Step] | None = None  # the ordered decisions; the last one refused
    blocked: Blocked | None = None


class Refusals(Controller):
    """Refusals: list, show."""

    path = "/api/v1/refusals"
    tags = ["refusals"]  # noqa: RUF012 - Litestar's way

    @get()
    async def list(
        self,
        stock: InStock,
        books: InBooks,
        asking: InAsking,
        registry: RegistryOf = None,
        principal: Principal = None,
        sort: ByTime = "-at",
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[Refused]:
        """List what was refused, the newest first unless asked otherwise, of the registries the asker may view."""
        onward = sort == "at"
        names = find_viewed(stock, asking, registry)
        with suppress(ScrError):  # what cannot be written now is not in the list yet
            await books.write_logs()
        page = await collect_page(
            lambda last, count: books.file.read(
                lambda reader: refusals.list_page(
                    reader, list(names), principal, _place(last, onward=onward), count, onward=onward
                )
            ),
            lambda one: f"{one.last_at}.{one.id}",
            lambda _: True,
            cursor,
            limit,
        )
        return Page([_show(one, names.get(one.registry, "")) for one in page.items], page.next)

    @get("/{refusal_id:str}")
    async def show(self, stock: InStock, books: InBooks, asking: InAsking, refusal_id: FromPath[str]) -> Refused:
        """Show a refusal: all of it to who may view the registry, what was said to the one who was refused."""
        return await _find(stock, books, asking, refusal_id)


@get("/why/{refusal_id:str}", media_type=MediaType.TEXT, include_in_schema=False)
async def tell_why(stock: InStock, books: InBooks, asking: InAsking, refusal_id: FromPath[str]) -> str:
    """Say the same to a person: the address at the end of every refusal."""
    one = await _find(stock, books, asking, refusal_id)
    lines = [
        one.says,
        "",
        f"{one.at:%Y-%m-%d %H:%M:%S} UTC, {one.times} times, last {one.last_at:%Y-%m-%d %H:%M:%S} UTC",
    ]
    if one.blocked is not None:
        found = f"/images/{one.blocked.id}/manifests/{quote(one.blocked.digest, safe='')}/scan?blocks=true"
        lines += [f"what blocks {one.blocked.path}: {found}"]
    if one.steps is not None:
        lines += [f"{one.principal or '(unknown)'} from {one.address} ({one.client}): {one.method} {one.path}"]
        lines += [f"{'passed' if step.allowed else 'refused':8} {step.stage}: {step.reason}" for step in one.steps]
    return "\n".join(lines) + "\n"


async def _find(stock: Stock, books: Books, asking: Asking, refusal_id: str) -> Refused:
    """Return as much of a refusal as the asker may see. Raises RefusalUnknown."""
    one = await books.refusals.find(books.file, refusal_id)
    if one is not None:
        found = registries.get(stock.db.reader, one.registry)
        name = str(found.name) if found else ""
        blocked = _find_blocked(stock, asking.at(found.id, found.name), one) if found else None
        if may_view(asking.at(found.id, found.name)) if found else may_view_all(asking):
            return _show(one, name, blocked)
        if one.principal == str(asking.caller.principal):
            return Refused(one.id, one.says, moment(one.at), moment(one.last_at), one.times, blocked=blocked)
    raise RefusalUnknown(f"there is no refusal {refusal_id[:40]!r} that you may see, or it is too long ago")


def _find_blocked(stock: Stock, there: Asking, one: Refusal) -> Blocked | None:
    """Return what a pull limit held back, if that is what refused, and the asker may view it."""
    name, kind, reference = split(one.path)
    if one.rule != _PULL_DENIED or kind != "manifests":
        return None
    try:
        return find_blocked(stock, there, parse_image_path(name), parse_reference(reference))
    except Invalid:  # a name that was taken by rules that were in force then
        return None


def _show(one: Refusal, registry: str, blocked: Blocked | None = None) -> Refused:
    return Refused(
        id=one.id,
        says=one.says,
        at=moment(one.at),
        last_at=moment(one.last_at),
        times=one.times,
        registry=registry,
        principal=one.principal,
        address=one.address,
        client=one.client,
        method=one.method,
        path=one.path,
        rule=one.rule,
        steps=list(one.steps),
        blocked=blocked,
    )


def _place(cursor: str, *, onward: bool) -> tuple[int, str]:
    at, _, refusal = cursor.partition(".")
    if not cursor:
        return (-1 if onward else NEWEST), ""
    if not (at.isascii() and at.isdigit() and len(at) < 19):
        raise QueryInvalid("cursor is none of this list; take it from `next` of the page before")
    return int(at), refusal
