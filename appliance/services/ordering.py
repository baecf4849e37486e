"""Jobs that somebody orders, calls off, or wants tried again."""

import asyncio
import os
from pathlib import Path

import msgspec

from appliance.db import activity, jobs
from appliance.db.activity import About
from appliance.db.database import Transaction
from appliance.domain.access import PrincipalKind
from appliance.domain.admission import Caller
from appliance.domain.job import Job, JobState
from appliance.domain.moment import Timestamp
from appliance.errors import AccessDenied, Conflict, JobUnknown, QueryInvalid
from appliance.services import deletion
from appliance.services.backup import BackupOrder
from appliance.services.move import MoveOrder
from appliance.services.scrub import ScrubOrder
from appliance.services.stock import Stock
from appliance.services.verify import CheckOrder


class PlainOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An order where there is nothing to choose."""


# kind of job -> what its order says; other kinds are enqueued by what needs them
ORDERS: dict[str, type[msgspec.Struct]] = {
    "gc": PlainOrder,
    "upload-expiry": PlainOrder,
    "sweep": PlainOrder,
    "scrub": ScrubOrder,
    "check": CheckOrder,
    "backup": BackupOrder,
    "roll-up": PlainOrder,
    "measure": PlainOrder,
    "move": MoveOrder,
}
# those that are enqueued by what needs them
CAUSED = ("retention", "scan", "scan.match", "vulndb.fetch", "vulndb.import", *deletion.KINDS)
KINDS = (*ORDERS, *CAUSED)  # every kind that a job can be of
WHOLE = frozenset(deletion.KINDS)  # kinds that go on to their end: half of it is gone
_LONGEST = 1024  # characters of a folder


async def order(stock: Stock, caller: Caller, kind: str, detail: object, now: Timestamp) -> Job:
    """Let a job of `kind` run soon; return it, or the same that waits already.

    Raises QueryInvalid for what cannot be ordered, AccessDenied, Conflict where one waits that was ordered in another
    way.
    """
    wanted = _order_of(kind, detail)
    subject = str(wanted.get("folder", ""))
    if subject:
        _check_folder(caller, subject)
        # by one name, whatever leads there: two at once in one folder would take each other's files away
        subject = await asyncio.to_thread(os.path.realpath, subject)
        wanted = {**wanted, "folder": subject}

    def record(tx: Transaction) -> Job:
        job = _sure(jobs.find_by_id(tx, jobs.enqueue(tx, kind, subject, wanted, now, by=str(caller.principal))))
        if msgspec.json.decode(job.detail) != wanted:
            raise Conflict(f"a {kind} that was ordered in another way waits already; see: scr job show {job.public_id}")
        activity.record(tx, "job.ordered", caller, About(subject=f"job:{job.public_id}"), {"kind": kind}, now)
        return job

    return await stock.db.write(record)


def _order_of(kind: str, detail: object) -> jobs.Detail:
    """Return what is ordered, without what is as always: the scheduler orders with nothing. Raises QueryInvalid."""
    shape = ORDERS.get(kind)
    if shape is None:
        raise QueryInvalid(f"no job of the kind {kind[:40]!r} can be ordered; it is one of {', '.join(ORDERS)}")
    try:
        wanted: dict[str, str | bool] = msgspec.to_builtins(msgspec.convert(detail, shape))
    except msgspec.ValidationError as error:
        raise QueryInvalid(f"the order of a {kind} is wrong: {error}; see /api/schema") from None
    usual = msgspec.to_builtins(shape())
    return {name: value for name, value in wanted.items() if value != usual[name]}


def _check_folder(caller: Caller, folder: str) -> None:
    """Refuse a folder of the host that the caller may not name. Raises AccessDenied, QueryInvalid."""
    if caller.principal.kind is not PrincipalKind.OPERATOR:
        raise AccessDenied("a folder of the host can be named on the host only: run scr backup there")
    if not Path(folder).is_absolute() or "\0" in folder or len(folder) > _LONGEST:
        raise QueryInvalid("folder has to be an absolute path of the host")


async def cancel(stock: Stock, caller: Caller, public_id: str, now: Timestamp) -> Job:
    """Call a job off: a waiting one at once, a running one at its next step. Raises JobUnknown, Conflict."""

    def record(tx: Transaction) -> Job:
        job = _sure(jobs.find(tx, public_id))
        if job.kind in WHOLE:
            raise Conflict(f"a {job.kind} cannot be called off: half of it is gone; wait for its end")
        if job.state not in (JobState.WAITING, JobState.RUNNING):
            raise Conflict(f"job {public_id} has ended already: {job.state.value}")
        jobs.cancel(tx, job.id, now)
        activity.record(tx, "job.cancelled", caller, About(subject=f"job:{public_id}"), {"kind": job.kind}, now)
        return _sure(jobs.find_by_id(tx, job.id))

    return await stock.db.write(record)


async def retry(stock: Stock, caller: Caller, public_id: str, now: Timestamp) -> Job:
    """Let a job that failed or was called off run once more, and one that waits for its next attempt run now.

    Raises JobUnknown, Conflict.
    """

    def record(tx: Transaction) -> Job:
        job = _sure(jobs.find(tx, public_id))
        if not jobs.retry(tx, job.id, now):
            raise Conflict(f"job {public_id} is {job.state.value}; only what waits, failed or was cancelled runs again")
        activity.record(tx, "job.retried", caller, About(subject=f"job:{public_id}"), {"kind": job.kind}, now)
        return _sure(jobs.find_by_id(tx, job.id))

    return await stock.db.write(record)


def _sure(job: Job | None) -> Job:
    if job is None:
        raise unknown()
    return job


def unknown() -> JobUnknown:
    """Return the error for an id that no job has."""
    return JobUnknown("there is no such job; see: scr job list")
