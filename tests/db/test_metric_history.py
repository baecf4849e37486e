"""The history of the manual's counters: every span agrees with the others, whatever comes in whatever order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.db import metric_history
from appliance.db.database import Database
from appliance.db.metric_history import KEPT, Point
from appliance.domain.moment import DAY, HOUR, MINUTE, Timestamp
from appliance.domain.registry import RegistryId
from appliance.metrics import Counter, Counts
from tests import make

pytestmark = pytest.mark.anyio
ONE, TWO = RegistryId(1), RegistryId(2)
EVER = Timestamp(1 << 60)
START = make.NOON // DAY * DAY


def counts(**given_: int) -> Counts:
    return [given_.get(counter.name.lower(), 0) for counter in Counter]


async def add(database: Database, minute: int, **given_: int) -> None:
    await database.write(lambda tx: metric_history.add(tx, {(ONE, minute): counts(**given_)}))


async def see(database: Database, registry: RegistryId, since: int, until: int) -> None:
    await database.write(lambda tx: metric_history.see_alive(tx, registry, Timestamp(since), Timestamp(until)))


def points(database: Database, span: int, *registries: RegistryId) -> list[Point]:
    return metric_history.list_points(database.reader, registries, span, Timestamp(0), EVER)


async def test_counts_add_up_in_their_minute_hour_and_day(database: Database) -> None:
    first = START // MINUTE
    for minute, pulls in ((first, 2), (first, 3), (first + 1, 1), (first + 60, 4), (first + 24 * 60, 5)):
        await add(database, minute, pulls=pulls)

    assert [(one.at - START, one.counts[Counter.PULLS]) for one in points(database, MINUTE, ONE)] == [
        (0, 5),
        (MINUTE, 1),
        (HOUR, 4),
        (DAY, 5),
    ]
    assert [(one.at - START, one.counts[Counter.PULLS]) for one in points(database, HOUR, ONE)] == [
        (0, 6),
        (HOUR, 4),
        (DAY, 5),
    ]
    assert [(one.at - START, one.counts[Counter.PULLS]) for one in points(database, DAY, ONE)] == [(0, 10), (DAY, 5)]


async def test_every_counter_has_a_place_of_its_own(database: Database) -> None:
    each = list(range(1, len(Counter) + 1))

    await database.write(lambda tx: metric_history.add(tx, {(ONE, 7): each}))

    assert [one.counts for one in points(database, DAY, ONE)] == [each]


async def test_registries_are_summed_and_others_left_out(database: Database) -> None:
    await database.write(lambda tx: metric_history.add(tx, {(ONE, 7): counts(logins=1), (TWO, 7): counts(logins=2)}))

    assert [one.counts[Counter.LOGINS] for one in points(database, HOUR, ONE, TWO)] == [3]
    assert [one.counts[Counter.LOGINS] for one in points(database, HOUR, TWO)] == [2]
    assert points(database, HOUR) == []


async def test_each_span_is_forgotten_at_its_own_age(database: Database) -> None:
    now = Timestamp(START)
    for age in (0, *(kept + span for span, kept in KEPT.items())):
        await add(database, (now - age) // MINUTE, pushes=1)
    await see(database, ONE, 5, 9)

    while await database.write(lambda tx: metric_history.forget(tx, now, 1)):
        pass

    assert len(points(database, MINUTE, ONE)) == 1
    assert len(points(database, HOUR, ONE)) == 2
    assert len(points(database, DAY, ONE)) == 3
    assert metric_history.list_alive(database.reader, [ONE], Timestamp(0), EVER) == []


async def test_a_time_alive_only_grows(database: Database) -> None:
    for until in (20, 60, 40):
        await see(database, ONE, 10, until)
    await see(database, TWO, 90, 90)

    alive = metric_history.list_alive(database.reader, [ONE, TWO], Timestamp(0), EVER)

    assert alive == [(10, 60), (90, 90)]
    assert metric_history.list_alive(database.reader, [ONE], Timestamp(61), EVER) == []
    assert metric_history.list_alive(database.reader, [ONE], Timestamp(0), Timestamp(10)) == []


@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 1000)), max_size=30))
def test_a_minute_lies_in_exactly_one_hour_and_one_day(counted: list[tuple[int, int]]) -> None:
    sums: dict[int, int] = dict.fromkeys(KEPT, 0)
    for minute, pulls in counted:
        for row in metric_history._rows({(ONE, minute): counts(pulls=pulls)}):  # noqa: SLF001 - what is written
            sums[int(str(row["span"]))] += int(str(row["pulls"]))
            assert int(str(row["at"])) <= minute * MINUTE < int(str(row["at"])) + int(str(row["span"]))

    assert len(set(sums.values())) == 1
