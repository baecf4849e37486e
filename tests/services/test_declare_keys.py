"""Access keys of scr.toml: made with the hash of their secret, followed, protected, disabled when they leave."""

import msgspec
import pytest

from appliance.db import access_keys
from appliance.domain.accounts import KeyRow
from appliance.domain.moment import DAY
from appliance.errors import AccountManaged, ConfigInvalid
from appliance.services import credentials
from appliance.services.credentials import KeyEdit, hash_secret
from appliance.services.declare import Declaration, plan
from appliance.services.declare_accounts import DeclaredAccounts, DeclaredRole
from appliance.services.declare_keys import DeclaredKey
from tests.services.conftest import House
from tests.services.test_declare_accounts import apply, grant, now

pytestmark = pytest.mark.anyio
CI = DeclaredRole("ci")
FIRST, SECOND = (hash_secret(secret).hex() for secret in ("one", "two"))
BUILD = DeclaredKey("role:ci", "build", "SCRAAAAAAAAAAAAAAAAA", FIRST, "of the builders")
WHOLE = DeclaredAccounts(roles=(CI,), keys=(BUILD,))


def found(house: House, access_key: str = BUILD.access_key) -> KeyRow:
    row = access_keys.find(house.stock.db.reader, access_key)
    assert row is not None
    return row


def secret_of(house: House) -> bytes:
    proof = access_keys.find_proof(house.stock.db.reader, BUILD.access_key)
    assert proof is not None
    return proof.secret_hash


async def test_a_key_is_made_and_a_second_start_changes_nothing(house: House) -> None:
    await apply(house, WHOLE)
    before = house.count("activity")
    await apply(house, WHOLE)

    row = found(house)
    assert (str(row.holder), row.name, row.description) == ("role:ci", "build", "of the builders")
    assert (row.enabled, row.managed) == (True, True)
    assert secret_of(house).hex() == FIRST
    assert house.count("activity") == before


async def test_another_secret_ends_the_one_before_and_a_plan_says_so_without_it(house: House) -> None:
    await apply(house, WHOLE)
    other = msgspec.structs.replace(WHOLE, keys=(msgspec.structs.replace(BUILD, secret_hash=SECOND),))

    planned = await plan(house.stock.db, Declaration(accounts=other), now(house))
    await apply(house, other)

    assert [one.kind for one in planned] == ["key.rotated"]
    assert SECOND not in msgspec.json.encode(planned).decode()
    assert secret_of(house).hex() == SECOND
    proof = access_keys.find_proof(house.stock.db.reader, BUILD.access_key)
    assert proof is not None
    assert proof.earlier_hash is None


async def test_it_is_changed_in_the_file_only_and_disabled_when_it_leaves(house: House) -> None:
    await apply(house, WHOLE)
    owner, key = grant("role", "ci"), BUILD.access_key
    for change in (
        credentials.edit(house.stock, owner, key, KeyEdit(enabled=False), now(house)),
        credentials.rotate(house.stock, owner, key, DAY, now(house)),
        credentials.delete(house.stock, owner, key, now(house)),
    ):
        with pytest.raises(AccountManaged, match=r"declared in scr\.toml"):
            await change

    await apply(house, DeclaredAccounts(roles=(CI,)))

    assert (found(house).enabled, found(house).managed) == (False, False)
    await apply(house, WHOLE)
    assert (found(house).enabled, found(house).managed) == (True, True)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"owner": "role:none"}, "there is no role 'none'"),
        ({"owner": "user:ann"}, "there is no user 'ann'"),
        ({"access_key": "SCRBBBBBBBBBBBBBBBBB"}, "has a key build already"),
    ],
)
async def test_a_key_that_cannot_be_is_refused(house: House, changed: dict[str, str], told: str) -> None:
    await apply(house, WHOLE)
    other = msgspec.structs.replace(BUILD, **changed)
    if "owner" in changed:
        other = msgspec.structs.replace(other, access_key="SCRCCCCCCCCCCCCCCCCC")

    with pytest.raises(ConfigInvalid, match=rf"\[\[access_key\]\] {other.access_key}: .*{told}"):
        await apply(house, msgspec.structs.replace(WHOLE, keys=(BUILD, other)))


async def test_a_key_of_somebody_else_is_not_taken_over(house: House) -> None:
    await apply(house, WHOLE)
    roles = (CI, DeclaredRole("other"))
    taken = msgspec.structs.replace(BUILD, owner="role:other")

    with pytest.raises(ConfigInvalid, match="it is a key of role:ci already"):
        await apply(house, DeclaredAccounts(roles=roles, keys=(taken,)))
