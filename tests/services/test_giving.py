"""Nobody gives more than they have: every way to hand out rights, tried by somebody who has few."""

from collections.abc import Awaitable, Callable

import pytest

from appliance.db import access_keys, principals
from appliance.domain.access import LOCAL, Account, Holder, Principal, PrincipalKind
from appliance.domain.accounts import EVERYWHERE, Credential
from appliance.domain.admission import FULL_ACCESS, AccountGrant, Caller
from appliance.domain.moment import DAY, Timestamp
from appliance.domain.policy_document import Document, convert_document
from appliance.domain.rights import Rights
from appliance.errors import AccessDenied
from appliance.services import access_policies as policies
from appliance.services import accounts, credentials, groups
from appliance.services.access_policies import PolicyEdit
from appliance.services.accounts import Edit, NewAccount
from appliance.services.credentials import KeyEdit
from tests.services.conftest import House

pytestmark = pytest.mark.anyio
OPERATOR = Caller(LOCAL, FULL_ACCESS, "127.0.0.1")
PAY, WEB = "registry/local/repository/pay", "registry/local/repository/web"
MANAGE: dict[str, object] = {
    "effect": "allow",
    "actions": ["Manage*"],
    "resources": ["user/*", "group/*", "role/*", "policy/*"],
}


def allow(resource: str, *actions: str) -> dict[str, object]:
    return {"effect": "allow", "actions": actions or ("PullRepositoryImages",), "resources": [resource]}


def deny(resource: str, *actions: str) -> dict[str, object]:
    return {**allow(resource, *actions), "effect": "deny"}


def document(*statements: dict[str, object]) -> Document:
    return convert_document({"statements": list(statements)}, "a1")


