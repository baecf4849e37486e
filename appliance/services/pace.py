"""How much a long piece of work takes on at once: what nobody who pulls or pushes meanwhile notices.

A step keeps pushes waiting for as long as it is in the writer: so it is as large as fits into some milliseconds, by the
time that the last one took on this machine at this hour. It keeps pulls waiting while it computes: so a rest follows
that is as long as that was.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter, thread_time
from typing import TypeVar

from appliance.db.database import Database, Transaction

T = TypeVar("T")
FIRST, MOST = 50, 100  # rows in one step
LEAST = 20  # a commit costs what some rows cost: fewer would make the whole longer, and nobody's waiting shorter
_GOAL_S = 0.005  # in the writer
_LONGEST_REST_S = 0.1


class Pace:
    """The steps of one run."""

    def __init__(self, *, is_urgent: bool = False) -> None:
        """Begin in the middle. What is urgent does not rest."""
        self.size = FIRST
        self._is_urgent = is_urgent

    async def write(self, db: Database, step: Callable[[Transaction], T]) -> T:
        """Run `step`, which takes on some `size` rows, in a transaction, and rest; return what it returned."""
        took = computed = 0.0

        def timed(tx: Transaction) -> T:
            nonlocal took, computed
            began, clock = perf_counter(), thread_time()
            done = step(tx)
            took, computed = perf_counter() - began, thread_time() - clock
            return done

        done = await db.write(timed)
        self.size = next_size(self.size, took)
        if not self._is_urgent:
            await asyncio.sleep(min(computed, _LONGEST_REST_S))
        return done


def next_size(size: int, took_s: float) -> int:
    """Return how many rows the next step takes on, after one of `size` took so many seconds.

    It grows slowly, for a step that had little left to do tells little; it shrinks at once.
    """
    fitting = int(size * _GOAL_S / took_s) if took_s > 0 else MOST
    return max(LEAST, min(fitting, size + size // 4, MOST))
