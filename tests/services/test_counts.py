"""Counters in memory and on the disk: nothing is counted twice or lost, whatever fails beside it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.db import metric_history
from appliance.db.database import Transaction
from appliance.domain.moment import DAY, HOUR, MINUTE, Timestamp
from appliance.domain.names import Digest
from appliance.domain.registry import RegistryId
from appliance.errors import StorageFull
from appliance.metrics import Counter
from appliance.services import delete, tally
from appliance.services import metric_history as history
from appliance.services.books import Books
from appliance.services.tally import FOLD_S, Tally
from tests import make
from tests.services.booking import BOUNDS, Steady, open_books
from tests.services.conftest import House

pytestmark = pytest.mark.anyio
LOCAL = RegistryId(1)
IMAGE, OTHER = make.image([{"a": b"1"}]), make.image([{"b": b"2"}])
EVER = Timestamp(1 << 60)


@pytest.fixture
def steady() -> Steady:
    return Steady()


@pytest.fixture
async def books(house: House, executor: ThreadPoolExecutor, steady: Steady) -> AsyncIterator[Books]:
    opened = open_books(house, executor, steady)
    await opened.begin()
    try:
        yield opened
    finally:
        opened.file.close()


def written(house: House, counter: Counter, span: int = DAY) -> list[int]:
    points = metric_history.list_points(house.stock.db.reader, [LOCAL], span, Timestamp(0), EVER)
    return [point.counts[counter] for point in points if point.counts[counter]]


async def test_counts_are_written_once_and_told_as_totals_before_and_after(house: House, books: Books) -> None:
    for _ in range(3):
        books.tally.count(LOCAL, Counter.PULLS, Timestamp(house.now))

    before = books.tally.totals()[LOCAL][Counter.PULLS]
    await books.write_counts()
    await books.write_counts()

    assert (before, books.tally.totals()[LOCAL][Counter.PULLS]) == (3, 3)
    assert written(house, Counter.PULLS) == [3]


async def test_two_flushes_at_once_write_each_count_once(house: House, books: Books) -> None:
    counts = books.tally

    async def count_and_flush(number: int) -> None:
        counts.count(LOCAL, Counter.PUSHES, Timestamp(house.now + number))
        await tally.flush(house.stock.db, counts)

    await asyncio.gather(*(count_and_flush(number) for number in range(50)))

    assert written(house, Counter.PUSHES) == [50]
    assert counts.totals()[LOCAL][Counter.PUSHES] == 50


async def test_a_full_disk_keeps_counts_for_later(house: House, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    books.tally.count(LOCAL, Counter.PULLS, Timestamp(house.now))

    async def refuse(_: Callable[[Transaction], object]) -> None:
        books.tally.count(LOCAL, Counter.PULLS, Timestamp(house.now))  # while it is being written
        raise StorageFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr(house.stock.db, "write", refuse)
        with pytest.raises(StorageFull):
            await books.write_counts()
    assert books.tally.totals()[LOCAL][Counter.PULLS] == 2
    await books.write_counts()

    assert written(house, Counter.PULLS) == [2]


async def test_a_disk_that_is_about_full_is_left_to_deletes(house: House, books: Books) -> None:
    books.tally.count(LOCAL, Counter.PULLS, Timestamp(house.now))
    before = house.stock.db.epoch

    books.is_full = books.is_short = lambda: True
    await books.write()
    assert house.stock.db.epoch == before
    books.is_full = books.is_short = lambda: False
    await books.write()

    assert written(house, Counter.PULLS) == [1]


async def test_happenings_are_counted_from_the_activity_and_no_crash_changes_that(
    house: House, books: Books, executor: ThreadPoolExecutor
) -> None:
    await house.push("pay/api", IMAGE, "1", "2")
    await house.push("pay/api", OTHER, "3")
    now = Timestamp(house.now)
    await delete.delete_manifest(house.stock, house.grant("pay/api"), Digest(IMAGE.digest), now)
    await books.audit.follow()
    await delete.delete_image(house.stock, house.grant("pay/api"), now)
    await books.audit.follow()
    assert books.tally.totals()[LOCAL][Counter.IMAGES_DELETED] == 1

    books.file.close()  # and nothing of it was written
    again = open_books(house, executor)
    await again.begin()
    for _ in range(2):
        await again.audit.follow()
        await again.write_counts()
    again.file.close()
    last = open_books(house, executor)
    await last.begin()
    await last.audit.follow()
    await last.write_counts()
    last.file.close()

    assert written(house, Counter.REPOSITORIES_CREATED) == [1]
    assert written(house, Counter.IMAGES_CREATED) == [1]
    assert written(house, Counter.TAGS_DELETED) == [2]
    assert written(house, Counter.IMAGES_DELETED) == [1]


async def test_a_repository_goes_with_its_images(house: House, books: Books) -> None:
    for name in ("pay/api", "pay/web"):
        await house.push(name, IMAGE, "1")

    grant = house.grant("pay/api")
    await delete.delete_repository(house.stock, grant, grant.path.repository, Timestamp(house.now))
    await books.audit.follow()

    totals = books.tally.totals()[LOCAL]
    assert (totals[Counter.REPOSITORIES_DELETED], totals[Counter.IMAGES_DELETED]) == (1, 2)


async def test_a_record_in_a_transaction_that_fails_is_neither_said_nor_counted(house: House, books: Books) -> None:
    await house.push("pay/api", IMAGE, "1")
    await books.audit.follow()
    before = house.printed.getvalue()

    def fail(tx: Transaction) -> None:
        tx.execute(
            "INSERT INTO activity (at, kind, principal, address, detail) VALUES (0, 'image.created', '', '', '{}')"
        )
        raise StorageFull("no room")

    with pytest.raises(StorageFull):
        await house.stock.db.write(fail)
    await books.audit.follow()

    assert house.printed.getvalue() == before
    assert books.tally.totals()[LOCAL][Counter.IMAGES_CREATED] == 1


async def test_every_change_is_a_line_of_the_log_under_its_kind(house: House, books: Books) -> None:
    await house.push("pay/api", IMAGE, "1")

    await books.audit.follow()

    lines = house.printed.getvalue().splitlines()
    assert [line.split()[2] for line in lines] == ["repository.created", "image.created"]
    assert f"principal=local:local address=127.0.0.1 registry=local path=pay/api digest={IMAGE.digest}" in lines[1]


async def test_a_clock_that_jumps_counts_in_the_minute_that_it_shows(house: House, books: Books) -> None:
    for jump in (0, -365 * DAY, 2 * DAY, HOUR):
        books.tally.count(LOCAL, Counter.PULLS, Timestamp(make.NOON + jump))
    house.now = make.NOON
    await books.write_counts()

    assert written(house, Counter.PULLS, MINUTE) == [1, 1, 1, 1]
    found = await history.read(books, [LOCAL], HOUR, Timestamp(make.NOON - HOUR), Timestamp(make.NOON + HOUR + 1))
    assert sum(one.counts[Counter.PULLS] for one in found) == 2


async def test_what_is_not_written_yet_is_in_the_history(house: House, books: Books) -> None:
    found = []
    for _ in range(2):
        books.tally.count(LOCAL, Counter.LOGINS, Timestamp(house.now))
        found = await history.read(books, [LOCAL], MINUTE, Timestamp(house.now - HOUR), Timestamp(house.now + 1))
        await books.write_counts()

    assert found[-1].counts[Counter.LOGINS] == 2
    assert len(found) == 61
    assert [one.at % MINUTE for one in found] == [0] * 61


async def test_a_registry_is_alive_from_its_first_look_to_its_last(house: House, books: Books) -> None:
    start = make.NOON // HOUR * HOUR
    for minute in (10, 11, 12, 30, 31):
        house.now = start + minute * MINUTE
        books.alive.see([LOCAL], Timestamp(house.now))
        await tally.flush(house.stock.db, books.alive)
    house.now = start + DAY

    minutes = await history.read(books, [LOCAL], MINUTE, Timestamp(start), Timestamp(start + HOUR))
    hours = await history.read(books, [LOCAL], HOUR, Timestamp(start), Timestamp(start + HOUR))
    others = await history.read(books, [RegistryId(2)], HOUR, Timestamp(start), Timestamp(start + HOUR))

    assert [place for place, one in enumerate(minutes) if one.alive] == [10, 11, 12, 30, 31]
    assert [one.alive for one in hours] == [round(5 / 60, 4)]
    assert [one.alive for one in others] == [0.0]


@pytest.mark.parametrize("jump", [-365 * DAY, 365 * DAY])
async def test_no_jump_of_the_clock_makes_a_registry_older(house: House, books: Books, jump: int) -> None:
    for moment in (0, MINUTE, jump, jump + MINUTE):
        books.alive.see([LOCAL], Timestamp(make.NOON + moment))
        await tally.flush(house.stock.db, books.alive)

    alive = metric_history.list_alive(house.stock.db.reader, [LOCAL], Timestamp(0), EVER)

    assert sorted(until - since for since, until in alive if since > make.NOON - 400 * DAY)[-2:] == [MINUTE, MINUTE]


async def test_refusals_of_one_request_count_once_for_a_while(house: House, steady: Steady) -> None:
    counts = Tally(steady)

    def refuse(*asked: object) -> int:
        counts.refused(LOCAL, Counter.PULLS_DENIED, asked, Timestamp(house.now))
        return counts.totals()[LOCAL][Counter.PULLS_DENIED]

    assert [refuse("ann", "pay/api", "1"), refuse("ann", "pay/api", "1")] == [1, 1]
    assert [refuse("ann", "pay/api", "2"), refuse("ci", "pay/api", "1")] == [2, 3]
    steady.seconds += FOLD_S
    assert refuse("ann", "pay/api", "1") == 4


async def test_old_records_are_deleted_within_their_bounds(house: House, books: Books) -> None:
    for number in range(30):
        await house.push(f"pay/api{number}", IMAGE, "1")
    books.tally.count(LOCAL, Counter.PULLS, Timestamp(house.now - 500 * DAY))
    await books.audit.follow()
    await books.write_counts()
    before = house.count("activity")

    books.bounds = msgspec.structs.replace(BOUNDS, activity_size=6000)
    await books.prune()

    assert before > 30
    assert 5 < house.count("activity") < 25
    assert written(house, Counter.PULLS) == []
    books.bounds = msgspec.structs.replace(BOUNDS, activity_keep=0)
    house.now += 1
    await books.prune()
    assert house.count("activity") == 0


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 100)), max_size=12),
    st.sampled_from([1, 60]),
    st.integers(0, 400),
)
def test_the_part_of_a_span_alive_is_the_minutes_of_it_that_were(
    lengths: list[tuple[int, int]], size: int, now: int
) -> None:
    times = sorted((since * MINUTE, (since + length) * MINUTE) for since, length in lengths)
    minutes = {minute for since, until in times for minute in range(since // MINUTE, until // MINUTE + 1)}
    starts = range(0, 300, size)

    parts = list(history._parts(history._merge(times), [one * MINUTE for one in starts], size * MINUTE, now * MINUTE))  # noqa: SLF001

    for start, part in zip(starts, parts, strict=True):
        over = range(start, min(start + size, max(now, start)))
        expected = sum(minute in minutes for minute in over) / len(over) if over else float(start in minutes)
        assert part == round(expected, 4)
