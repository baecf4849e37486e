"""kill -9 in every kind of job at every step: it resumes, ends in the right state, and nothing is done twice."""

import random
from collections.abc import Iterator
from typing import get_args

import pytest

from appliance.errors import Unavailable
from appliance.services import ordering
from tests.crash.faults import Plan, Step
from tests.crash.labour import TASKS, Ground, Task, feeds_in, find_newest, follow, operator, order
from tests.crash.scan_labour import SCANNING
from tests.crash.server import PATIENCE_S, CrashingServer, check_folder

STEPS: tuple[Step, ...] = get_args(Step)
MOST = 5000  # steps of a job; far more than there are
CONFIG = """
[storage]
min_free = "0%"
recycle = "0s"
grace = "0s"
upload_expiry = "0s"
[schedule]
gc = ""
upload_expiry = ""
sweep = ""
scrub = ""
check = ""
backup = ""
roll_up = ""
scan = ""
retention = ""
[[vulndb_source]]
name = "fetched"
address = "{url}/fetched.zip"
"""


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A server that is killed again and again; at the end its folder must be sound."""
    outside = tmp_path_factory.mktemp("outside") / "backups"
    with feeds_in(outside.parent) as url:
        server = CrashingServer(tmp_path_factory.mktemp("jobs"), CONFIG.format(url=url)).start()
        yield from _standing_on(Ground(server, outside))


def _standing_on(laid: Ground) -> Iterator[Ground]:
    server = laid.server
    try:
        with server.client() as client:
            for number in range(3):
                laid.keep(client, f"kept/first{number}")
        yield laid
        if laid.encrypts:  # the folder is looked at without a key
            laid.restart_encrypting(is_on=False)
            with operator(server) as client:
                assert follow(client, order(client, TASKS["move"], laid)).state == "done"
        with server.client() as client:
            laid.check(client)
        server.stop()
        check_folder(server.data)
    finally:
        server.kill()


def survive(ground: Ground, task: Task, name: str, number: int) -> bool:
    """Kill the server at the step `number` of a job, and see it to its end; return whether it came to that step."""
    server = ground.server
    with server.client() as pusher:
        laid = task.lay(ground, pusher, name)
    with operator(server) as client:
        before = find_newest(client, task.kind, task.subject)
        server.plan(Plan(number, STEPS))
        try:
            job = follow(client, task.begin(client, task, ground, laid))
        except Unavailable:
            job = None
    was_killed = server.end_plan()
    assert was_killed or job is not None
    with operator(server.start() if was_killed else server) as client:
        if job is None:
            newest = find_newest(client, task.kind, task.subject)
            is_known = newest is not None and (before is None or newest.id != before.id)
            # what the start after a crash has ordered may wait for a later time: the same order lets it begin now
            is_ours = newest is not None and (newest.created_by != "scheduler" or bool(task.subject))
            job = follow(client, newest if newest and is_known and is_ours else task.begin(client, task, ground, laid))
        assert (job.state, job.reason) == ("done", ""), job
        task.check(ground, laid, job.report or {})
    with server.client() as pusher:
        ground.check(pusher)
    return was_killed


def test_there_is_a_task_for_every_kind_of_job() -> None:
    assert {task.kind for task in (TASKS | SCANNING).values()} | {"retention"} == set(ordering.KINDS)  # test_retention


@pytest.mark.timeout(PATIENCE_S)
@pytest.mark.parametrize("name", [*TASKS, *SCANNING])
def test_killed_at_a_step(ground: Ground, name: str, *, is_long: bool) -> None:
    if is_long:
        numbers = list(range(1, MOST))
    else:
        chance = random.Random(f"jobs {name}")  # noqa: S311 - the same steps every time
        numbers = [*sorted(chance.sample(range(1, 40), 3)), MOST]

    killed = []
    for number in numbers:
        killed.append(survive(ground, (TASKS | SCANNING)[name], f"{name}{number}", number))
        if not killed[-1]:
            break

    assert killed[0]
    assert not killed[-1], "the steps never ended"
