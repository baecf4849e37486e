"""Jobs: background work that outlives the process. A row is made in the transaction of the change that asks for it.

`enqueue` puts it there and COMMIT rings the scheduler, which claims, runs and ends it. A job that was running when the
process died is a row in the state running at the next start: `take_up` lets it wait again.
"""

import contextlib
import secrets
from collections.abc import Mapping, Sequence

import msgspec

from appliance.db.database import Reader, Row, Transaction, Value, Values
from appliance.domain.job import Job, JobId, JobState
from appliance.domain.moment import Timestamp
from appliance.domain.names import parse_digest, to_bytes
from appliance.errors import DigestInvalid

Detail = Mapping[str, str | int | bool | list[str]]  # what is ordered, by name

_LINES = 1000  # of one job's log; the oldest go
_LONGEST = 2000  # characters of one line
_COLUMNS = (
    "id, public_id, kind, subject, detail, state, attempts, done, total, checkpoint, report, reason,"
    " not_before, cancel_at IS NOT NULL, created_at, created_by, started_at, ended_at"
)
_WAITING = "SELECT id, not_before FROM jobs WHERE kind = ? AND subject = ? AND state = 'waiting' ORDER BY id LIMIT 1"


def enqueue(
    tx: Transaction,
    kind: str,
    subject: str,
    detail: Detail,
    now: Timestamp,
    *,
    by: str,
    not_before: Timestamp | None = None,
) -> JobId:
    """Let a job of `kind` on `subject` wait; return its id. COMMIT wakes the scheduler.

    One that waits already is not queued twice: it stays as it was ordered, and begins no later than asked for now. One
    that is running does not count: what it has passed may have changed behind it.
    """
    begin = now if not_before is None else not_before
    tx.ring()
    if row := tx.one(_WAITING, (kind, subject)):
        if begin < row[1]:
            tx.execute("UPDATE jobs SET not_before = ?, reason = '' WHERE id = ?", (begin, row[0]))
        return JobId(row[0])
    values: Values = {
        "public": secrets.token_hex(6),
        "kind": kind,
        "subject": subject,
        "detail": msgspec.json.encode(detail).decode(),
        "begin": begin,
        "now": now,
        "by": by,
    }
    sql = (
        "INSERT INTO jobs (public_id, kind, subject, detail, state, not_before, created_at, created_by)"
        " VALUES (:public, :kind, :subject, :detail, 'waiting', :begin, :now, :by)"
    )
    return JobId(tx.insert(sql, values))


_CLAIM = """
UPDATE jobs SET state = 'running', attempts = attempts + 1, started_at = :now, done = 0, total = 0 WHERE id IN (
  SELECT w.id FROM jobs w WHERE w.kind = :kind AND w.state = 'waiting' AND w.not_before <= :now AND NOT EXISTS (
    SELECT 1 FROM jobs r WHERE r.kind = w.kind AND r.subject = w.subject AND r.state = 'running')
  ORDER BY w.not_before, w.id LIMIT 1)
"""


def claim(tx: Transaction, kind: str, limit: int, now: Timestamp) -> list[Job]:
    """Begin up to `limit` jobs of `kind` whose time has come, oldest first: never two on one subject."""
    found: list[Job] = []
    while len(found) < limit:
        row = tx.one(f"{_CLAIM} RETURNING {_COLUMNS}", {"kind": kind, "now": now})
        if row is None:
            break
        found.append(_job(row))
    return found


def next_due(reader: Reader, kind: str) -> Timestamp | None:
    """Return when the first job of `kind` that nothing holds back may begin, or None."""
    sql = (
        "SELECT w.not_before FROM jobs w WHERE w.kind = ? AND w.state = 'waiting' AND NOT EXISTS ("
        "SELECT 1 FROM jobs r WHERE r.kind = w.kind AND r.subject = w.subject AND r.state = 'running')"
        " ORDER BY w.not_before, w.id LIMIT 1"
    )
    row = reader.one(sql, (kind,))
    return Timestamp(row[0]) if row else None


def take_up(tx: Transaction, now: Timestamp) -> int:
    """Let every running job wait again: the process that ran it is no more. Return how many there were."""
    sql = "UPDATE jobs SET state = 'waiting', not_before = ? WHERE state = 'running'"
    return tx.execute(sql, (now,))


def hand_back(tx: Transaction, job: JobId) -> None:
    """Uncount the attempt of a job that a stop interrupts; it is taken up at the next start."""
    tx.execute("UPDATE jobs SET attempts = max(attempts - 1, 0) WHERE id = ? AND state = 'running'", (job,))


def finish(tx: Transaction, job: JobId, state: JobState, now: Timestamp, *, report: str = "", reason: str = "") -> None:
    """End a running job in `state`."""
    values: Values = {"id": job, "state": state.value, "now": now, "report": report, "reason": reason}
    tx.execute(
        "UPDATE jobs SET state = :state, ended_at = :now, report = :report, reason = :reason, checkpoint = ''"
        " WHERE id = :id AND state = 'running'",
        values,
    )


