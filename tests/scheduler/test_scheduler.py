"""Jobs are run once, tried again, cancelled, taken up after a death, and never more at once than is allowed."""

import asyncio

import msgspec
import pytest

from appliance.db import jobs
from appliance.domain.job import Job, JobState
from appliance.domain.moment import MINUTE, SECOND, Timestamp
from appliance.errors import NameUnknown, StoreFailed
from appliance.scheduler import Run, Work
from tests.scheduler.conftest import NOON, Desk

pytestmark = pytest.mark.anyio


class Order(msgspec.Struct):
    name: str


async def test_a_job_runs_with_its_order_and_ends_with_a_report_and_a_log(desk: Desk) -> None:
    async def greet(run: Run) -> None:
        run.say(f"hello {run.order(Order).name}")
        run.progress(1, 2)
        run.report({"greeted": 1})

    async with desk.serving([Work("greeting", greet)]):
        job_id = await desk.enqueue("greeting", name="ann")
        job = await desk.until_state(job_id, JobState.DONE)

    assert (job.done, job.total, job.report, job.attempts) == (1, 2, '{"greeted":1}', 1)
    assert desk.lines(job_id) == ["hello ann"]


async def test_the_same_job_is_not_queued_twice_while_it_waits(desk: Desk) -> None:
    first = await desk.enqueue("scan", "sha256:1", not_before=Timestamp(NOON + MINUTE))

    second = await desk.enqueue("scan", "sha256:1")
    other = await desk.enqueue("scan", "sha256:2")

    assert second == first != other
    assert desk.job(first).not_before == NOON


async def test_what_is_queued_while_its_like_runs_is_run_afterwards(desk: Desk) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()
    at_once: list[int] = []
    running = 0

    async def work(run: Run) -> None:
        nonlocal running
        running += 1
        at_once.append(running)
        entered.set()
        await leave.wait()
        running -= 1
        run.report(run.job.id)

    async with desk.serving([Work("scan", work, lambda: 4)]):
        first = await desk.enqueue("scan", "one")
        await entered.wait()
        second = await desk.enqueue("scan", "one")
        third = await desk.enqueue("scan", "two")
        await desk.until_state(third, JobState.RUNNING)
        assert desk.job(second).state is JobState.WAITING
        leave.set()
        await desk.until_state(second, JobState.DONE)

    assert first != second
    assert max(at_once) == 2


async def test_no_more_run_at_once_than_the_kind_and_all_may(desk: Desk) -> None:
    desk.parallel = 3
    leave = asyncio.Event()
    running: dict[str, int] = {"a": 0, "b": 0}
    most = {"a": 0, "b": 0, "all": 0}

    async def work(run: Run) -> None:
        kind = run.job.kind
        running[kind] += 1
        most[kind] = max(most[kind], running[kind])
        most["all"] = max(most["all"], sum(running.values()))
        await leave.wait()
        running[kind] -= 1

    async with desk.serving([Work("a", work, lambda: 2), Work("b", work, lambda: 9)]):
        ids = [await desk.enqueue(kind, str(number)) for kind in ("a", "b") for number in range(5)]
        await desk.until(lambda: sum(running.values()) == 3)
        leave.set()
        for job_id in ids:
            await desk.until_state(job_id, JobState.DONE)

    assert most["a"] <= 2
    assert most["all"] == 3


async def test_a_job_that_fails_is_tried_again_later_and_later_and_then_given_up(desk: Desk) -> None:
    begun: list[int] = []

    async def work(run: Run) -> None:
        begun.append(desk.now - NOON)
        raise StoreFailed(f"the disk failed {run.job.attempts} times")

    async with desk.serving([Work("gc", work, attempts=3)]) as scheduler:
        job_id = await desk.enqueue("gc")
        for count in (1, 2):
            await desk.until(lambda count=count: desk.job(job_id).reason.endswith(f"{count} times"))  # type: ignore[misc]
            desk.now = desk.job(job_id).not_before
            scheduler.change()
        job = await desk.until_state(job_id, JobState.FAILED)

    assert begun == [0, 10 * SECOND, 10 * SECOND + MINUTE]
    assert job.reason == "the disk failed 3 times"
    assert desk.lines(job_id)[-1] == "attempt 3 failed: the disk failed 3 times"
    assert desk.printed.getvalue().count("job.failed") == 1


