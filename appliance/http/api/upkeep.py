"""`/api/v1/collections` and `/api/v1/scrubs`: run now what otherwise runs by the timetable."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from litestar import post
from litestar.params import JSONBody

from appliance.domain.access import Action
from appliance.errors import Conflict
from appliance.http.api.asking import InAsking, InStock
from appliance.http.api.running import InRunning, Running
from appliance.services.collect import Collected, collect
from appliance.services.scrub import Scrubbed, scrub


class CollectionOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """How to collect. With `dry_run` nothing changes: the answer is what a run would free now."""

    dry_run: bool = False


class ScrubOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to scrub: there is nothing to choose yet."""


_COLLECT, _SCRUB = CollectionOrder(), ScrubOrder()


@post("/api/v1/collections", status_code=200, tags=["upkeep"])
async def run_collection(
    stock: InStock, running: InRunning, asking: InAsking, data: JSONBody[CollectionOrder] = _COLLECT
) -> Collected:
    """Delete the bytes that nobody needs any more; answer what that freed."""
    asking.check(Action.VIEW_REGISTRY if data.dry_run else Action.MANAGE_REGISTRY)
    if data.dry_run:
        return await collect(stock, started=running.started, dry_run=True)
    with alone(running, "collection"):
        return await collect(stock, started=running.started)


@post("/api/v1/scrubs", status_code=200, tags=["upkeep"])
async def run_scrub(
    stock: InStock, running: InRunning, asking: InAsking, data: JSONBody[ScrubOrder] = _SCRUB
) -> Scrubbed:
    """Read and hash every blob; quarantine what is broken; answer what was found. It reads the whole store."""
    del data
    asking.check(Action.MANAGE_REGISTRY)
    with alone(running, "scrub"):
        return await scrub(stock)


@contextmanager
def alone(running: Running, name: str) -> Iterator[None]:
    """Let one run of `name` go at a time. Raises Conflict."""
    if name in running.under_way:
        raise Conflict(f"a {name} is running already; wait for it")
    running.under_way.add(name)
    try:
        yield
    finally:
        running.under_way.discard(name)
