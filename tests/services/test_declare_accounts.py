"""Users, roles, groups and policies of scr.toml: made, matched, protected, let go; what others made stays theirs."""

import msgspec
import pytest

from appliance.db import access_policies, principals, user_groups
from appliance.domain.access import Account, Holder, Principal, PrincipalKind
from appliance.domain.accounts import BY_DEFAULT
from appliance.domain.admission import FULL_ACCESS, AccountGrant, Caller
from appliance.domain.moment import Timestamp
from appliance.domain.policy_document import Document, convert_document, convert_form
from appliance.errors import AccountManaged, ConfigInvalid
from appliance.services import access_policies as policies
from appliance.services import accounts, groups
from appliance.services.access_policies import PolicyEdit
from appliance.services.accounts import Edit, NewAccount
from appliance.services.declare import Declaration, declare, plan
from appliance.services.declare_accounts import (
    DeclaredAccounts,
    DeclaredGroup,
    DeclaredPolicy,
    DeclaredRole,
    DeclaredUser,
)
from tests.services.conftest import House

pytestmark = pytest.mark.anyio
OPERATOR = Caller(Principal(PrincipalKind.USER, "root"), FULL_ACCESS, "192.0.2.7")


def document(*actions: str, effect: str = "allow") -> Document:
    return convert_form({"statements": [{"effect": effect, "actions": actions, "resources": ["registry/local"]}]})


ANN = DeclaredUser("ann", "hash of ann", ("reads",), "the first", BY_DEFAULT)
CI = DeclaredRole("ci", ("reads",), "builders")
OPS = DeclaredGroup("ops", ("ann",), ("ScrViewOnlyAccess",), "operators")
READS = DeclaredPolicy("reads", document("PullRepositoryImages"), "of the office")
ALL = DeclaredAccounts((ANN,), (CI,), (OPS,), (READS,))


def grant(kind: str, name: str) -> AccountGrant:
    return AccountGrant(OPERATOR, Account(Holder(kind), name))


def now(house: House) -> Timestamp:
    return Timestamp(house.now)


async def apply(house: House, declared: DeclaredAccounts) -> None:
    await declare(house.stock, Declaration(accounts=declared), now(house))


def attached(house: House, kind: Holder, row: int) -> dict[str, bool]:
    return dict(access_policies.list_attached(house.stock.db.reader, kind, row))


async def test_all_of_them_are_made_as_the_file_says(house: House) -> None:
    await apply(house, ALL)
    reader = house.stock.db.reader

    ann, ci = (
        principals.find(reader, PrincipalKind.USER, "ann"),
        principals.find(reader, PrincipalKind.ROLE, "ci"),
    )
    ops, reads = user_groups.find(reader, "ops"), access_policies.find(reader, "reads")
    assert ann is not None
    assert ci is not None
    assert ops is not None
    assert reads is not None
    assert (ann.description, ann.managed, ann.has_password, ann.sign_in) == ("the first", True, True, BY_DEFAULT)
    assert (ci.description, ci.managed, ci.has_password) == ("builders", True, False)
    assert (ops.description, ops.managed, ops.members) == ("operators", True, 1)
    assert (reads.description, reads.managed, reads.enabled) == ("of the office", True, True)
    assert attached(house, Holder.USER, ann.row) == attached(house, Holder.ROLE, ci.row) == {"reads": True}
    assert attached(house, Holder.GROUP, ops.row) == {"ScrViewOnlyAccess": True}
    assert ann.created_by == "operator:scr.toml"


async def test_a_second_start_changes_and_records_nothing(house: House) -> None:
    await apply(house, ALL)
    before = house.count("activity")

    await apply(house, ALL)

    assert house.count("activity") == before
    assert await plan(house.stock.db, Declaration(accounts=ALL), now(house)) == []


async def test_a_plan_names_what_would_change_and_nothing_does(house: House) -> None:
    await apply(house, ALL)
    other = DeclaredAccounts(
        (msgspec.structs.replace(ANN, policies=()),),
        (),
        (msgspec.structs.replace(OPS, members=()),),
        (msgspec.structs.replace(READS, document=document("PushRepositoryImages")),),
    )

    found = await plan(house.stock.db, Declaration(accounts=other), now(house))

    assert [(one.kind, one.subject) for one in found] == [
        ("policy.edited", "policy:reads"),
        ("policy.detached", "policy:reads"),
        ("group.member_removed", "group:ops"),
        ("policy.detached", "policy:reads"),
        ("role.edited", "role:ci"),
    ]
    assert await plan(house.stock.db, Declaration(accounts=ALL), now(house)) == []


async def test_what_the_file_gives_is_taken_away_there_only(house: House) -> None:
    await apply(house, ALL)
    stock, at = house.stock, now(house)

    for change in (
        accounts.edit(stock, grant("role", "ci"), Edit(enabled=False), at),
        accounts.delete(stock, grant("role", "ci"), at),
        groups.edit(stock, grant("group", "ops"), "x", at),
        groups.delete(stock, grant("group", "ops"), at),
        groups.remove_member(stock, grant("group", "ops"), grant("user", "ann"), at),
        policies.edit(stock, grant("policy", "reads"), PolicyEdit(enabled=False), at),
        policies.delete(stock, grant("policy", "reads"), at, detach=True),
        policies.detach(stock, grant("policy", "reads"), grant("role", "ci"), at),
    ):
        with pytest.raises(AccountManaged, match=r"declared in scr\.toml"):
            await change