async def test_what_trying_again_cannot_mend_fails_at_once(desk: Desk) -> None:
    async def work(_: Run) -> None:
        raise NameUnknown("there is no image pay/api")

    async with desk.serving([Work("scan", work)]):
        job_id = await desk.enqueue("scan")
        job = await desk.until_state(job_id, JobState.FAILED)

    assert job.attempts == 1


async def test_a_job_that_was_given_up_can_be_run_once_more(desk: Desk) -> None:
    is_mended = False

    async def work(_: Run) -> None:
        if not is_mended:
            raise NameUnknown("not yet")

    async with desk.serving([Work("scan", work)]):
        job_id = await desk.enqueue("scan")
        await desk.until_state(job_id, JobState.FAILED)
        is_mended = True
        assert await desk.db.write(lambda tx: jobs.retry(tx, job_id, desk.now))
        job = await desk.until_state(job_id, JobState.DONE)

    assert job.reason == ""
    assert not await desk.db.write(lambda tx: jobs.retry(tx, job_id, desk.now))


async def test_a_waiting_job_is_cancelled_at_once_and_never_runs(desk: Desk) -> None:
    begun: list[str] = []

    async def work(run: Run) -> None:
        begun.append(run.job.subject)

    cancelled = await desk.enqueue("scan", "one")
    assert await desk.db.write(lambda tx: jobs.cancel(tx, cancelled, desk.now)) is JobState.CANCELLED
    async with desk.serving([Work("scan", work)]):
        await desk.until_state(await desk.enqueue("scan", "two"), JobState.DONE)

    assert begun == ["two"]


async def test_a_running_job_is_told_to_end_and_is_cancelled_when_it_does(desk: Desk) -> None:
    steps = 0

    async def work(run: Run) -> None:
        nonlocal steps
        while not run.is_cancelled():
            steps += 1
            await asyncio.sleep(0)

    async with desk.serving([Work("scrub", work)]):
        job_id = await desk.enqueue("scrub")
        await desk.until(lambda: steps > 10)
        assert await desk.db.write(lambda tx: jobs.cancel(tx, job_id, desk.now)) is JobState.RUNNING
        await desk.until_state(job_id, JobState.CANCELLED)


async def test_a_job_that_was_called_off_and_fails_is_not_tried_again(desk: Desk) -> None:
    may_fail = asyncio.Event()

    async def fail(_: Run) -> None:
        await may_fail.wait()
        raise StoreFailed("the store is down")

    async with desk.serving([Work("gc", fail)]):
        job_id = await desk.enqueue("gc")
        await desk.until_state(job_id, JobState.RUNNING)
        await desk.db.write(lambda tx: jobs.cancel(tx, job_id, desk.now))
        may_fail.set()

        job = await desk.until_state(job_id, JobState.CANCELLED)

    assert job.ended_at is not None
    assert "the store is down" in desk.lines(job_id)[0]


