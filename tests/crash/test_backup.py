"""Backups made while others push, delete and collect; restores that are killed at every step; a disk that fills up."""

import errno
import itertools
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from appliance.errors import ScrError
from appliance.services.backup_check import check_backup, find_backup
from tests.crash.crowd import Crowd
from tests.crash.faults import Plan, Step
from tests.crash.labour import TASKS, Ground, follow, operator, order
from tests.crash.server import CONFIG, PATIENCE_S, CrashingServer, check_folder
from tests.make.client import Client
from tests.make.server import ROOT, Server

STEPS: tuple[Step, ...] = tuple(step for step in get_args(Step) if step != "open")
MOST = 5000


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """A server with some images."""
    server = CrashingServer(tmp_path / "own", CONFIG.replace('grace = "1s"', 'grace = "1h"')).start()
    laid = Ground(server, tmp_path / "outside")
    with server.client() as client:
        for number in range(3):
            laid.keep(client, f"kept/first{number}")
    try:
        yield laid
    finally:
        server.kill()


def back_up(ground: Ground) -> Path:
    with operator(ground.server) as client:
        job = follow(client, order(client, TASKS["backup"], ground))
    assert job.state == "done", job
    return Path(str((job.report or {})["path"]))


def restore(backup: Path, data: Path, plan: Plan | None = None) -> int:
    """Run `scr restore`; return its exit code (-9: killed)."""
    plan_file = data.with_name(f"{data.name}.plan")
    (plan or Plan()).save(plan_file)
    command = [sys.executable, "-m", "tests.crash.restore", str(backup), "--data-dir", str(data)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "CRASH_PLAN": str(plan_file)}
    ended = subprocess.run(command, cwd=data.parent, env=environment, capture_output=True, check=False, text=True)
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.returncode


def check_restored(data: Path, ground: Ground, *crowds: Crowd) -> None:
    """Fail unless a restored folder is served, sound, and has all that was kept."""
    server = Server(data.parent / f"serving-{data.name}", CONFIG.replace('grace = "1s"', 'grace = "1h"'))
    server.data = data
    with server, server.client() as client:
        ground.check(client)
        for crowd in crowds:
            check_whole(client, crowd)
    check_folder(data)


def check_whole(client: Client, crowd: Crowd) -> None:
    """Fail unless each reference of the crowd is whole or not there: a backup is a moment of its work."""
    for member in crowd.members:
        for claim in member.claims.values():
            reply = client.get_manifest(claim.path, claim.reference).expect(200, 404)
            if reply.status == 200:
                client.assert_holds(claim.path, claim.reference, member.known[reply.headers["docker-content-digest"]])


def test_backups_under_pushes_deletes_and_collection_restore_to_a_moment(ground: Ground, tmp_path: Path) -> None:
    crowd = Crowd(ground.server, "crowd")
    crowd.start()
    taken = []
    for count in (5, 25, 45):
        crowd.wait_for(count)
        taken.append(back_up(ground))
    crowd.is_over = True
    crowd.join()
    ground.server.stop()

    for number, backup in enumerate(taken):
        found = check_backup(find_backup(backup), deep=True, progress=lambda _, __: None)
        assert found.faults == 0, found.listed
        data = tmp_path / f"restored{number}"
        assert restore(backup, data) == 0
        check_restored(data, ground, crowd)


@pytest.mark.timeout(PATIENCE_S)
def test_a_restore_that_is_killed_at_any_step_is_not_served_and_goes_on(
    ground: Ground, tmp_path: Path, *, is_long: bool
) -> None:
    backup = back_up(ground)
    ground.server.stop()
    chance = random.Random("restore")  # noqa: S311 - the same steps every time
    numbers = itertools.count(1) if is_long else iter([*sorted(chance.sample(range(1, 60), 4)), MOST])

    for number in numbers:
        data = tmp_path / f"restored{number}"
        code = restore(backup, data, Plan(number, STEPS))
        if code == 0:
            break
        assert code == -9
        if (data / "scr.sqlite").exists():
            assert (data / "restoring").exists() or is_whole(data)
        assert restore(backup, data) == 0 or is_whole(data)
        check_restored(data, ground)
    else:
        raise AssertionError("the steps never ended")


def is_whole(data: Path) -> bool:
    """Whether the restore had come to its end: what is left to do is to say so."""
    return not (data / "restoring").exists()


def test_a_disk_that_fills_up_ends_a_backup_leaves_nothing_of_it_and_pushes_go_on(
    ground: Ground, tmp_path: Path
) -> None:
    server = ground.server
    for step in ("link", "create", "write", "main_write"):
        server.plan(Plan(1, (step,), errno.ENOSPC, lasting=True))
        with operator(server) as client:
            job = order(client, TASKS["backup"], ground)
            while job.state != "done" and not job.reason:
                job = client.get(f"/api/v1/jobs/{job.id}", type(job), wait="10")
            assert "full" in job.reason
            assert list(ground.outside.glob("*")) == []
            server.plan(Plan())
            client.post(f"/api/v1/jobs/{job.id}/cancel", {}, type(job))
        with server.client() as pusher:
            ground.keep(pusher, f"kept/{step.replace('_', '')}")
    backup = back_up(ground)
    server.stop()

    assert restore(backup, tmp_path / "restored") == 0
    check_restored(tmp_path / "restored", ground)


def test_a_snapshot_that_has_no_room_leaves_the_older_ones(ground: Ground) -> None:
    server = ground.server
    with operator(server) as client:
        assert follow(client, order(client, TASKS["snapshot"], ground)).state == "done"
        server.plan(Plan(1, ("main_write",), errno.ENOSPC, lasting=True))
        job = order(client, TASKS["snapshot"], ground)
        while job.state != "done" and not job.reason:
            job = client.get(f"/api/v1/jobs/{job.id}", type(job), wait="10")
        server.plan(Plan())
    assert "full" in job.reason
    names = [one.name for one in (server.data / "backups").iterdir()]

    assert len(names) == 1
    assert names[0].endswith(".sqlite")
    with pytest.raises(ScrError, match=r"backup\.json"):
        find_backup(server.data / "backups")