async def test_what_others_gave_besides_stays_theirs(house: House) -> None:
    await apply(house, ALL)
    stock, at = house.stock, now(house)
    await accounts.create(stock, grant("user", "bob"), NewAccount(), at)
    await groups.add_member(stock, grant("group", "ops"), grant("user", "bob"), at)
    await policies.attach(stock, grant("policy", "ScrPullOnlyAccess"), grant("role", "ci"), at)

    await apply(house, ALL)

    ops = user_groups.find(stock.db.reader, "ops")
    ci = principals.find(stock.db.reader, PrincipalKind.ROLE, "ci")
    assert ops is not None
    assert ci is not None
    assert ops.members == 2
    assert attached(house, Holder.ROLE, ci.row) == {"reads": True, "ScrPullOnlyAccess": False}
    await policies.detach(stock, grant("policy", "ScrPullOnlyAccess"), grant("role", "ci"), at)


async def test_what_leaves_the_file_gives_nothing_and_comes_back_with_it(house: House) -> None:
    deny = msgspec.structs.replace(READS, name="no-push", document=document("Push*", effect="deny"))
    whole = msgspec.structs.replace(ALL, policies=(READS, deny))
    await apply(house, whole)
    await apply(house, DeclaredAccounts())
    reader = house.stock.db.reader

    ann, ci = (
        principals.find(reader, PrincipalKind.USER, "ann"),
        principals.find(reader, PrincipalKind.ROLE, "ci"),
    )
    ops = user_groups.find(reader, "ops")
    assert ann is not None
    assert ci is not None
    assert ops is not None
    assert (ann.enabled, ann.managed, ci.enabled, ci.managed) == (False, False, False, False)
    assert (ops.managed, ops.members) == (False, 0)
    assert attached(house, Holder.USER, ann.row) == attached(house, Holder.GROUP, ops.row) == {}
    for name in ("reads", "no-push"):  # disabled: what it allows counts no more, what it denies does
        left = access_policies.find(reader, name)
        assert left is not None
        assert (left.enabled, left.managed) == (False, False)
    await apply(house, whole)
    assert await plan(house.stock.db, Declaration(accounts=whole), now(house)) == []
    back = principals.find(reader, PrincipalKind.USER, "ann")
    assert back is not None
    assert (back.enabled, back.managed) == (True, True)


async def test_what_was_made_by_hand_is_taken_over(house: House) -> None:
    stock, at = house.stock, now(house)
    await accounts.create(stock, grant("role", "ci"), NewAccount("mine"), at)
    whole = convert_document({"statements": [{"effect": "allow", "actions": ["*"], "resources": ["*"]}]}, "a1")
    await policies.create(stock, grant("policy", "reads"), whole, at)
    await policies.attach(stock, grant("policy", "reads"), grant("role", "ci"), at)

    await apply(house, ALL)

    ci = principals.find(stock.db.reader, PrincipalKind.ROLE, "ci")
    reads = access_policies.find(stock.db.reader, "reads")
    assert ci is not None
    assert reads is not None
    assert (ci.description, ci.managed) == ("builders", True)
    assert "PullRepositoryImages" in reads.document
    assert attached(house, Holder.ROLE, ci.row) == {"reads": True}


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        (DeclaredAccounts(groups=(DeclaredGroup("g", ("nobody",)),)), r"\[\[group\]\] g: there is no user 'nobody'"),
        (DeclaredAccounts(roles=(DeclaredRole("r", ("none",)),)), r"\[\[role\]\] r: there is no policy 'none'"),
        (
            DeclaredAccounts(policies=(DeclaredPolicy("p", Document(())),)),
            r"\[\[policy\]\] p: a policy has 1 to 200 statements",
        ),
    ],
)
async def test_what_cannot_be_is_refused_whole(house: House, declared: DeclaredAccounts, told: str) -> None:
    before = house.count("activity")
    whole = msgspec.structs.replace(declared, users=(ANN,), policies=(*declared.policies, READS))

    with pytest.raises(ConfigInvalid, match=told):
        await apply(house, whole)

    assert house.count("activity") == before
    assert principals.find(house.stock.db.reader, PrincipalKind.USER, "ann") is None


async def test_where_other_machines_are_served_the_last_one_cannot_leave(house: House) -> None:
    await apply(house, ALL)
    nobody = Declaration(accounts=DeclaredAccounts())

    with pytest.raises(ConfigInvalid, match="nobody could sign in any more"):
        await declare(house.stock, nobody, now(house), needs_somebody=True)
    await accounts.create(house.stock, grant("user", "root"), NewAccount(password_hash="x"), now(house))  # noqa: S106
    await declare(house.stock, nobody, now(house), needs_somebody=True)

    ann = principals.find(house.stock.db.reader, PrincipalKind.USER, "ann")
    assert ann is not None
    assert not ann.enabled
