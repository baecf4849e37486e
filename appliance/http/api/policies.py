"""`/api/v1/policies`: access policies as documents, begun from a copy of another, and who has them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, Response, delete, get, patch, post, put
from litestar.di import Provide
from litestar.params import FromPath, FromQuery, JSONBody

from appliance.db import access_policies, account_lists, user_groups
from appliance.db.access_policies import HolderRow
from appliance.domain.access import MANAGE_OF, VIEW_OF, AccessPolicy, Account, Action, Holder, PrincipalKind
from appliance.domain.accounts import PolicyRow
from appliance.domain.admission import AccountGrant
from appliance.domain.policy_document import Document, narrow, statements_of
from appliance.errors import AccountUnknown, QueryInvalid
from appliance.http.api.accounts import (
    AccountName,
    AccountView,
    ByName,
    InWanted,
    Text,
    common,
    find,
    find_principal,
    list_rows,
    one_of,
    provide_wanted,
)
from appliance.http.api.asking import Asking, InAsking, InStock
from appliance.http.api.editing import IfMatch, expected, with_etag
from appliance.http.api.page import Cursor, Limit, Page, collect_page, moment
from appliance.services import access_policies as policies
from appliance.services.access_policies import PolicyEdit
from appliance.services.stock import Stock

_SEPARATOR = "/"


class PolicyView(AccountView, frozen=True, rename="camel"):
    """An access policy. One that is not enabled allows nothing; what it denies stays denied."""

    enabled: bool
    built_in: bool  # the program's own, never changed
    version: int  # grows with every change of what it says
    document: Document
    attachments: int


class PlaceOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A repository, by name."""

    registry: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    repository: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class LoadOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which policy a new one begins as a copy of, and the registries and repositories it is narrowed to, if any."""

    policy: AccountName
    registries: Annotated[list[Annotated[str, msgspec.Meta(max_length=255)]], msgspec.Meta(max_length=1000)] = []
    repositories: Annotated[list[PlaceOrder], msgspec.Meta(max_length=1000)] = []


class PolicyOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A policy to be made, of a `document` or of a `load`ed policy."""

    name: AccountName
    description: Text = ""
    document: Document | None = None
    load: LoadOrder | None = None


class PolicyChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a policy; what is left out stays.

    What a document names alone stays the registry, repository or image it meant; with `rebind` it means what bears the
    names now.
    """

    description: Text | msgspec.UnsetType = msgspec.UNSET
    document: Document | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET
    rebind: bool = False


class AttachmentView(msgspec.Struct, frozen=True):
    """A user, role or group that has a policy; `managed`: scr.toml says so."""

    kind: Holder
    id: str
    name: str
    managed: bool
    since: datetime


class Policies(Controller):
    """Access policies."""

    path = "/api/v1/policies"
    tags = ["accounts"]  # noqa: RUF012 - Litestar's way

    @get(dependencies={"wanted": Provide(provide_wanted, sync_to_thread=False)})
    async def list(
        self,
        stock: InStock,
        asking: InAsking,
        wanted: InWanted,
        path: ByName = None,
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[PolicyView]:
        """List policies, the built-in ones too; `path` finds the one of that name."""
        if path is not None:
            found: Sequence[PolicyRow] = one_of(asking, Holder.POLICY, access_policies.find(stock.db.reader, path))
            return Page([_show(asking, row) for row in found], None)
        page = await list_rows(stock, asking, Holder.POLICY, wanted, account_lists.list_policies, cursor, limit)
        return Page([_show(asking, row) for row in page.items], page.next)

    @post(status_code=201)
    async def create(self, stock: InStock, asking: InAsking, data: JSONBody[PolicyOrder]) -> Response[PolicyView]:
        """Make a policy. One of that name that is there already is a 409 that says its id."""
        grant = asking.grant_new(Account(Holder.POLICY, data.name))
        document = _load(stock, asking, data.load) if data.load is not None else data.document
        if document is None or (data.load is not None and data.document is not None):
            raise QueryInvalid("a policy begins with a document, or with one that is loaded; send one of the two")
        made = await policies.create(stock, grant, document, stock.clock(), description=data.description)
        answer = with_etag(_show(asking, made), made.revision, 201)
        answer.headers["Location"] = f"/api/v1/policies/{made.id}"
        return answer

    @get("/{policy_id:str}")
    async def show(self, stock: InStock, asking: InAsking, policy_id: FromPath[str]) -> Response[PolicyView]:
        """Show a policy."""
        row, _ = _find(stock, asking, policy_id, Action.VIEW_POLICY)
        return with_etag(_show(asking, row), row.revision)

    @patch("/{policy_id:str}")
    async def edit(
        self,
        stock: InStock,
        asking: InAsking,
        policy_id: FromPath[str],
        data: JSONBody[PolicyChange],
        if_match: IfMatch = None,
    ) -> Response[PolicyView]:
        """Change a policy; it counts for the very next request of those who have it."""
        _, grant = _find(stock, asking, policy_id, Action.MANAGE_POLICY)
        change = PolicyEdit(
            document=None if data.document is msgspec.UNSET else data.document,
            description=None if data.description is msgspec.UNSET else data.description,
            enabled=None if data.enabled is msgspec.UNSET else data.enabled,
            rebind=data.rebind,
        )
        edited = await policies.edit(stock, grant, change, stock.clock(), expected(if_match))
        return with_etag(_show(asking, edited), edited.revision)

    @get("/{policy_id:str}/attachments")
    async def list_attachments(
        self, stock: InStock, asking: InAsking, policy_id: FromPath[str], cursor: Cursor = "", limit: Limit = 100
    ) -> Page[AttachmentView]:
        """List the users, roles and groups that have the policy themselves, by kind and name."""
        row, _ = _find(stock, asking, policy_id, Action.VIEW_POLICY)

        async def fetch(last: str, count: int) -> list[HolderRow]:
            kind, _, name = last.partition(_SEPARATOR)
            return await stock.db.read(
                lambda reader: access_policies.list_holders(reader, row.row, (kind, name), count)
            )

        page = await collect_page(
            fetch,
            lambda one: f"{one.kind}{_SEPARATOR}{one.name}",
            lambda one: asking.may_account(Account(one.kind, one.name), VIEW_OF[one.kind]),
            cursor,
            limit,
        )
        return Page([_attachment(one) for one in page.items], page.next)

    @put("/{policy_id:str}/attachments/{kind:str}/{holder_id:str}", status_code=204)
    async def attach(
        self,
        stock: InStock,
        asking: InAsking,
        policy_id: FromPath[str],
        kind: FromPath[str],
        holder_id: FromPath[str],
    ) -> None:
        """Attach a policy to a user, role or group; one that has it stays as it is."""
        _, grant = _find(stock, asking, policy_id, Action.VIEW_POLICY)
        await policies.attach(stock, grant, _holder(stock, asking, kind, holder_id), stock.clock())

    @delete("/{policy_id:str}/attachments/{kind:str}/{holder_id:str}")
    async def detach(
        self,
        stock: InStock,
        asking: InAsking,
        policy_id: FromPath[str],
        kind: FromPath[str],
        holder_id: FromPath[str],
    ) -> None:
        """Take a policy away from a user, role or group."""
        _, grant = _find(stock, asking, policy_id, Action.VIEW_POLICY)
        await policies.detach(stock, grant, _holder(stock, asking, kind, holder_id), stock.clock())

    @delete("/{policy_id:str}")
    async def delete(
        self,
        stock: InStock,
        asking: InAsking,
        policy_id: FromPath[str],
        if_match: IfMatch = None,
        *,
        detach: FromQuery[bool] = False,
    ) -> None:
        """Delete a policy; one that somebody has only with `detach`, which takes it away from them."""
        _, grant = _find(stock, asking, policy_id, Action.MANAGE_POLICY)
        await policies.delete(stock, grant, stock.clock(), detach=detach, expected=expected(if_match))


def _find(stock: Stock, asking: Asking, policy_id: str, action: Action) -> tuple[PolicyRow, AccountGrant]:
    return find(asking, Holder.POLICY, access_policies.find_id(stock.db.reader, policy_id), policy_id, action)


def _holder(stock: Stock, asking: Asking, kind: str, holder_id: str) -> AccountGrant:
    """Return the grant to change what somebody has. Raises AccountUnknown, AccessDenied."""
    if kind == Holder.GROUP:
        row = user_groups.find_id(stock.db.reader, holder_id)
        return find(asking, Holder.GROUP, row, holder_id, Action.MANAGE_GROUP)[1]
    if kind not in (Holder.USER, Holder.ROLE):
        raise AccountUnknown(f"{kind[:40]!r} is nobody that has policies; write user, role or group")
    return find_principal(stock, asking, PrincipalKind(kind), holder_id, MANAGE_OF[Holder(kind)])[1]


def _load(stock: Stock, asking: Asking, order: LoadOrder) -> Document:
    """Return the copy of a policy that the asker may view. Raises AccountUnknown, PolicyInvalid."""
    row = access_policies.find(stock.db.reader, order.policy)
    if row is None or not asking.may_account(Account(Holder.POLICY, row.name), Action.VIEW_POLICY):
        raise AccountUnknown(f"there is no policy {order.policy!r} to load; see: scr policy list")
    statements = statements_of(row.name, row.document, enabled=True)
    if not (order.registries or order.repositories):
        return Document(statements)
    places = [(one.registry, one.repository) for one in order.repositories]
    return narrow(AccessPolicy(row.name, statements), order.registries, places)


def _attachment(one: HolderRow) -> AttachmentView:
    return AttachmentView(one.kind, one.id, one.name, one.managed, moment(one.since))


def _show(asking: Asking, row: PolicyRow) -> PolicyView:
    return PolicyView(
        **msgspec.structs.asdict(common(asking, Holder.POLICY, row)),
        enabled=row.enabled,
        built_in=row.built_in,
        version=row.version,
        document=Document(statements_of(row.name, row.document, enabled=True)),
        attachments=row.attachments,
    )
