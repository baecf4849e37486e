"""Lists of ten thousand users by index, in every order, with every filter."""

import re

import pytest

from appliance.db import access_keys, account_lists, facts, principals
from appliance.db.account_lists import Wanted
from appliance.db.database import Database, Transaction, Value
from appliance.db.principals import NewPrincipal
from appliance.domain.access import PrincipalKind
from appliance.domain.accounts import SignIn
from appliance.domain.listing import Order
from appliance.domain.moment import Timestamp

PAGES = [
    *((f"users by {order}", sql, "p") for order, sql in account_lists.PRINCIPALS.items()),
    *((f"groups by {order}", sql, "g") for order, sql in account_lists.GROUPS.items()),
    *((f"policies by {order}", sql, "a") for order, sql in account_lists.POLICIES.items()),
    *((f"keys, of one {is_one}", sql, "k") for is_one, sql in access_keys.PAGES.items()),
]
VALUES: dict[str, Value] = {
    "kind": "user",
    "text": "",
    "at": 0,
    "id": 0,
    "contains": "",
    "enabled": None,
    "managed": None,
    "policy": None,
    "group": None,
    "owner": 1,
    "last": 0,
    "name": "",
    "limit": 100,
}
SLOW = re.compile(r"^(?:SCAN (?!\w USING (?:COVERING )?INDEX)|USE TEMP B-TREE)")
USERS = 10_000


def fill(tx: Transaction) -> None:
    facts.put(tx, "appliance", "a1")
    for number in range(USERS):
        now = Timestamp(USERS - number)
        new = NewPrincipal(
            public_id=f"id{number}",
            kind=PrincipalKind.USER,
            name=f"User{number}",
            description="",
            password_hash=None,
            sign_in=SignIn(),
            managed=False,
            by="test",
            now=now,
        )
        principals.insert(tx, new)


@pytest.mark.parametrize(("name", "sql", "row"), PAGES, ids=[name for name, _, _ in PAGES])
def test_a_page_is_read_by_an_index(database: Database, name: str, sql: str, row: str) -> None:
    plan = [step[3] for step in database.reader.rows(f"EXPLAIN QUERY PLAN {sql}", VALUES)]

    assert [step for step in plan if SLOW.match(step)] == [], f"{name}: {plan}"
    assert any(step.startswith(f"SEARCH {row} USING") for step in plan), plan


@pytest.mark.anyio
@pytest.mark.parametrize(("by", "first"), [("name", "User0"), ("-name", "User9999"), ("created", "User9999")])
async def test_ten_thousand_users_come_page_by_page_each_once(database: Database, by: str, first: str) -> None:
    await database.write(fill)
    wanted = Wanted(Order(by.removeprefix("-"), by.startswith("-")))
    found, last = [], ""
    while page := account_lists.list_users(database.reader, wanted, last, 997):
        found += [row.name for row in page]
        last = account_lists.key_in(wanted, page[-1])

    assert found[0] == first
    assert len(found) == len(set(found)) == USERS
    if by == "name":
        assert found[:3] == ["User0", "User1", "User2"]  # in natural order


@pytest.mark.anyio
async def test_a_list_has_what_is_asked_for_only(database: Database) -> None:
    await database.write(fill)

    def names(wanted: Wanted) -> list[str]:
        rows = account_lists.list_users(database.reader, wanted, "", 100)
        return [row.name for row in rows]

    assert names(Wanted(contains="USER123"))[:2] == ["User123", "User1230"]
    assert names(Wanted(enabled=False)) == names(Wanted(managed=True)) == []
    assert len(names(Wanted(enabled=True))) == 100
