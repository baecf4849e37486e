"""Access policies: made, edited, switched off, deleted; attached to users, roles and groups, and taken away again."""

import msgspec

from appliance.db import access_policies, facts
from appliance.db.access_policies import NewPolicy
from appliance.db.activity import Detail
from appliance.db.database import Transaction
from appliance.domain.access import Holder
from appliance.domain.accounts import PolicyRow, check_description, check_name
from appliance.domain.admission import AccountGrant
from appliance.domain.moment import Timestamp
from appliance.domain.policy_document import (
    Document,
    check_document,
    decode_document,
    encode_document,
    single_resources,
)
from appliance.domain.revision import ANY, Expected
from appliance.errors import AccountExists, AccountInUse, AccountManaged, AccountUnknown
from appliance.services import giving
from appliance.services.accounts import find_group, find_principal, guard, note
from appliance.services.stock import Stock, new_public_id


class PolicyEdit(msgspec.Struct, frozen=True):
    """What changes of a policy; None leaves it as it is.

    A resource that the document names alone and named before stays the one it was; with `rebind` all of them mean what
    bears the names now.
    """

    document: Document | None = None
    description: str | None = None
    enabled: bool | None = None
    rebind: bool = False


async def create(
    stock: Stock, grant: AccountGrant, document: Document, now: Timestamp, *, description: str = ""
) -> PolicyRow:
    """Make the policy that the grant names.

    Raises AccountExists with its id, AccountInvalid, PolicyInvalid, AccessDenied for what the caller may not give.
    """
    return await stock.db.write(lambda tx: create_in(tx, grant, document, now, description=description))


def create_in(
    tx: Transaction,
    grant: AccountGrant,
    document: Document,
    now: Timestamp,
    *,
    description: str = "",
    managed: bool = False,
) -> PolicyRow:
    """Do what `create` does within a transaction."""
    name = check_name(grant.account.name, "policy")
    appliance = facts.find(tx, "appliance") or ""
    if (known := access_policies.find(tx, name)) is not None:
        raise AccountExists(f"there is a policy {name} already, with the id {known.id}; edit it")
    whole = check_document(document, appliance)
    giving.check(tx, grant.caller, whole.statements, f"policy {name}")
    new = NewPolicy(
        public_id=new_public_id(),
        name=name,
        description=check_description(description),
        document=encode_document(whole),
        managed=managed,
        by=str(grant.caller.principal),
        now=now,
    )
    access_policies.rebind(tx, access_policies.insert(tx, new), single_resources(whole, appliance))
    row = find_policy(tx, grant)
    note(tx, "policy.created", grant, row.id, {"name": name, "after": _shown(row)}, now)
    return row


async def edit(
    stock: Stock, grant: AccountGrant, change: PolicyEdit, now: Timestamp, expected: Expected = ANY
) -> PolicyRow:
    """Change the policy that the grant names.

    Raises AccountUnknown, AccountManaged, PolicyInvalid, Stale, AccessDenied for what the caller may not give.
    """
    return await stock.db.write(
        lambda tx: edit_in(tx, grant, change, now, expected=expected, declared_in=stock.declared_in)
    )


def edit_in(
    tx: Transaction,
    grant: AccountGrant,
    change: PolicyEdit,
    now: Timestamp,
    *,
    declared_in: str | None,
    expected: Expected = ANY,
    managed: bool | None = None,
) -> PolicyRow:
    """Do what `edit` does within a transaction."""
    before = find_policy(tx, grant)
    if before.built_in:
        raise AccountManaged(f"policy {before.name} is built in; make one of your own that begins with a copy of it")
    guard(before.managed, str(grant.account), declared_in)
    expected.check(before.revision, str(grant.account))
    after = _changed(before, change, managed, facts.find(tx, "appliance") or "")
    if after == before and not change.rebind:
        return before
    giving.check_change(tx, grant.caller, before, after, anew=change.rebind)
    if change.document is not None or change.rebind:
        bound = single_resources(decode_document(after.document), facts.find(tx, "appliance") or "")
        (access_policies.rebind if change.rebind else access_policies.bind)(tx, before.row, bound)
    access_policies.update(tx, after, str(grant.caller.principal), now)
    detail: Detail = {"name": before.name, "before": _shown(before), "after": _shown(after)}
    note(tx, "policy.edited", grant, before.id, detail, now)
    return find_policy(tx, grant)


