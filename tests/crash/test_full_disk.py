"""A disk that is full or broken at any step of a push: a clear answer, and nothing half-named."""

import errno
import resource
import socket
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.crash.faults import GROWING, Plan, Step
from tests.crash.server import CrashingServer, check_folder
from tests.make import images
from tests.make.client import Client, Reply
from tests.make.images import Manifest
from tests.make.server import Server

MOST = 400  # steps of a push; far more than there are
WRITING: tuple[Step, ...] = ("create", "write", "sync", "rename", "add_folder", "sync_folder", "wal_write")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashingServer]:
    """A server whose disk the tests break; at the end its folder must be sound."""
    server = CrashingServer(tmp_path_factory.mktemp("disk"))
    server.start()
    yield server
    server.plan(Plan()).stop()
    check_folder(server.data)


@pytest.fixture
def pusher(disk: CrashingServer) -> Iterator[Client]:
    with disk.client() as client:
        yield client
    disk.plan(Plan())


def fresh(name: str) -> Manifest:
    """Return an image that nobody has pushed."""
    return images.image([{"etc/motd": name.encode() * 100}])


def try_push(client: Client, path: str, image: Manifest) -> Reply:
    """Push until something fails; return that answer, or the last one."""
    for blob in image.blobs:
        started = client.request("POST", f"/v2/{path}/blobs/uploads/", b"")
        if started.status != 202:
            return started
        location = client.path_of(started.headers["location"])
        finished = client.request("PUT", f"{location}?digest={blob.digest}", blob.data)
        if finished.status != 201:
            return finished
    return client.put_manifest(path, "1", image)


def assert_refused(reply: Reply, statuses: tuple[int, ...]) -> None:
    """Fail unless the answer says in the specification's form that it would work later, and why it does not now."""
    assert reply.status in statuses, f"{reply.status}: {reply.body!r}"
    assert reply.codes == ["UNAVAILABLE"]
    assert b"disk" in reply.body
    assert b"Traceback" not in reply.body
    assert reply.headers["retry-after"].isdigit()


@pytest.mark.parametrize(
    ("error", "steps", "statuses"),
    [
        (errno.ENOSPC, GROWING, (507,)),
        (errno.EDQUOT, GROWING[:-1], (507,)),
        (errno.EIO, WRITING, (503,)),
        (errno.EMFILE, ("create", "open"), (503,)),
    ],
    ids=["full", "quota", "broken", "descriptors"],
)
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
def test_a_fault_at_any_step_of_a_push_is_said_and_leaves_nothing(
    disk: CrashingServer,
    pusher: Client,
    error: int,
    steps: tuple[Step, ...],
    statuses: tuple[int, ...],
    *,
    lasting: bool,
) -> None:
    failed = 0
    for number in range(1, MOST):
        path = f"fault{error}/{'lasting' if lasting else 'once'}{number}"
        image = fresh(path)
        before = disk.half_named()

        disk.plan(Plan(number, steps, error, lasting=lasting))
        reply = try_push(pusher, path, image)
        has_met = disk.has_met()
        disk.plan(Plan())

        if reply.status == 201:
            pusher.assert_holds(path, "1", image)
            if not has_met:
                break
            continue  # the step was of what runs beside a push
        failed += 1
        assert_refused(reply, statuses)
        left = set(disk.half_named()) - set(before)
        if b"the database cannot be written" not in reply.body:  # else the row may come back: whole bytes wait for it
            assert not left, f"after a fault at step {number}"
        assert not [one for one in left if one.suffix == ".part"]
        assert pusher.get(f"/v2/{path}/manifests/1").status == 404
        pusher.push(path, image, "1")
        pusher.assert_holds(path, "1", image)
    else:
        raise AssertionError("the faults never ended")
    assert failed > 1


def test_a_disk_on_which_nothing_can_be_removed_takes_pushes_and_is_swept_later(
    disk: CrashingServer, pusher: Client
) -> None:
    image = fresh("no removal")

    disk.plan(Plan(1, ("remove",), errno.EIO, lasting=True))
    pusher.push("fault/remove", image, "1")
    pusher.push("fault/remove2", image, "1")
    disk.plan(Plan())

    pusher.assert_holds("fault/remove", "1", image)
    pusher.assert_holds("fault/remove2", "1", image)


