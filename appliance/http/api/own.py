"""`/api/v1/self`: what one has oneself, and one's own password. One's own keys are among the access keys."""

import msgspec
from litestar import Controller, get, put
from litestar.params import JSONBody

from appliance.db import access_policies, account_lists, principals
from appliance.db.account_lists import Attached
from appliance.db.database import Reader
from appliance.domain.access import Action, Holder, PrincipalKind
from appliance.domain.accounts import GUIDANCE, Method, SignIn, check_password
from appliance.domain.admission import AccountGrant
from appliance.domain.revision import Expected
from appliance.errors import AccessDenied, AccountUnknown, Conflict, Unauthorized
from appliance.http.api.asking import Asking, InAsking, InStock
from appliance.http.api.session import InEntry
from appliance.http.api.users import Password
from appliance.http.verify import Basic
from appliance.services import accounts


class PolicyOfSelf(msgspec.Struct, frozen=True):
    """A policy that counts for oneself; `group`: which one brings it, "" for none."""

    name: str
    group: str


class SelfView(msgspec.Struct, frozen=True, rename="camel"):
    """Oneself. `guidance` says what would be safer in the security settings (`signIn`), "" where nothing."""

    kind: str
    name: str
    description: str
    method: Method | None
    access_key: str | None  # that asks
    managed: bool  # declared in scr.toml: the password is changed there
    has_password: bool
    sign_in: SignIn
    guidance: str
    groups: list[Attached]
    policies: list[PolicyOfSelf]


class OwnPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The password one has, and the one that takes its place."""

    current: Password
    password: Password


class Self(Controller):
    """Oneself."""

    path = "/api/v1/self"
    tags = ["accounts"]  # noqa: RUF012 - Litestar's way

    @get()
    async def show(self, stock: InStock, asking: InAsking) -> SelfView:
        """Show who asks: groups, policies in force, security settings."""
        if asking.own_account is not None:
            asking.grant_own(asking.own_account, Action.VIEW_USER)
        return await stock.db.read(lambda reader: _show(reader, asking))

    @put("/password", status_code=204)
    async def set_password(
        self, stock: InStock, asking: InAsking, way_in: InEntry, data: JSONBody[OwnPassword]
    ) -> None:
        """Change one's own password, which has to be told once more. Whatever the earlier one opened ends."""
        grant = _own(asking)
        account = grant.account
        row = principals.find(stock.db.reader, PrincipalKind.USER, account.name)
        if row is None:
            raise AccountUnknown(f"there is no {account} any more")
        verifier = way_in.callers.doorkeeper.verifier
        try:
            await verifier.prove(Basic(account.name, data.current), asking.caller.address, lambda: None)
        except Unauthorized as error:
            raise AccessDenied("the current password is wrong; an administrator can give you another one") from error
        hashed = await verifier.hash(check_password(data.password, account.name))
        unchanged = Expected(frozenset((row.revision,)))  # since the current one was proven
        await accounts.set_password(stock, grant, hashed, stock.clock(), unchanged)


def _own(asking: Asking) -> AccountGrant:
    """Return the grant to change the user that asks. Raises Conflict for who is none, AccessDenied, ScopeShort."""
    account = asking.own_account
    if account is None or account.kind is not Holder.USER:
        raise Conflict(f"{asking.caller.principal} has no password; a user has one")
    return asking.grant_own(account, Action.MANAGE_USER)


def _show(reader: Reader, asking: Asking) -> SelfView:
    caller = asking.caller
    row = principals.find_row(reader, caller.credential.principal) if caller.credential is not None else None
    if row is None:
        return SelfView(
            kind=caller.principal.kind.value,
            name=caller.principal.name,
            description="",
            method=None,
            access_key=None,
            managed=False,
            has_password=False,
            sign_in=SignIn((), (), ()),
            guidance="",
            groups=[],
            policies=[],
        )
    in_force = access_policies.list_in_force(reader, Holder(row.kind.value), row.row)
    return SelfView(
        kind=row.kind.value,
        name=row.name,
        description=row.description,
        method=caller.credential.method if caller.credential is not None else None,
        access_key=caller.access_key or None,
        managed=row.managed,
        has_password=row.has_password,
        sign_in=row.sign_in,
        guidance=GUIDANCE if Method.PASSWORD in row.sign_in.registry else "",
        groups=account_lists.list_memberships(reader, [row.row]).get(row.row, []),
        policies=[PolicyOfSelf(one.name, one.group) for one in in_force],
    )
