"""Users, roles, groups, access keys and policies: what each change does, records and ends."""

import msgspec
import pytest

from appliance.db import access_epoch, access_keys, access_policies, principals, user_groups
from appliance.domain.access import LOCAL, Account, Holder, PrincipalKind
from appliance.domain.accounts import EVERYWHERE
from appliance.domain.admission import FULL_ACCESS, AccountGrant, Caller
from appliance.domain.moment import DAY, HOUR, Timestamp
from appliance.domain.policy_document import Document, parse_document
from appliance.errors import (
    AccountExists,
    AccountInUse,
    AccountInvalid,
    AccountManaged,
    AccountUnknown,
    PolicyInvalid,
)
from appliance.services import access_policies as policies
from appliance.services import accounts, credentials, delete, groups
from appliance.services.access_policies import PolicyEdit
from appliance.services.accounts import Edit, NewAccount
from appliance.services.credentials import KeyEdit, hash_secret
from tests import make
from tests.services.conftest import House

pytestmark = pytest.mark.anyio
CALLER = Caller(LOCAL, FULL_ACCESS, "127.0.0.1")
IMAGE = make.image([{"etc/motd": b"hello"}])


def grant(kind: str, name: str) -> AccountGrant:
    return AccountGrant(CALLER, Account(Holder(kind), name))


ANN, BOB, CI = grant("user", "ann"), grant("user", "bob"), grant("role", "ci")


def now(house: House) -> Timestamp:
    return Timestamp(house.now)


def kinds(house: House) -> list[str]:
    return [row[0] for row in house.stock.db.reader.rows("SELECT kind FROM activity ORDER BY seq")]


def epoch(house: House) -> int:
    return access_epoch.find(house.stock.db.reader)


def document(resource: str = "registry/local/repository/pay", action: str = "PullRepositoryImages") -> Document:
    text = f'{{"statements": [{{"effect": "allow", "actions": ["{action}"], "resources": ["{resource}"]}}]}}'
    return parse_document(text, "a1")


async def test_a_user_is_made_edited_and_deleted_and_each_change_is_recorded_and_ends_decisions(house: House) -> None:
    before = epoch(house)
    made = await accounts.create(house.stock, ANN, NewAccount("of pay", "hash", EVERYWHERE), now(house))
    edited = await accounts.edit(house.stock, ANN, Edit(description="of web", enabled=False), now(house))
    found = principals.find(house.stock.db.reader, PrincipalKind.USER, "ann")
    await accounts.delete(house.stock, ANN, now(house))

    assert (made.name, made.enabled, made.has_password, made.sign_in) == ("ann", True, True, EVERYWHERE)
    assert found == edited
    assert (edited.description, edited.enabled, edited.id) == ("of web", False, made.id)
    assert principals.find(house.stock.db.reader, PrincipalKind.USER, "ann") is None
    assert kinds(house) == ["user.created", "user.edited", "user.deleted"]
    assert epoch(house) == before + 3
    rows = house.stock.db.reader.rows("SELECT DISTINCT subject FROM activity")
    assert rows == [("user:ann",)]


async def test_activity_has_what_was_and_what_is_and_no_hash(house: House) -> None:
    await accounts.create(house.stock, ANN, NewAccount("", "a-hash"), now(house))
    await accounts.edit(house.stock, ANN, Edit(description="new"), now(house))
    await accounts.set_password(house.stock, ANN, "b-hash", now(house))

    details = [row[0] for row in house.stock.db.reader.rows("SELECT detail FROM activity ORDER BY seq")]
    edit = msgspec.json.decode(details[1])
    assert (edit["before"]["description"], edit["after"]["description"]) == ("", "new")
    assert not any("-hash" in detail for detail in details)


async def test_a_name_is_given_once_and_the_refusal_names_who_has_it(house: House) -> None:
    made = await accounts.create(house.stock, ANN, NewAccount(), now(house))

    with pytest.raises(AccountExists, match=made.id):
        await accounts.create(house.stock, ANN, NewAccount(), now(house))
    await accounts.create(house.stock, grant("role", "ann"), NewAccount(), now(house))  # a role is another kind


@pytest.mark.parametrize("name", ["", " ann", "a:b", "a*", "a/b", "SCR" + "A" * 17, "x" * 129, "a\nb", "a\u202eb"])
async def test_what_is_no_name_makes_no_user(house: House, name: str) -> None:
    with pytest.raises(AccountInvalid):
        await accounts.create(house.stock, grant("user", name), NewAccount(), now(house))

    assert house.count("principals") == 0


async def test_a_new_password_or_being_disabled_ends_what_the_password_opened(house: House) -> None:
    def generation() -> int:
        proof = principals.find_user_proof(house.stock.db.reader, "ann")
        assert proof is not None
        return proof.generation

    await accounts.create(house.stock, ANN, NewAccount("", "one"), now(house))
    seen = [generation()]
    await accounts.set_password(house.stock, ANN, "one", now(house))  # the same: nothing ends
    seen.append(generation())
    await accounts.set_password(house.stock, ANN, "two", now(house))
    seen.append(generation())
    await accounts.edit(house.stock, ANN, Edit(enabled=False), now(house))
    seen.append(generation())
    await accounts.edit(house.stock, ANN, Edit(enabled=True), now(house))
    seen.append(generation())

    assert [one - seen[0] for one in seen] == [0, 0, 1, 2, 2]


