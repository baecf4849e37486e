"""Courses of jobs that die."""

from typing import TypeVar

from appliance.db.database import Transaction
from appliance.services.course import UNFOLLOWED

T = TypeVar("T")


class Kept:
    """The course of a job: the next attempt finds what the last has kept."""

    say, progress, check = UNFOLLOWED.say, UNFOLLOWED.progress, UNFOLLOWED.check

    def __init__(self) -> None:
        self.kept: object = None

    def checkpoint(self, shape: type[T]) -> T | None:
        assert self.kept is None or isinstance(self.kept, shape)
        return self.kept

    def keep_in(self, tx: Transaction, checkpoint: object) -> None:
        del tx
        self.kept = checkpoint
