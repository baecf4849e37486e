"""The log of changes: what is asked for comes newest first, by index, and nothing secret goes in."""

import apsw
import msgspec
import pytest

from appliance.db import activity
from appliance.db.activity import HIDDEN, LONGEST, About, Happening, Wanted
from appliance.db.database import Database, Transaction
from appliance.domain.access import Principal, PrincipalKind
from appliance.domain.admission import FULL_ACCESS, Caller
from appliance.domain.moment import Timestamp
from tests import make

pytestmark = pytest.mark.anyio
ANN = Caller(Principal(PrincipalKind.USER, "ann"), FULL_ACCESS, "10.0.0.7", client="docker/27.0")
CI = Caller(Principal(PrincipalKind.USER, "ci"), FULL_ACCESS, "10.0.0.8")
STARS = Wanted()


class Detail(msgspec.Struct):
    v: int
    n: int = 0


@pytest.fixture
async def filled(database: Database) -> Database:
    """Ten records of each of two registries, each about one of two images, by two users in turns."""

    def fill(tx: Transaction) -> None:
        tx.execute("PRAGMA defer_foreign_keys = ON")
        for registry in (1, 2):
            tx.execute(
                "INSERT INTO registries (public_id, name, created_at, created_by, modified_at, modified_by)"
                " VALUES (?, ?, 0, '', 0, '')",
                (f"g{registry}", f"reg{registry}"),
            )
            tx.execute(
                "INSERT INTO repositories (public_id, registry_id, name, sort_key, policy, created_at, created_by,"
                " modified_at, modified_by) VALUES (?, ?, 'pay', 'pay', '{}', 0, '', 0, '')",
                (f"r{registry}", registry),
            )
            tx.execute(
                "INSERT INTO images (public_id, registry_id, repository_id, name, path, sort_key, policy, created_at,"
                " created_by, modified_at, modified_by) VALUES (?, ?, ?, 'api', 'pay/api', 'api', '{}', 0, '', 0, '')",
                (f"i{registry}", registry, registry),
            )
        for number in range(20):
            registry = 1 + number % 2
            kind = "tag.deleted" if number % 5 == 0 else "image.pushed"
            about = About(registry=registry, image=registry)
            activity.record(tx, kind, (ANN, CI)[number % 3 == 0], about, {"n": number}, Timestamp(make.NOON + number))
        activity.record(tx, "user.edited", ANN, About(subject="user:ci"), {"n": 20}, Timestamp(make.NOON + 20))

    await database.write(fill)
    return database


def numbers(found: list[Happening]) -> list[int]:
    return [msgspec.json.decode(one.detail, type=Detail).n for one in found]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), range(21)),
        (Wanted(registry=2), range(1, 20, 2)),
        (Wanted(repository=1), range(0, 20, 2)),
        (Wanted(image=2), range(1, 20, 2)),
        (Wanted(subject="user:ci"), [20]),
        (Wanted(subject=""), range(0)),
        (Wanted(principal="user:ci"), range(0, 20, 3)),
        (Wanted(kind="tag.deleted"), [0, 5, 10, 15]),
        (Wanted(kind="tag.deleted", registry=1, principal="user:ci"), [0]),
        (Wanted(since=Timestamp(make.NOON + 18)), [18, 19, 20]),
        (Wanted(until=Timestamp(make.NOON + 2)), [0, 1]),
        (Wanted(image=1, since=Timestamp(make.NOON + 5), until=Timestamp(make.NOON + 9)), [6, 8]),
    ],
)
async def test_what_is_asked_for_comes_newest_first_and_page_by_page(
    filled: Database, wanted: Wanted, expected: list[int]
) -> None:
    found: list[Happening] = []
    before = 1 << 62
    while page := activity.list_page(filled.reader, wanted, before, 3):
        found += page
        before = page[-1].seq

    assert numbers(found) == sorted(expected, reverse=True)


@pytest.mark.parametrize("asked", ["registry", "repository", "image", "subject", "principal", "kind"])
async def test_each_question_has_an_index(filled: Database, asked: str) -> None:
    values = {**msgspec.structs.asdict(Wanted()), "seq": 1, "limit": 1}

    for is_onward in (False, True):
        sql = activity.PAGES[asked, is_onward]
        plan = [row[3] for row in filled.reader.rows(f"EXPLAIN QUERY PLAN {sql}", values)]

        assert any(f"activity_by_{asked}" in step for step in plan)
        assert not any("TEMP B-TREE" in step or "SCAN" in step for step in plan)


@pytest.mark.parametrize(
    ("wanted", "sort", "expected"),
    [
        (Wanted(), "principal", [1, 2, 4, 5, 7, 8, 10, 11, 13, 14, 16, 17, 19, 20, 0, 3, 6, 9, 12, 15, 18]),
        (Wanted(), "-kind", [20, 15, 10, 5, 0, 19, 18, 17, 16, 14, 13, 12, 11, 9, 8, 7, 6, 4, 3, 2, 1]),
        (Wanted(image=1, since=Timestamp(make.NOON + 12)), "principal", [14, 16, 12, 18]),
        (Wanted(registry=2, kind="tag.deleted"), "-principal", [15, 5]),
    ],
)
async def test_records_come_in_the_order_of_a_column_page_by_page(
    filled: Database, wanted: Wanted, sort: str, expected: list[int]
) -> None:
    found: list[Happening] = []
    last = None
    while page := activity.list_sorted(filled.reader, wanted, sort, last, 3):
        found += page
        last = (page[-1].kind if "kind" in sort else page[-1].principal), page[-1].seq

    assert numbers(found) == expected


