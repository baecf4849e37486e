"""The kinds of jobs: who does each is known, and nobody is forgotten where they are listed."""

from types import SimpleNamespace
from typing import Any, cast

from appliance.assemble.jobs import make_scheduler
from appliance.services import ordering


def test_every_kind_that_is_run_is_listed_and_every_listed_one_is_run() -> None:
    nothing = cast("Any", SimpleNamespace(stock=SimpleNamespace(db=None), file=None, now=None))  # nothing is run here

    scheduler = make_scheduler(cast("Any", None), nothing, nothing, nothing, nothing, nothing)

    assert scheduler.kinds == set(ordering.KINDS)
