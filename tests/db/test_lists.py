"""Every page of every list comes by an index: no table is read whole, nothing is sorted."""

import re

import pytest

from appliance.db import registries, repositories
from appliance.db.database import Database, Value

PAGES = [
    *((f"registries by {order}", sql) for order, sql in registries.PAGES.items()),
    *((f"repositories by {order}", sql) for order, sql in repositories.PAGES.items()),
]
VALUES: dict[str, Value] = {
    "registry": 1,
    "text": "",
    "at": 0,
    "id": 0,
    "contains": "",
    "key": "",
    "value": None,
    "limit": 100,
}
# the one list of all registries, each with its usage: a row of usage is looked up by its key
SLOW = re.compile(r"^(?:SCAN (?!r USING (?:COVERING )?INDEX)|USE TEMP B-TREE)")


@pytest.mark.parametrize(("name", "sql"), PAGES, ids=[name for name, _ in PAGES])
def test_a_page_is_read_by_an_index(database: Database, name: str, sql: str) -> None:
    plan = [row[3] for row in database.reader.rows(f"EXPLAIN QUERY PLAN {sql}", VALUES)]

    assert [step for step in plan if SLOW.match(step)] == [], f"{name}: {plan}"
    assert any(step.startswith("SEARCH r USING") for step in plan), plan
