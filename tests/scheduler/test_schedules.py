"""What a schedule asks for is enqueued when it is due, once for all the times that were missed."""

import pytest

from appliance.db import jobs, schedules
from appliance.db.database import Reader
from appliance.db.jobs import Filter
from appliance.domain.job import JobState
from appliance.domain.moment import DAY, HOUR, MINUTE, Timestamp
from appliance.domain.schedule import NEVER, When
from appliance.errors import StoreFailed
from appliance.scheduler import Postponed, Run, Schedule, Work
from tests.scheduler.conftest import NOON, Desk

pytestmark = pytest.mark.anyio
HOURLY = When(every=HOUR)


async def work(run: Run) -> None:
    run.say("done")


def ran(desk: Desk) -> int:
    return len(jobs.list_page(desk.db.reader, Filter("gc", "done"), None, 100))


async def test_it_is_due_again_and_again(desk: Desk) -> None:
    async with desk.serving([Work("gc", work)], [Schedule("gc", lambda: HOURLY)]) as scheduler:
        await desk.until(lambda: scheduler.calendar.due_of("gc") is not None)
        for count in (1, 2):
            desk.now = Timestamp(desk.now + HOUR)
            scheduler.change()
            await desk.until(lambda count=count: ran(desk) == count)  # type: ignore[misc]

        due = scheduler.calendar.due_of("gc")
    assert due is not None
    assert (due.due_at, due.ran_at) == (NOON + 3 * HOUR, NOON + 2 * HOUR)


async def test_what_was_missed_while_nobody_served_is_run_once_at_the_start(desk: Desk) -> None:
    entry = Schedule("gc", lambda: HOURLY)
    async with desk.serving([Work("gc", work)], [entry]) as scheduler:
        await desk.until(lambda: scheduler.calendar.due_of("gc") is not None)
    desk.now = Timestamp(desk.now + 3 * DAY)

    async with desk.serving([Work("gc", work)], [entry]) as scheduler:
        await desk.until(lambda: ran(desk) == 1)
        due = scheduler.calendar.due_of("gc")

    assert due is not None
    assert due.due_at == desk.now + HOUR
    assert ran(desk) == 1


async def test_a_long_pace_is_not_begun_anew_at_each_start(desk: Desk) -> None:
    entry = Schedule("gc", lambda: When(every=30 * DAY))
    for _ in range(3):
        async with desk.serving([Work("gc", work)], [entry]) as scheduler:
            await desk.until(lambda: scheduler.calendar.due_of("gc") is not None)
            due = scheduler.calendar.due_of("gc")
        desk.now = Timestamp(desk.now + DAY)
        assert due is not None
        assert due.due_at == NOON + 30 * DAY


async def test_a_changed_setting_counts_from_now_on_and_never_means_never(desk: Desk) -> None:
    setting = HOURLY
    async with desk.serving([Work("gc", work)], [Schedule("gc", lambda: setting)]) as scheduler:
        await desk.until(lambda: scheduler.calendar.due_of("gc") is not None)
        setting = When(every=MINUTE)
        scheduler.change()
        await desk.until(lambda: scheduler.calendar.next_due() == NOON + MINUTE)
        setting = NEVER
        scheduler.change()
        await desk.until(lambda: not schedules.find_all(desk.db.reader))
        assert scheduler.calendar.due_of("gc") is None


async def test_a_clock_that_was_ahead_does_not_hold_schedules_and_jobs_back(desk: Desk) -> None:
    async with desk.serving([Work("gc", work)], [Schedule("gc", lambda: HOURLY)]) as scheduler:
        desk.now = Timestamp(NOON + 1000 * DAY)
        scheduler.change()
        await desk.until(lambda: scheduler.calendar.next_due() == desk.now + HOUR)
        waiting = await desk.enqueue("other", not_before=Timestamp(desk.now + MINUTE))
        desk.now = NOON
        scheduler.change()
        await desk.until(lambda: desk.job(waiting).not_before == NOON + MINUTE)

        assert scheduler.calendar.next_due() == NOON + HOUR


async def test_a_clock_that_was_ahead_does_not_hold_the_next_attempt_of_a_job_back(desk: Desk) -> None:
    """The job was made before the clock went ahead, so only its pause tells."""
    is_down = True

    async def fail(_: Run) -> None:
        if is_down:
            raise StoreFailed("the store is down")

    async with desk.serving([Work("gc", fail)]) as scheduler:
        waiting = await desk.enqueue("gc", not_before=Timestamp(NOON + MINUTE))
        desk.now = Timestamp(NOON + 1000 * DAY)
        scheduler.change()
        await desk.until(lambda: desk.job(waiting).reason != "")
        desk.now, is_down = NOON, False
        scheduler.change()

        await desk.until_state(waiting, JobState.DONE)


async def test_an_idle_appliance_makes_no_jobs(desk: Desk) -> None:
    asked: list[Timestamp] = []

    def has_work(now: Timestamp, _: Reader) -> bool:
        asked.append(now)
        return False

    entry = Schedule("gc", lambda: HOURLY, has_work)
    async with desk.serving([Work("gc", work)], [entry]) as scheduler:
        await desk.until(lambda: scheduler.calendar.due_of("gc") is not None)
        desk.now = Timestamp(desk.now + HOUR)
        scheduler.change()
        await desk.until(lambda: scheduler.calendar.next_due() == NOON + 2 * HOUR)

    assert asked == [NOON + HOUR]
    assert jobs.list_page(desk.db.reader, Filter(), None, 10) == []


async def test_what_is_postponed_waits_without_an_attempt_being_counted(desk: Desk) -> None:
    is_steady = False

    async def collect(_: Run) -> None:
        if not is_steady:
            raise Postponed(Timestamp(NOON + DAY), "the clock jumped")

    async with desk.serving([Work("gc", collect, attempts=1)]) as scheduler:
        job_id = await desk.enqueue("gc")
        await desk.until(lambda: desk.job(job_id).reason == "the clock jumped")
        assert (desk.job(job_id).state, desk.job(job_id).attempts) == (JobState.WAITING, 0)
        is_steady, desk.now = True, Timestamp(NOON + DAY)
        scheduler.change()
        await desk.until_state(job_id, JobState.DONE)
