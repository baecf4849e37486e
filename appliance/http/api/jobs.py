"""`/api/v1/jobs` and `/api/v1/schedules`: work in the background, ordered, followed, called off, tried again."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import Controller, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from appliance.db import jobs
from appliance.db.jobs import Filter
from appliance.domain.access import Action
from appliance.domain.job import Job, JobId
from appliance.http.api.asking import InAsking, InRunning, InStock
from appliance.http.api.page import Cursor, Limit, Page, collect_page, moment, moment_or_none, number_in
from appliance.http.api.viewing import everywhere
from appliance.services import ordering
from appliance.services.ordering import unknown
from appliance.services.stock import Stock

Json = dict[str, object]
Wait = Annotated[int, QueryParameter(ge=0, le=30, description="seconds to wait for its end at most")]
InState = Annotated[
    Literal["waiting", "running", "done", "failed", "cancelled"] | None,
    QueryParameter(name="state", description="only jobs in this state"),
]
JobSort = Annotated[
    Literal["-created", "created", "kind", "-kind", "state", "-state", "by", "-by", "ended", "-ended"],
    QueryParameter(name="sort", description="the order; `-` turns it round. What goes on ends last"),
]
After = Annotated[int, QueryParameter(ge=0, description="`seq` of the last line known")]


class JobShown(msgspec.Struct, frozen=True, rename="camel"):
    """A job. `done` of `total` is in a unit of its kind; both 0 where it cannot be told."""

    id: str
    kind: str
    subject: str  # the id or the like of what it is about; "" for the appliance
    about: str  # the same as people call it, where it is an image, a repository, a registry or a digest
    state: str  # waiting, running, done, failed, cancelled
    order: Json
    attempts: int
    done: int
    total: int
    report: Json | None  # what it did; null until it has ended
    reason: str  # of the last failure
    is_cancelling: bool
    not_before: datetime
    created_at: datetime
    created_by: str
    started_at: datetime | None
    ended_at: datetime | None


class JobLine(msgspec.Struct, frozen=True):
    """A line of a job's log."""

    seq: int
    at: datetime
    text: str


class JobOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to do: the kind, and what of it can be chosen."""

    kind: str = ""  # who may not order anything hears that first
    order: Json = {}


class ScheduleShown(msgspec.Struct, frozen=True, rename="camel"):
    """A schedule: the kind of job, the key of scr.toml and its value."""

    kind: str
    setting: str
    when: str  # a pace or a cron expression; "" for never
    due_at: datetime | None
    ran_at: datetime | None


class Jobs(Controller):
    """Jobs: list, order, show, follow, cancel, retry."""

    path = "/api/v1/jobs"
    tags = ["jobs"]  # noqa: RUF012 - Litestar's way

    @get()
    async def list(
        self,
        stock: InStock,
        asking: InAsking,
        kind: FromQuery[str] = "",
        in_state: InState = None,
        subject: FromQuery[str] = "",
        sort: JobSort = "-created",
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[JobShown]:
        """List jobs, the newest first unless asked otherwise."""
        everywhere(asking).check(Action.VIEW_REGISTRY)
        wanted = Filter(kind, in_state or "", subject)
        page = await collect_page(
            lambda last, count: stock.db.read(
                lambda reader: jobs.list_page(reader, wanted, _place(last, sort), count, sort)
            ),
            lambda job: "{1}/{0}".format(*jobs.key_in(sort, job)),
            lambda _: True,
            cursor,
            limit,
        )
        return Page(await _name(stock, page.items), page.next)

    @post(status_code=202)
    async def order(self, stock: InStock, asking: InAsking, data: JSONBody[JobOrder]) -> JobShown:
        """Let a job run soon; answer it, or the same that waits already."""
        everywhere(asking).check(Action.MANAGE_REGISTRY)
        return show(await ordering.order(stock, asking.caller, data.kind, data.order, stock.clock()))

    @get("/{job_id:str}")
    async def show(
        self, stock: InStock, running: InRunning, asking: InAsking, job_id: FromPath[str], wait: Wait = 0
    ) -> JobShown:
        """Show a job; `wait` answers later: when it has ended, or after so many seconds."""
        everywhere(asking).check(Action.VIEW_REGISTRY)
        job = _find(stock, job_id)
        with contextlib.suppress(TimeoutError):
            if wait:
                async with asyncio.timeout(wait):
                    await running.settled(job.id)
        return (await _name(stock, [_find(stock, job_id)]))[0]

    @get("/{job_id:str}/lines")
    async def lines(
        self, stock: InStock, asking: InAsking, job_id: FromPath[str], after: After = 0, limit: Limit = 1000
    ) -> Page[JobLine]:
        """List lines of a job's log, in order; the oldest of a long log are gone."""
        everywhere(asking).check(Action.VIEW_REGISTRY)
        job = _find(stock, job_id)
        found = await stock.db.read(lambda reader: jobs.list_lines(reader, job.id, after, limit))
        following = str(found[-1].seq) if len(found) == limit else None
        return Page([JobLine(line.seq, moment(line.at), line.text) for line in found], following)

    @post("/{job_id:str}/cancel", status_code=200)
    async def cancel(self, stock: InStock, asking: InAsking, job_id: FromPath[str]) -> JobShown:
        """Call a job off: a waiting one at once, a running one at its next step."""
        everywhere(asking).check(Action.MANAGE_REGISTRY)
        return show(await ordering.cancel(stock, asking.caller, job_id, stock.clock()))

    @post("/{job_id:str}/retry", status_code=200)
    async def retry(self, stock: InStock, asking: InAsking, job_id: FromPath[str]) -> JobShown:
        """Let a job that failed, was cancelled or waits for its next attempt run now."""
        everywhere(asking).check(Action.MANAGE_REGISTRY)
        return show(await ordering.retry(stock, asking.caller, job_id, stock.clock()))