def fail(tx: Transaction, job: JobId, reason: str, retry_at: Timestamp, now: Timestamp) -> None:
    """Let a running job that failed wait for its next attempt; one that was called off meanwhile has none."""
    if tx.one("SELECT 1 FROM jobs WHERE id = ? AND cancel_at IS NOT NULL", (job,)):
        finish(tx, job, JobState.CANCELLED, now, reason=reason)
    tx.execute(
        "UPDATE jobs SET state = 'waiting', not_before = ?, reason = ? WHERE id = ? AND state = 'running'",
        (retry_at, reason, job),
    )
    tx.ring()


def cancel(tx: Transaction, job: JobId, now: Timestamp) -> JobState | None:
    """End a waiting job at once, and ask a running one to end; return its state then, None for no such job."""
    tx.execute(
        "UPDATE jobs SET state = 'cancelled', ended_at = :now, cancel_at = :now WHERE id = :id AND state = 'waiting'",
        {"id": job, "now": now},
    )
    tx.execute(
        "UPDATE jobs SET cancel_at = coalesce(cancel_at, :now) WHERE id = :id AND state = 'running'",
        {"id": job, "now": now},
    )
    tx.ring()
    found = find_by_id(tx, job)
    return found.state if found else None


def retry(tx: Transaction, job: JobId, now: Timestamp) -> bool:
    """Let a job that failed, was cancelled, or waits begin now, from its first attempt; False where it does not."""
    sql = (
        "UPDATE jobs SET state = 'waiting', attempts = 0, reason = '', not_before = ?,"
        " cancel_at = NULL, ended_at = NULL WHERE id = ? AND state IN ('failed', 'cancelled', 'waiting')"
    )
    tx.ring()
    return tx.execute(sql, (now, job)) == 1


def note(tx: Transaction, job: JobId, done: int, total: int, lines: Sequence[tuple[Timestamp, str]]) -> None:
    """Write down how far a job is, and append lines to its log."""
    tx.execute("UPDATE jobs SET done = ?, total = ? WHERE id = ?", (done, total, job))
    row = tx.one("SELECT max(seq) FROM job_lines WHERE job_id = ?", (job,))
    last = row[0] or 0 if row else 0
    kept = lines[-_LINES:]
    tx.execute_many(
        "INSERT INTO job_lines (job_id, seq, at, text) VALUES (:job, :seq, :at, :text)",
        (
            {"job": job, "seq": seq, "at": at, "text": text[:_LONGEST]}
            for seq, (at, text) in enumerate(kept, start=last + 1)
        ),
    )
    tx.execute("DELETE FROM job_lines WHERE job_id = ? AND seq <= ?", (job, last + len(kept) - _LINES))


def keep_checkpoint(tx: Transaction, job: JobId, checkpoint: str) -> None:
    """Write down where the job goes on if it is interrupted; belongs into the transaction of what it has done."""
    tx.execute("UPDATE jobs SET checkpoint = ? WHERE id = ?", (checkpoint, job))


def find(reader: Reader, public_id: str) -> Job | None:
    """Return the job, or None."""
    row = reader.one(f"SELECT {_COLUMNS} FROM jobs WHERE public_id = ?", (public_id,))
    return _job(row) if row else None


def find_by_id(reader: Reader, job: JobId) -> Job | None:
    """Return the job, or None."""
    row = reader.one(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (job,))
    return _job(row) if row else None


def find_last(reader: Reader, kind: str, state: JobState) -> Job | None:
    """Return the newest job of `kind` in `state`, or None."""
    row = reader.one(
        f"SELECT {_COLUMNS} FROM jobs WHERE kind = ? AND state = ? ORDER BY id DESC LIMIT 1", (kind, state.value)
    )
    return _job(row) if row else None


def find_alive(reader: Reader, kind: str, subject: str) -> Job | None:
    """Return the job of `kind` on `subject` that waits or runs, the running one first, or None."""
    row = reader.one(
        f"SELECT {_COLUMNS} FROM jobs WHERE kind = ? AND subject = ? AND state IN ('waiting', 'running')"
        " ORDER BY state, id LIMIT 1",
        (kind, subject),
    )
    return _job(row) if row else None


SUBJECTS = """
SELECT i.public_id, i.path FROM images i WHERE i.public_id IN (SELECT value FROM json_each(:ids))
UNION ALL
SELECT r.public_id, r.name FROM repositories r WHERE r.public_id IN (SELECT value FROM json_each(:ids))
UNION ALL
SELECT g.public_id, g.name FROM registries g WHERE g.public_id IN (SELECT value FROM json_each(:ids))
"""
_HOLDER = """
SELECT i.path FROM manifests m JOIN images i ON i.id = m.image_id WHERE m.digest = ? ORDER BY m.id LIMIT 1
"""


