"""What only the assembler can measure: the process, its connections, its workers, its checks."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from appliance import metrics
from appliance.db import jobs
from appliance.db.database import Database
from appliance.domain.moment import SECOND
from appliance.http.allowlist import State
from appliance.http.meter import Meter
from appliance.http.running import Running
from appliance.metrics import Family, Sample
from appliance.scheduler import Scheduler


def add_sources(meter: Meter, running: Running, executor: ThreadPoolExecutor, connections: Callable[[], int]) -> None:
    """Let `/metrics` show them."""

    async def look() -> Iterable[Family]:
        health = await running.ready()
        states = list(running.allowlists().states().values())
        return (
            Family(metrics.STARTED, [Sample(running.started / SECOND)]),
            Family(metrics.CONNECTIONS, [Sample(connections())]),
            Family(metrics.WORK_WAITING, [Sample(executor._work_queue.qsize())]),  # noqa: SLF001 - it tells nobody else
            Family(metrics.CHECK, [Sample(check.ok, (check.name,)) for check in health.checks]),
            Family(metrics.ALLOWLISTS, [Sample(states.count(state), (state,)) for state in State]),
        )

    meter.sources.append(look)


def add_jobs(meter: Meter, db: Database, scheduler: Scheduler) -> None:
    """Let `/metrics` show the jobs."""

    async def look() -> Iterable[Family]:
        states = await db.read(jobs.count_states)
        return (
            Family(metrics.JOBS, [Sample(count, labels) for labels, count in sorted(states.items())]),
            Family(
                metrics.JOB_FAILURES, [Sample(count, (kind,)) for kind, count in sorted(scheduler.failures.items())]
            ),
        )

    meter.sources.append(look)
