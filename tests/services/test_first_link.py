"""The link for the first administrator: once, for a day, and only while nobody can sign in."""

import asyncio

import pytest

from appliance.db import access_policies, principals
from appliance.domain.access import Account, Holder, PrincipalKind
from appliance.domain.admission import AccountGrant
from appliance.domain.moment import DAY
from appliance.errors import AccessDenied, AccountExists
from appliance.services import accounts
from appliance.services.accounts import NewAccount
from appliance.services.first_link import FirstLink
from tests.services.conftest import House
from tests.services.test_declare_accounts import OPERATOR, now

pytestmark = pytest.mark.anyio
HASH = "hash"


async def redeem(house: House, link: FirstLink, secret: str, name: str = "root") -> None:
    await link.redeem(house.stock, secret, name, HASH, "192.0.2.7", "test")


async def test_it_makes_an_administrator_and_ends(house: House) -> None:
    link = FirstLink()
    secret = link.make(now(house))

    await redeem(house, link, secret)

    root = principals.find(house.stock.db.reader, PrincipalKind.USER, "root")
    assert root is not None
    assert (root.enabled, root.has_password, root.created_by) == (True, True, "operator:first link")
    assert access_policies.list_attached(house.stock.db.reader, Holder.USER, root.row) == [("ScrFullAccess", False)]
    with pytest.raises(AccessDenied, match="good no more"):
        await redeem(house, link, secret, "again")


async def test_of_many_at_once_one_is_made(house: House) -> None:
    link = FirstLink()
    secret = link.make(now(house))

    ended = await asyncio.gather(*(redeem(house, link, secret, f"u{n}") for n in range(20)), return_exceptions=True)

    assert [type(one) for one in ended].count(type(None)) == 1
    assert {type(one) for one in ended} == {type(None), AccessDenied}
    assert house.count("principals") == 1


async def test_it_is_good_for_a_day_and_until_somebody_can_sign_in(house: House) -> None:
    link = FirstLink()
    secret = link.make(now(house))
    house.now += DAY
    with pytest.raises(AccessDenied, match="good no more"):
        await redeem(house, link, secret)

    secret = link.make(now(house))
    taken = AccountGrant(OPERATOR, Account(Holder.USER, "root"))
    await accounts.create(house.stock, taken, NewAccount(), now(house))  # nobody yet: it has neither password nor key
    with pytest.raises(AccountExists):
        await redeem(house, link, secret)
    await accounts.set_password(house.stock, taken, HASH, now(house))
    with pytest.raises(AccessDenied, match="good no more"):
        await redeem(house, link, secret, "other")


async def test_another_secret_than_the_last_one_is_none(house: House) -> None:
    link = FirstLink()
    with pytest.raises(AccessDenied):
        link.check("", now(house))
    first = link.make(now(house))
    second = link.make(now(house))

    for wrong in (first, second[:-1], second + "x", ""):
        with pytest.raises(AccessDenied):
            link.check(wrong, now(house))
    link.check(second, now(house))
