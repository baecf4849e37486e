"""Users, roles, groups and policies that `scr.toml` declares: made or changed to match it, marked as managed.

The part of `declare.py` for accounts. Nothing that is as it should be is touched: a start ends no sign-in. What leaves
the file stays, managed no more, and gives nothing: a user or role is disabled with every token, a policy allows nothing
more, a group has lost the users and policies that the file gave it.
"""

from collections.abc import Sequence

import msgspec

from appliance.db import access_policies, principals, user_groups
from appliance.db.database import Transaction
from appliance.domain.access import Account, Holder, PrincipalKind
from appliance.domain.accounts import BY_DEFAULT, EVERYWHERE, GroupRow, PrincipalRow, SignIn
from appliance.domain.admission import AccountGrant
from appliance.domain.moment import Timestamp
from appliance.domain.policy_document import Document
from appliance.errors import AccountUnknown
from appliance.services import access_policies as policies
from appliance.services import accounts, groups
from appliance.services.access_policies import PolicyEdit
from appliance.services.accounts import Edit, NewAccount
from appliance.services.declare_keys import DeclaredKey, declare_keys
from appliance.services.declaring import FILE, naming


class DeclaredUser(msgspec.Struct, frozen=True, rename="camel"):
    """A `[[user]]`. Unless the file says more its password opens the registry too: it is all that the file gives it."""

    name: str
    password_hash: str
    policies: tuple[str, ...]
    description: str = ""
    sign_in: SignIn = EVERYWHERE


class DeclaredRole(msgspec.Struct, frozen=True):
    """A `[[role]]`."""

    name: str
    policies: tuple[str, ...] = ()
    description: str = ""


class DeclaredGroup(msgspec.Struct, frozen=True):
    """A `[[group]]`."""

    name: str
    members: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    description: str = ""


class DeclaredPolicy(msgspec.Struct, frozen=True):
    """A `[[policy]]`."""

    name: str
    document: Document
    description: str = ""


class DeclaredAccounts(msgspec.Struct, frozen=True):
    """All of them."""

    users: tuple[DeclaredUser, ...] = ()
    roles: tuple[DeclaredRole, ...] = ()
    groups: tuple[DeclaredGroup, ...] = ()
    policies: tuple[DeclaredPolicy, ...] = ()
    keys: tuple[DeclaredKey, ...] = ()


def declare_accounts(tx: Transaction, declared: DeclaredAccounts, now: Timestamp) -> None:
    """Make accounts what the file says. Raises ConfigInvalid, which names the table."""
    _declare_policies(tx, declared.policies, now)
    for user in declared.users:
        with naming(f"[[user]] {user.name}"):
            _declare_user(tx, user, now)
    for role in declared.roles:
        with naming(f"[[role]] {role.name}"):
            _declare_role(tx, role, now)
    _declare_groups(tx, declared.groups, now)
    declare_keys(tx, declared.keys, now)
    _let_go(tx, PrincipalKind.USER, {user.name for user in declared.users}, now)
    _let_go(tx, PrincipalKind.ROLE, {role.name for role in declared.roles}, now)


def _declare_policies(tx: Transaction, declared: Sequence[DeclaredPolicy], now: Timestamp) -> None:
    for one in declared:
        with naming(f"[[policy]] {one.name}"):
            grant = _policy(one.name)
            if access_policies.find(tx, one.name) is None:
                policies.create_in(tx, grant, one.document, now, description=one.description, managed=True)
            else:
                change = PolicyEdit(one.document, one.description, enabled=True)
                policies.edit_in(tx, grant, change, now, declared_in=None, managed=True)
    names = {one.name for one in declared}
    for left in access_policies.list_managed(tx):
        if left.name not in names:
            change = PolicyEdit(enabled=False)
            policies.edit_in(tx, _policy(left.name), change, now, declared_in=None, managed=False)


