"""Jobs over the management API: ordered, listed, followed, called off, tried again; the schedules."""

import base64
import sqlite3

import msgspec
import pytest

from tests.http.api.conftest import JSON, problem
from tests.make.client import Client
from tests.make.server import Server


class Job(msgspec.Struct, rename="camel"):
    id: str
    kind: str
    state: str
    order: dict[str, object]
    attempts: int
    report: dict[str, object] | None
    created_by: str
    ended_at: str | None


class Jobs(msgspec.Struct):
    items: list[Job]
    next: str | None


class Schedule(msgspec.Struct, rename="camel"):
    kind: str
    setting: str
    when: str
    due_at: str | None


class Schedules(msgspec.Struct):
    items: list[Schedule]


def order(client: Client, kind: str, **wanted: object) -> Job:
    body = msgspec.json.encode({"kind": kind, "order": wanted})
    return client.request("POST", "/api/v1/jobs", body, JSON).expect(202).decode(Job)


def ended(client: Client, job: Job) -> Job:
    while job.ended_at is None:
        job = client.get(f"/api/v1/jobs/{job.id}?wait=10").expect(200).decode(Job)
    return job


@pytest.mark.parametrize("kind", ["gc", "upload-expiry", "sweep", "scrub", "check", "backup", "roll-up", "measure"])
def test_every_kind_that_can_be_ordered_runs_and_reports(admin: Client, kind: str) -> None:
    job = ended(admin, order(admin, kind))

    assert (job.state, job.attempts, job.created_by) == ("done", 1, "user:admin")
    assert job.report


def test_the_list_shows_the_newest_first_page_by_page_and_by_kind_and_state(admin: Client) -> None:
    made = [ended(admin, order(admin, "gc")).id for _ in range(3)]

    first = admin.get("/api/v1/jobs?kind=gc&state=done&limit=2").expect(200).decode(Jobs)
    second = admin.get(f"/api/v1/jobs?kind=gc&state=done&limit=2&cursor={first.next}").expect(200).decode(Jobs)

    assert [job.id for job in (*first.items, *second.items)][:3] == made[::-1]
    assert admin.get("/api/v1/jobs?kind=gc&state=failed").expect(200).decode(Jobs).items == []


def test_what_was_ordered_is_kept_and_what_is_as_always_is_not(admin: Client) -> None:
    job = order(admin, "check", deep=True, repair=False)

    assert job.order == {"deep": True}
    ended(admin, job)


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"kind": "scan"}', b'{"kind": "gc", "order": {"x": 1}}', b'{"kind": "check", "order": {"deep": 1}}'],
)
def test_an_order_that_cannot_be_understood_is_refused(admin: Client, body: bytes) -> None:
    reply = admin.request("POST", "/api/v1/jobs", body, JSON).expect(400)

    assert problem(reply.body).type == "urn:scr:problem:query-invalid"


def test_what_has_ended_cannot_be_called_off_or_tried_again(admin: Client) -> None:
    job = ended(admin, order(admin, "gc"))

    for verb in ("cancel", "retry"):
        reply = admin.request("POST", f"/api/v1/jobs/{job.id}/{verb}", b"{}", JSON).expect(409)
        assert "done" in problem(reply.body).detail


def test_a_job_that_is_not_there_is_unknown(admin: Client) -> None:
    assert problem(admin.get("/api/v1/jobs/0123456789ab").expect(404).body).type == "urn:scr:problem:job-unknown"
    admin.get("/api/v1/jobs?cursor=Zm9v").expect(400)
    beyond = base64.urlsafe_b64encode(b"9999999999999999999").decode().rstrip("=")  # more than SQLite counts
    admin.get(f"/api/v1/jobs?cursor={beyond}").expect(400)
    admin.get(f"/api/v1/access-keys?cursor={beyond}").expect(400)
    admin.get("/api/v1/jobs?state=nonsense").expect(400)


def test_the_schedules_say_by_which_setting_and_when(admin: Client) -> None:
    found = {one.kind: one for one in admin.get("/api/v1/schedules").expect(200).decode(Schedules).items}

    assert (found["gc"].setting, found["gc"].when) == ("schedule.gc", "10m")
    assert {one.kind for one in found.values() if not one.due_at} == {
        one.kind for one in found.values() if not one.when
    }
    assert [one.kind for one in found.values() if not one.when] == ["vulndb.fetch"]  # nothing is fetched unasked


def test_a_job_that_was_ordered_is_in_the_activity_of_the_appliance(admin: Client, server: Server) -> None:
    job = ended(admin, order(admin, "gc"))

    with sqlite3.connect(server.data / "scr.sqlite") as database:
        found = database.execute(
            "SELECT kind, principal FROM activity WHERE subject = ?", (f"job:{job.id}",)
        ).fetchall()
    database.close()
    assert found == [("job.ordered", "user:admin")]
