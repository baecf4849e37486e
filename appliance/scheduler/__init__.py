"""Runs jobs: claims rows of `db.jobs`, calls the handler that `assemble` gave for their kind, tries again, gives up.

`run.py` is what a handler sees, `calendar.py` what is due by a schedule, `scheduler.py` the loop. Nothing polls: a
commit rings, a timer fires when the next job or schedule is due.
"""

from appliance.scheduler.calendar import Schedule
from appliance.scheduler.run import Handler, Postponed, Run, Work
from appliance.scheduler.scheduler import Scheduler

__all__ = ["Handler", "Postponed", "Run", "Schedule", "Scheduler", "Work"]
