"""`/api/v1/users`: made, listed, edited, their passwords, deleted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, Response, delete, get, patch, post, put
from litestar.di import Provide
from litestar.params import FromPath, JSONBody

from appliance.db import account_lists, principals
from appliance.db.account_lists import Attached
from appliance.db.database import Reader
from appliance.domain.access import Account, Action, Holder, PrincipalKind
from appliance.domain.accounts import BY_DEFAULT, GUIDANCE, Method, PrincipalRow, SignIn, check_password
from appliance.http.api.accounts import (
    AccountName,
    AccountView,
    ByName,
    InWanted,
    OfGroup,
    OfPolicy,
    PolicyNames,
    Text,
    common,
    find_principal,
    having,
    list_rows,
    one_of,
    provide_wanted,
    with_group,
    with_policy,
)
from appliance.http.api.asking import Asking, InAsking, InStock
from appliance.http.api.editing import IfMatch, expected, with_etag
from appliance.http.api.page import Cursor, Limit, Page, moment_or_none
from appliance.http.api.session import InEntry
from appliance.services import accounts, enrol
from appliance.services.accounts import Edit, NewAccount
from appliance.services.enrol import Imported
from appliance.services.stock import Stock

Password = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class UserView(AccountView, frozen=True, rename="camel"):
    """A user. `guidance` says what would be safer in its security settings (`signIn`), "" where nothing."""

    enabled: bool
    has_password: bool
    sign_in: SignIn
    guidance: str
    groups: list[Attached]
    policies: list[Attached]  # attached to the user itself; groups bring theirs
    access_keys: int
    last_used_at: datetime | None  # of the password
    last_used_from: str


class UserOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A user to be made, with these policies. Without a password it signs in with access keys only."""

    name: AccountName
    description: Text = ""
    password: Password | None = None
    sign_in: SignIn = BY_DEFAULT
    policies: PolicyNames = []