class World:
    """Mallory, who manages accounts and may pull `pay` only; ann, who may do all; groups and policies around."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.mallory = OPERATOR
        self.anns_key = ""

    @property
    def now(self) -> Timestamp:
        return Timestamp(self.house.now)

    def grant(self, kind: str, name: str, caller: Caller | None = None) -> AccountGrant:
        return AccountGrant(caller or OPERATOR, Account(Holder(kind), name))

    def by_mallory(self, kind: str, name: str) -> AccountGrant:
        return self.grant(kind, name, self.mallory)

    async def furnish(self) -> None:
        stock, now = self.house.stock, self.now
        for name in ("mallory", "ann", "bob"):
            await accounts.create(stock, self.grant("user", name), NewAccount(), now)
        for name in ("strong", "weak", "held"):
            await groups.create(stock, self.grant("group", name), "", now)
        await accounts.set_password(stock, self.grant("user", "ann"), "hash of ann", now)
        written: dict[str, tuple[dict[str, object], ...]] = {
            "managing": (MANAGE, allow(PAY)),
            "pays": (allow(PAY),),
            "webs": (allow(WEB),),
            "no-web": (deny(WEB, "*"),),
            "off": (allow(WEB),),
        }
        for name, statements in written.items():
            await policies.create(stock, self.grant("policy", name), document(*statements), now)
        await policies.edit(stock, self.grant("policy", "off"), PolicyEdit(enabled=False), now)
        for policy, kind, name in (
            ("managing", "user", "mallory"),
            ("ScrFullAccess", "user", "ann"),
            ("webs", "group", "strong"),
            ("pays", "group", "weak"),
            ("no-web", "group", "held"),
            ("no-web", "user", "bob"),
        ):
            await policies.attach(stock, self.grant("policy", policy), self.grant(kind, name), now)
        await groups.add_member(stock, self.grant("group", "held"), self.grant("user", "bob"), now)
        made = await credentials.create(stock, self.grant("user", "ann"), "laptop", now)
        self.anns_key = made.row.access_key
        await credentials.edit(stock, self.grant("user", "ann"), self.anns_key, KeyEdit(enabled=False), now)
        row = principals.find(stock.db.reader, PrincipalKind.USER, "mallory")
        assert row is not None
        credential = Credential(row.row, None, 0)
        self.mallory = Caller(Principal(PrincipalKind.USER, "mallory"), Rights([]), "", credential=credential)


@pytest.fixture
async def world(house: House) -> World:
    found = World(house)
    await found.furnish()
    return found


Attempt = Callable[[World], Awaitable[object]]


def attempt(change: Callable[..., Awaitable[object]], *more: object, **named: object) -> Attempt:
    """Return the change as mallory tries it; `more` may hold (kind, name) for what it is about."""

    def go(world: World) -> Awaitable[object]:
        found = [world.by_mallory(*one) if isinstance(one, tuple) else one for one in more]
        return change(world.house.stock, *found, world.now, **named)

    return go


ANN, BOB, SELF = ("user", "ann"), ("user", "bob"), ("user", "mallory")
TOO_MUCH: dict[str, Attempt] = {
    "write a policy": attempt(policies.create, ("policy", "new"), document(allow(WEB))),
    "widen a policy": attempt(policies.edit, ("policy", "pays"), PolicyEdit(document=document(allow("*")))),
    "take a deny out of a policy": attempt(
        policies.edit, ("policy", "no-web"), PolicyEdit(document=document(deny(PAY)))
    ),
    "name things anew": attempt(policies.edit, ("policy", "webs"), PolicyEdit(rebind=True)),
    "switch a policy on": attempt(policies.edit, ("policy", "off"), PolicyEdit(enabled=True)),
    "attach to oneself": attempt(policies.attach, ("policy", "ScrFullAccess"), SELF),
    "attach to another": attempt(policies.attach, ("policy", "webs"), BOB),
    "attach to a group": attempt(policies.attach, ("policy", "webs"), ("group", "weak")),
    "detach a deny": attempt(policies.detach, ("policy", "no-web"), BOB),
    "delete a deny": attempt(policies.delete, ("policy", "no-web"), detach=True),
    "join a group": attempt(groups.add_member, ("group", "strong"), SELF),
    "leave a group that denies": attempt(groups.remove_member, ("group", "held"), BOB),
    "delete a group that denies": attempt(groups.delete, ("group", "held")),
    "set a password": attempt(accounts.set_password, ANN, "hash"),
    "let a password in": attempt(accounts.edit, ANN, Edit(sign_in=EVERYWHERE)),
    "make a key": attempt(credentials.create, ANN, "mine"),
}
ENOUGH: dict[str, Attempt] = {
    "write a policy": attempt(policies.create, ("policy", "new"), document(allow(f"{PAY}/image/api"), deny("*"))),
    "narrow a policy": attempt(policies.edit, ("policy", "webs"), PolicyEdit(document=document(allow(PAY)))),
    "describe a policy": attempt(policies.edit, ("policy", "webs"), PolicyEdit(description="of the web")),
    "switch a policy off": attempt(policies.edit, ("policy", "webs"), PolicyEdit(enabled=False)),
    "attach": attempt(policies.attach, ("policy", "pays"), BOB),
    "attach a deny": attempt(policies.attach, ("policy", "no-web"), ("group", "weak")),
    "detach": attempt(policies.detach, ("policy", "webs"), ("group", "strong")),
    "join a group": attempt(groups.add_member, ("group", "weak"), SELF),
    "delete a group": attempt(groups.delete, ("group", "strong")),
    "one's own password": attempt(accounts.set_password, SELF, "hash"),
    "one's own key": attempt(credentials.create, SELF, "mine"),
    "the password of one who may do nothing": attempt(accounts.set_password, BOB, "hash"),
    "take a password away": attempt(accounts.set_password, ANN, None),
    "disable": attempt(accounts.edit, ANN, Edit(enabled=False)),
    "delete": attempt(accounts.delete, ANN),
}


@pytest.mark.parametrize("name", TOO_MUCH)
async def test_what_one_has_not_is_given_to_nobody(world: World, name: str) -> None:
    before = world.house.count("activity")

    with pytest.raises(AccessDenied, match=r"nobody gives more than they have: .* on srn:scr:|nobody gives .* on \*"):
        await TOO_MUCH[name](world)

    assert world.house.count("activity") == before


@pytest.mark.parametrize("name", ENOUGH)
async def test_what_one_has_is_given(world: World, name: str) -> None:
    before = world.house.count("activity")

    await ENOUGH[name](world)

    assert world.house.count("activity") == before + 1


async def test_the_key_of_another_is_not_made_good_for_longer(world: World) -> None:
    stock, ann = world.house.stock, world.by_mallory(*ANN)
    later = Timestamp(world.now + DAY)

    for change in (
        credentials.edit(stock, ann, world.anns_key, KeyEdit(enabled=True), world.now),
        credentials.edit(stock, ann, world.anns_key, KeyEdit(expires_at=later), world.now),
        credentials.rotate(stock, ann, world.anns_key, 0, world.now),
    ):
        with pytest.raises(AccessDenied, match="nobody gives more than they have"):
            await change
    await credentials.edit(stock, ann, world.anns_key, KeyEdit(description="seen"), world.now)
    await credentials.delete(stock, ann, world.anns_key, world.now)
    assert access_keys.find(stock.db.reader, world.anns_key) is None


async def test_a_disabled_user_is_let_in_again_only_by_who_may_do_as_much(world: World) -> None:
    await accounts.edit(world.house.stock, world.grant(*ANN), Edit(enabled=False), world.now)

    with pytest.raises(AccessDenied):
        await accounts.edit(world.house.stock, world.by_mallory(*ANN), Edit(enabled=True), world.now)


async def test_what_was_taken_from_the_giver_is_given_no_more(world: World) -> None:
    stock = world.house.stock
    await policies.detach(stock, world.grant("policy", "managing"), world.grant(*SELF), world.now)

    with pytest.raises(AccessDenied):
        await policies.attach(stock, world.by_mallory("policy", "pays"), world.by_mallory(*BOB), world.now)
