"""Schedules: when each is due next. The row outlives the process, so that what came due without it is not forgotten."""

import msgspec

from appliance.db.database import Reader, Transaction
from appliance.domain.moment import Timestamp


class Due(msgspec.Struct, frozen=True):
    """When a schedule is due, reckoned by `expression`, and when it last was."""

    expression: str
    due_at: Timestamp
    ran_at: Timestamp | None


def find_all(reader: Reader) -> dict[str, Due]:
    """Return what is known of every schedule, by name."""
    rows = reader.rows("SELECT name, expression, due_at, ran_at FROM schedules")
    return {row[0]: Due(row[1], Timestamp(row[2]), row[3]) for row in rows}


def put(tx: Transaction, name: str, due: Due) -> None:
    """Write down when the schedule `name` is due."""
    tx.execute(
        "INSERT INTO schedules (name, expression, due_at, ran_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE"
        " SET expression = excluded.expression, due_at = excluded.due_at, ran_at = excluded.ran_at",
        (name, due.expression, due.due_at, due.ran_at),
    )


def drop(tx: Transaction, name: str) -> None:
    """Forget a schedule that nothing is due by any more."""
    tx.execute("DELETE FROM schedules WHERE name = ?", (name,))
