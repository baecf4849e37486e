"""`/api/v1/roles`: who a machine signs in as, with access keys only."""

from collections.abc import Sequence

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.di import Provide
from litestar.params import FromPath, JSONBody

from appliance.db import account_lists, principals
from appliance.db.account_lists import Attached
from appliance.db.database import Reader
from appliance.domain.access import Account, Action, Holder, PrincipalKind
from appliance.domain.accounts import PrincipalRow
from appliance.http.api.accounts import (
    AccountName,
    AccountView,
    ByName,
    InWanted,
    OfPolicy,
    PolicyNames,
    Text,
    common,
    find_principal,
    having,
    list_rows,
    one_of,
    provide_wanted,
    with_policy,
)
from appliance.http.api.asking import Asking, InAsking, InStock
from appliance.http.api.editing import IfMatch, expected, with_etag
from appliance.http.api.page import Cursor, Limit, Page
from appliance.http.api.users import edit_of
from appliance.services import accounts, enrol
from appliance.services.accounts import NewAccount
from appliance.services.stock import Stock


class RoleView(AccountView, frozen=True, rename="camel"):
    """A role: a pipeline, a host, a cluster."""

    enabled: bool
    policies: list[Attached]
    access_keys: int


class RoleOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A role to be made, with these policies and no key yet."""

    name: AccountName
    description: Text = ""
    policies: PolicyNames = []


class RoleEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a role; what is left out stays."""

    description: Text | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET


class Roles(Controller):
    """Roles."""

    path = "/api/v1/roles"
    tags = ["accounts"]  # noqa: RUF012 - Litestar's way
    dependencies = {"wanted": Provide(provide_wanted, sync_to_thread=False)}  # noqa: RUF012

    @get()
    async def list(
        self,
        stock: InStock,
        asking: InAsking,
        wanted: InWanted,
        path: ByName = None,
        policy: OfPolicy = None,
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[RoleView]:
        """List roles; `path` finds the one of that name."""
        if path is not None:
            row = principals.find(stock.db.reader, PrincipalKind.ROLE, path)
            return Page(await _show(stock, asking, one_of(asking, Holder.ROLE, row)), None)
        wanted = with_policy(stock, wanted, policy)
        page = await list_rows(stock, asking, Holder.ROLE, wanted, account_lists.list_roles, cursor, limit)
        return Page(await _show(stock, asking, page.items), page.next)

    @post(status_code=201)
    async def create(self, stock: InStock, asking: InAsking, data: JSONBody[RoleOrder]) -> Response[RoleView]:
        """Make a role. One of that name that is there already is a 409 that says its id."""
        grant = asking.grant_new(Account(Holder.ROLE, data.name))
        new, policies = NewAccount(data.description), having(asking, data.policies)
        made = await enrol.create_principal(stock, grant, new, policies, stock.clock())
        answer = await _answer(stock, asking, made, 201)
        answer.headers["Location"] = f"/api/v1/roles/{made.id}"
        return answer

    @get("/{role_id:str}")
    async def show(self, stock: InStock, asking: InAsking, role_id: FromPath[str]) -> Response[RoleView]:
        """Show a role."""
        row, _ = find_principal(stock, asking, PrincipalKind.ROLE, role_id, Action.VIEW_ROLE)
        return await _answer(stock, asking, row)

    @patch("/{role_id:str}")
    async def edit(
        self,
        stock: InStock,
        asking: InAsking,
        role_id: FromPath[str],
        data: JSONBody[RoleEdit],
        if_match: IfMatch = None,
    ) -> Response[RoleView]:
        """Change a role. Disabled, it has lost every token at once, and for good."""
        _, grant = find_principal(stock, asking, PrincipalKind.ROLE, role_id, Action.MANAGE_ROLE)
        edited = await accounts.edit(stock, grant, edit_of(data), stock.clock(), expected(if_match))
        return await _answer(stock, asking, edited)

    @delete("/{role_id:str}")
    async def delete(self, stock: InStock, asking: InAsking, role_id: FromPath[str], if_match: IfMatch = None) -> None:
        """Delete a role with its access keys."""
        _, grant = find_principal(stock, asking, PrincipalKind.ROLE, role_id, Action.MANAGE_ROLE)
        await accounts.delete(stock, grant, stock.clock(), expected(if_match))


async def _answer(stock: Stock, asking: Asking, row: PrincipalRow, status_code: int = 200) -> Response[RoleView]:
    return with_etag((await _show(stock, asking, [row]))[0], row.revision, status_code)


async def _show(stock: Stock, asking: Asking, rows: Sequence[PrincipalRow]) -> list[RoleView]:
    ids = [row.row for row in rows]

    def load(reader: Reader) -> list[RoleView]:
        policies = account_lists.list_attached(reader, Holder.ROLE, ids)
        keys = account_lists.count_keys(reader, ids)
        return [
            RoleView(
                **msgspec.structs.asdict(common(asking, Holder.ROLE, row)),
                enabled=row.enabled,
                policies=policies.get(row.row, []),
                access_keys=keys.get(row.row, 0),
            )
            for row in rows
        ]

    return await stock.db.read(load) if rows else []
