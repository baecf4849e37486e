"""How a long piece of work goes: what the run of a job offers to the service that does it.

The scheduler's `Run` is one; `UNFOLLOWED` is for work that nobody looks at, as on a disk that runs full.
"""

from typing import Protocol, TypeVar

from appliance.db.database import Transaction

T = TypeVar("T")


class Course(Protocol):
    """Where a service says how it goes, asks whether to go on, and keeps where it would go on after a death."""

    def say(self, text: str) -> None:
        """Append a line to the log of the job."""

    def progress(self, done: int, total: int) -> None:
        """Say how far it is."""

    def check(self) -> None:
        """Raise Cancelled where somebody asked for the end; called between two steps."""

    def checkpoint(self, shape: type[T]) -> T | None:
        """Return what an attempt that was interrupted has kept, or None."""

    def keep_in(self, tx: Transaction, checkpoint: object) -> None:
        """Keep where the next attempt goes on, in the transaction of what this one has done."""


class _Unfollowed:
    def say(self, text: str) -> None:
        del text

    def progress(self, done: int, total: int) -> None:
        del done, total

    def check(self) -> None:
        return

    def checkpoint(self, shape: type[T]) -> T | None:
        del shape
        return None

    def keep_in(self, tx: Transaction, checkpoint: object) -> None:
        del tx, checkpoint


UNFOLLOWED: Course = _Unfollowed()
