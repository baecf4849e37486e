"""Repeated work, and the guard against a clock that jumps."""

import asyncio
import io

import pytest

from appliance.assemble.timetable import Clock, Entry, Timetable
from appliance.domain.moment import DAY, HOUR
from appliance.errors import StoreFailed
from appliance.logs import Log


class Clocks:
    """Two clocks that a test moves, in seconds."""

    def __init__(self) -> None:
        self.wall = 1_700_000_000.0
        self.running = 50.0

    def pass_(self, seconds: float) -> None:
        """Let time pass, for both."""
        self.wall += seconds
        self.running += seconds


@pytest.fixture
def said() -> io.StringIO:
    """What the log wrote."""
    return io.StringIO()


def make_clock(clocks: Clocks, said: io.StringIO) -> Clock:
    """Return the guard over two clocks that the test moves."""
    return Clock(Log(out=said), lambda: clocks.wall, lambda: clocks.running)


def test_time_that_passes_is_no_jump(said: io.StringIO) -> None:
    clocks = Clocks()
    clock = make_clock(clocks, said)

    clocks.pass_(400 * 86_400)

    assert clock.is_steady(DAY)
    assert clock.now() == int(clocks.wall * 1000)
    assert said.getvalue() == ""


def test_a_clock_that_is_set_right_by_minutes_is_no_jump(said: io.StringIO) -> None:
    clocks = Clocks()
    clock = make_clock(clocks, said)

    clocks.wall -= 59 * 60

    assert clock.is_steady(DAY)


@pytest.mark.parametrize("jump_s", [2 * 3600, -2 * 3600, 50 * 365 * 86_400])
def test_a_jump_pauses_for_the_time_that_is_at_stake_and_is_said_once(said: io.StringIO, jump_s: int) -> None:
    clocks = Clocks()
    clock = make_clock(clocks, said)

    clocks.wall += jump_s

    assert not clock.is_steady(DAY)
    clocks.pass_(86_000)
    assert not clock.is_steady(DAY)
    clocks.pass_(500)
    assert clock.is_steady(DAY)
    assert said.getvalue().count("clock.moved") == 1
    assert f"by_s={jump_s}" in said.getvalue()


def test_a_jump_pauses_an_hour_where_nothing_is_kept(said: io.StringIO) -> None:
    clocks = Clocks()
    clock = make_clock(clocks, said)

    clocks.wall += 7200

    assert not clock.is_steady(0)
    clocks.pass_(HOUR // 1000 + 1)
    assert clock.is_steady(0)


async def repeat(entry: Entry, table: Timetable, ended: asyncio.Event) -> None:
    """Follow `entry` until `ended`."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(table.follow(entry))
        async with asyncio.timeout(30):
            await ended.wait()
        task.cancel()


def test_work_that_fails_is_said_and_done_again(said: io.StringIO) -> None:
    async def act() -> int:
        ended = asyncio.Event()
        runs = 0

        async def work() -> None:
            nonlocal runs
            runs += 1
            if runs == 1:
                raise StoreFailed("the disk is gone")
            if runs == 2:
                raise ValueError("a mistake of ours")
            ended.set()

        await repeat(Entry("sweep", work, lambda: 0.001, 0.001), Timetable(Log(out=said)), ended)
        return runs

    assert asyncio.run(act()) >= 3
    assert "warn  timetable.failed work=sweep reason='the disk is gone'" in said.getvalue()
    assert "error timetable.failed work=sweep" in said.getvalue()
    assert "Traceback" not in said.getvalue()


def test_a_changed_pace_is_followed_at_once(said: io.StringIO) -> None:
    async def act() -> None:
        first, ended = asyncio.Event(), asyncio.Event()
        pace = [3600.0]

        async def work() -> None:
            if first.is_set():
                ended.set()
            first.set()

        table = Timetable(Log(out=said))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(table.follow(Entry("collection", work, lambda: pace[0], 0.001)))
            await first.wait()
            await asyncio.sleep(0)  # the entry asks its pace, and sleeps an hour
            pace[0] = 0.001
            table.change()
            async with asyncio.timeout(30):
                await ended.wait()
            task.cancel()

    asyncio.run(act())


def test_work_of_pace_zero_sleeps_until_the_pace_changes(said: io.StringIO) -> None:
    async def act() -> int:
        done = 0
        first = asyncio.Event()

        async def work() -> None:
            nonlocal done
            done += 1
            first.set()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(Timetable(Log(out=said)).follow(Entry("scrub", work, lambda: 0.0, 0.001)))
            await first.wait()
            for _ in range(100):
                await asyncio.sleep(0)
            task.cancel()
        return done

    assert asyncio.run(act()) == 1