class UserEdit(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What to change of a user; what is left out stays."""

    description: Text | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET
    sign_in: SignIn | msgspec.UnsetType = msgspec.UNSET


class ImportOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The text of an htpasswd file (bcrypt), and the policies that its users begin with."""

    htpasswd: str
    policies: PolicyNames = []
    dry_run: bool = False


class PasswordOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another password, or null for none."""

    password: Password | None


class Users(Controller):
    """Users."""

    path = "/api/v1/users"
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
        group: OfGroup = None,
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[UserView]:
        """List users; `path` finds the one of that name."""
        if path is not None:
            row = principals.find(stock.db.reader, PrincipalKind.USER, path)
            return Page(await _show(stock, asking, one_of(asking, Holder.USER, row)), None)
        wanted = with_group(stock, with_policy(stock, wanted, policy), group)
        page = await list_rows(stock, asking, Holder.USER, wanted, account_lists.list_users, cursor, limit)
        return Page(await _show(stock, asking, page.items), page.next)

    @post(status_code=201)
    async def create(
        self, stock: InStock, asking: InAsking, way_in: InEntry, data: JSONBody[UserOrder]
    ) -> Response[UserView]:
        """Make a user. One of that name that is there already is a 409 that says its id."""
        grant = asking.grant_new(Account(Holder.USER, data.name))
        hashed = None
        if data.password is not None:
            hashed = await way_in.callers.doorkeeper.verifier.hash(check_password(data.password, data.name))
        new = NewAccount(data.description, hashed, data.sign_in)
        policies = having(asking, data.policies)
        made = await enrol.create_principal(stock, grant, new, policies, stock.clock())
        answer = await _answer(stock, asking, made, 201)
        answer.headers["Location"] = f"/api/v1/users/{made.id}"
        return answer

    @post("/imports", status_code=200)
    async def import_htpasswd(self, stock: InStock, asking: InAsking, data: JSONBody[ImportOrder]) -> Imported:
        """Make the users of an htpasswd file that are not there, all or none: they keep their passwords.

        A password that was imported opens the registry, too.
        """
        found = enrol.parse_htpasswd(data.htpasswd)
        logins = [(asking.grant_new(Account(Holder.USER, login.name)), login) for login in found]
        policies = having(asking, data.policies)
        if not found:
            asking.grant_new(Account(Holder.USER, "*"))
        return await enrol.import_users(stock, logins, policies, stock.clock(), dry_run=data.dry_run)

    @get("/{user_id:str}")
    async def show(self, stock: InStock, asking: InAsking, user_id: FromPath[str]) -> Response[UserView]:
        """Show a user."""
        row, _ = find_principal(stock, asking, PrincipalKind.USER, user_id, Action.VIEW_USER)
        return await _answer(stock, asking, row)

    @patch("/{user_id:str}")
    async def edit(
        self,
        stock: InStock,
        asking: InAsking,
        user_id: FromPath[str],
        data: JSONBody[UserEdit],
        if_match: IfMatch = None,
    ) -> Response[UserView]:
        """Change a user. Disabled, it has lost every token and session at once, and for good."""
        _, grant = find_principal(stock, asking, PrincipalKind.USER, user_id, Action.MANAGE_USER)
        edited = await accounts.edit(stock, grant, edit_of(data), stock.clock(), expected(if_match))
        return await _answer(stock, asking, edited)

    @put("/{user_id:str}/password")
    async def set_password(
        self,
        stock: InStock,
        asking: InAsking,
        way_in: InEntry,
        user_id: FromPath[str],
        data: JSONBody[PasswordOrder],
        if_match: IfMatch = None,
    ) -> Response[UserView]:
        """Give a user another password, or take it away (null): whatever the earlier one opened ends."""
        row, grant = find_principal(stock, asking, PrincipalKind.USER, user_id, Action.MANAGE_USER)
        hashed = None
        if data.password is not None:
            hashed = await way_in.callers.doorkeeper.verifier.hash(check_password(data.password, row.name))
        changed = await accounts.set_password(stock, grant, hashed, stock.clock(), expected(if_match))
        return await _answer(stock, asking, changed)

    @delete("/{user_id:str}")
    async def delete(self, stock: InStock, asking: InAsking, user_id: FromPath[str], if_match: IfMatch = None) -> None:
        """Delete a user with its access keys."""
        _, grant = find_principal(stock, asking, PrincipalKind.USER, user_id, Action.MANAGE_USER)
        await accounts.delete(stock, grant, stock.clock(), expected(if_match))


def edit_of(data: msgspec.Struct) -> Edit:
    """Return what the fields of a body change that were sent."""
    sent = {name: getattr(data, name) for name in data.__struct_fields__}
    return Edit(**{name: value for name, value in sent.items() if value is not msgspec.UNSET})


async def _answer(stock: Stock, asking: Asking, row: PrincipalRow, status_code: int = 200) -> Response[UserView]:
    return with_etag((await _show(stock, asking, [row]))[0], row.revision, status_code)


async def _show(stock: Stock, asking: Asking, rows: Sequence[PrincipalRow]) -> list[UserView]:
    ids = [row.row for row in rows]

    def load(reader: Reader) -> list[UserView]:
        groups = account_lists.list_memberships(reader, ids)
        policies = account_lists.list_attached(reader, Holder.USER, ids)
        keys = account_lists.count_keys(reader, ids)
        return [
            _view(asking, row, groups.get(row.row, []), policies.get(row.row, []), keys.get(row.row, 0)) for row in rows
        ]

    return await stock.db.read(load) if rows else []


def _view(asking: Asking, row: PrincipalRow, groups: list[Attached], policies: list[Attached], keys: int) -> UserView:
    return UserView(
        **msgspec.structs.asdict(common(asking, Holder.USER, row)),
        enabled=row.enabled,
        has_password=row.has_password,
        sign_in=row.sign_in,
        guidance=GUIDANCE if Method.PASSWORD in row.sign_in.registry else "",
        groups=groups,
        policies=policies,
        access_keys=keys,
        last_used_at=moment_or_none(row.last_used_at),
        last_used_from=row.last_used_from,
    )
