"""Users, roles and groups that begin with policies, and users of an htpasswd file: each in one transaction."""

from collections.abc import Sequence

import msgspec

from appliance.db import principals
from appliance.db.database import Transaction
from appliance.domain.access import PrincipalKind
from appliance.domain.accounts import EVERYWHERE, GroupRow, PrincipalRow, is_user_name
from appliance.domain.admission import AccountGrant
from appliance.domain.moment import Timestamp
from appliance.errors import AccountInvalid
from appliance.services import access_policies as policies
from appliance.services import accounts, groups
from appliance.services.accounts import NewAccount
from appliance.services.keys import is_bcrypt
from appliance.services.stock import Stock

MOST = 1000  # users of one import: they are one transaction, and others wait for it
_SHOWN = 60  # characters of a foreign line


async def create_principal(
    stock: Stock, grant: AccountGrant, new: NewAccount, having: Sequence[AccountGrant], now: Timestamp
) -> PrincipalRow:
    """Make the user or role that the grant names with the policies that `having` names.

    Raises what `accounts.create` and `access_policies.attach` raise.
    """

    def write(tx: Transaction) -> PrincipalRow:
        row = accounts.create_in(tx, grant, new, now)
        _attach(tx, grant, having, now, stock.declared_in)
        return row

    return await stock.db.write(write)


async def create_group(
    stock: Stock, grant: AccountGrant, description: str, having: Sequence[AccountGrant], now: Timestamp
) -> GroupRow:
    """Make the group that the grant names with the policies that `having` names.

    Raises what `groups.create` and `access_policies.attach` raise.
    """

    def write(tx: Transaction) -> GroupRow:
        row = groups.create_in(tx, grant, description, now)
        _attach(tx, grant, having, now, stock.declared_in)
        return row

    return await stock.db.write(write)


class Login(msgspec.Struct, frozen=True):
    """A line of an htpasswd file."""

    name: str
    password_hash: str


def parse_htpasswd(text: str) -> list[Login]:
    """Return the logins of a file as `htpasswd -B` writes it. Raises AccountInvalid, which says what of which line."""
    found: dict[str, Login] = {}
    for number, line in enumerate(text.splitlines(), 1):
        written = line.strip()
        if not written or written.startswith("#"):
            continue
        name, colon, hashed = written.partition(":")
        if not colon or not is_user_name(name):
            raise AccountInvalid(f"line {number}: {name[:_SHOWN]!a} is no name of a user before a colon")
        if not is_bcrypt(hashed):
            raise AccountInvalid(f"line {number}: the hash of {name} is none of bcrypt; make it with htpasswd -B")
        if name in found:
            raise AccountInvalid(f"line {number}: {name} stands there a second time; leave one of the two")
        found[name] = Login(name, hashed)
    if len(found) > MOST:
        raise AccountInvalid(f"the file has {len(found)} users; import at most {MOST} at a time")
    return list(found.values())


class Imported(msgspec.Struct, frozen=True):
    """Which users were made, and which were left as they are, for there is somebody of that name."""

    created: list[str]
    skipped: list[str]


async def import_users(
    stock: Stock,
    logins: Sequence[tuple[AccountGrant, Login]],
    having: Sequence[AccountGrant],
    now: Timestamp,
    *,
    dry_run: bool = False,
) -> Imported:
    """Make the users of `logins` that are not there, all of them or none; their passwords open the registry, too.

    With `dry_run` nothing is written, and only the names are looked at. Raises what `create_principal` raises.
    """

    def write(tx: Transaction) -> Imported:
        done = Imported([], [])
        for grant, login in logins:
            if principals.find(tx, PrincipalKind.USER, login.name) is not None:
                done.skipped.append(login.name)
                continue
            done.created.append(login.name)
            if dry_run:
                continue
            new = NewAccount(password_hash=login.password_hash, sign_in=EVERYWHERE)
            accounts.create_in(tx, grant, new, now)
            _attach(tx, grant, having, now, stock.declared_in)
        return done

    return await stock.db.write(write)


def _attach(
    tx: Transaction, holder: AccountGrant, having: Sequence[AccountGrant], now: Timestamp, declared_in: str
) -> None:
    for policy in having:
        policies.attach_in(tx, policy, holder, now, is_attached=True, declared_in=declared_in)