def _declare_user(tx: Transaction, user: DeclaredUser, now: Timestamp) -> None:
    grant = _grant(Account(Holder.USER, user.name))
    row = principals.find(tx, PrincipalKind.USER, user.name)
    if row is None:
        new = NewAccount(user.description, user.password_hash, user.sign_in, managed=True)
        row = accounts.create_in(tx, grant, new, now)
    else:
        change = Edit(description=user.description, sign_in=user.sign_in, enabled=True)
        row = accounts.edit_in(tx, grant, change, now, declared_in=None, managed=True)
        accounts.set_password_in(tx, grant, user.password_hash, now, declared_in=None)
    _attach(tx, grant, row.row, user.policies, now)


def _declare_role(tx: Transaction, role: DeclaredRole, now: Timestamp) -> None:
    grant = _grant(Account(Holder.ROLE, role.name))
    row = principals.find(tx, PrincipalKind.ROLE, role.name)
    if row is None:
        row = accounts.create_in(tx, grant, NewAccount(role.description, sign_in=BY_DEFAULT, managed=True), now)
    else:
        change = Edit(description=role.description, enabled=True)
        row = accounts.edit_in(tx, grant, change, now, declared_in=None, managed=True)
    _attach(tx, grant, row.row, role.policies, now)


def _declare_groups(tx: Transaction, declared: Sequence[DeclaredGroup], now: Timestamp) -> None:
    for one in declared:
        with naming(f"[[group]] {one.name}"):
            grant = _grant(Account(Holder.GROUP, one.name))
            row = user_groups.find(tx, one.name)
            if row is None:
                row = groups.create_in(tx, grant, one.description, now, managed=True)
            else:
                row = groups.edit_in(tx, grant, one.description, now, declared_in=None, managed=True)
            _attach(tx, grant, row.row, one.policies, now)
            _fill(tx, grant, row, one.members, now)
    names = {one.name for one in declared}
    for left in user_groups.list_managed(tx):
        if left.name not in names:
            grant = _grant(Account(Holder.GROUP, left.name))
            _attach(tx, grant, left.row, (), now)
            _fill(tx, grant, left, (), now)
            groups.edit_in(tx, grant, None, now, declared_in=None, managed=False)


def _let_go(tx: Transaction, kind: PrincipalKind, declared: set[str], now: Timestamp) -> None:
    """Disable who left the file, and take away what the file gave."""
    for row in principals.list_managed(tx, kind):
        if row.name not in declared:
            grant = _grant(Account(Holder(kind.value), row.name))
            _attach(tx, grant, row.row, (), now)
            accounts.edit_in(tx, grant, Edit(enabled=False), now, declared_in=None, managed=False)


def _attach(tx: Transaction, holder: AccountGrant, row: int, wanted: Sequence[str], now: Timestamp) -> None:
    """Attach what the file says, and take away what it said before."""
    attached = dict(access_policies.list_attached(tx, holder.account.kind, row))
    for name in wanted:
        if not attached.get(name):
            policies.attach_in(tx, _policy(name), holder, now, is_attached=True, declared_in=None)
    for name, is_managed in attached.items():
        if is_managed and name not in wanted:
            policies.attach_in(tx, _policy(name), holder, now, is_attached=False, declared_in=None)


def _fill(tx: Transaction, grant: AccountGrant, group: GroupRow, wanted: Sequence[str], now: Timestamp) -> None:
    """Put the users into the group whom the file names, and take out whom it named before."""
    known: dict[str, PrincipalRow] = {}
    for name in wanted:
        found = principals.find(tx, PrincipalKind.USER, name)
        if found is None:
            raise AccountUnknown(f"there is no user {name[:80]!r}; declare it as well: [[user]]")
        known[name] = found
    managed = user_groups.list_managed_members(tx, group.row)
    for name, row in known.items():
        if row.row not in managed:
            user = _grant(Account(Holder.USER, name))
            groups.change_member_in(tx, grant, user, now, is_member=True, declared_in=None)
    kept = {row.row for row in known.values()}
    for member in managed:
        if member not in kept and (left := principals.find_row(tx, member)) is not None:
            user = _grant(Account(Holder.USER, left.name))
            groups.change_member_in(tx, grant, user, now, is_member=False, declared_in=None)


def _policy(name: str) -> AccountGrant:
    return _grant(Account(Holder.POLICY, name))


def _grant(account: Account) -> AccountGrant:
    return AccountGrant(FILE, account)
