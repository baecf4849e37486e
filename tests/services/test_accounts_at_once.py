"""Many who change the same account at once: one wins, the others hear of it, and nothing is half done."""

import asyncio
from collections import Counter

import msgspec
import pytest

from appliance.db import access_keys, principals
from appliance.domain.access import Account, Holder, PrincipalKind
from appliance.domain.accounts import Credential
from appliance.domain.admission import AccountGrant
from appliance.domain.moment import DAY
from appliance.domain.revision import Expected
from appliance.errors import AccessDenied, AccountExists, AccountUnknown, Stale
from appliance.services import access_policies as policies
from appliance.services import accounts, credentials, enrol, groups
from appliance.services.accounts import Edit, NewAccount
from appliance.services.credentials import MAX_KEYS, hash_secret
from tests.services.conftest import House
from tests.services.test_declare_accounts import OPERATOR, grant, now

pytestmark = pytest.mark.anyio
MANY = 20


def tally(ended: list[object]) -> Counter[str]:
    """Return how many ended with which error, "done" for none."""
    return Counter(type(one).__name__ if isinstance(one, BaseException) else "done" for one in ended)


async def test_of_many_of_one_name_one_is_made(house: House) -> None:
    having = [grant("policy", "ScrPullOnlyAccess")]

    ended = await asyncio.gather(
        *(
            enrol.create_principal(house.stock, grant("user", "ann"), NewAccount(), having, now(house))
            for _ in range(MANY)
        ),
        return_exceptions=True,
    )

    assert tally(list(ended)) == {"done": 1, AccountExists.__name__: MANY - 1}
    assert house.count("policy_attachments") == 1


async def test_of_many_edits_of_what_was_read_one_counts(house: House) -> None:
    made = await accounts.create(house.stock, grant("user", "ann"), NewAccount(), now(house))
    expected = Expected(frozenset((made.revision,)))

    ended = await asyncio.gather(
        *(
            accounts.edit(house.stock, grant("user", "ann"), Edit(description=str(n)), now(house), expected)
            for n in range(MANY)
        ),
        return_exceptions=True,
    )

    assert tally(list(ended)) == {"done": 1, Stale.__name__: MANY - 1}


async def test_of_many_rotations_the_last_two_secrets_are_good(house: House) -> None:
    owner = grant("role", "ci")
    await accounts.create(house.stock, owner, NewAccount(), now(house))
    made = await credentials.create(house.stock, owner, "build", now(house))
    key = made.row.access_key

    rotated = await asyncio.gather(
        *(credentials.rotate(house.stock, owner, key, DAY, now(house)) for _ in range(MANY)),
    )

    proof, row = access_keys.find_proof(house.stock.db.reader, key), access_keys.find(house.stock.db.reader, key)
    assert proof is not None
    assert row is not None
    told = {hash_secret(one.secret_key) for one in rotated}
    assert {proof.secret_hash, proof.earlier_hash} <= told
    assert row.revision == made.row.revision + MANY


async def test_keys_never_become_more_than_there_may_be(house: House) -> None:
    owner = grant("role", "ci")
    await accounts.create(house.stock, owner, NewAccount(), now(house))

    ended = await asyncio.gather(
        *(credentials.create(house.stock, owner, f"k{n}", now(house)) for n in range(MAX_KEYS + MANY)),
        return_exceptions=True,
    )

    assert tally(list(ended)) == {"done": MAX_KEYS, "AccountInvalid": MANY}
    assert house.count("access_keys") == MAX_KEYS


async def test_who_is_deleted_meanwhile_gets_nothing(house: House) -> None:
    ann, ops, reads = grant("user", "ann"), grant("group", "ops"), grant("policy", "ScrPullOnlyAccess")
    row = await accounts.create(house.stock, ann, NewAccount(), now(house))
    await groups.create(house.stock, ops, "", now(house))

    await asyncio.gather(
        accounts.delete(house.stock, ann, now(house)),
        groups.add_member(house.stock, ops, ann, now(house)),
        policies.attach(house.stock, reads, ann, now(house)),
        credentials.create(house.stock, ann, "late", now(house)),
        return_exceptions=True,
    )

    assert principals.find(house.stock.db.reader, PrincipalKind.USER, "ann") is None
    for table in ("group_members", "policy_attachments", "access_keys"):
        assert house.count(table) == 0
    with pytest.raises(AccountUnknown):
        await accounts.edit(house.stock, ann, Edit(enabled=False), now(house))
    assert principals.find_row(house.stock.db.reader, row.row) is None


async def test_a_key_that_was_rotated_meanwhile_makes_no_other(house: House) -> None:
    """Its secret is the earlier one by then, and good for the overlap only."""
    owner = grant("role", "ci")
    row = await accounts.create(house.stock, owner, NewAccount(), now(house))
    made = await credentials.create(house.stock, owner, "build", now(house))
    proof = access_keys.find_proof(house.stock.db.reader, made.row.access_key)
    assert proof is not None
    await credentials.rotate(house.stock, owner, made.row.access_key, DAY, now(house))
    old = Credential(row.row, made.row.row, proof.generation)
    caller = msgspec.structs.replace(OPERATOR, credential=old, access_key=made.row.access_key)

    with pytest.raises(AccessDenied, match="lives longer"):
        await credentials.create(house.stock, AccountGrant(caller, Account(Holder.ROLE, "ci")), "more", now(house))