async def test_a_group_has_users_and_forgets_those_that_are_deleted(house: House) -> None:
    ops = grant("group", "ops")
    await accounts.create(house.stock, ANN, NewAccount(), now(house))
    await accounts.create(house.stock, CI, NewAccount(), now(house))
    await groups.create(house.stock, ops, "operators", now(house))

    assert await groups.add_member(house.stock, ops, ANN, now(house))
    assert not await groups.add_member(house.stock, ops, ANN, now(house))
    with pytest.raises(AccountUnknown, match="users only"):
        await groups.add_member(house.stock, ops, CI, now(house))
    found = user_groups.find(house.stock.db.reader, "ops")
    assert found is not None
    assert found.members == 1
    assert [one.name for one in user_groups.list_members(house.stock.db.reader, found.row, "", 10)] == ["ann"]
    await accounts.delete(house.stock, ANN, now(house))
    assert house.count("group_members") == 0
    await groups.delete(house.stock, ops, now(house))
    assert house.count("user_groups") == 0


async def test_a_key_is_made_once_shown_and_kept_as_a_hash(house: House) -> None:
    await accounts.create(house.stock, CI, NewAccount(), now(house))
    made = await credentials.create(house.stock, CI, "deploy", now(house), expires_at=Timestamp(house.now + DAY))

    proof = access_keys.find_proof(house.stock.db.reader, made.row.access_key)

    assert proof is not None
    assert proof.secret_hash == hash_secret(made.secret_key)
    assert proof.owner.name == "ci"
    assert proof.is_valid(now(house))
    assert not proof.is_valid(Timestamp(house.now + DAY))
    for table in ("access_keys", "activity"):
        assert made.secret_key not in repr(house.stock.db.reader.rows(f"SELECT * FROM {table}"))  # noqa: S608


async def test_a_rotation_leaves_the_earlier_secret_good_for_the_overlap(house: House) -> None:
    await accounts.create(house.stock, CI, NewAccount(), now(house))
    first = await credentials.create(house.stock, CI, "deploy", now(house))
    second = await credentials.rotate(house.stock, CI, first.row.access_key, HOUR, now(house))
    proof = access_keys.find_proof(house.stock.db.reader, first.row.access_key)

    assert proof is not None
    assert proof.earlier_hash == hash_secret(first.secret_key)
    assert proof.secret_hash == hash_secret(second.secret_key)
    assert proof.until_of(proof.generation, now(house)) is None
    assert proof.until_of(proof.generation - 1, now(house)) == house.now + HOUR
    assert proof.until_of(proof.generation - 1, Timestamp(house.now + HOUR)) == 0
    assert proof.until_of(proof.generation - 2, now(house)) == 0


@pytest.mark.parametrize("end", ["rotate", "disable"])
async def test_without_an_overlap_everything_a_key_opened_ends(house: House, end: str) -> None:
    await accounts.create(house.stock, CI, NewAccount(), now(house))
    made = await credentials.create(house.stock, CI, "deploy", now(house))
    await credentials.rotate(house.stock, CI, made.row.access_key, HOUR, now(house))
    before = access_keys.find_proof(house.stock.db.reader, made.row.access_key)
    if end == "rotate":
        await credentials.rotate(house.stock, CI, made.row.access_key, 0, now(house))
    else:
        await credentials.edit(house.stock, CI, made.row.access_key, KeyEdit(enabled=False), now(house))
    after = access_keys.find_proof(house.stock.db.reader, made.row.access_key)

    assert before is not None
    assert after is not None
    assert after.earlier_hash is None
    for generation in (before.generation, before.generation - 1):
        assert after.until_of(generation, now(house)) == 0


async def test_a_key_is_changed_through_its_owner_only(house: House) -> None:
    await accounts.create(house.stock, ANN, NewAccount(), now(house))
    await accounts.create(house.stock, BOB, NewAccount(), now(house))
    made = await credentials.create(house.stock, ANN, "laptop", now(house))

    for change in (
        credentials.edit(house.stock, BOB, made.row.access_key, KeyEdit(enabled=False), now(house)),
        credentials.rotate(house.stock, BOB, made.row.access_key, 0, now(house)),
        credentials.delete(house.stock, BOB, made.row.access_key, now(house)),
    ):
        with pytest.raises(AccountUnknown):
            await change


