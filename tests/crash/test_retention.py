"""kill -9 at every step of tag deletion: it ends where it would have ended, and all of it comes back by undo."""

import random
from collections.abc import Callable
from http.client import HTTPException
from typing import get_args

import msgspec
import pytest

from appliance.errors import Unavailable
from tests import make
from tests.crash.faults import Plan, Step
from tests.crash.labour import Job, find_newest, follow, operator
from tests.crash.server import PATIENCE_S, CrashingServer, check_folder
from tests.make.client import Client, TagList

STEPS: tuple[Step, ...] = get_args(Step)
MOST = 5000  # steps of a run; far more than there are
GOING = 120  # more than one slice
CONFIG = """
[storage]
min_free = "0%"
[schedule]
gc = ""
upload_expiry = ""
sweep = ""
scrub = ""
check = ""
backup = ""
roll_up = ""
retention = "{pace}"
[retention]
first = "0s"
"""
_POLICY = {"policy": {"tagDeletion": {"enabled": True, "count": True, "keepNewest": 1}}}
_JSON = {"Content-Type": "application/json"}


class _Item(msgspec.Struct):
    id: str


class _Page(msgspec.Struct):
    items: list[_Item]


class _Jobs(msgspec.Struct):
    items: list[Job]


def push(client: Client, name: str) -> tuple[str, dict[str, make.Manifest]]:
    """Push an image with many digests; return its id and what each tag names."""
    pushed = {}
    for number in range(GOING + 1):
        pushed[f"t{number:03}"] = manifest = make.index([], annotations={"of": name, "n": str(number)})
        client.put_manifest(name, f"t{number:03}", manifest).expect(201)
    return client.get(f"/api/v1/images?path={name}").expect(200).decode(_Page).items[0].id, pushed


def enable(client: Client, image: str) -> None:
    """Let all but the newest digest go."""
    client.request("PATCH", f"/api/v1/images/{image}", msgspec.json.encode(_POLICY), _JSON).expect(200)


def lay(client: Client, name: str) -> tuple[str, dict[str, make.Manifest]]:
    """Push an image of which all but the newest digest is to go; return its address and what each tag names."""
    image, pushed = push(client, name)
    enable(client, image)
    return f"/api/v1/images/{image}", pushed


def tags(client: Client, name: str) -> list[str]:
    return client.get(f"/v2/{name}/tags/list").expect(200).decode(TagList).tags


def survive(server: CrashingServer, name: str, number: int) -> bool:
    """Kill the server at the step `number` of a run, see the run to its end; return whether it came to that step."""
    with server.client() as client:
        address, pushed = lay(client, name)
    with operator(server) as ordering:
        before = find_newest(ordering, "retention")
        server.plan(Plan(number, STEPS))
        try:
            follow(ordering, ordering.post(f"{address}/retention-runs", {}, Job))
            has_ended = True
        except Unavailable:
            has_ended = False
    was_killed = server.end_plan()
    assert was_killed or has_ended
    with operator(server.start() if was_killed else server) as ordering, server.client() as client:
        job = find_newest(ordering, "retention")
        if job is None or (before is not None and job.id == before.id):  # killed before it was ordered
            job = ordering.post(f"{address}/retention-runs", {}, Job)
        check_ran(client, name, follow(ordering, job), pushed)
    return was_killed


def check_ran(client: Client, name: str, job: Job, pushed: dict[str, make.Manifest]) -> None:
    """Fail unless the job has let all but the newest go, counted each once, and one undo brings them back."""
    assert (job.state, job.reason) == ("done", ""), job
    assert job.report is not None
    assert (job.report["manifests"], job.report["tags"], job.report["isWhole"]) == (GOING, GOING, True)
    newest = max(pushed)
    assert tags(client, name) == [newest]
    client.get_manifest(name, newest).expect(200)
    client.request("POST", f"/api/v1/deletions/{job.report['undo']}/undo", b"").expect(200)
    assert tags(client, name) == sorted(pushed)
    for tag in ("t000", "t050", f"t{GOING - 1:03}"):
        client.assert_holds(name, tag, pushed[tag])


