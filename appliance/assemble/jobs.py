"""The kinds of jobs there are: who does each, how many at once, and by which schedule."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from appliance.assemble.feeds import list_schedules, list_works
from appliance.assemble.scanning import ScanLabour
from appliance.assemble.stock import Opened
from appliance.assemble.timetable import Clock
from appliance.blobstore.s3 import S3Store
from appliance.config import Config
from appliance.config.quantities import when_text
from appliance.db import jobs
from appliance.db.database import Reader
from appliance.domain.moment import MINUTE, Timestamp, to_text
from appliance.errors import StoreFailed
from appliance.http.running import Planned
from appliance.logs import Log
from appliance.scheduler import Postponed, Run, Schedule, Scheduler, Work
from appliance.services import (
    attic,
    backup,
    collect,
    deletion,
    measure,
    move,
    retain,
    retention_orders,
    scrub,
    snapshots,
    sweep,
    verify,
)
from appliance.services.backup import BackupOrder
from appliance.services.books import Books
from appliance.services.collect import Collected
from appliance.services.move import MoveOrder
from appliance.services.scanning import Scanner
from appliance.services.scrub import ScrubOrder
from appliance.services.verify import CheckOrder

_KEPT = 5000  # ended jobs of one kind; with their logs some ten MB
_FORGOTTEN = 200  # of them forgotten in one transaction
SOON = MINUTE  # milliseconds after the start, when what is not urgent begins


def make_scheduler(
    config: Callable[[], Config], opened: Opened, books: Books, scanner: Scanner, clock: Clock, log: Log
) -> Scheduler:
    """Return the scheduler of the appliance; `config` returns what is in force."""
    labour, scans = _Labour(config, opened, books, clock, log), ScanLabour(config, opened.stock, scanner)
    works = (*labour.works(), scans.work(), *list_works(opened.stock, scanner.file))
    schedules = (*labour.schedules(), scans.schedule(), *list_schedules(config, opened.stock))
    return Scheduler(opened.stock.db, clock.now, works, schedules, lambda: config().jobs.parallel, log)


class _Labour:
    """What the jobs do that look after the appliance as a whole."""

    def __init__(self, config: Callable[[], Config], opened: Opened, books: Books, clock: Clock, log: Log) -> None:
        self._config = config
        self._books = books
        self._opened = opened
        self._stock = opened.stock
        self._clock = clock
        self._log = log

    def works(self) -> tuple[Work, ...]:
        """Return who does which kind."""
        return (
            Work("gc", self._collect, is_quick=True),
            Work("upload-expiry", self._expire_uploads, is_quick=True),
            Work("sweep", self._sweep),
            Work("scrub", self._scrub),
            Work("check", self._check),
            Work("roll-up", self._roll_up, is_quick=True),
            Work("move", self._move),
            Work("measure", self._measure),
            Work("retention", self._retain),
            *(Work(kind, self._let_go) for kind in deletion.KINDS),
            Work("backup", self._back_up, lambda: 2),  # a snapshot need not wait for a copy of everything
        )

    def schedules(self) -> tuple[Schedule, ...]:
        """Return what is done by itself, and when."""
        return (
            Schedule("gc", lambda: self._config().schedule.gc, self._has_garbage),
            Schedule("upload-expiry", lambda: self._config().schedule.upload_expiry, self._has_uploads),
            Schedule("sweep", lambda: self._config().schedule.sweep),
            Schedule("scrub", lambda: self._config().schedule.scrub),
            Schedule("check", lambda: self._config().schedule.check),
            Schedule("roll-up", lambda: self._config().schedule.roll_up),
            Schedule("measure", lambda: self._config().schedule.measure, self._has_large),
            Schedule("retention", lambda: self._config().schedule.retention, self._has_images_due),
            Schedule("backup", lambda: self._config().schedule.backup, self._has_changed),
        )

    def _has_garbage(self, now: Timestamp, reader: Reader) -> bool:
        return collect.has_work(reader, self._stock.rules, now, started=self._opened.started)

    def _has_uploads(self, now: Timestamp, reader: Reader) -> bool:
        del now, reader
        return next(self._stock.uploads.walk(), None) is not None

    def _has_changed(self, now: Timestamp, reader: Reader) -> bool:
        del now
        return snapshots.has_changed(reader)

    async def _back_up(self, run: Run) -> None:
        if folder := run.order(BackupOrder).folder:
            done = await backup.back_up(self._stock, Path(folder), run.job.public_id, run)
            run.report(done)
            self._log.info("backup.done", path=done.path, blobs=done.blobs, bytes=done.bytes, linked=done.linked)
            return
        taken = await snapshots.take_snapshot(self._stock, self._config().backup.keep, run)
        run.report({"name": taken.name, "size": taken.size, "takenAt": to_text(taken.taken_at)})
        if self._opened.bucket is not None:
            await self._copy_snapshot(self._opened.bucket, taken.name, run)
        self._log.debug("backup.snapshot", name=taken.name, size=taken.size)

    async def _copy_snapshot(self, bucket: S3Store, name: str, run: Run) -> None:
        """Bring the snapshot to the bucket too; where that fails, the next one gets there."""
        path = self._stock.db.path.with_name(snapshots.FOLDER) / name
        try:
            await attic.keep(self._stock, bucket, path, self._config().backup.keep)
        except StoreFailed as error:
            run.say(f"the bucket has no copy of it: {error.message}")
            self._log.warn("backup.not_copied", name=name, reason=error.message, cure="none needed: the next one is")

    async def _collect(self, run: Run) -> None:
        self._need_steady(self._config().storage.recycle)
        done = await collect.collect(self._stock, started=self._opened.started, course=run)
        run.report(done)
        if done != Collected():
            self._log.info("collection.done", blobs=done.blobs, freed=done.bytes, manifests=done.manifests)

    async def _let_go(self, run: Run) -> None:
        self._need_steady(self._config().storage.recycle)
        run.report({"removed": await collect.let_go(self._stock, run)})

    async def _expire_uploads(self, run: Run) -> None:
        self._need_steady(self._config().storage.upload_expiry)
        run.report({"uploads": await collect.expire_uploads(self._stock)})

    async def _sweep(self, run: Run) -> None:
        self._need_steady(self._config().storage.grace)
        done = await sweep.sweep_strays(self._stock, run)
        run.report({"strays": done.strays, "bytes": done.bytes})
        if done.strays:
            self._log.info("collection.strays", files=done.strays, freed=done.bytes)

    async def _roll_up(self, run: Run) -> None:
        self._need_steady(self._config().storage.recycle)
        before = Timestamp(self._clock.now() - self._config().jobs.keep)
        while await self._stock.db.write(partial(jobs.forget, before=before, keep=_KEPT, limit=_FORGOTTEN)):
            run.check()
        run.report(await self._books.prune(run))

    async def _scrub(self, run: Run) -> None:
        rate = 0 if run.order(ScrubOrder).full_speed else self._config().storage.scrub_rate
        done = await scrub.scrub(self._stock, rate=rate, course=run)
        run.report(done)
        self._log.info("scrub.done", blobs=done.blobs, bytes=done.bytes, broken=len(done.broken))

    async def _check(self, run: Run) -> None:
        order = run.order(CheckOrder)
        found = await verify.verify(self._stock, deep=order.deep, repair=order.repair, course=run)
        run.report(found)
        if found.faults > found.repaired:
            self._log.error(
                "check.faults", faults=found.faults, repaired=found.repaired, cure=f"scr job show {run.job.public_id}"
            )

    def _has_images_due(self, now: Timestamp, reader: Reader) -> bool:
        return retention_orders.has_due(reader, self._stock.rules, now)

    async def _retain(self, run: Run) -> None:
        """Run tag deletion for the image that the job is about; without one, order a job for each that is due."""
        self._need_steady(self._config().storage.recycle)
        if not run.job.subject:
            run.report({"ordered": await retention_orders.order_due(self._stock, self._clock.now())})
            return
        done = await retain.run_job(self._stock, run.job.subject, self._clock.now(), run)
        run.report(done)
        if done.manifests:
            self._log.info("retention.done", image=run.job.subject, manifests=done.manifests, tags=done.tags)

    async def _move(self, run: Run) -> None:
        done = await move.move(self._stock, run.order(MoveOrder), run)
        run.report(done)
        self._log.info("move.done", blobs=done.blobs, bytes=done.bytes, manifests=done.manifests, left=done.left)

    def _has_large(self, now: Timestamp, reader: Reader) -> bool:
        del now
        return measure.has_large(reader)

    async def _measure(self, run: Run) -> None:
        run.report(await measure.measure_all(self._stock, run))

    def _need_steady(self, pause: int) -> None:
        """Put off what deletes by time while the clock cannot be trusted. Raises Postponed."""
        if left := self._clock.left_of_pause(pause):
            raise Postponed(
                Timestamp(self._clock.now() + left), "the clock of the host jumped; what deletes by time waits"
            )


async def sweep_after_crash(opened: Opened, grace: int) -> None:
    """Let a sweep wait until what a crash has left is old enough to be told from what is on its way."""
    at = Timestamp(opened.started + grace + SOON)
    await opened.stock.db.write(
        lambda tx: jobs.enqueue(tx, "sweep", "", {}, opened.started, by="scheduler", not_before=at)
    )


def list_planned(scheduler: Scheduler) -> tuple[Planned, ...]:
    """Return the schedules as the management API shows them."""
    found = []
    for kind, entry in sorted(scheduler.calendar.entries.items()):
        due = scheduler.calendar.due_of(kind)
        setting = f"schedule.{kind.replace('-', '_').replace('.', '_')}"
        found.append(
            Planned(kind, setting, when_text(entry.when()), due.due_at if due else None, due.ran_at if due else None)
        )
    return tuple(found)