async def test_an_expiry_in_the_past_and_a_name_twice_are_refused(house: House) -> None:
    await accounts.create(house.stock, ANN, NewAccount(), now(house))
    made = await credentials.create(house.stock, ANN, "laptop", now(house))

    with pytest.raises(AccountExists, match=made.row.access_key):
        await credentials.create(house.stock, ANN, "laptop", now(house))
    with pytest.raises(AccountInvalid, match="past"):
        await credentials.create(house.stock, ANN, "phone", now(house), expires_at=now(house))
    with pytest.raises(AccountInvalid, match="past"):
        await credentials.edit(house.stock, ANN, made.row.access_key, KeyEdit(expires_at=now(house)), now(house))


async def test_a_policy_comes_from_the_user_and_its_groups_and_a_role_has_no_group(house: House) -> None:
    ops, reads = grant("group", "ops"), grant("policy", "reads")
    user = await accounts.create(house.stock, ANN, NewAccount(), now(house))
    await groups.create(house.stock, ops, "", now(house))
    await groups.add_member(house.stock, ops, ANN, now(house))
    await policies.create(house.stock, reads, document(), now(house))
    await policies.attach(house.stock, reads, ops, now(house))
    await policies.attach(house.stock, reads, ANN, now(house))
    await policies.attach(house.stock, grant("policy", "ScrFullAccess"), ops, now(house))

    found = access_policies.list_in_force(house.stock.db.reader, Holder.USER, user.row)

    assert [(one.name, one.group) for one in found] == [("ScrFullAccess", "ops"), ("reads", "")]
    assert access_policies.list_in_force(house.stock.db.reader, Holder.ROLE, user.row) == []


async def test_an_attached_policy_is_deleted_only_together_with_that(house: House) -> None:
    reads = grant("policy", "reads")
    await accounts.create(house.stock, ANN, NewAccount(), now(house))
    await policies.create(house.stock, reads, document(), now(house))
    await policies.attach(house.stock, reads, ANN, now(house))

    with pytest.raises(AccountInUse, match="user ann"):
        await policies.delete(house.stock, reads, now(house))
    await policies.delete(house.stock, reads, now(house), detach=True)
    assert house.count("policy_attachments") == house.count("policy_bindings") == 0


async def test_built_in_policies_stay_as_they_are(house: House) -> None:
    built_in = grant("policy", "ScrFullAccess")

    with pytest.raises(AccountManaged, match="built in"):
        await policies.edit(house.stock, built_in, PolicyEdit(document=document()), now(house))
    with pytest.raises(AccountManaged, match="built in"):
        await policies.delete(house.stock, built_in, now(house))


async def test_what_the_file_declares_is_changed_by_the_file_only(house: House) -> None:
    await accounts.create(house.stock, ANN, NewAccount(managed=True), now(house))

    for change in (
        accounts.edit(house.stock, ANN, Edit(enabled=False), now(house)),
        accounts.set_password(house.stock, ANN, "x", now(house)),
        accounts.delete(house.stock, ANN, now(house)),
    ):
        with pytest.raises(AccountManaged, match=r"declared in scr\.toml"):
            await change


async def test_a_policy_that_does_not_do_is_not_kept(house: House) -> None:
    with pytest.raises(PolicyInvalid):
        await policies.create(house.stock, grant("policy", "p"), Document(()), now(house))

    assert access_policies.find(house.stock.db.reader, "p") is None


async def remove(house: House, name: str) -> None:
    allowed = house.grant(name)
    await delete.delete_repository(house.stock, allowed, allowed.path.repository, now(house))


def ended(house: House, name: str = "p") -> frozenset[str]:
    row = access_policies.find(house.stock.db.reader, name)
    assert row is not None
    return access_policies.list_ended(house.stock.db.reader, row.row)


RESOURCES = ("registry/local/repository/pay", "registry/local/repository/pay/image/api")


@pytest.mark.parametrize("resource", RESOURCES)
async def test_a_name_that_is_made_again_inherits_nothing(house: House, resource: str) -> None:
    await house.push("pay/api", IMAGE, "1")
    await policies.create(house.stock, grant("policy", "p"), document(resource), now(house))
    assert ended(house) == frozenset()
    before = epoch(house)

    await remove(house, "pay/api")
    assert epoch(house) > before
    assert ended(house) == {resource}
    await house.push("pay/api", IMAGE, "1")

    assert ended(house) == {resource}
    await policies.edit(house.stock, grant("policy", "p"), PolicyEdit(document=document(resource)), now(house))
    assert ended(house) == {resource}  # to write the same again means the same
    again = PolicyEdit(document=document(resource), rebind=True)
    await policies.edit(house.stock, grant("policy", "p"), again, now(house))
    assert ended(house) == frozenset()


@pytest.mark.parametrize("resource", RESOURCES)
async def test_what_is_named_before_it_exists_is_the_first_of_that_name(house: House, resource: str) -> None:
    await policies.create(house.stock, grant("policy", "p"), document(resource), now(house))
    await house.push("pay/api", IMAGE, "1")
    assert ended(house) == frozenset()

    await remove(house, "pay/api")
    await house.push("pay/api", IMAGE, "1")

    assert ended(house) == {resource}