def name_subjects(reader: Reader, subjects: set[str]) -> dict[str, str]:
    """Return how images, repositories, registries and digests among `subjects` are called, deleted ones too.

    A digest is called by the first image that held it, and shortened.
    """
    ids = msgspec.json.encode(sorted(subjects - {""})).decode()
    names: dict[str, str] = {row[0]: row[1] for row in reader.rows(SUBJECTS, {"ids": ids})}
    for subject in subjects:
        with contextlib.suppress(DigestInvalid):  # most are no digests; a path of the host may begin like one
            if holder := reader.one(_HOLDER, (to_bytes(parse_digest(subject)),)):
                names[subject] = f"{holder[0]}@{subject[:19]}"
    return names


class Filter(msgspec.Struct, frozen=True):
    """Which jobs a list shows; "" for any."""

    kind: str = ""
    state: str = ""
    subject: str = ""


# few enough are kept (see `forget`) to put them in order for each page
_SORTS = {
    "created": "id",
    "kind": "kind",
    "state": "state",
    "by": "created_by",
    "ended": f"coalesce(ended_at, {1 << 62})",  # what goes on comes last, as it will
}


def key_in(sort: str, job: Job) -> tuple[str | int, JobId]:
    """Return where `job` stands in a list of that order."""
    ended = (1 << 62) if job.ended_at is None else job.ended_at
    keys: dict[str, str | int] = {
        "created": job.id,
        "kind": job.kind,
        "state": job.state.value,
        "by": job.created_by,
        "ended": ended,
    }
    return keys[sort.removeprefix("-")], job.id


def list_page(
    reader: Reader, wanted: Filter, last: tuple[str | int, JobId] | None, limit: int, sort: str = "-created"
) -> list[Job]:
    """Return up to `limit` jobs in the order `sort`, the newest first; `last` is the key of the last one known."""
    key, turn = _SORTS[sort.removeprefix("-")], " DESC" * sort.startswith("-")
    clauses, values = ["1"], dict[str, Value](limit=limit)
    for name, value in (("kind", wanted.kind), ("state", wanted.state), ("subject", wanted.subject)):
        if value:
            clauses.append(f"{name} = :{name}")
            values[name] = value
    if wanted.subject:
        clauses.append("subject <> ''")  # as the index says
    if last is not None:
        is_after = "<" if turn else ">"
        clauses.append(f"id {is_after} :last" if key == "id" else f"({key}, id) {is_after} (:key, :last)")
        values["key"], values["last"] = last
    order = f"id{turn}" if key == "id" else f"{key}{turn}, id{turn}"
    sql = f"SELECT {_COLUMNS} FROM jobs WHERE {' AND '.join(clauses)} ORDER BY {order} LIMIT :limit"
    return [_job(row) for row in reader.rows(sql, values)]


class Line(msgspec.Struct, frozen=True):
    """A line of a job's log."""

    seq: int
    at: Timestamp
    text: str


def list_lines(reader: Reader, job: JobId, after: int, limit: int) -> list[Line]:
    """Return lines of the job's log with numbers above `after`, in order."""
    sql = "SELECT seq, at, text FROM job_lines WHERE job_id = ? AND seq > ? ORDER BY seq LIMIT ?"
    return [Line(row[0], Timestamp(row[1]), row[2]) for row in reader.rows(sql, (job, after, limit))]


def mend_future(tx: Transaction, now: Timestamp, jump: int, longest: int) -> None:
    """Bring waiting jobs to `now` that were made more than `jump` milliseconds after it: the clock was ahead then.

    Those too whose next attempt is more than `longest` away: it was reckoned by that clock.
    """
    tx.execute(
        "UPDATE jobs SET not_before = :now + max(not_before - created_at, 0), created_at = :now"
        " WHERE state = 'waiting' AND created_at > :now + :jump",
        {"now": now, "jump": jump},
    )
    again = (
        "UPDATE jobs SET not_before = :now WHERE state = 'waiting' AND reason <> '' AND not_before > :now + :longest"
    )
    tx.execute(again, {"now": now, "longest": longest})


_EXCESS = """
DELETE FROM jobs WHERE id IN (
  SELECT id FROM jobs WHERE kind = :kind AND ended_at IS NOT NULL ORDER BY id DESC LIMIT :limit OFFSET :keep)
"""


def forget(tx: Transaction, before: Timestamp, keep: int, limit: int) -> int:
    """Delete up to `limit` jobs that ended before that, and of each kind those beyond the newest `keep`.

    Their logs go with them. Returns how many went.
    """
    sql = "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE ended_at < ? ORDER BY ended_at LIMIT ?)"
    gone = tx.execute(sql, (before, limit))
    for (kind,) in tx.rows("SELECT DISTINCT kind FROM jobs"):
        gone += tx.execute(_EXCESS, {"kind": kind, "keep": keep, "limit": limit})
    return gone


def count_states(reader: Reader) -> dict[tuple[str, str], int]:
    """Return how many jobs of each kind wait and run."""
    sql = "SELECT kind, state, count(*) FROM jobs WHERE state IN ('waiting', 'running') GROUP BY kind, state"
    return {(row[0], row[1]): row[2] for row in reader.rows(sql)}


def _job(row: Row) -> Job:
    values = [*row]
    values[5], values[13] = JobState(row[5]), bool(row[13])
    return Job(*values)