@get("/api/v1/schedules", tags=["jobs"])
async def list_schedules(running: InRunning, asking: InAsking) -> Page[ScheduleShown]:
    """List what is done by itself: by which setting, when next, when last."""
    everywhere(asking).check(Action.VIEW_REGISTRY)
    shown = [
        ScheduleShown(one.kind, one.setting, one.when, moment_or_none(one.due_at), moment_or_none(one.ran_at))
        for one in running.schedules()
    ]
    return Page(shown, None)


def show(job: Job, about: str = "") -> JobShown:
    """Return `job` as the API shows it; `about` is the name of what it is about."""
    return JobShown(
        id=job.public_id,
        kind=job.kind,
        subject=job.subject,
        about=about or job.subject,
        state=job.state.value,
        order=msgspec.json.decode(job.detail, type=Json),
        attempts=job.attempts,
        done=job.done,
        total=job.total,
        report=msgspec.json.decode(job.report, type=Json) if job.report else None,
        reason=job.reason,
        is_cancelling=job.is_cancelling,
        not_before=moment(job.not_before),
        created_at=moment(job.created_at),
        created_by=job.created_by,
        started_at=moment_or_none(job.started_at),
        ended_at=moment_or_none(job.ended_at),
    )


async def _name(stock: Stock, found: Sequence[Job]) -> list[JobShown]:
    """Return jobs with the names of what they are about."""
    subjects = {job.subject for job in found}
    names = await stock.db.read(lambda reader: jobs.name_subjects(reader, subjects))
    return [show(job, names.get(job.subject, "")) for job in found]


def _find(stock: Stock, public_id: str) -> Job:
    found = jobs.find(stock.db.reader, public_id)
    if found is None:
        raise unknown()
    return found


def _place(cursor: str, sort: str) -> tuple[str | int, JobId] | None:
    """Return the key of the last job of the page before, None for the first page. Raises QueryInvalid."""
    if not cursor:
        return None
    number, _, key = cursor.partition("/")
    is_number = sort.removeprefix("-") in ("created", "ended")
    return (number_in(key) if is_number else key), JobId(number_in(number))
