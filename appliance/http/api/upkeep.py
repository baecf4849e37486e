"""`/api/v1/collections`, `/scrubs`, `/verifications`: order a job, wait for its end, answer its report.

The job goes on if the client leaves; who wants to follow it orders it at `/api/v1/jobs`.
"""

from typing import TypeVar

import msgspec
from litestar import post
from litestar.params import JSONBody

from appliance.db import jobs
from appliance.domain.access import Action
from appliance.domain.job import JobState
from appliance.errors import Conflict, Unavailable
from appliance.http.api.asking import Asking, InAsking, InRunning, InStock
from appliance.http.api.viewing import everywhere
from appliance.http.running import Running
from appliance.services import ordering
from appliance.services.collect import Collected
from appliance.services.forecast import forecast
from appliance.services.ordering import PlainOrder
from appliance.services.scrub import Scrubbed, ScrubOrder
from appliance.services.stock import Stock
from appliance.services.verify import CheckOrder, Verified

T = TypeVar("T")


class CollectionOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """How to collect. With `dry_run` nothing changes: the answer is what a run would free now."""

    dry_run: bool = False


_COLLECT, _SCRUB, _CHECK = CollectionOrder(), PlainOrder(), CheckOrder()


@post("/api/v1/collections", status_code=200, tags=["upkeep"])
async def run_collection(
    stock: InStock, running: InRunning, asking: InAsking, data: JSONBody[CollectionOrder] = _COLLECT
) -> Collected:
    """Delete the bytes that nobody needs any more; answer what that freed."""
    everywhere(asking).check(Action.VIEW_REGISTRY if data.dry_run else Action.MANAGE_REGISTRY)
    if data.dry_run:
        return await forecast(stock)
    return await _run(stock, running, asking, "gc", PlainOrder(), Collected)


@post("/api/v1/scrubs", status_code=200, tags=["upkeep"])
async def run_scrub(
    stock: InStock, running: InRunning, asking: InAsking, data: JSONBody[PlainOrder] = _SCRUB
) -> Scrubbed:
    """Read and hash every blob; quarantine what is broken; answer what was found. It reads the whole store."""
    del data
    everywhere(asking).check(Action.MANAGE_REGISTRY)
    return await _run(stock, running, asking, "scrub", ScrubOrder(full_speed=True), Scrubbed)


@post("/api/v1/verifications", status_code=200, tags=["upkeep"])
async def run_verification(
    stock: InStock, running: InRunning, asking: InAsking, data: JSONBody[CheckOrder] = _CHECK
) -> Verified:
    """Compare the store with the database; answer what is wrong."""
    everywhere(asking).check(Action.MANAGE_REGISTRY)
    return await _run(stock, running, asking, "check", data, Verified)


async def _run(stock: Stock, running: Running, asking: Asking, kind: str, wanted: object, shape: type[T]) -> T:
    """Order a job and return its report once it has ended. Raises Conflict, Unavailable where it has none."""
    ordered = await ordering.order(stock, asking.caller, kind, msgspec.to_builtins(wanted), stock.clock())
    await running.settled(ordered.id)
    job = jobs.find_by_id(stock.db.reader, ordered.id)
    if job is not None and job.state is JobState.DONE:
        return msgspec.json.decode(job.report, type=shape)
    if job is None or job.state is JobState.CANCELLED:
        raise Conflict(f"job {ordered.public_id} was called off; order it anew")
    raise Unavailable(f"{job.reason}; see: scr job show {ordered.public_id}")
