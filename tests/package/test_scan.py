"""The scanner of the packaged file: its child is the same file, and finds all that it needs inside."""

import ctypes
import sys
from pathlib import Path

import msgspec
import pytest

from tests import make
from tests.package.hosts import NOBODY, bare, packaged

RELEASE = b'ID=alpine\nVERSION_ID=3.20.1\nNAME="Alpine Linux"\n'
APK = b"P:musl\nV:1.2.4-r0\nA:x86_64\no:musl\nL:MIT\n\n"
TOKEN = b"export GITHUB=ghp_" + b"Ab1" * 12 + b"\n"
IMAGE = make.image([{"etc/os-release": RELEASE, "lib/apk/db/installed": APK}, {"app/.env": TOKEN}])
_GET_STRICT = (66, 0, 0, 0, 0)  # PR_GET_MDWE
_STRICTLY = """
import ctypes, os, sys
assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0, "PR_SET_MDWE"
os.execv(sys.argv[1], sys.argv[1:])
"""
CONFIG = "[defaults.repository.scan]\non_push = true\n"


class Job(msgspec.Struct, rename="camel"):
    """A job as the API tells it."""

    id: str
    state: str
    attempts: int
    report: dict[str, object] | None
    ended_at: str | None


class Jobs(msgspec.Struct):
    """A page of jobs."""

    items: list[Job]


def assert_scans(server: make.Server) -> None:
    """Push an image and fail unless it is scanned as it should be."""
    with server.client() as client:
        client.push("pay/api", IMAGE, "1")
        (job,) = client.get("/api/v1/jobs?kind=scan").expect(200).decode(Jobs).items
        while job.ended_at is None:
            job = client.get(f"/api/v1/jobs/{job.id}?wait=10").expect(200).decode(Job)

    assert (job.state, job.attempts) == ("done", 1)
    assert job.report is not None
    assert (job.report["read"], job.report["packages"], job.report["secrets"]) == (2, 1, 1)


@pytest.mark.parametrize("mount", ["rw", "noexec"])
def test_a_push_is_scanned_by_a_child(tmp_path: Path, mount: str) -> None:
    host = msgspec.structs.replace(bare("bookworm"), user=NOBODY, mount=mount)

    with host.server(tmp_path / "server", CONFIG) as server:
        assert_scans(server)


def test_all_works_where_no_memory_is_both_written_and_executed(tmp_path: Path) -> None:
    if ctypes.CDLL(None).prctl(*_GET_STRICT) < 0:
        pytest.skip("this kernel cannot forbid it (Linux 6.3 and later can)")
    server = make.Server(tmp_path / "server", CONFIG)  # as the unit's MemoryDenyWriteExecute= has it
    server.program = (sys.executable, "-c", _STRICTLY, str(packaged()), "serve")

    with server:
        assert_scans(server)