def survive_schedule(server: CrashingServer, name: str, number: int) -> bool:
    """Kill the server at the step `number` after a policy is enabled that the schedule sees to."""
    with server.client() as client:
        image, pushed = push(client, name)
    server.plan(Plan(number, STEPS))
    try:
        with server.client() as client:
            enable(client, image)
            jobs = ordered_for(client, image)
            while not jobs or jobs[0].state != "done":
                jobs = ordered_for(client, image)
        has_ended = True
    except (OSError, HTTPException):
        has_ended = False
    was_killed = server.end_plan()
    assert was_killed or has_ended
    with (server.start() if was_killed else server).client() as client:
        enable(client, image)
        jobs = ordered_for(client, image)
        while not jobs or jobs[0].state != "done":
            jobs = ordered_for(client, image)
        assert len(jobs) == 1
        disable(client, image)
        check_ran(client, name, jobs[0], pushed)
    return was_killed


def ordered_for(client: Client, image: str) -> list[Job]:
    """Return the jobs about the image; of the newest its end, if that comes within seconds."""
    found = client.get(f"/api/v1/jobs?subject={image}").expect(200).decode(_Jobs).items
    return [client.get(f"/api/v1/jobs/{one.id}?wait=5").expect(200).decode(Job) for one in found]


def disable(client: Client, image: str) -> None:
    off = {"policy": {"tagDeletion": {"enabled": False}}}
    client.request("PATCH", f"/api/v1/images/{image}", msgspec.json.encode(off), _JSON).expect(200)


def survive_undo(server: CrashingServer, name: str, number: int) -> bool:
    """Kill the server at the step `number` of an undo, and ask again; return whether it came to that step."""
    with operator(server) as ordering, server.client() as client:
        address, pushed = lay(client, name)
        follow(ordering, ordering.post(f"{address}/retention-runs", {}, Job))
    server.plan(Plan(number, STEPS))
    has_ended = True
    with server.client() as client:
        try:
            undo_all(client, name)
        except (OSError, HTTPException):
            has_ended = False
    was_killed = server.end_plan()
    assert was_killed or has_ended
    if was_killed:
        server.start()
    with server.client() as client:
        undo_all(client, name)
        assert tags(client, name) == sorted(pushed)
        for tag in ("t000", f"t{GOING - 1:03}"):
            client.assert_holds(name, tag, pushed[tag])
    return was_killed


def undo_all(client: Client, name: str) -> None:
    for one in client.get(f"/api/v1/deletions?path={name}").expect(200).decode(_Page).items:
        client.request("POST", f"/api/v1/deletions/{one.id}/undo", b"").expect(200)


@pytest.mark.timeout(PATIENCE_S)
@pytest.mark.parametrize(
    ("act", "pace"), [(survive, ""), (survive_undo, ""), (survive_schedule, "1s")], ids=["run", "undo", "schedule"]
)
def test_killed_at_a_step(
    tmp_path_factory: pytest.TempPathFactory,
    act: Callable[[CrashingServer, str, int], bool],
    pace: str,
    *,
    is_long: bool,
) -> None:
    server = CrashingServer(tmp_path_factory.mktemp("retention"), CONFIG.format(pace=pace)).start()
    chance = random.Random("retention")  # noqa: S311 - the same steps every time
    numbers = range(1, MOST) if is_long else [*sorted(chance.sample(range(1, 20), 3)), MOST]
    killed = []
    try:
        for number in numbers:
            killed.append(act(server, f"retain/n{number}", number))
            if not killed[-1]:
                break
        server.stop()
        check_folder(server.data)
    finally:
        server.kill()

    assert killed[0]
    assert not killed[-1], "the steps never ended"
