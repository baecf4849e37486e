"""The loop: enqueue what is due, claim what may begin, run it, end it; then sleep until a bell or a timer.

A job that ends badly is tried again after a while, up to the attempts of its kind. What cannot be mended by trying
again (its subject is gone, the order is wrong) fails at once. A stop hands running jobs back: they go on at the next
start, as after kill -9.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import partial

from appliance.db import jobs, schedules
from appliance.db.database import Database, Transaction
from appliance.db.schedules import Due
from appliance.domain.job import ENDED, Cancelled, JobId, JobState, back_off
from appliance.domain.moment import DAY, HOUR, SECOND, Timestamp
from appliance.errors import Denied, Invalid, ScrError, Stopping, Unknown, Unsupported
from appliance.logs import Log
from appliance.scheduler.calendar import Calendar, Schedule, write
from appliance.scheduler.run import Postponed, Run, Work

_BY = "scheduler"  # who ordered what a schedule ordered
_NEWS_S = 1.0  # between two writes of progress and log lines
_PATIENCE_S = 5.0  # for a handler that was asked to end; then its task is cancelled
_AGAIN_S = 10.0  # before the database is asked again after it failed
_LONGEST_S = 300.0  # of one sleep: the timers of the loop stand still while the machine sleeps, and clocks are set
_JUMP = HOUR  # milliseconds; a job made that far in the future was made by a clock that was ahead
_LONGEST_PAUSE = DAY  # milliseconds before a next attempt; one that is put off for longer is asked again sooner
_HOPELESS = (Unknown, Invalid, Denied, Unsupported)  # trying again changes nothing
_End = Callable[[Transaction], None]  # writes down how an attempt ended


class Scheduler:
    """Runs jobs until it is cancelled."""

    def __init__(
        self,
        db: Database,
        clock: Callable[[], Timestamp],
        works: Sequence[Work],
        entries: Sequence[Schedule],
        parallel: Callable[[], int],
        log: Log,
    ) -> None:
        """Run jobs of the kinds of `works`, at most `parallel` at once, and enqueue what `entries` say."""
        self._db = db
        self._clock = clock
        self._works = {work.kind: work for work in works}
        self._parallel = parallel
        self._log = log
        self.calendar = Calendar(entries)
        self.failures: dict[str, int] = {}  # jobs that were given up since the start, by kind
        self._running: dict[JobId, tuple[Run, asyncio.Task[None]]] = {}
        self._bell = asyncio.Event()
        self._has_changed = False
        self._fault = ""  # what was complained about last
        self._moved = asyncio.Event()  # set, and replaced, whenever a job may be in another state

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of jobs that it runs."""
        return frozenset(self._works)

    def change(self) -> None:
        """Look at the settings anew."""
        self._has_changed = True
        self._bell.set()

    async def settled(self, job_id: JobId) -> None:
        """Wait until the job has ended, or an attempt has and the next one is not due yet."""
        while True:
            moved = self._moved
            job = jobs.find_by_id(self._db.reader, job_id)
            if job is None or job.state in ENDED:
                return
            if job.state is JobState.WAITING and job.reason and job.not_before > self._clock():
                return
            await moved.wait()

    async def run(self) -> None:
        """Run jobs for ever."""
        loop = asyncio.get_running_loop()
        self._db.bell = lambda: _ring(loop, self._bell)
        self._has_changed = True
        is_new = True
        async with asyncio.TaskGroup() as group:
            while True:
                self._bell.clear()
                try:
                    if is_new:
                        await self._db.write(partial(jobs.take_up, now=self._clock()))
                        is_new = False
                    wait = await self._turn(group)
                    self._fault = ""
                except Stopping:
                    return
                except Exception as error:  # noqa: BLE001 - whatever it is, it must not take the server with it
                    self._complain(_reason_of(error))
                    wait = _AGAIN_S
                await self._sleep(wait)

    def _complain(self, reason: str) -> None:
        """Say what is wrong with the table of jobs, once until it is something else."""
        if reason != self._fault:
            self._log.warn("jobs.failed", reason=reason, cure="free the disk, or see its log; it is tried again")
        self._fault = reason

    async def _sleep(self, wait: float | None) -> None:
        try:
            async with asyncio.timeout(None if wait is None else min(wait, _LONGEST_S)):
                await self._bell.wait()
        except TimeoutError:
            return

    async def _turn(self, group: asyncio.TaskGroup) -> float | None:
        """Begin all that may begin; return the seconds until there may be more, None for no time known."""
        now = self._clock()
        self._moved.set()
        self._moved = asyncio.Event()
        await self._follow_settings(now)
        await self._enqueue_due(now)
        self._pass_on_cancels()
        waits = [await self._begin(group, work, now) for work in self._works.values()]
        known = [due for due in (*waits, self.calendar.next_due()) if due is not None]
        return max((min(known) - self._clock()) / SECOND, 0) if known else None

    async def _follow_settings(self, now: Timestamp) -> None:
        """Reckon the schedules at the start and after a change of the settings."""
        if not self._has_changed and not self.calendar.is_ahead(now):
            return
        self._has_changed = False
        changed = self.calendar.reckon(schedules.find_all(self._db.reader), now)

        def mend(tx: Transaction) -> None:
            write(tx, changed)
            jobs.mend_future(tx, now, _JUMP, _LONGEST_PAUSE)

        try:
            await self._db.write(mend)
        except ScrError:
            self._has_changed = True
            raise

    async def _enqueue_due(self, now: Timestamp) -> None:
        for entry in self.calendar.list_due(now):
            due = self.calendar.following(entry, now)
            if due is not None and await self._db.read(partial(entry.has_work, now)):

                def order(tx: Transaction, entry: Schedule = entry, due: Due = due) -> None:
                    jobs.enqueue(tx, entry.kind, entry.subject, {}, now, by=_BY)
                    schedules.put(tx, entry.kind, due)

                await self._db.write(order)
            self.calendar.accept(entry, due)

    async def _begin(self, group: asyncio.TaskGroup, work: Work, now: Timestamp) -> Timestamp | None:
        """Begin jobs of one kind, as many as there is room for; return when the next may, None if that rings."""
        running = [self._works[run.job.kind] for run, _ in self._running.values()]
        room = work.parallel() - running.count(work)
        if not work.is_quick:
            room = min(room, self._parallel() - sum(not one.is_quick for one in running))
        if room <= 0:
            return None  # the end of one of them rings
        due = jobs.next_due(self._db.reader, work.kind)
        if due is None or due > now:
            return due
        claimed = await self._db.write(lambda tx: jobs.claim(tx, work.kind, room, now))
        for job in claimed:
            run = Run(job, self._db, self._clock)
            self._running[job.id] = run, group.create_task(self._perform(run, work))
        return jobs.next_due(self._db.reader, work.kind) if len(claimed) < room else None

    def _pass_on_cancels(self) -> None:
        """Tell running jobs that somebody asked for their end."""
        loop = asyncio.get_running_loop()
        for job_id, (run, task) in self._running.items():
            found = None if run.is_asked_to_end else jobs.find_by_id(self._db.reader, job_id)
            if found is not None and found.is_cancelling:
                run.is_asked_to_end = True
                run.forcing = loop.call_later(_PATIENCE_S, task.cancel)

    async def _perform(self, run: Run, work: Work) -> None:
        """Run one job to its end, and write that down."""
        try:
            async with asyncio.TaskGroup() as group:
                news = group.create_task(self._write_news(run))
                end = await self._attempt(run, work)
                news.cancel()
            if end is not None:
                await self._settle(end)
        finally:
            del self._running[run.job.id]
            self._bell.set()

    async def _attempt(self, run: Run, work: Work) -> _End | None:
        """Call the handler; return what ends the job in the database, None where it is left for the next start."""
        if run.job.attempts > work.attempts:
            return self._failing(run, work, ScrError("scr ended each time it ran this job; see its log"))
        try:
            await work.handler(run)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not run.is_asked_to_end or task is None:  # a stop, not a wish
                await self._hand_back(run)
                raise
            task.uncancel()
            run.has_seen_it = True
        except Stopping:
            await self._hand_back(run)
            return None
        except Cancelled:
            run.has_seen_it = True
        except Postponed as error:
            return self._postponing(run, error)
        except Exception as error:  # noqa: BLE001 - the last border: said once, tried again
            return self._failing(run, work, error)
        finally:
            if run.forcing is not None:
                run.forcing.cancel()
        return self._ending(run, JobState.CANCELLED if run.has_seen_it else JobState.DONE)

    def _ending(self, run: Run, state: JobState, reason: str = "") -> _End:
        """Return what ends the job of `run` for good."""
        now, job, news = self._clock(), run.job.id, run.take_news()

        def end(tx: Transaction) -> None:
            jobs.note(tx, job, *news)
            jobs.finish(tx, job, state, now, report=run.reported, reason=reason)

        return end

    def _failing(self, run: Run, work: Work, error: Exception) -> _End:
        """Return what lets the job of `run` wait for its next attempt, or ends it where there is none."""
        job, reason = run.job, _reason_of(error)
        run.say(f"attempt {min(job.attempts, work.attempts)} failed: {reason}")
        if isinstance(error, _HOPELESS) or job.attempts >= work.attempts:
            self.failures[job.kind] = self.failures.get(job.kind, 0) + 1
            self._log.error(
                "job.failed", kind=job.kind, job=job.public_id, reason=reason, cure=f"scr job show {job.public_id}"
            )
            return self._ending(run, JobState.FAILED, reason)
        pause = back_off(job.attempts)
        self._log.warn("job.retrying", kind=job.kind, job=job.public_id, reason=reason, in_s=pause // SECOND)
        now, news = self._clock(), run.take_news()

        def fail(tx: Transaction) -> None:
            jobs.note(tx, job.id, *news)
            jobs.fail(tx, job.id, reason, Timestamp(now + pause), now)

        return fail

    def _postponing(self, run: Run, error: Postponed) -> _End:
        """Return what lets the job of `run` wait for a better time."""
        run.say(f"postponed: {error.reason}")
        now, news = self._clock(), run.take_news()

        def postpone(tx: Transaction) -> None:
            jobs.note(tx, run.job.id, *news)
            jobs.hand_back(tx, run.job.id)
            jobs.fail(tx, run.job.id, error.reason, error.until, now)

        return postpone

    async def _settle(self, end: _End) -> None:
        """Write down the end of a job, however long the disk refuses; a stop leaves it to be taken up again."""
        while True:
            try:
                return await self._db.write(end)
            except Stopping:
                return None
            except ScrError as error:
                self._complain(error.message)
                await asyncio.sleep(_AGAIN_S)

    async def _hand_back(self, run: Run) -> None:
        """Leave a job for the next start, without counting this attempt."""
        with contextlib.suppress(ScrError):
            await self._db.write(lambda tx: jobs.hand_back(tx, run.job.id))

    async def _write_news(self, run: Run) -> None:
        """Write progress and log lines of a running job, now and then."""
        while True:
            await run.has_news()
            with contextlib.suppress(Exception):  # they wait for the end of the job, which complains
                await run.write_news()
            await asyncio.sleep(_NEWS_S)


def _reason_of(error: Exception) -> str:
    return error.message if isinstance(error, ScrError) else repr(error)


def _ring(loop: asyncio.AbstractEventLoop, bell: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(bell.set)
