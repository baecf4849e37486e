"""Vulnerability data: opened at the start, imported by jobs, looked at by /health and /metrics."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack

from appliance import metrics
from appliance.assemble.stock import Opened
from appliance.config import Config
from appliance.db.database import Reader
from appliance.db.side_file import SideFile
from appliance.domain.moment import DAY, SECOND, Timestamp
from appliance.http.health import Check, Look
from appliance.http.meter import Meter
from appliance.metrics import Family, Sample
from appliance.scheduler import Run, Schedule, Work
from appliance.services import feed_orders, rematch
from appliance.services.feed_orders import FETCH, IMPORT, ImportOrder
from appliance.services.stock import Stock
from appliance.services.vulndb import age_of

_MISSING = "there are no vulnerability data yet, so scans find packages and secrets only: scr vulndb import"


async def open_data(stack: AsyncExitStack, opened: Opened) -> None:
    """Open the data; leaving `stack` closes them. That there are none is said at every start."""
    stock = opened.stock
    data = await asyncio.to_thread(lambda: stock.vulndb)
    stack.callback(data.close)
    if data.version is None:
        stock.log.warn("vulndb.missing", cure="scr vulndb import; until then scans find packages and secrets only")


def list_works(stock: Stock, scans: SideFile) -> tuple[Work, ...]:
    """Return who does the jobs about them; `scans` is what they are matched with."""

    async def run_import(run: Run) -> None:
        run.report(await feed_orders.run_import(stock, run.order(ImportOrder), run.job.public_id, run))

    async def run_fetch(run: Run) -> None:
        if run.job.subject:
            run.report(await feed_orders.run_fetch(stock, run.job.subject, run.job.public_id, run))
        else:
            run.report({"ordered": await feed_orders.spread_fetch(stock)})

    async def run_match(run: Run) -> None:
        done = await rematch.match_again(stock, scans, run)
        run.report(done)
        if done.images:
            stock.log.info("scan.matched_again", images=done.images, new=done.new, gone=done.gone)

    return Work(IMPORT, run_import), Work(FETCH, run_fetch), Work(rematch.KIND, run_match)


def list_schedules(config: Callable[[], Config], stock: Stock) -> tuple[Schedule, ...]:
    """Return what is done about them by itself: nothing, unless scr.toml says when and from where."""

    def has_sources(now: Timestamp, reader: Reader) -> bool:
        del now, reader
        return bool(stock.rules.feeds)

    return (Schedule(FETCH, lambda: config().schedule.vulndb_fetch, has_sources),)


def make_check(stock: Stock, max_age: Callable[[], int]) -> Look:
    """Return what /health/ready looks at: data that are too old need somebody; that there are none is a choice."""

    async def look() -> Check:
        name, version = "vulnerability data", stock.vulndb.version
        if version is None:
            return Check(name, ok=True, detail=_MISSING)
        age, most = age_of(version, stock.clock()), max_age()
        if age is None or not most or age <= most:
            return Check(name, ok=True)
        return Check(name, ok=False, detail=f"they are {age // DAY} days old: scr vulndb fetch, or scr vulndb import")

    return look


def add_data(meter: Meter, stock: Stock) -> None:
    """Let /metrics show how old they are."""

    async def look() -> Iterable[Family]:
        sources = stock.vulndb.sources
        built = [Sample(one.built_at / SECOND, (one.form,)) for one in sources if one.built_at is not None]
        counts = [Sample(sum(one.advisories for one in sources))]
        return Family(metrics.DATA_BUILT, built), Family(metrics.ADVISORIES, counts)

    meter.sources.append(look)
