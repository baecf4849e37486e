"""Access keys of users and roles: made, edited, rotated with an overlap, deleted. A secret is shown once and not kept.

A secret key is 256 random bits, so that a plain SHA-256 of it tells nothing; the prefix lets scanners of secrets find
one that was left in a file.
"""

import hashlib
import secrets

import msgspec

from appliance.db import access_keys
from appliance.db.access_keys import NewKey
from appliance.db.activity import Detail
from appliance.db.database import Transaction
from appliance.domain.access import PrincipalId
from appliance.domain.accounts import KeyRow, check_description, check_name, new_access_key
from appliance.domain.admission import AccountGrant
from appliance.domain.moment import DAY, Timestamp
from appliance.domain.revision import ANY, Expected
from appliance.errors import AccessDenied, AccountExists, AccountInvalid, AccountUnknown
from appliance.services import giving
from appliance.services.accounts import find_principal, guard, note
from appliance.services.stock import Stock

MAX_KEYS = 100  # of a principal
MAX_OVERLAP = 90 * DAY
SECRET_PREFIX = "scrs_"  # noqa: S105 - how every secret key begins


class MadeKey(msgspec.Struct, frozen=True):
    """A new access key, or one with a new secret; `secret_key` is told this once."""

    row: KeyRow
    secret_key: str


class KeyEdit(msgspec.Struct, frozen=True):
    """What changes of a key; None leaves it as it is, `has_expiry` False takes the expiry away."""

    name: str | None = None
    description: str | None = None
    enabled: bool | None = None
    expires_at: Timestamp | None = None
    has_expiry: bool = True


def hash_secret(secret_key: str) -> bytes:
    """Return what is kept of a secret key, refresh token or session: its SHA-256."""
    return hashlib.sha256(secret_key.encode()).digest()


async def create(
    stock: Stock,
    grant: AccountGrant,
    name: str,
    now: Timestamp,
    *,
    description: str = "",
    expires_at: Timestamp | None = None,
) -> MadeKey:
    """Make an access key of the user or role that the grant names.

    Raises AccountUnknown, AccountExists, AccountInvalid, AccessDenied for one who may do what the caller may not.
    """
    secret_key = new_secret_key()
    new = NewKey(
        access_key=new_access_key(),
        owner=PrincipalId(0),
        name=check_name(name, "access key"),
        description=check_description(description),
        secret_hash=hash_secret(secret_key),
        expires_at=_check_expiry(expires_at, now),
        managed=False,
        by=str(grant.caller.principal),
        now=now,
    )
    return MadeKey(await stock.db.write(lambda tx: create_in(tx, grant, new, now)), secret_key)


def create_in(tx: Transaction, grant: AccountGrant, new: NewKey, now: Timestamp) -> KeyRow:
    """Make the key `new`, whoever its owner is said to be, for the principal that the grant names."""
    owner = find_principal(tx, grant)
    giving.check_acting(tx, grant.caller, owner, f"an access key of {grant.account}")
    _check_outliving(tx, grant, owner.row, new.expires_at, now)
    if (known := access_keys.find_named(tx, owner.row, new.name)) is not None:
        raise AccountExists(f"{grant.account} has a key {new.name} already, {known.access_key}; rotate or delete it")
    if access_keys.count(tx, owner.row) >= MAX_KEYS:
        raise AccountInvalid(f"{grant.account} has {MAX_KEYS} access keys, as many as there may be; delete some")
    access_keys.insert(tx, msgspec.structs.replace(new, owner=owner.row))
    row = _find(tx, grant, new.access_key)
    note(tx, "key.created", grant, owner.id, {"accessKey": row.access_key, "after": _shown(row)}, now)
    return row


async def edit(
    stock: Stock,
    grant: AccountGrant,
    access_key: str,
    change: KeyEdit,
    now: Timestamp,
    expected: Expected = ANY,
) -> KeyRow:
    """Change a key of the principal that the grant names. Disabled, it has lost its tokens and sessions for good.

    Raises AccountUnknown, AccountManaged, AccountExists, AccountInvalid, Stale, AccessDenied for a key of one who may
    do what the caller may not.
    """
    if change.expires_at is not None:
        _check_expiry(change.expires_at, now)

    def write(tx: Transaction) -> KeyRow:
        before = _find(tx, grant, access_key)
        guard(before.managed, f"the access key {access_key}", stock.declared_in)
        expected.check(before.revision, f"the access key {access_key}")
        after = _changed(before, change)
        if (after.enabled and not before.enabled) or after.expires_at != before.expires_at:
            giving.check_acting(tx, grant.caller, find_principal(tx, grant), f"this change of {access_key}")
        if after.expires_at != before.expires_at:
            _check_outliving(tx, grant, before.owner, after.expires_at, now)
        if after.name != before.name and access_keys.find_named(tx, before.owner, after.name) is not None:
            raise AccountExists(f"{grant.account} has a key {after.name} already; choose another name")
        if after != before:
            write_in(tx, grant, before, after, now)
        return _find(tx, grant, access_key)

    return await stock.db.write(write)