def _changed(before: PolicyRow, change: PolicyEdit, managed: bool | None, appliance: str) -> PolicyRow:  # noqa: FBT001
    """Return the policy as it will be. Raises PolicyInvalid, AccountInvalid."""
    after = msgspec.structs.replace(
        before,
        managed=before.managed if managed is None else managed,
        enabled=before.enabled if change.enabled is None else change.enabled,
    )
    if change.description is not None:
        after = msgspec.structs.replace(after, description=check_description(change.description))
    if change.document is not None:
        after = msgspec.structs.replace(after, document=encode_document(check_document(change.document, appliance)))
    return after


async def delete(
    stock: Stock, grant: AccountGrant, now: Timestamp, *, detach: bool = False, expected: Expected = ANY
) -> None:
    """Delete the policy that the grant names; with `detach` from those who have it, too.

    Raises AccountUnknown, AccountManaged, AccountInUse, Stale, AccessDenied where it denies what the caller may not do.
    """

    def remove(tx: Transaction) -> None:
        row = find_policy(tx, grant)
        if row.built_in:
            raise AccountManaged(f"policy {row.name} is built in and stays")
        guard(row.managed, str(grant.account), stock.declared_in)
        expected.check(row.revision, str(grant.account))
        if row.attachments:
            _check_detaching(tx, grant, row, detach=detach, declared_in=stock.declared_in)
        access_policies.delete(tx, row.row)
        note(tx, "policy.deleted", grant, row.id, {"name": row.name, "before": _shown(row)}, now)

    await stock.db.write(remove)


def _check_detaching(tx: Transaction, grant: AccountGrant, row: PolicyRow, *, detach: bool, declared_in: str) -> None:
    """Check that the policy may be taken away from all who have it. Raises what `delete` does."""
    if not detach:
        holders = ", ".join(f"{one.kind} {one.name}" for one in access_policies.list_holders(tx, row.row, limit=3))
        raise AccountInUse(f"policy {row.name} is attached to {row.attachments}, as {holders}; detach it first")
    guard(access_policies.is_attached_by_file(tx, row.row), f"an attachment of policy {row.name}", declared_in)
    giving.check_release(tx, grant.caller, row, f"the end of policy {row.name}")


async def attach(stock: Stock, grant: AccountGrant, holder: AccountGrant, now: Timestamp) -> bool:
    """Attach the policy that the grant names to `holder`; False if it was.

    Raises AccountUnknown, AccessDenied for a policy that gives what the caller may not.
    """
    return await stock.db.write(
        lambda tx: attach_in(tx, grant, holder, now, is_attached=True, declared_in=stock.declared_in)
    )


async def detach(stock: Stock, grant: AccountGrant, holder: AccountGrant, now: Timestamp) -> bool:
    """Take the policy that the grant names away from `holder`; False if it did not have it.

    Raises AccountUnknown, AccountManaged, AccessDenied for a policy that denies what the caller may not do either.
    """
    return await stock.db.write(
        lambda tx: attach_in(tx, grant, holder, now, is_attached=False, declared_in=stock.declared_in)
    )


def attach_in(
    tx: Transaction,
    grant: AccountGrant,
    holder: AccountGrant,
    now: Timestamp,
    *,
    is_attached: bool,
    declared_in: str | None,
) -> bool:
    """Attach or take away within a transaction; False if nothing changed.

    An attachment that scr.toml declares ends there only; what the file attaches is marked so.
    """
    row, account = find_policy(tx, grant), holder.account
    place = find_group(tx, holder).row if account.kind is Holder.GROUP else find_principal(tx, holder).row
    what = f"policy {row.name} of {account}"
    if is_attached:
        giving.check_policy(tx, grant.caller, row, what)
        is_changed = access_policies.attach(tx, row.row, account.kind, place, now, managed=declared_in is None)
    else:
        guard((row.name, True) in access_policies.list_attached(tx, account.kind, place), what, declared_in)
        giving.check_release(tx, grant.caller, row, f"taking away {what}")
        is_changed = access_policies.detach(tx, row.row, account.kind, place)
    if is_changed:
        kind = "policy.attached" if is_attached else "policy.detached"
        note(tx, kind, grant, row.id, {"name": row.name, "holder": str(account)}, now)
    return is_changed


def find_policy(tx: Transaction, grant: AccountGrant) -> PolicyRow:
    """Return the policy that the grant names. Raises AccountUnknown."""
    row = access_policies.find(tx, grant.account.name)
    if row is None or grant.account.kind is not Holder.POLICY:
        raise AccountUnknown(f"there is no policy {grant.account.name[:80]!r}; see: scr policy list")
    return row


def _shown(row: PolicyRow) -> Detail:
    """Return what the activity log shows of a policy."""
    return {
        "description": row.description,
        "document": row.document,
        "enabled": row.enabled,
        "managed": row.managed,
    }
