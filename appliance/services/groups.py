"""Groups: made, edited, deleted, and who is in them. A group hands its policies to its users."""

import msgspec

from appliance.db import user_groups
from appliance.db.activity import Detail
from appliance.db.database import Transaction
from appliance.domain.access import Holder
from appliance.domain.accounts import GroupRow, check_description, check_name
from appliance.domain.admission import AccountGrant
from appliance.domain.moment import Timestamp
from appliance.domain.revision import ANY, Expected
from appliance.errors import AccountExists, AccountUnknown
from appliance.services import giving
from appliance.services.accounts import find_group, find_principal, guard, note
from appliance.services.stock import Stock, new_public_id


async def create(stock: Stock, grant: AccountGrant, description: str, now: Timestamp) -> GroupRow:
    """Make the group that the grant names. Raises AccountExists with its id, AccountInvalid."""
    return await stock.db.write(lambda tx: create_in(tx, grant, description, now))


def create_in(
    tx: Transaction, grant: AccountGrant, description: str, now: Timestamp, *, managed: bool = False
) -> GroupRow:
    """Do what `create` does within a transaction."""
    name = check_name(grant.account.name, "group")
    check_description(description)
    if (known := user_groups.find(tx, name)) is not None:
        raise AccountExists(f"there is a group {name} already, with the id {known.id}; edit it")
    by = str(grant.caller.principal)
    user_groups.insert(tx, new_public_id(), name, description, by, now, managed=managed)
    row = find_group(tx, grant)
    note(tx, "group.created", grant, row.id, {"name": name, "after": _shown(row)}, now)
    return row


async def edit(
    stock: Stock, grant: AccountGrant, description: str | None, now: Timestamp, expected: Expected = ANY
) -> GroupRow:
    """Change the group that the grant names. Raises AccountUnknown, AccountManaged, AccountInvalid, Stale."""
    return await stock.db.write(
        lambda tx: edit_in(tx, grant, description, now, expected=expected, declared_in=stock.declared_in)
    )


def edit_in(
    tx: Transaction,
    grant: AccountGrant,
    description: str | None,
    now: Timestamp,
    *,
    declared_in: str | None,
    expected: Expected = ANY,
    managed: bool | None = None,
) -> GroupRow:
    """Do what `edit` does within a transaction."""
    before = find_group(tx, grant)
    guard(before.managed, str(grant.account), declared_in)
    expected.check(before.revision, str(grant.account))
    after = msgspec.structs.replace(
        before,
        description=before.description if description is None else check_description(description),
        managed=before.managed if managed is None else managed,
    )
    if after == before:
        return before
    user_groups.update(tx, after, str(grant.caller.principal), now)
    detail: Detail = {"name": before.name, "before": _shown(before), "after": _shown(after)}
    note(tx, "group.edited", grant, before.id, detail, now)
    return find_group(tx, grant)


async def add_member(stock: Stock, grant: AccountGrant, user: AccountGrant, now: Timestamp) -> bool:
    """Put `user` into the group that the grant names; False if it was in it.

    Raises AccountUnknown, AccessDenied for a group that gives what the caller may not.
    """
    return await stock.db.write(
        lambda tx: change_member_in(tx, grant, user, now, is_member=True, declared_in=stock.declared_in)
    )


async def remove_member(stock: Stock, grant: AccountGrant, user: AccountGrant, now: Timestamp) -> bool:
    """Take `user` out of the group that the grant names; False if it was not in it.

    Raises AccountUnknown, AccountManaged, AccessDenied for a group that denies what the caller may not do either.
    """
    return await stock.db.write(
        lambda tx: change_member_in(tx, grant, user, now, is_member=False, declared_in=stock.declared_in)
    )


def change_member_in(
    tx: Transaction,
    grant: AccountGrant,
    user: AccountGrant,
    now: Timestamp,
    *,
    is_member: bool,
    declared_in: str | None,
) -> bool:
    """Put `user` into the group, or take it out, within a transaction; False if nothing changed.

    A membership that scr.toml declares ends there only; what the file puts in is marked so.
    """
    group = find_group(tx, grant)
    if user.account.kind is not Holder.USER:
        raise AccountUnknown(f"{user.account} is no user; a group has users only")
    row = find_principal(tx, user)
    what = f"{user.account.name} in group {group.name}"
    if is_member:
        giving.check_group(tx, grant.caller, group.row, f"having {what}")
        is_changed = user_groups.add_member(tx, group.row, row.row, now, managed=declared_in is None)
    else:
        guard(row.row in user_groups.list_managed_members(tx, group.row), what, declared_in)
        giving.check_group(tx, grant.caller, group.row, f"no longer having {what}", is_leaving=True)
        is_changed = user_groups.remove_member(tx, group.row, row.row)
    if is_changed:
        kind = "group.member_added" if is_member else "group.member_removed"
        note(tx, kind, grant, group.id, {"name": group.name, "user": row.name}, now)
    return is_changed


async def delete(stock: Stock, grant: AccountGrant, now: Timestamp, expected: Expected = ANY) -> None:
    """Delete the group that the grant names; its users stay.

    Raises AccountUnknown, AccountManaged, Stale, AccessDenied for a group that denies what the caller may not do.
    """

    def remove(tx: Transaction) -> None:
        row = find_group(tx, grant)
        guard(row.managed, str(grant.account), stock.declared_in)
        expected.check(row.revision, str(grant.account))
        if row.members:
            giving.check_group(tx, grant.caller, row.row, f"the end of group {row.name}", is_leaving=True)
        user_groups.delete(tx, row.row)
        note(tx, "group.deleted", grant, row.id, {"name": row.name, "before": _shown(row)}, now)

    await stock.db.write(remove)


def _shown(row: GroupRow) -> Detail:
    """Return what the activity log shows of a group."""
    return {"description": row.description, "managed": row.managed}
