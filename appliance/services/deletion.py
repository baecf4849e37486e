"""The jobs that let the data of deleted registries and repositories go, once their recycle time is over.

Collection would find them too, at its own time: a job is there to be seen, begins at once after a purge, and where it
gives up a registry is in Error, a repository Inactive. A deletion that is undone calls its job off.
"""

from appliance.db import jobs
from appliance.db.database import Reader, Transaction
from appliance.domain.job import Job, JobState
from appliance.domain.moment import Timestamp

REGISTRY = "registry-deletion"
REPOSITORY = "repository-deletion"
KINDS = (REGISTRY, REPOSITORY)
_MOST = 1000  # failed ones that are looked through


def order(tx: Transaction, kind: str, public_id: str, due: Timestamp, now: Timestamp, *, by: str) -> None:
    """Order the deletion of the data of the resource `public_id`, from `due` on."""
    jobs.enqueue(tx, kind, public_id, {}, now, by=by, not_before=due)


def call_off(tx: Transaction, kind: str, public_id: str, now: Timestamp) -> None:
    """Cancel the job: the resource came back."""
    if (job := jobs.find_alive(tx, kind, public_id)) is not None:
        jobs.cancel(tx, job.id, now)


def try_again(tx: Transaction, kind: str, public_id: str, now: Timestamp) -> bool:
    """Let a job that has given up begin anew; False where it has not."""
    failed = [job for job in _list_failed(tx, kind) if job.subject == public_id]
    return bool(failed) and jobs.retry(tx, failed[0].id, now)


def list_failed(reader: Reader, kind: str) -> frozenset[str]:
    """Return the public ids of resources whose deletion has given up."""
    return frozenset(job.subject for job in _list_failed(reader, kind))


def _list_failed(reader: Reader, kind: str) -> list[Job]:
    return jobs.list_page(reader, jobs.Filter(kind=kind, state=JobState.FAILED.value), None, _MOST)
