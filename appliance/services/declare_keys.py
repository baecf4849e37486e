"""Access keys that `scr.toml` declares, with the hashes of their secrets: made, matched, disabled on leaving."""

from collections.abc import Sequence

import msgspec

from appliance.db import access_keys
from appliance.db.access_keys import NewKey
from appliance.db.database import Transaction
from appliance.domain.access import Account, Holder, PrincipalId
from appliance.domain.accounts import KeyRow, check_description, check_name
from appliance.domain.admission import AccountGrant
from appliance.domain.moment import Timestamp
from appliance.errors import AccountExists
from appliance.services import credentials
from appliance.services.declaring import FILE, naming


class DeclaredKey(msgspec.Struct, frozen=True):
    """An `[[access_key]]`; the hash is written in hexadecimal digits."""

    owner: str
    name: str
    access_key: str
    secret_hash: str
    description: str = ""


def declare_keys(tx: Transaction, declared: Sequence[DeclaredKey], now: Timestamp) -> None:
    """Make access keys what the file says. Raises ConfigInvalid, which names the table."""
    for one in declared:
        with naming(f"[[access_key]] {one.access_key}"):
            _declare(tx, one, now)
    kept = {one.access_key for one in declared}
    for row in access_keys.list_managed(tx):
        if row.access_key not in kept:
            after = msgspec.structs.replace(row, enabled=False, managed=False)
            credentials.write_in(tx, AccountGrant(FILE, row.holder), row, after, now)


def _declare(tx: Transaction, one: DeclaredKey, now: Timestamp) -> None:
    kind, _, name = one.owner.partition(":")
    grant, known = AccountGrant(FILE, Account(Holder(kind), name)), access_keys.find(tx, one.access_key)
    secret_hash = bytes.fromhex(one.secret_hash)
    if known is None:
        new = NewKey(
            access_key=one.access_key,
            owner=PrincipalId(0),
            name=check_name(one.name, "access key"),
            description=check_description(one.description),
            secret_hash=secret_hash,
            expires_at=None,
            managed=True,
            by=str(FILE.principal),
            now=now,
        )
        credentials.create_in(tx, grant, new, now)
        return
    if known.holder != grant.account:
        raise AccountExists(f"it is a key of {known.holder} already; scr key generate makes another one")
    _match(tx, grant, known, one, now)
    proof = access_keys.find_proof(tx, one.access_key)
    if proof is not None and proof.secret_hash != secret_hash:
        credentials.put_secret_in(tx, grant, known, secret_hash, None, now)


def _match(tx: Transaction, grant: AccountGrant, known: KeyRow, one: DeclaredKey, now: Timestamp) -> None:
    after = msgspec.structs.replace(
        known,
        name=check_name(one.name, "access key"),
        description=check_description(one.description),
        enabled=True,
        managed=True,
    )
    namesake = access_keys.find_named(tx, known.owner, after.name)
    if namesake is not None and namesake.row != known.row:
        raise AccountExists(f"{grant.account} has a key {after.name} already, {namesake.access_key}")
    if after != known:
        credentials.write_in(tx, grant, known, after, now)
