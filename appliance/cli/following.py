"""Orders a job and follows it to its end: its log and progress on stderr, its report to whoever asked."""

import sys
from typing import TypeVar

import msgspec

from appliance.cli.asking import Page
from appliance.cli.client import Client
from appliance.cli.terminal import say
from appliance.domain.sizes import size_text
from appliance.errors import Conflict, Unavailable

T = TypeVar("T")

_WAIT = "2"  # seconds that the server waits for the end before it answers
_BYTES = frozenset({"scrub", "check", "backup"})  # kinds whose progress counts bytes
ENDED = frozenset({"done", "failed", "cancelled"})


class Job(msgspec.Struct, rename="camel"):
    """A job as the server shows it."""

    id: str
    kind: str
    subject: str
    about: str
    state: str
    order: dict[str, object]
    attempts: int
    done: int
    total: int
    report: dict[str, object] | None
    reason: str
    is_cancelling: bool
    not_before: str
    created_at: str
    created_by: str
    started_at: str | None
    ended_at: str | None


class Line(msgspec.Struct):
    """A line of its log."""

    seq: int
    at: str
    text: str


def order(client: Client, kind: str, wanted: dict[str, object]) -> Job:
    """Order a job; return it, or the same that waits already."""
    return client.post("/api/v1/jobs", {"kind": kind, "order": wanted}, Job)


def run(client: Client, kind: str, wanted: dict[str, object], shape: type[T]) -> T:
    """Order a job, follow it, and return its report as `shape`. Raises Unavailable where it fails, Conflict."""
    job = follow(client, order(client, kind, wanted))
    if job.state == "done":
        return msgspec.convert(job.report, shape)
    if job.state == "cancelled":
        raise Conflict(f"job {job.id} was cancelled")
    again = "" if job.state == "failed" else f"; it is tried again at {job.not_before[:19]}Z"
    raise Unavailable(f"{job.reason}{again}; see: scr job show {job.id}")


def follow(client: Client, job: Job) -> Job:
    """Tell what a job says until it has ended, or waits for another attempt; return it as it is then."""
    told, shown = 0, ""
    while True:
        for line in lines_after(client, job.id, told):
            _clear(shown)
            say(f"{line.at[11:19]} {line.text}")
            told, shown = line.seq, ""
        if job.state in ENDED or (job.state == "waiting" and job.reason):
            _clear(shown)
            return job
        shown = _show(job, shown)
        job = client.get(f"/api/v1/jobs/{job.id}", Job, wait=_WAIT)


def lines_after(client: Client, job_id: str, seq: int) -> list[Line]:
    """Return the lines of the job's log behind the one numbered `seq`."""
    return client.get(f"/api/v1/jobs/{job_id}/lines", Page[Line], after=str(seq)).items


def progress_text(job: Job) -> str:
    """Return how far a job is: `12.0 MiB of 3.1 GiB (0 %)`, "" where it does not tell."""
    if not job.done and not job.total:
        return ""
    write = size_text if job.kind in _BYTES else str
    if not job.total:
        return write(job.done)
    return f"{write(job.done)} of {write(job.total)} ({100 * job.done // job.total} %)"


def _show(job: Job, shown: str) -> str:
    """Write progress over what was `shown`, where a person looks on; return what stands there now."""
    text = f"{job.kind}: {job.state} {progress_text(job)}".rstrip()
    if sys.stderr.isatty() and text != shown:
        _clear(shown)
        sys.stderr.write(text)
        sys.stderr.flush()
        return text
    return shown


def _clear(shown: str) -> None:
    if shown:
        sys.stderr.write("\r\x1b[K")