def write_in(tx: Transaction, grant: AccountGrant, before: KeyRow, after: KeyRow, now: Timestamp) -> None:
    """Put `after` in the place of `before`."""
    access_keys.update(tx, after, str(grant.caller.principal), now)
    if before.enabled and not after.enabled:
        access_keys.end_sign_ins(tx, before.row)
    detail: Detail = {"accessKey": before.access_key, "before": _shown(before), "after": _shown(after)}
    note(tx, "key.edited", grant, find_principal(tx, grant).id, detail, now)


async def rotate(stock: Stock, grant: AccountGrant, access_key: str, overlap: int, now: Timestamp) -> MadeKey:
    """Give a key a new secret; the one before stays good for `overlap` milliseconds (0: it ends at once).

    Raises AccountUnknown, AccountManaged, AccountInvalid, AccessDenied for a key of one who may do what the caller may
    not.
    """
    if not 0 <= overlap <= MAX_OVERLAP:
        raise AccountInvalid(f"the overlap may be up to {MAX_OVERLAP // DAY} days; rotate again later")
    secret_key = new_secret_key()
    until = Timestamp(now + overlap) if overlap else None

    def write(tx: Transaction) -> KeyRow:
        row = _find(tx, grant, access_key)
        guard(row.managed, f"the access key {access_key}", stock.declared_in)
        giving.check_acting(tx, grant.caller, find_principal(tx, grant), f"a new secret of {access_key}")
        put_secret_in(tx, grant, row, hash_secret(secret_key), until, now)
        return _find(tx, grant, access_key)

    return MadeKey(await stock.db.write(write), secret_key)


def put_secret_in(
    tx: Transaction, grant: AccountGrant, row: KeyRow, secret_hash: bytes, until: Timestamp | None, now: Timestamp
) -> None:
    """Put another secret of a key in place; the one before stays good `until` then, None: it ends at once."""
    access_keys.rotate(tx, row.row, secret_hash, until, str(grant.caller.principal), now)
    detail: Detail = {"accessKey": row.access_key, "overlapMs": until - now if until is not None else 0}
    note(tx, "key.rotated", grant, find_principal(tx, grant).id, detail, now)


def new_secret_key() -> str:
    """Return a new secret key."""
    return SECRET_PREFIX + secrets.token_urlsafe(32)


async def delete(stock: Stock, grant: AccountGrant, access_key: str, now: Timestamp, expected: Expected = ANY) -> None:
    """Delete a key of the principal that the grant names. Raises AccountUnknown, AccountManaged, Stale."""

    def remove(tx: Transaction) -> None:
        row = _find(tx, grant, access_key)
        guard(row.managed, f"the access key {access_key}", stock.declared_in)
        expected.check(row.revision, f"the access key {access_key}")
        access_keys.delete(tx, row.row)
        detail: Detail = {"accessKey": access_key, "before": _shown(row)}
        note(tx, "key.deleted", grant, find_principal(tx, grant).id, detail, now)

    await stock.db.write(remove)


def _find(tx: Transaction, grant: AccountGrant, access_key: str) -> KeyRow:
    """Return a key of the principal that the grant names. Raises AccountUnknown, for another's key too."""
    owner = find_principal(tx, grant)
    row = access_keys.find(tx, access_key)
    if row is None or row.owner != owner.row:
        raise AccountUnknown(f"{grant.account} has no access key {access_key[:40]!r}")
    return row


def _changed(row: KeyRow, change: KeyEdit) -> KeyRow:
    """Return the key as it will be. Raises AccountInvalid."""
    after = row
    if change.name is not None:
        after = msgspec.structs.replace(after, name=check_name(change.name, "access key"))
    if change.description is not None:
        after = msgspec.structs.replace(after, description=check_description(change.description))
    if change.enabled is not None:
        after = msgspec.structs.replace(after, enabled=change.enabled)
    if change.expires_at is not None or not change.has_expiry:
        after = msgspec.structs.replace(after, expires_at=change.expires_at if change.has_expiry else None)
    return after


def _check_outliving(
    tx: Transaction, grant: AccountGrant, owner: PrincipalId, expires_at: Timestamp | None, now: Timestamp
) -> None:
    """Let no key that ends make one of its owner's that lives longer, itself included. Raises AccessDenied."""
    credential = grant.caller.credential
    if credential is None or credential.key is None or credential.principal != owner:
        return
    proof = access_keys.find_proof_by_row(tx, credential.key)
    until = proof.until_of(credential.generation, now) if proof is not None else Timestamp(0)
    if until is not None and (expires_at is None or expires_at > until):
        raise AccessDenied(
            f"the access key {grant.caller.access_key} makes none of {grant.account} that lives longer than itself;"
            " sign in with your password, or let an administrator do it"
        )


def _check_expiry(at: Timestamp | None, now: Timestamp) -> Timestamp | None:
    if at is not None and at <= now:
        raise AccountInvalid("the expiry is in the past; choose a later time, or disable the key")
    return at


def _shown(row: KeyRow) -> Detail:
    """Return what the activity log shows of a key."""
    return {"name": row.name, "description": row.description, "enabled": row.enabled, "expiresAt": row.expires_at}
