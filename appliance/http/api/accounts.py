"""What users, roles, groups and access policies have in common: found by id or by name, listed, shown."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Protocol, TypeVar

import msgspec
from litestar.di import NamedDependency
from litestar.params import QueryParameter, SkipValidation

from appliance.db import access_policies, account_lists, principals, user_groups
from appliance.db.account_lists import Wanted
from appliance.db.database import Reader
from appliance.domain.access import VIEW_OF, Account, Action, GroupId, Holder, PolicyId, PrincipalKind, account_srn
from appliance.domain.accounts import GroupRow, PolicyRow, PrincipalRow
from appliance.domain.admission import AccountGrant
from appliance.domain.listing import parse_order
from appliance.errors import AccountUnknown
from appliance.http.api.asking import Asking
from appliance.http.api.page import Name, Page, collect_page, moment
from appliance.services.stock import Stock

Text = Annotated[str, msgspec.Meta(max_length=1000)]
AccountName = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
PolicyNames = Annotated[list[AccountName], msgspec.Meta(max_length=100)]  # attached from the beginning
Row = TypeVar("Row", PrincipalRow, GroupRow, PolicyRow)

Sort = Annotated[
    Literal["name", "-name", "created", "-created"], QueryParameter(description="the order; `-` turns it round")
]
ByName = Annotated[str | None, QueryParameter(name="path", max_length=255, description="the one of just this name")]
Enabled = Annotated[bool | None, QueryParameter(description="only what is enabled, or is not")]
Managed = Annotated[bool | None, QueryParameter(description="only what scr.toml declares, or does not")]
OfPolicy = Annotated[
    str | None, QueryParameter(name="policy", max_length=128, description="only who has this policy attached to itself")
]
OfGroup = Annotated[str | None, QueryParameter(name="group", max_length=128, description="only who is in this group")]

InWanted = NamedDependency[SkipValidation[Wanted]]
_NOBODY = 0  # an inner id that no row has


class AccountView(msgspec.Struct, frozen=True, rename="camel"):
    """What every user, role, group and policy has. `managed`: declared in scr.toml, and changed there only."""

    id: str
    srn: str
    name: str
    description: str
    managed: bool
    created_at: datetime
    created_by: str
    modified_at: datetime
    modified_by: str


def common(asking: Asking, kind: Holder, row: PrincipalRow | GroupRow | PolicyRow) -> AccountView:
    """Return what every account shows; a view of a kind has that and more."""
    return AccountView(
        id=row.id,
        srn=account_srn(asking.site.appliance, Account(kind, row.name)),
        name=row.name,
        description=row.description,
        managed=row.managed,
        created_at=moment(row.created_at),
        created_by=row.created_by,
        modified_at=moment(row.modified_at),
        modified_by=row.modified_by,
    )


def provide_wanted(name: Name = "", sort: Sort = "name", managed: Managed = None, enabled: Enabled = None) -> Wanted:
    """Return what a list of users, roles or policies is asked for."""
    return Wanted(parse_order(sort), name, enabled, managed)


def provide_wanted_groups(name: Name = "", sort: Sort = "name", managed: Managed = None) -> Wanted:
    """Return what a list of groups is asked for: these are not switched off."""
    return Wanted(parse_order(sort), name, None, managed)


def with_policy(stock: Stock, wanted: Wanted, name: str | None) -> Wanted:
    """Return `wanted`, of who has the policy of that name only; nobody has one that is not there."""
    if name is None:
        return wanted
    found = access_policies.find(stock.db.reader, name)
    return msgspec.structs.replace(wanted, policy=found.row if found else PolicyId(_NOBODY))


def with_group(stock: Stock, wanted: Wanted, name: str | None) -> Wanted:
    """Return `wanted`, of who is in the group of that name only."""
    if name is None:
        return wanted
    found = user_groups.find(stock.db.reader, name)
    return msgspec.structs.replace(wanted, group=found.row if found else GroupId(_NOBODY))


class _Fetch(Protocol[Row]):
    def __call__(self, reader: Reader, wanted: Wanted, last: str, limit: int) -> list[Row]:
        """Return up to `limit` rows behind `last`."""


async def list_rows(
    stock: Stock, asking: Asking, kind: Holder, wanted: Wanted, fetch: _Fetch[Row], cursor: str, limit: int
) -> Page[Row]:
    """Return a page of those the asker may view."""
    return await collect_page(
        lambda last, count: stock.db.read(lambda reader: fetch(reader, wanted, last, count)),
        lambda row: account_lists.key_in(wanted, row),
        lambda row: asking.may_account(Account(kind, row.name), VIEW_OF[kind]),
        cursor,
        limit,
    )


def having(asking: Asking, names: Sequence[str]) -> list[AccountGrant]:
    """Return the grants to attach the policies of these names. Raises AccessDenied."""
    return [asking.grant_for(Account(Holder.POLICY, name), Action.VIEW_POLICY) for name in dict.fromkeys(names)]


def one_of(asking: Asking, kind: Holder, row: Row | None) -> list[Row]:
    """Return what `?path=` finds: the row, if there is one that the asker may view."""
    return [row] if row is not None and asking.may_account(Account(kind, row.name), VIEW_OF[kind]) else []


def find(asking: Asking, kind: Holder, row: Row | None, public_id: str, action: Action) -> tuple[Row, AccountGrant]:
    """Return what was found by its id, and the grant for `action` on it.

    Who may not view it hears the same as of an id that is not there. Raises AccountUnknown, AccessDenied.
    """
    absent = AccountUnknown(f"there is no {kind} with the id {public_id[:40]!r}; find it by name with ?path=")
    if row is None:
        raise absent
    return row, asking.grant_account(Account(kind, row.name), VIEW_OF[kind], action, absent)


def find_principal(
    stock: Stock, asking: Asking, kind: PrincipalKind, public_id: str, action: Action
) -> tuple[PrincipalRow, AccountGrant]:
    """Return the user or role behind an id, and the grant for `action` on it. Raises AccountUnknown, AccessDenied."""
    row = principals.find_id(stock.db.reader, public_id)
    return find(asking, Holder(kind.value), row if row and row.kind is kind else None, public_id, action)
