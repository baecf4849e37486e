"""Tag deletion by the API: the test of a policy, its simulation, a run as a job."""

import sqlite3

import msgspec

from tests.http.api.conftest import find, problem
from tests.http.api.test_images import change
from tests.make import images
from tests.make.client import Client, Reply
from tests.make.server import Server

DAY = 86_400_000
ONE, TWO = images.image([{"retention": b"1"}]), images.image([{"retention": b"2"}])


class Verdict(msgspec.Struct, frozen=True):
    digest: str
    tags: list[str]
    reason: str
    text: str


class Forecast(msgspec.Struct, frozen=True, rename="camel"):
    deleted: list[Verdict]
    kept: list[Verdict]
    manifests: int
    tags: int
    freed: int
    kept_by_reason: dict[str, int]


class Simulated(msgspec.Struct, frozen=True, rename="camel"):
    tags: int
    kept_tags: int
    freed: int
    course: list[dict[str, object]]


class State(msgspec.Struct, frozen=True):
    path: str
    state: str


class Job(msgspec.Struct, frozen=True):
    id: str
    about: str
    state: str
    report: dict[str, object] | None


def age(server: Server, name: str, digest: str, days: int) -> None:
    """Let the manifest have been pushed `days` ago."""
    database = sqlite3.connect(server.data / "scr.sqlite", timeout=30)
    with database:
        database.execute(
            "UPDATE manifests SET pushed_at = pushed_at - ? WHERE digest = ? AND image_id ="
            " (SELECT id FROM images WHERE path = ? AND removed_at IS NULL)",
            (days * DAY, b"\x01" + bytes.fromhex(digest.partition(":")[2]), name),
        )
        database.execute(
            "UPDATE tags SET pushed_at = (SELECT pushed_at FROM manifests WHERE id = manifest_id) WHERE image_id ="
            " (SELECT id FROM images WHERE path = ? AND removed_at IS NULL)",
            (name,),
        )
    database.close()


def pretend(server: Server, image: str, state: str) -> None:
    """Let there be a job of tag deletion for the image of that id, in that state, which nobody works at."""
    database = sqlite3.connect(server.data / "scr.sqlite", timeout=30)
    with database:
        database.execute("DELETE FROM jobs WHERE public_id = 'pretended'")
        database.execute(
            "INSERT INTO jobs (public_id, kind, subject, detail, state, not_before, created_at, created_by)"
            " VALUES ('pretended', 'retention', ?, '{}', ?, 1 << 50, 0, 'test')",
            (image, state),
        )
    database.close()


def tags_deleted(client: Client) -> int:
    """Return how many tags the metrics say were deleted."""
    lines = client.get("/metrics").expect(200).body.decode().splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("scr_tags_deleted_total{"))


def ask(client: Client, where: str, body: dict[str, object]) -> Reply:
    return client.request("POST", where, msgspec.json.encode(body), {"Content-Type": "application/json"})


def test_a_policy_is_tested_before_it_is_saved_then_saved_and_run(server: Server, admin: Client) -> None:
    admin.push("retain/api", ONE, "1", "stable")
    admin.push("retain/api", TWO, "2")
    for digest in (ONE.digest, TWO.digest):
        age(server, "retain/api", digest, 40)
    where = f"/api/v1/images/{find(admin, 'images', 'retain/api')}"
    rules: dict[str, object] = {"old": True, "oldDays": 30, "keepPatterns": ["2*"]}

    counted = tags_deleted(admin)

    tested = ask(admin, f"{where}/retention-tests", {"policy": rules, "showKept": True}).expect(200).decode(Forecast)
    simulated = ask(admin, f"{where}/retention-simulations", {"policy": rules}).expect(200).decode(Simulated)
    refused = ask(admin, f"{where}/retention-runs", {}).expect(409)
    assert admin.list_tags("retain/api") == ["1", "2", "stable"]
    change(admin, where, {"policy": {"tagDeletion": {**rules, "enabled": True}}}).expect(200)
    job = ask(admin, f"{where}/retention-runs", {}).expect(202).decode(Job)
    while job.state not in ("done", "failed"):
        job = admin.get(f"/api/v1/jobs/{job.id}?wait=10").expect(200).decode(Job)

    assert [(one.digest, one.tags, one.reason) for one in tested.deleted] == [(ONE.digest, ["1", "stable"], "old")]
    assert [(one.digest, one.text) for one in tested.kept] == [(TWO.digest, "tag 2 matches a pattern to keep")]
    assert (tested.manifests, tested.tags, tested.kept_by_reason) == (1, 2, {"pattern": 1})
    assert tested.freed == sum(len(blob.data) for blob in ONE.blobs if blob not in TWO.blobs)
    assert (simulated.tags, simulated.kept_tags, simulated.freed) == (3, 1, tested.freed)
    assert simulated.course
    assert "tag deletion of retain/api is off" in problem(refused.body).detail
    assert job.report is not None
    assert (job.state, job.report["manifests"], job.report["tags"]) == ("done", 1, 2)
    assert job.about == "retain/api"
    assert admin.list_tags("retain/api") == ["2"]
    assert tags_deleted(admin) == counted + 2
    admin.request("POST", f"/api/v1/deletions/{job.report['undo']}/undo", b"").expect(200)
    assert admin.list_tags("retain/api") == ["1", "2", "stable"]


def test_a_wrong_policy_is_a_400_that_says_what(admin: Client) -> None:
    admin.push("retain/wrong", ONE, "1")
    where = f"/api/v1/images/{find(admin, 'images', 'retain/wrong')}"

    for route in ("retention-tests", "retention-simulations"):
        reply = ask(admin, f"{where}/{route}", {"policy": {"oldDays": 0}}).expect(400)
        assert "tagDeletion.oldDays is 0" in problem(reply.body).detail


def test_an_image_is_being_edited_while_tag_deletion_is_at_it(server: Server, admin: Client) -> None:
    admin.push("edited/api", ONE, "1")
    admin.push("edited/web", ONE, "1")
    image = find(admin, "images", "edited/api")

    def states() -> dict[str, str]:
        listed = admin.get("/api/v1/images?repository=edited").expect(200).decode(dict[str, object])["items"]
        return {one.path: one.state for one in msgspec.convert(listed, list[State])}

    seen = []
    for state in ("waiting", "running", "done"):
        pretend(server, image, state)
        seen.append(states())

    idle = {"edited/api": "Active", "edited/web": "Active"}
    assert seen == [idle, {**idle, "edited/api": "Editing"}, idle]
