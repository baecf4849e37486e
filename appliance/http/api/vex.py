"""`/api/v1/accepted-findings/documents`: OpenVEX documents whose word counts here."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from appliance.db import vex_documents
from appliance.db.database import Reader
from appliance.db.vex_documents import VexDocument
from appliance.errors import EntryUnknown
from appliance.http.api.accepted_scope import check_manage, find_scope, listed_registry, may_view, where_of
from appliance.http.api.asking import InAsking, InStock, RegistryOf
from appliance.http.api.page import Cursor, Limit, Page, collect_page, moment
from appliance.services import vex_import
from appliance.services.accepting import Scope

Sort = Annotated[
    Literal[
        "document", "-document", "author", "-author", "issued", "-issued", "where", "-where", "imported", "-imported",
        "by", "-by",
    ],
    QueryParameter(description="the order; `-` turns it round"),
]  # fmt: skip
_MAX_BODY = 2 * vex_import.LARGEST  # bytes: the document is a string here, and each of its quotes is two


class DocumentOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The text of an OpenVEX document, and where it counts: as for a finding that is accepted."""

    document: str
    image: str = ""
    repository: str = ""
    registry: str = ""


class DocumentShown(msgspec.Struct, frozen=True, rename="camel"):
    """A document that was imported. `where` is everywhere, or the path of a registry, repository or image."""

    id: str
    document: str  # its @id
    version: int
    author: str
    issued_at: datetime
    where: str
    imported_at: datetime
    imported_by: str


class UntakenShown(msgspec.Struct, frozen=True):
    """A statement, or a product of it, that does not count here. `statement` is counted from 1."""

    statement: int
    reason: str


class DocumentTaken(msgspec.Struct, frozen=True, rename="camel"):
    """What an import did; not `isNew`: the same was imported before, and nothing has changed."""

    document: DocumentShown
    is_new: bool
    accepted: int  # statements of not_affected and fixed
    counting: int  # of affected and under_investigation: what documents accepted before counts again
    untaken: list[UntakenShown]


class VexDocuments(Controller):
    """Documents: list, import, withdraw."""

    path = "/api/v1/accepted-findings/documents"
    tags = ["scans"]  # noqa: RUF012 - Litestar's way

    @get()
    async def list(
        self,
        stock: InStock,
        asking: InAsking,
        registry: RegistryOf = None,
        sort: Sort = "-imported",
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[DocumentShown]:
        """List what was imported for a registry, its repositories and images; `registry=*` lists what is everywhere.

        The newest first unless asked otherwise.
        """
        site = listed_registry(stock, asking, registry)
        page = await collect_page(
            lambda last, count: stock.db.read(lambda reader: vex_documents.list_page(reader, site, sort, last, count)),
            lambda found: found.place,
            lambda _: True,
            cursor,
            limit,
        )
        return Page(await stock.db.read(lambda reader: [_show(reader, found.one) for found in page.items]), page.next)

    @post(status_code=201, request_max_body_size=_MAX_BODY)
    async def take(self, stock: InStock, asking: InAsking, data: JSONBody[DocumentOrder]) -> DocumentTaken:
        """Let an OpenVEX document count instead of older versions of it; pull limits follow within moments."""
        scope = find_scope(stock, asking, data.image, data.repository, data.registry)
        taken = await vex_import.take(stock, asking.caller, scope, data.document, stock.clock())
        return DocumentTaken(
            document=await stock.db.read(lambda reader: _show(reader, taken.document)),
            is_new=taken.is_new,
            accepted=taken.accepted,
            counting=taken.counting,
            untaken=[UntakenShown(one.number, one.reason) for one in taken.untaken],
        )

    @delete("/{document:str}")
    async def withdraw(self, stock: InStock, asking: InAsking, document: FromPath[str]) -> None:
        """Let all that the document said count for nothing."""
        found = vex_documents.find(stock.db.reader, document)
        if found is None or not may_view(stock, asking, _scope(found)):
            raise EntryUnknown(f"no document was imported under the id {document[:40]!r}; see the list")
        check_manage(stock, asking, _scope(found))
        await vex_import.withdraw(stock, asking.caller, found, stock.clock())


def _scope(one: VexDocument) -> Scope:
    return Scope(one.registry, one.repository, one.image)


def _show(reader: Reader, one: VexDocument) -> DocumentShown:
    return DocumentShown(
        id=one.public_id,
        document=one.document,
        version=one.version,
        author=one.author,
        issued_at=moment(one.issued_at),
        where=where_of(reader, _scope(one)),
        imported_at=moment(one.imported_at),
        imported_by=one.imported_by,
    )
