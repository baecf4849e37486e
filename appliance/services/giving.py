"""Nobody gives more than they have: what every change of accounts is asked before it widens what somebody may do.

Whoever writes a policy, attaches one, puts a user into a group or takes a deny away hands out what it allows; whoever
sets the password of another, or makes a key for one, can act as that one. All of it has to be within the giver's own
policies, as they are in the transaction of the change. The operator's door and open mode have no bounds.
"""

from collections.abc import Iterable, Sequence

from appliance.db import access_policies, principals
from appliance.db.access_policies import InForce
from appliance.db.database import Transaction
from appliance.domain.access import Holder, Statement
from appliance.domain.accounts import PolicyRow, PrincipalRow
from appliance.domain.admission import FULL_ACCESS, Caller
from appliance.domain.giving import Holdings, denied_by
from appliance.domain.policy_document import statements_of
from appliance.errors import AccessDenied


def check(tx: Transaction, caller: Caller, given: Sequence[Statement], what: str) -> None:
    """Check that `given` is within what the caller has; `what` says how it would be given. Raises AccessDenied."""
    if caller.rights is FULL_ACCESS or not given:
        return
    excess = Holdings(_own(tx, caller)).find_excess(given)
    if excess is not None:
        raise AccessDenied(
            f"nobody gives more than they have: {what} would let others do {excess.action} on {excess.resource}, and"
            f" {excess.reason}; let somebody do it who may do that"
        )


def check_policy(tx: Transaction, caller: Caller, row: PolicyRow, what: str) -> None:
    """Check what handing out a policy gives. Raises AccessDenied."""
    check(tx, caller, statements_of(row.name, row.document, enabled=row.enabled), what)


def check_release(tx: Transaction, caller: Caller, row: PolicyRow, what: str) -> None:
    """Check what taking a policy away gives: what it denies. Raises AccessDenied."""
    check(tx, caller, denied_by(statements_of(row.name, row.document, enabled=row.enabled)), what)


def check_change(tx: Transaction, caller: Caller, before: PolicyRow, after: PolicyRow, *, anew: bool = False) -> None:
    """Check what another text of a policy gives: allows that are new, denies that are gone.

    With `anew` the names in it may mean something else than before: every allow counts as new. Raises AccessDenied.
    """
    old = statements_of(before.name, before.document, enabled=before.enabled)
    new = statements_of(after.name, after.document, enabled=after.enabled)
    come = (one for one in new if anew or one not in old or one.effect != "allow")
    gone = denied_by(one for one in old if one not in new)
    check(tx, caller, (*come, *gone), f"this change of policy {after.name}")


def check_group(tx: Transaction, caller: Caller, group: int, what: str, *, is_leaving: bool = False) -> None:
    """Check what belonging to a group gives, or leaving it does. Raises AccessDenied."""
    statements = _statements(access_policies.list_own(tx, Holder.GROUP, group))
    check(tx, caller, denied_by(statements) if is_leaving else statements, what)


def check_acting(tx: Transaction, caller: Caller, row: PrincipalRow, what: str) -> None:
    """Check that the caller may do all that `row` may, for it could act as that one. Oneself always may.

    Raises AccessDenied.
    """
    if caller.credential is not None and caller.credential.principal == row.row:
        return
    holder = Holder(row.kind.value)
    check(tx, caller, _statements(access_policies.list_in_force(tx, holder, row.row)), what)


def _own(tx: Transaction, caller: Caller) -> Iterable[Statement]:
    row = principals.find_row(tx, caller.credential.principal) if caller.credential is not None else None
    if row is None or not row.enabled:
        return ()
    return _statements(access_policies.list_in_force(tx, Holder(row.kind.value), row.row))


def _statements(policies: Iterable[InForce]) -> tuple[Statement, ...]:
    return tuple(
        statement for one in policies for statement in statements_of(one.name, one.document, enabled=one.enabled)
    )