async def test_a_job_that_does_not_ask_is_cancelled_all_the_same(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.scheduler.scheduler._PATIENCE_S", 0.0)
    begun = asyncio.Event()

    async def work(_: Run) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with desk.serving([Work("scrub", work)]):
        job_id = await desk.enqueue("scrub")
        await begun.wait()
        await desk.db.write(lambda tx: jobs.cancel(tx, job_id, desk.now))
        await desk.until_state(job_id, JobState.CANCELLED)


async def test_a_stop_hands_a_running_job_back_and_the_next_start_goes_on_from_its_checkpoint(desk: Desk) -> None:
    seen: list[int | None] = []
    kept = asyncio.Event()

    async def work(run: Run) -> None:
        seen.append(run.checkpoint(int))
        if len(seen) == 1:
            await run.keep(7)
            kept.set()
            await asyncio.Event().wait()

    async with desk.serving([Work("scrub", work)]):
        job_id = await desk.enqueue("scrub")
        await kept.wait()
    assert (desk.job(job_id).state, desk.job(job_id).attempts) == (JobState.RUNNING, 0)
    async with desk.serving([Work("scrub", work)]):
        job = await desk.until_state(job_id, JobState.DONE)

    assert seen == [None, 7]
    assert job.attempts == 1


async def test_a_job_of_a_process_that_died_is_taken_up_again(desk: Desk) -> None:
    job_id = await desk.enqueue("gc")
    await desk.db.write(lambda tx: jobs.claim(tx, "gc", 1, desk.now))  # and then the process died
    desk.db.close()
    desk.open()

    async def work(_: Run) -> None:
        return

    async with desk.serving([Work("gc", work)]):
        job = await desk.until_state(job_id, JobState.DONE)

    assert job.attempts == 2


async def test_a_job_that_kills_the_process_each_time_is_given_up(desk: Desk) -> None:
    begun: list[int] = []
    job_id = await desk.enqueue("scan")
    for _ in range(3):
        assert await desk.db.write(lambda tx: jobs.claim(tx, "scan", 1, desk.now))
        await desk.db.write(lambda tx: jobs.take_up(tx, desk.now))

    async def work(run: Run) -> None:
        begun.append(run.job.attempts)

    async with desk.serving([Work("scan", work, attempts=3)]):
        job = await desk.until_state(job_id, JobState.FAILED)

    assert begun == []
    assert "ended each time" in job.reason


async def test_the_log_of_a_job_keeps_its_newest_lines(desk: Desk) -> None:
    job_id = await desk.enqueue("gc")

    for part in range(3):
        lines = [(desk.now, f"line {part}-{number}") for number in range(600)]
        await desk.db.write(lambda tx, lines=lines: jobs.note(tx, job_id, 0, 0, lines))  # type: ignore[misc]

    found = jobs.list_lines(desk.db.reader, job_id, 0, 5000)
    assert len(found) == 1000
    assert (found[0].text, found[-1].text) == ("line 1-200", "line 2-599")


async def test_old_jobs_are_forgotten_with_their_logs_and_living_ones_are_not(desk: Desk) -> None:
    old = await desk.enqueue("gc", "old")
    await desk.db.write(lambda tx: jobs.claim(tx, "gc", 1, desk.now))
    await desk.db.write(lambda tx: jobs.note(tx, old, 0, 0, [(desk.now, "done")]))
    await desk.db.write(lambda tx: jobs.finish(tx, old, JobState.DONE, desk.now))
    alive = await desk.enqueue("gc", "alive")

    gone = await desk.db.write(lambda tx: jobs.forget(tx, Timestamp(desk.now + 1), 100, 100))

    assert gone == 1
    assert jobs.find_by_id(desk.db.reader, old) is None
    assert desk.lines(old) == []
    assert desk.job(alive).state is JobState.WAITING


async def test_a_quick_job_does_not_wait_for_long_ones(desk: Desk) -> None:
    desk.parallel = 1
    leave = asyncio.Event()

    async def long(_: Run) -> None:
        await leave.wait()

    async def quick(_: Run) -> None:
        return

    async with desk.serving([Work("scrub", long, lambda: 2), Work("gc", quick, is_quick=True)]):
        running = await desk.enqueue("scrub", "one")
        waiting = await desk.enqueue("scrub", "two")
        await desk.until_state(running, JobState.RUNNING)
        await desk.until_state(await desk.enqueue("gc"), JobState.DONE)
        assert desk.job(waiting).state is JobState.WAITING
        leave.set()
        await desk.until_state(waiting, JobState.DONE)


async def test_a_table_of_jobs_that_fails_is_said_once_and_tried_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.scheduler.scheduler._AGAIN_S", 0.01)
    asked = 0
    claim = jobs.claim

    def refuse(*arguments: object) -> list[Job]:
        nonlocal asked
        asked += 1
        if asked < 4:
            raise StoreFailed("the disk failed")
        return claim(*arguments)  # type: ignore[arg-type]  # handed through

    async def work(_: Run) -> None:
        return

    monkeypatch.setattr(jobs, "claim", refuse)
    async with desk.serving([Work("gc", work)]):
        await desk.until_state(await desk.enqueue("gc"), JobState.DONE)

    assert desk.printed.getvalue().count("jobs.failed") == 1
