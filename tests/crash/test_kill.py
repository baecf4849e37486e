"""kill -9 under concurrent pushes, deletes and collection: what was acknowledged is there, the rest whole or not."""

import os
import random
from collections.abc import Iterator
from typing import get_args

import pytest

from tests.crash.crowd import Crowd, crash
from tests.crash.faults import Plan, Step
from tests.crash.server import CONFIG, CrashingServer, check_folder

NEVER: frozenset[Step] = frozenset(
    {"open", "truncate", "link", "main_write", "main_sync"}
)  # no push of theirs comes to these
STEPS: tuple[Step, ...] = tuple(step for step in get_args(Step) if step not in NEVER)
SEED = 9
UNENDING = 1 << 30
BATCHES = 40 if os.environ.get("SCR_TEST_LONG") == "1" else 1


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CrashingServer, list[Crowd]]]:
    """A server that is killed again and again over one folder, and the crowds that worked on it.

    At the end all of them are asked again, and the folder must be sound and clean.
    """
    server = CrashingServer(tmp_path_factory.mktemp("kill"), CONFIG.replace('grace = "1s"', 'grace = "1h"')).start()
    crowds: list[Crowd] = []
    try:
        yield server, crowds
        with server.client() as client:
            for crowd in crowds:
                crowd.check(client)
        server.stop()
        check_folder(server.data)
    finally:
        server.kill()


def survive(served: tuple[CrashingServer, list[Crowd]], name: str, plan: Plan | None, after: int) -> None:
    server, crowds = served
    crowd = Crowd(server, name)
    crash(server, crowd, plan, after)
    with server.client() as client:
        crowd.check(client)
    crowds.append(crowd)


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step(served: tuple[CrashingServer, list[Crowd]], step: Step, *, is_long: bool) -> None:
    chance = random.Random(f"{SEED} {step}")  # noqa: S311 - the same steps every time
    numbers = range(1, 31) if is_long else [1, chance.randrange(2, 30)]

    for number in numbers:
        name = f"{step.replace('_', '')}{number}"
        survive(served, name, Plan(number, (step,)), UNENDING)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_killed_at_any_moment(served: tuple[CrashingServer, list[Crowd]], batch: int) -> None:
    chance = random.Random(f"{SEED} {batch}")  # noqa: S311 - the same moments, as far as threads allow

    for number in range(8):
        survive(served, f"moment{batch}-{number}", None, chance.randrange(1, 40))
