"""A job: a persistent unit of background work."""

from enum import Enum
from typing import NewType

import msgspec

from appliance.domain.moment import MINUTE, SECOND, Timestamp

JobId = NewType("JobId", int)

_BACK_OFF = (10 * SECOND, MINUTE, 5 * MINUTE, 30 * MINUTE)  # milliseconds before the second, third ... attempt


class Cancelled(Exception):
    """Somebody asked for the end of the job; ends what its service does, and is caught by the scheduler."""


class JobState(Enum):
    """Where a job stands. A job that failed and will be tried again is waiting."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class Job(msgspec.Struct, frozen=True):
    """A row of a job. `detail`, `checkpoint` and `report` are JSON of its kind's own; "" for none."""

    id: JobId
    public_id: str
    kind: str
    subject: str  # what it is about, e.g. a public id or a digest; "" for the appliance as a whole
    detail: str  # what was ordered
    state: JobState
    attempts: int  # begun so far
    done: int  # of `total`, in the unit of its kind; 0 of 0 where it cannot be told
    total: int
    checkpoint: str  # where an interrupted attempt goes on
    report: str  # what it did
    reason: str  # of the last failure
    not_before: Timestamp
    is_cancelling: bool  # somebody asked for its end
    created_at: Timestamp
    created_by: str
    started_at: Timestamp | None  # the last attempt
    ended_at: Timestamp | None


def back_off(attempts: int) -> int:
    """Return the milliseconds to wait after the attempt number `attempts` (from 1) has failed."""
    return _BACK_OFF[min(max(attempts, 1), len(_BACK_OFF)) - 1]