@pytest.mark.parametrize("sort", ["principal", "-principal", "kind", "-kind"])
async def test_the_order_of_a_column_is_that_of_its_index(filled: Database, sort: str) -> None:
    values = {**msgspec.structs.asdict(Wanted()), "text": "", "seq": 1, "limit": 1}

    plan = [row[3] for row in filled.reader.rows(f"EXPLAIN QUERY PLAN {activity.SORTED['', sort]}", values)]

    assert any(f"activity_by_{sort.removeprefix('-')}" in step for step in plan)
    assert not any("TEMP B-TREE" in step or "SCAN" in step for step in plan)


async def test_a_record_names_the_resources_by_what_they_are_called_now(filled: Database) -> None:
    await filled.write(lambda tx: tx.execute("UPDATE repositories SET name = 'paid' WHERE id = 1"))

    newest, _, other = activity.list_page(filled.reader, STARS, 1 << 62, 3)

    assert (newest.registry, newest.subject, newest.is_inner) == (None, "user:ci", False)
    assert (other.registry_name, other.repository, other.image, other.is_inner) == ("reg1", "paid", "pay/api", True)
    assert (other.principal, other.address, other.client) == ("user:ci", "10.0.0.8", "")


async def test_records_that_follow_come_in_their_order(filled: Database) -> None:
    assert numbers(activity.list_page(filled.reader, STARS, 18, 2, onward=True)) == [18, 19]
    assert numbers(activity.list_page(filled.reader, STARS, 20, 9, onward=True)) == [20]


async def test_nothing_that_sounds_secret_is_written(database: Database) -> None:
    before = {"name": "ci", "password_hash": "marked", "keys": [{"id": "k1", "secretKey": "marked"}], "tokens": 3}
    detail = {"before": before, "after": {**before, "scan": {"exclude_secrets": True, "password": None}}}

    await database.write(lambda tx: activity.record(tx, "user.edited", ANN, About(), detail, Timestamp(0)))

    (found,) = activity.list_page(database.reader, STARS, 1 << 62, 9)
    text = bytes(found.detail).decode()
    assert "marked" not in text
    assert text.count(HIDDEN) == 4
    assert '"exclude_secrets":true' in text
    assert '"tokens":3' in text


async def test_a_detail_that_is_too_long_is_cut_to_what_identifies(database: Database) -> None:
    detail = {"name": "big", "count": 7, "tags": ["t"] * 3, "before": {"text": "x" * LONGEST}}

    await database.write(lambda tx: activity.record(tx, "policy.edited", ANN, About(), detail, Timestamp(0)))

    (found,) = activity.list_page(database.reader, STARS, 1 << 62, 9)
    assert msgspec.json.decode(found.detail) == {
        "v": 1,
        "cut": LONGEST + 72,
        "name": "big",
        "count": 7,
        "tags_count": 3,
    }


async def test_the_oldest_are_forgotten_by_age_and_by_weight(filled: Database) -> None:
    reader = filled.reader
    whole = activity.weigh(reader, 0, 21)

    assert await filled.write(lambda tx: activity.forget(tx, Timestamp(make.NOON + 3), 2)) == 2
    assert await filled.write(lambda tx: activity.forget(tx, Timestamp(make.NOON + 3), 2)) == 1
    assert await filled.write(lambda tx: activity.forget(tx, Timestamp(make.NOON + 3), 2)) == 0
    of_kind = await filled.write(lambda tx: activity.forget_oldest(tx, "tag.deleted", 2))
    of_all = await filled.write(lambda tx: activity.forget_oldest(tx, None, 1))

    assert numbers(activity.list_page(reader, STARS, 0, 99, onward=True)) == [4, 6, 7, 8, 9, *range(11, 21)]
    assert activity.weigh(reader, 0, 21) < whole - of_kind - of_all
    assert activity.bounds(reader) == (5, 21)


async def test_a_seq_is_never_given_twice(filled: Database) -> None:
    await filled.write(lambda tx: activity.forget_oldest(tx, None, 99))

    assert activity.bounds(filled.reader) == (0, -1)
    assert await filled.write(lambda tx: activity.record(tx, "a.b", ANN, About(), {}, Timestamp(0))) == 22


async def test_records_are_not_lost_when_their_transaction_is_run_again(database: Database) -> None:
    def fail(tx: Transaction) -> None:
        activity.record(tx, "image.pushed", ANN, About(), {}, Timestamp(0))
        raise apsw.ConstraintError("the change is refused")

    with pytest.raises(apsw.ConstraintError):
        await database.write(fail)

    assert activity.bounds(database.reader) == (0, -1)
