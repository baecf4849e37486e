"""The kinds of jobs there are: who does each, how many at once, and by which schedule."""

from collections.abc import Callable

from appliance.assemble.stock import Opened
from appliance.assemble.timetable import Clock
from appliance.config import Config
from appliance.logs import Log
from appliance.scheduler import Schedule, Scheduler, Work

_PARALLEL = 4  # jobs at once: two cores, and most of them wait for the disk


def make_scheduler(config: Callable[[], Config], opened: Opened, clock: Clock, log: Log) -> Scheduler:
    """Return the scheduler of the appliance; `config` returns what is in force."""
    del config
    works: tuple[Work, ...] = ()
    entries: tuple[Schedule, ...] = ()
    return Scheduler(opened.stock.db, clock.now, works, entries, lambda: _PARALLEL, log)
