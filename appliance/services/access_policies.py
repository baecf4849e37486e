"""Access policies: made, edited, deleted, attached to users, roles and groups and taken away from them."""

import msgspec

from appliance.db import access_policies, facts
from appliance.db.access_policies import NewPolicy
from appliance.db.activity import Detail
from appliance.db.database import Transaction
from appliance.domain.access import Account, Holder
from appliance.domain.accounts import PolicyRow, check_description, check_name
from appliance.domain.admission import AccountGrant
from appliance.domain.moment import Timestamp
from appliance.domain.policy_document import Document, check_document, encode_document, single_resources
from appliance.errors import AccountExists, AccountInUse, AccountManaged, AccountUnknown
from appliance.services.accounts import find_group, find_principal, guard, note
from appliance.services.stock import Stock, new_public_id


async def create(
    stock: Stock, grant: AccountGrant, document: Document, now: Timestamp, *, description: str = ""
) -> PolicyRow:
    """Make the policy that the grant names. Raises AccountExists, AccountInvalid, PolicyInvalid."""
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
    stock: Stock,
    grant: AccountGrant,
    now: Timestamp,
    *,
    document: Document | None = None,
    description: str | None = None,
    rebind: bool = False,
) -> PolicyRow:
    """Change the policy that the grant names.

    A resource that it names alone and named before stays the one it was; with `rebind` all of them mean what bears the
    names now. Raises AccountUnknown, AccountManaged, PolicyInvalid.
    """
    return await stock.db.write(
        lambda tx: edit_in(tx, grant, now, document=document, description=description, rebind=rebind)
    )


def edit_in(
    tx: Transaction,
    grant: AccountGrant,
    now: Timestamp,
    *,
    document: Document | None = None,
    description: str | None = None,
    rebind: bool = False,
    by_file: bool = False,
    managed: bool | None = None,
) -> PolicyRow:
    """Do what `edit` does within a transaction."""
    before = find_policy(tx, grant)
    if before.built_in:
        raise AccountManaged(f"policy {before.name} is built in; make one of your own that begins with a copy of it")
    guard(before.managed, str(grant.account), by_file=by_file)
    appliance = facts.find(tx, "appliance") or ""
    after = msgspec.structs.replace(before, managed=before.managed if managed is None else managed)
    if description is not None:
        after = msgspec.structs.replace(after, description=check_description(description))
    if document is not None:
        whole = check_document(document, appliance)
        after = msgspec.structs.replace(after, document=encode_document(whole))
        bound = single_resources(whole, appliance)
        (access_policies.rebind if rebind else access_policies.bind)(tx, before.row, bound)
    if after == before and not rebind:
        return before
    access_policies.update(tx, after, str(grant.caller.principal), now)
    detail: Detail = {"name": before.name, "before": _shown(before), "after": _shown(after)}
    note(tx, "policy.edited", grant, before.id, detail, now)
    return find_policy(tx, grant)


async def delete(stock: Stock, grant: AccountGrant, now: Timestamp, *, detach: bool = False) -> None:
    """Delete the policy that the grant names; with `detach` from those who have it, too.

    Raises AccountUnknown, AccountManaged, AccountInUse.
    """

    def remove(tx: Transaction) -> None:
        row = find_policy(tx, grant)
        if row.built_in:
            raise AccountManaged(f"policy {row.name} is built in and stays")
        guard(row.managed, str(grant.account))
        if row.attachments and not detach:
            holders = ", ".join(f"{kind} {name}" for kind, name in access_policies.list_holders(tx, row.row, limit=3))
            raise AccountInUse(f"policy {row.name} is attached to {row.attachments}, as {holders}; detach it first")
        access_policies.delete(tx, row.row)
        note(tx, "policy.deleted", grant, row.id, {"name": row.name, "before": _shown(row)}, now)

    await stock.db.write(remove)


async def attach(stock: Stock, grant: AccountGrant, holder: Account, now: Timestamp) -> bool:
    """Attach the policy that the grant names to `holder`; False if it was. Raises AccountUnknown."""
    return await stock.db.write(lambda tx: attach_in(tx, grant, holder, now, is_attached=True))


async def detach(stock: Stock, grant: AccountGrant, holder: Account, now: Timestamp) -> bool:
    """Take the policy that the grant names away from `holder`; False if it did not have it.

    Raises AccountUnknown, AccountManaged.
    """
    return await stock.db.write(lambda tx: attach_in(tx, grant, holder, now, is_attached=False))


def attach_in(
    tx: Transaction,
    grant: AccountGrant,
    holder: Account,
    now: Timestamp,
    *,
    is_attached: bool,
    by_file: bool = False,
) -> bool:
    """Attach or take away within a transaction.

    An attachment that scr.toml declares ends there only; what the file attaches is marked so.
    """
    row = find_policy(tx, grant)
    of_holder = AccountGrant(grant.caller, holder)
    place = find_group(tx, of_holder).row if holder.kind is Holder.GROUP else find_principal(tx, of_holder).row
    if is_attached:
        is_changed = access_policies.attach(tx, row.row, holder.kind, place, now, managed=by_file)
    else:
        if (row.name, True) in access_policies.list_attached(tx, holder.kind, place):
            guard(is_managed=True, what=f"policy {row.name} of {holder}", by_file=by_file)
        is_changed = access_policies.detach(tx, row.row, holder.kind, place)
    if is_changed:
        kind = "policy.attached" if is_attached else "policy.detached"
        note(tx, kind, grant, row.id, {"name": row.name, "holder": str(holder)}, now)
    return is_changed


def find_policy(tx: Transaction, grant: AccountGrant) -> PolicyRow:
    """Return the policy that the grant names. Raises AccountUnknown."""
    row = access_policies.find(tx, grant.account.name)
    if row is None or grant.account.kind is not Holder.POLICY:
        raise AccountUnknown(f"there is no policy {grant.account.name[:80]!r}")
    return row


def _shown(row: PolicyRow) -> Detail:
    """Return what the activity log shows of a policy."""
    return {"description": row.description, "document": row.document, "managed": row.managed}
