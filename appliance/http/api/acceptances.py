"""`/api/v1/accepted-findings`: which vulnerabilities do not count, where, why, by whose word, until when."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from appliance.db import acceptances
from appliance.db.database import Reader
from appliance.domain.exclusion import Acceptance, Origin
from appliance.domain.moment import from_datetime
from appliance.errors import EntryUnknown
from appliance.http.api.accepted_scope import check_manage, find_scope, listed_registry, may_view, where_of
from appliance.http.api.asking import InAsking, InStock, RegistryOf
from appliance.http.api.page import Cursor, Limit, Page, collect_page, moment, moment_or_none
from appliance.services import accepting
from appliance.services.accepting import Scope, Wish

Sort = Annotated[
    Literal[
        "vulnerability", "-vulnerability", "package", "-package", "where", "-where", "by", "-by", "accepted",
        "-accepted", "expires", "-expires",
    ],
    QueryParameter(description="the order; `-` turns it round. What never ends ends last"),
]  # fmt: skip


class AcceptanceOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What to accept, and where: by the id of an image, a repository or a registry; everywhere without any."""

    vulnerability: str
    reason: str
    package: str = ""
    image: str = ""
    repository: str = ""
    registry: str = ""
    expires_at: datetime | None = None


class OriginShown(msgspec.Struct, frozen=True, rename="camel"):
    """The statement of an OpenVEX document; `id` is of the document as it was imported."""

    id: str
    document: str  # its @id
    version: int
    author: str
    status: str  # not_affected, fixed
    said_at: datetime


class AcceptanceShown(msgspec.Struct, frozen=True, rename="camel"):
    """A finding that is accepted. `where` is everywhere, or the path of a registry, repository or image."""

    id: str
    vulnerability: str
    package: str  # its name, or package URL; "" for whichever has it
    where: str
    product: str  # of what there: the digest of an image, or the end of its path; "" for any
    reason: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    origin: OriginShown | None  # null: a person's word


class Acceptances(Controller):
    """Accepted findings: list, accept, reopen."""

    path = "/api/v1/accepted-findings"
    tags = ["scans"]  # noqa: RUF012 - Litestar's way

    @get()
    async def list(
        self,
        stock: InStock,
        asking: InAsking,
        registry: RegistryOf = None,
        sort: Sort = "-accepted",
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[AcceptanceShown]:
        """List what is accepted in a registry, its repositories and images; `registry=*` lists what is everywhere.

        The newest first unless asked otherwise.
        """
        site = listed_registry(stock, asking, registry)
        page = await collect_page(
            lambda last, count: stock.db.read(lambda reader: acceptances.list_page(reader, site, sort, last, count)),
            lambda found: found.place,
            lambda _: True,
            cursor,
            limit,
        )
        return Page(await stock.db.read(lambda reader: [_show(reader, found.one) for found in page.items]), page.next)

    @post(status_code=201)
    async def accept(self, stock: InStock, asking: InAsking, data: JSONBody[AcceptanceOrder]) -> AcceptanceShown:
        """Let a vulnerability not count; pull limits follow within moments."""
        scope = find_scope(stock, asking, data.image, data.repository, data.registry)
        expires = None if data.expires_at is None else from_datetime(data.expires_at)
        wish = Wish(data.vulnerability, data.package, data.reason, expires)
        made = await accepting.accept(stock, asking.caller, scope, wish, stock.clock())
        return await stock.db.read(lambda reader: _show(reader, made))

    @delete("/{acceptance:str}")
    async def reopen(self, stock: InStock, asking: InAsking, acceptance: FromPath[str]) -> None:
        """Let it count again."""
        unknown = EntryUnknown(f"nothing is accepted under the id {acceptance[:40]!r}; see the list")
        found = acceptances.find(stock.db.reader, acceptance)
        if found is None or not may_view(stock, asking, _scope(found)):
            raise unknown
        check_manage(stock, asking, _scope(found))
        await accepting.reopen(stock, asking.caller, found, stock.clock())


def _scope(one: Acceptance) -> Scope:
    return Scope(one.registry, one.repository, one.image)


def _show(reader: Reader, one: Acceptance) -> AcceptanceShown:
    return AcceptanceShown(
        id=one.public_id,
        vulnerability=one.vulnerability,
        package=one.product.purl or one.package,
        where=where_of(reader, _scope(one)),
        product=one.product.image,
        reason=one.reason,
        created_at=moment(one.created_at),
        created_by=one.created_by,
        expires_at=moment_or_none(one.expires_at),
        origin=None if one.origin is None else show_origin(one.origin),
    )


def show_origin(origin: Origin) -> OriginShown:
    """Return which document an acceptance is of."""
    return OriginShown(
        id=origin.import_id,
        document=origin.document,
        version=origin.version,
        author=origin.author,
        status=origin.judgement.value,
        said_at=moment(origin.said_at),
    )
