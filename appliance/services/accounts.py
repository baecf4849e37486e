"""Users and roles: made, edited, deleted. Each change is recorded and ends remembered decisions.

What `scr.toml` declares is changed there only. `declared_in` is what a refusal calls that file; None says that the file
itself speaks.
"""

import msgspec

from appliance.db import access_epoch, activity, principals, user_groups
from appliance.db.activity import About, Detail
from appliance.db.database import Transaction
from appliance.db.principals import NewPrincipal
from appliance.domain.access import Holder, PrincipalKind
from appliance.domain.accounts import (
    BY_DEFAULT,
    GroupRow,
    PrincipalRow,
    Proof,
    SignIn,
    check_description,
    check_name,
    check_user_name,
)
from appliance.domain.admission import AccountGrant
from appliance.domain.moment import Timestamp
from appliance.domain.revision import ANY, Expected
from appliance.errors import AccountExists, AccountManaged, AccountUnknown, ShutsOut
from appliance.services import giving
from appliance.services.stock import Stock, new_public_id


class NewAccount(msgspec.Struct, frozen=True):
    """A user or role to be made; its name is the grant's. `password_hash` is argon2id or bcrypt, None for none."""

    description: str = ""
    password_hash: str | None = None
    sign_in: SignIn = BY_DEFAULT
    managed: bool = False


class Edit(msgspec.Struct, frozen=True):
    """What changes of a user or role; None leaves it as it is."""

    description: str | None = None
    sign_in: SignIn | None = None
    enabled: bool | None = None


async def create(stock: Stock, grant: AccountGrant, new: NewAccount, now: Timestamp) -> PrincipalRow:
    """Make the user or role that the grant names.

    Raises AccountExists with its id, AccountInvalid.
    """
    return await stock.db.write(lambda tx: create_in(tx, grant, new, now))


def create_in(tx: Transaction, grant: AccountGrant, new: NewAccount, now: Timestamp) -> PrincipalRow:
    """Do what `create` does within a transaction."""
    kind, name = kind_of(grant.account.kind), grant.account.name
    if kind is PrincipalKind.USER:
        check_user_name(name)
    else:
        check_name(name, "role")
    check_description(new.description)
    if (known := principals.find(tx, kind, name)) is not None:
        raise AccountExists(f"there is a {kind} {name} already, with the id {known.id}; edit it")
    by = str(grant.caller.principal)
    made = NewPrincipal(
        new_public_id(), kind, name, new.description, new.password_hash, new.sign_in, new.managed, by, now
    )
    row = principals.find_row(tx, principals.insert(tx, made))
    assert row is not None  # noqa: S101 - it was made in this transaction
    note(tx, f"{kind}.created", grant, row.id, {"name": name, "after": _shown(row)}, now)
    return row


async def edit(
    stock: Stock, grant: AccountGrant, change: Edit, now: Timestamp, expected: Expected = ANY
) -> PrincipalRow:
    """Change the user or role that the grant names.

    Raises AccountUnknown, AccountManaged, AccountInvalid, Stale, AccessDenied for what the caller may not give.
    """
    return await stock.db.write(
        lambda tx: edit_in(tx, grant, change, now, expected=expected, declared_in=stock.declared_in)
    )


def edit_in(
    tx: Transaction,
    grant: AccountGrant,
    change: Edit,
    now: Timestamp,
    *,
    declared_in: str | None,
    expected: Expected = ANY,
    managed: bool | None = None,
) -> PrincipalRow:
    """Do what `edit` does within a transaction; who is disabled has lost every token and session at once."""
    before = find_principal(tx, grant)
    guard(before.managed, str(grant.account), declared_in)
    expected.check(before.revision, str(grant.account))
    given = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
    after = msgspec.structs.replace(before, **given, managed=before.managed if managed is None else managed)
    check_description(after.description)
    if after == before:
        return before
    if before.enabled and not after.enabled:
        _check_other(grant, before, "disable")
    if after.sign_in != before.sign_in or (after.enabled and not before.enabled):
        giving.check_acting(tx, grant.caller, before, f"this change of {grant.account}")
    principals.update(tx, after, str(grant.caller.principal), now)
    if before.enabled and not after.enabled:
        principals.end_sign_ins(tx, before.row)
    detail: Detail = {"name": before.name, "before": _shown(before), "after": _shown(after)}
    note(tx, f"{before.kind}.edited", grant, before.id, detail, now)
    return find_principal(tx, grant)


async def set_password(
    stock: Stock, grant: AccountGrant, password_hash: str | None, now: Timestamp, expected: Expected = ANY
) -> PrincipalRow:
    """Give a user another password, or none: what the earlier one opened ends.

    Raises AccountUnknown, AccountManaged, Stale, AccessDenied for one who may do what the caller may not.
    """
    return await stock.db.write(
        lambda tx: set_password_in(tx, grant, password_hash, now, expected=expected, declared_in=stock.declared_in)
    )


