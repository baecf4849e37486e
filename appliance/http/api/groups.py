"""`/api/v1/groups`: made, listed, edited, deleted; who is in them."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from litestar import Controller, Response, delete, get, patch, post, put
from litestar.di import Provide
from litestar.params import FromPath, JSONBody

from appliance.db import account_lists, principals, user_groups
from appliance.db.account_lists import Attached
from appliance.db.database import Reader
from appliance.db.user_groups import Member
from appliance.domain.access import Account, Action, Holder, PrincipalKind
from appliance.domain.accounts import GroupRow
from appliance.domain.admission import AccountGrant
from appliance.http.api.accounts import (
    AccountName,
    AccountView,
    ByName,
    InWanted,
    OfPolicy,
    PolicyNames,
    Text,
    common,
    find,
    find_principal,
    having,
    list_rows,
    one_of,
    provide_wanted_groups,
    with_policy,
)
from appliance.http.api.asking import Asking, InAsking, InStock
from appliance.http.api.editing import IfMatch, expected, with_etag
from appliance.http.api.page import Cursor, Limit, Page, collect_page, moment
from appliance.services import enrol, groups
from appliance.services.stock import Stock


class GroupView(AccountView, frozen=True, rename="camel"):
    """A group. Its users have its policies besides their own."""

    members: int
    policies: list[Attached]


class GroupOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A group to be made, with these policies and nobody in it yet."""

    name: AccountName
    description: Text = ""
    policies: PolicyNames = []


class GroupEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a group."""

    description: Text | msgspec.UnsetType = msgspec.UNSET


class MemberView(msgspec.Struct, frozen=True):
    """A user in a group; `managed`: scr.toml says so."""

    id: str
    name: str
    enabled: bool
    managed: bool
    since: datetime


class Groups(Controller):
    """Groups."""

    path = "/api/v1/groups"
    tags = ["accounts"]  # noqa: RUF012 - Litestar's way

    @get(dependencies={"wanted": Provide(provide_wanted_groups, sync_to_thread=False)})
    async def list(
        self,
        stock: InStock,
        asking: InAsking,
        wanted: InWanted,
        path: ByName = None,
        policy: OfPolicy = None,
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[GroupView]:
        """List groups; `path` finds the one of that name."""
        if path is not None:
            row = user_groups.find(stock.db.reader, path)
            return Page(await _show(stock, asking, one_of(asking, Holder.GROUP, row)), None)
        wanted = with_policy(stock, wanted, policy)
        page = await list_rows(stock, asking, Holder.GROUP, wanted, account_lists.list_groups, cursor, limit)
        return Page(await _show(stock, asking, page.items), page.next)

    @post(status_code=201)
    async def create(self, stock: InStock, asking: InAsking, data: JSONBody[GroupOrder]) -> Response[GroupView]:
        """Make a group. One of that name that is there already is a 409 that says its id."""
        grant = asking.grant_new(Account(Holder.GROUP, data.name))
        policies = having(asking, data.policies)
        made = await enrol.create_group(stock, grant, data.description, policies, stock.clock())
        answer = await _answer(stock, asking, made, 201)
        answer.headers["Location"] = f"/api/v1/groups/{made.id}"
        return answer

    @get("/{group_id:str}")
    async def show(self, stock: InStock, asking: InAsking, group_id: FromPath[str]) -> Response[GroupView]:
        """Show a group."""
        row, _ = _find(stock, asking, group_id, Action.VIEW_GROUP)
        return await _answer(stock, asking, row)

    @patch("/{group_id:str}")
    async def edit(
        self,
        stock: InStock,
        asking: InAsking,
        group_id: FromPath[str],
        data: JSONBody[GroupEdit],
        if_match: IfMatch = None,
    ) -> Response[GroupView]:
        """Change a group."""
        _, grant = _find(stock, asking, group_id, Action.MANAGE_GROUP)
        description = None if data.description is msgspec.UNSET else data.description
        return await _answer(
            stock, asking, await groups.edit(stock, grant, description, stock.clock(), expected(if_match))
        )

    @get("/{group_id:str}/members")
    async def list_members(
        self, stock: InStock, asking: InAsking, group_id: FromPath[str], cursor: Cursor = "", limit: Limit = 100
    ) -> Page[MemberView]:
        """List the users in a group, by name."""
        row, _ = _find(stock, asking, group_id, Action.VIEW_GROUP)
        page = await collect_page(
            lambda last, count: stock.db.read(lambda reader: user_groups.list_members(reader, row.row, last, count)),
            lambda member: principals.sort_key(member.name),
            lambda member: asking.may_account(Account(Holder.USER, member.name), Action.VIEW_USER),
            cursor,
            limit,
        )
        return Page([_member(one) for one in page.items], page.next)

    @put("/{group_id:str}/members/{user_id:str}", status_code=204)
    async def add_member(
        self, stock: InStock, asking: InAsking, group_id: FromPath[str], user_id: FromPath[str]
    ) -> None:
        """Put a user into a group; one that is in it stays."""
        _, grant = _find(stock, asking, group_id, Action.MANAGE_GROUP)
        _, user = find_principal(stock, asking, PrincipalKind.USER, user_id, Action.VIEW_USER)
        await groups.add_member(stock, grant, user, stock.clock())

    @delete("/{group_id:str}/members/{user_id:str}")
    async def remove_member(
        self, stock: InStock, asking: InAsking, group_id: FromPath[str], user_id: FromPath[str]
    ) -> None:
        """Take a user out of a group."""
        _, grant = _find(stock, asking, group_id, Action.MANAGE_GROUP)
        _, user = find_principal(stock, asking, PrincipalKind.USER, user_id, Action.VIEW_USER)
        await groups.remove_member(stock, grant, user, stock.clock())

    @delete("/{group_id:str}")
    async def delete(self, stock: InStock, asking: InAsking, group_id: FromPath[str], if_match: IfMatch = None) -> None:
        """Delete a group; its users stay, without its policies."""
        _, grant = _find(stock, asking, group_id, Action.MANAGE_GROUP)
        await groups.delete(stock, grant, stock.clock(), expected(if_match))


def _find(stock: Stock, asking: Asking, group_id: str, action: Action) -> tuple[GroupRow, AccountGrant]:
    return find(asking, Holder.GROUP, user_groups.find_id(stock.db.reader, group_id), group_id, action)


def _member(one: Member) -> MemberView:
    return MemberView(one.id, one.name, one.enabled, one.managed, moment(one.since))


async def _answer(stock: Stock, asking: Asking, row: GroupRow, status_code: int = 200) -> Response[GroupView]:
    return with_etag((await _show(stock, asking, [row]))[0], row.revision, status_code)


async def _show(stock: Stock, asking: Asking, rows: Sequence[GroupRow]) -> list[GroupView]:
    def load(reader: Reader) -> list[GroupView]:
        policies = account_lists.list_attached(reader, Holder.GROUP, [row.row for row in rows])
        return [
            GroupView(
                **msgspec.structs.asdict(common(asking, Holder.GROUP, row)),
                members=row.members,
                policies=policies.get(row.row, []),
            )
            for row in rows
        ]

    return await stock.db.read(load) if rows else []