def test_the_database_gets_the_ballast_when_the_disk_is_full(disk: CrashingServer, pusher: Client) -> None:
    ballast = disk.data / "ballast"
    ballast.write_bytes(b"\0" * 4096)
    image = fresh("ballast")
    for blob in image.blobs:
        pusher.put_blob("fault/ballast", blob).expect(201)

    disk.plan(Plan(1, ("wal_write",), errno.ENOSPC, lasting=True, while_there=str(ballast)))
    pusher.put_manifest("fault/ballast", "1", image).expect(201)

    assert not ballast.exists()
    assert any("disk.ballast_released" in line for line in disk.log)
    pusher.assert_holds("fault/ballast", "1", image)


def test_deleting_works_on_a_full_disk_while_there_is_ballast(disk: CrashingServer, pusher: Client) -> None:
    image = fresh("delete when full")
    pusher.push("fault/delete", image, "1")
    ballast = disk.data / "ballast"
    ballast.write_bytes(b"\0" * 4096)

    disk.plan(Plan(1, GROWING, errno.ENOSPC, lasting=True, while_there=str(ballast)))
    pusher.delete(f"/v2/fault/delete/manifests/{image.digest}").expect(202)

    assert pusher.get_manifest("fault/delete", "1").status == 404


def test_a_log_that_cannot_be_checkpointed_takes_nothing_from_a_push(tmp_path: Path) -> None:
    """A commit is durable in the log; that the log cannot be carried over yet concerns nobody who pushes."""
    server = Server(tmp_path / "log").start()
    pushed = [images.image(annotations={"number": str(number), "padding": "x" * (2 << 20)}) for number in range(22)]
    with server.client() as client:
        for image in pushed[:12]:
            client.push("fault/log", image, image.digest.replace(":", "-"))
        limits = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        most = 8192 + (server.data / "scr.sqlite").stat().st_size + (server.data / "scr.sqlite-wal").stat().st_size

        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (most, limits[1]))
        for image in pushed[12:]:
            client.push("fault/log", image, image.digest.replace(":", "-"))
        log = (server.data / "scr.sqlite-wal").stat().st_size
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, limits)

        assert log > 2000 * 8192  # or nothing had to be carried over
        for image in pushed:
            client.assert_holds("fault/log", image.digest.replace(":", "-"), image)
    server.stop()
    check_folder(server.data)


def test_without_descriptors_requests_are_refused_and_later_served(disk: CrashingServer, pusher: Client) -> None:
    image = fresh("descriptors")
    pusher.get("/v2/").expect(200)
    soft, hard = resource.prlimit(disk.pid, resource.RLIMIT_NOFILE)
    used = {int(entry.name) for entry in Path(f"/proc/{disk.pid}/fd").iterdir()}

    resource.prlimit(disk.pid, resource.RLIMIT_NOFILE, (min(set(range(len(used) + 1)) - used), hard))
    newcomer = socket.create_connection((disk.address.partition(":")[0], int(disk.address.partition(":")[2])))
    reply = try_push(pusher, "fault/descriptors", image)
    resource.prlimit(disk.pid, resource.RLIMIT_NOFILE, (soft, hard))

    assert_refused(reply, (503,))
    newcomer.close()
    with disk.client() as client:
        client.push("fault/descriptors", image, "1")
        client.assert_holds("fault/descriptors", "1", image)


def test_a_sync_of_the_database_that_fails_ends_the_process_and_a_start_recovers(tmp_path: Path) -> None:
    server = CrashingServer(tmp_path / "sync").start()
    image, later = fresh("before"), fresh("after")
    with server.client() as client:
        client.push("fault/sync", image, "1")
        for blob in later.blobs:
            client.put_blob("fault/sync", blob).expect(201)

        server.plan(Plan(1, ("wal_sync",), errno.EIO, lasting=True))
        with pytest.raises((ConnectionError, HTTPException)):
            client.put_manifest("fault/sync", "2", later)
        assert server.wait() == 1
        assert any("database.sync_failed" in line for line in server.log)
        server.plan(Plan()).start()

    with server.client() as client:
        client.assert_holds("fault/sync", "1", image)
        client.put_manifest("fault/sync", "2", later).expect(201)
        client.assert_holds("fault/sync", "2", later)
    server.stop()
    check_folder(server.data)