def set_password_in(
    tx: Transaction,
    grant: AccountGrant,
    password_hash: str | None,
    now: Timestamp,
    *,
    declared_in: str | None,
    expected: Expected = ANY,
) -> PrincipalRow:
    """Do what `set_password` does within a transaction; the same hash again changes nothing."""
    row = find_principal(tx, grant)
    guard(row.managed, str(grant.account), declared_in)
    expected.check(row.revision, str(grant.account))
    if principals.password_hash_of(tx, row.row) == password_hash:
        return row
    if password_hash is not None:
        giving.check_acting(tx, grant.caller, row, f"the password of {grant.account}")
    principals.set_password(tx, row.row, password_hash, str(grant.caller.principal), now)
    detail: Detail = {"name": row.name, "hasPassword": password_hash is not None}
    note(tx, f"{row.kind}.password_changed", grant, row.id, detail, now)
    return find_principal(tx, grant)


async def renew_hash(stock: Stock, user: Proof, password_hash: str) -> None:
    """Keep the password that `user` has in another form. No change to anybody: nothing is recorded, nothing ends."""
    await stock.db.write(lambda tx: principals.renew_hash(tx, user.principal, user.password_hash or "", password_hash))


async def delete(stock: Stock, grant: AccountGrant, now: Timestamp, expected: Expected = ANY) -> None:
    """Delete the user or role that the grant names, with its keys.

    Raises AccountUnknown, AccountManaged, Stale, ShutsOut for oneself.
    """

    def remove(tx: Transaction) -> None:
        row = find_principal(tx, grant)
        guard(row.managed, str(grant.account), stock.declared_in)
        expected.check(row.revision, str(grant.account))
        _check_other(grant, row, "delete")
        principals.delete(tx, row.row, row.kind)
        note(tx, f"{row.kind}.deleted", grant, row.id, {"name": row.name, "before": _shown(row)}, now)

    await stock.db.write(remove)


def _check_other(grant: AccountGrant, row: PrincipalRow, verb: str) -> None:
    """Let nobody saw off the branch. Raises ShutsOut."""
    credential = grant.caller.credential
    if credential is not None and credential.principal == row.row:
        raise ShutsOut(f"this would {verb} you yourself; let another administrator do it, or scr on the server's host")


def find_principal(tx: Transaction, grant: AccountGrant) -> PrincipalRow:
    """Return the user or role that the grant names. Raises AccountUnknown."""
    kind, name = kind_of(grant.account.kind), grant.account.name
    row = principals.find(tx, kind, name)
    if row is None:
        raise AccountUnknown(f"there is no {kind} {name[:80]!r}; see: scr {kind} list")
    return row


def find_group(tx: Transaction, grant: AccountGrant) -> GroupRow:
    """Return the group that the grant names. Raises AccountUnknown."""
    row = user_groups.find(tx, grant.account.name)
    if row is None or grant.account.kind is not Holder.GROUP:
        raise AccountUnknown(f"there is no group {grant.account.name[:80]!r}; see: scr group list")
    return row


def kind_of(holder: Holder) -> PrincipalKind:
    """Return the kind of principal. Raises AccountUnknown for a group or policy, which is none."""
    if holder is Holder.USER:
        return PrincipalKind.USER
    if holder is Holder.ROLE:
        return PrincipalKind.ROLE
    raise AccountUnknown(f"a {holder} is no user and no role")


def guard(is_managed: bool, what: str, declared_in: str | None) -> None:  # noqa: FBT001 - it is the question
    """Let the file alone (None) change what it declares. Raises AccountManaged."""
    if is_managed and declared_in is not None:
        raise AccountManaged(f"{what} is declared in {declared_in}; change it there, or take it out of the file first")


def note(tx: Transaction, kind: str, grant: AccountGrant, public_id: str, detail: Detail, now: Timestamp) -> None:
    """Record the change and end decisions made before it."""
    about = About(subject=str(grant.account))
    activity.record(tx, kind, grant.caller, about, {"id": public_id, **detail}, now)
    access_epoch.bump(tx)


def _shown(row: PrincipalRow) -> Detail:
    """Return what the activity log shows of a user or role."""
    return {
        "description": row.description,
        "signIn": {
            "registry": [str(method) for method in row.sign_in.registry],
            "api": [str(method) for method in row.sign_in.api],
            "console": [str(method) for method in row.sign_in.console],
        },
        "enabled": row.enabled,
        "managed": row.managed,
    }
