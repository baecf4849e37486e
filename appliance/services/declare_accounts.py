"""Users that `scr.toml` declares: made or changed to match it, marked as managed; who left the file is disabled.

The part of `declare.py` for accounts. Nothing that is as it should be is touched: a start ends no sign-in.
"""

import msgspec

from appliance.db import access_policies, principals
from appliance.db.database import Transaction
from appliance.domain.access import Account, Holder, Principal, PrincipalKind
from appliance.domain.accounts import EVERYWHERE, PrincipalRow
from appliance.domain.admission import FULL_ACCESS, AccountGrant, Caller
from appliance.domain.moment import Timestamp
from appliance.services import access_policies as policies
from appliance.services import accounts
from appliance.services.accounts import Edit, NewAccount

_FILE = Caller(Principal(PrincipalKind.OPERATOR, "scr.toml"), FULL_ACCESS, "local")


class DeclaredUser(msgspec.Struct, frozen=True, rename="camel"):
    """A `[[user]]`. Its password opens the registry too: it is all that the file can give it to sign in with."""

    name: str
    password_hash: str
    policies: tuple[str, ...]


def declare_users(tx: Transaction, users: tuple[DeclaredUser, ...], now: Timestamp) -> None:
    """Make the users of the file what it says. Raises AccountInvalid, AccountUnknown for a policy nobody has."""
    for user in users:
        grant = _grant(Account(Holder.USER, user.name))
        row = principals.find(tx, PrincipalKind.USER, user.name)
        if row is None:
            new = NewAccount(password_hash=user.password_hash, sign_in=EVERYWHERE, managed=True)
            row = accounts.create_in(tx, grant, new, now)
        else:
            change = Edit(sign_in=EVERYWHERE, enabled=True)
            row = accounts.edit_in(tx, grant, change, now, declared_in=None, managed=True)
            accounts.set_password_in(tx, grant, user.password_hash, now, declared_in=None)
        _attach(tx, row, user.policies, now)
    declared = {user.name for user in users}
    for row in principals.list_managed(tx, PrincipalKind.USER):
        if row.name not in declared:
            grant = _grant(Account(Holder.USER, row.name))
            accounts.edit_in(tx, grant, Edit(enabled=False), now, declared_in=None, managed=False)


def _attach(tx: Transaction, row: PrincipalRow, wanted: tuple[str, ...], now: Timestamp) -> None:
    """Attach what the file says to a user, and take away what it said before."""
    holder = _grant(Account(Holder.USER, row.name))
    attached = dict(access_policies.list_attached(tx, Holder.USER, row.row))
    for name in wanted:
        if not attached.get(name):
            policies.attach_in(tx, _policy(name), holder, now, is_attached=True, declared_in=None)
    for name, is_managed in attached.items():
        if is_managed and name not in wanted:
            policies.attach_in(tx, _policy(name), holder, now, is_attached=False, declared_in=None)


def _policy(name: str) -> AccountGrant:
    return _grant(Account(Holder.POLICY, name))


def _grant(account: Account) -> AccountGrant:
    return AccountGrant(_FILE, account)
