"""Scans by the API: who may ask for them, what they tell, what is counted."""

import json
import time

import msgspec
import pytest

from tests import make
from tests.http.api.conftest import JSON, find, problem
from tests.make.client import Client

KEY = b"aws = AKIA" + b"QWERTYUIOPASDFGH" + b"\n"
APK = b"P:musl\nV:1.2.4-r0\nA:x86_64\no:musl\n\n"
FILES = {"etc/os-release": b"ID=alpine\nVERSION_ID=3.10.2\n", "lib/apk/db/installed": APK}
IMAGE = make.image([{**FILES, "srv/.env": KEY, "srv/clean.txt": b"nothing to see here\n"}])
DEADLINE_S = 60.0  # far more than a scan takes


class Shown(msgspec.Struct, rename="camel"):
    state: str
    packages: int
    secrets: int
    found: int
    limits: list[str]
    is_stale: bool
    refusal: str | None
    job: str | None


class Row(msgspec.Struct, rename="camel"):
    name: str = ""
    file: str = ""
    match: str = ""
    purl: str = ""
    id: str = ""


class Rows(msgspec.Struct):
    items: list[Row]
    next: str | None


def address(client: Client, path: str, manifest: make.Manifest = IMAGE) -> str:
    return f"/api/v1/images/{find(client, 'images', path)}/manifests/{manifest.digest}/scan"


def scanned(client: Client, path: str) -> Shown:
    """Return what is told of the image once its scan has ended."""
    begun = time.monotonic()
    while True:
        shown = client.get(address(client, path)).expect(200).decode(Shown)
        if shown.job is None and shown.state != "queued":
            return shown
        assert time.monotonic() - begun < DEADLINE_S, shown


def test_a_push_is_scanned_by_itself_and_told_in_three_ways(admin: Client) -> None:
    admin.push("scan/app", IMAGE, "1")

    shown = scanned(admin, "scan/app")
    where = address(admin, "scan/app")
    packages = admin.get(f"{where}/packages").expect(200).decode(Rows).items
    secrets = admin.get(f"{where}/secrets").expect(200).decode(Rows).items
    clean = admin.get(f"{where}/secrets?clean=true").expect(200).decode(Rows).items
    every = admin.get(f"{where}/secrets?all=true").expect(200).decode(Rows).items
    totals = json.loads(admin.get(f"{where}/secrets/totals").expect(200).body)
    vulnerabilities = admin.get(f"{where}/vulnerabilities?severity=high&sort=cvss").expect(200).decode(Rows).items

    assert (shown.state, shown.packages, shown.secrets, shown.limits) == ("no data", 1, 1, [])
    assert [(one.name, one.purl[:13]) for one in packages] == [("musl", "pkg:apk/alpin")]
    assert [one.file for one in secrets] == ["srv/.env"]
    assert "QWERTY" not in secrets[0].match
    assert "srv/clean.txt" in [one.file for one in clean]
    assert "srv/.env" not in [one.file for one in clean]
    assert every == [*secrets, *clean]
    assert totals == {
        "counts": [{"severity": "critical", "found": 1, "excluded": 0, "accepted": 0, "counted": 1}],
        "secrets": 1,
        "filesWithSecrets": 1,
        "filesWithout": len(clean),
    }
    assert vulnerabilities == []


def test_the_job_of_a_scan_is_about_the_image_and_ends_with_all_layers_read(admin: Client) -> None:
    image = make.image([FILES, {"srv/told": b"another layer\n"}])
    admin.push("scan/told", image, "1")
    page = json.loads(admin.get(f"/api/v1/jobs?kind=scan&subject={image.digest}").expect(200).body)

    job = json.loads(admin.get(f"/api/v1/jobs/{page['items'][0]['id']}?wait=10").expect(200).body)

    assert job["about"] == f"scan/told@{image.digest[:19]}"
    assert (job["state"], job["done"], job["total"]) == ("done", 2, 2)


def test_lists_of_manifests_tell_of_the_scan_in_few_words(admin: Client) -> None:
    admin.push("scan/listed", IMAGE, "1")
    scanned(admin, "scan/listed")

    page = admin.get(f"/api/v1/images/{find(admin, 'images', 'scan/listed')}/manifests").expect(200)
    brief = json.loads(page.body)["items"][0]["scan"]

    assert (brief["state"], brief["secrets"], brief["isStale"], brief["counts"]) == ("no data", 1, False, [])
    assert brief["scannedAt"]


def test_pages_follow_each_other(admin: Client) -> None:
    admin.push("scan/paged", IMAGE, "1")
    scanned(admin, "scan/paged")
    where = f"{address(admin, 'scan/paged')}/secrets?clean=true&limit=1"

    first = admin.get(where).expect(200).decode(Rows)
    second = admin.get(f"{where}&cursor={first.next}").expect(200).decode(Rows)

    assert first.next
    assert first.items != second.items


def test_where_a_policy_says_so_nothing_is_scanned_and_the_results_are_not_there(admin: Client) -> None:
    admin.push("quiet/app", IMAGE)
    order = json.dumps({"policy": {"scan": {"onPush": False}}}).encode()
    admin.request("PATCH", f"/api/v1/images/{find(admin, 'images', 'quiet/app')}", order, JSON).expect(200)
    other = make.image([{**FILES, "n": b"1"}])
    admin.push("quiet/app", other, "2")

    shown = admin.get(address(admin, "quiet/app", other)).expect(200).decode(Shown)
    lacking = admin.get(f"{address(admin, 'quiet/app', other)}/packages").expect(404)

    assert (shown.state, shown.job) == ("never", None)
    assert "has no scan of" in problem(lacking.body).detail


def test_up_to_fifty_are_ordered_together_and_what_cannot_be_is_told(admin: Client) -> None:
    admin.push("scan/order", IMAGE, "1")
    image = find(admin, "images", "scan/order")
    zeros = "sha256:" + "0" * 64

    reply = admin.request(
        "POST", f"/api/v1/images/{image}/scans", json.dumps({"tags": ["1"], "digests": [zeros]}).encode(), JSON
    ).expect(202)
    many = json.dumps({"digests": [f"sha256:{number:064x}" for number in range(51)]}).encode()

    assert json.loads(reply.body)["digests"] == [IMAGE.digest]
    assert json.loads(reply.body)["refused"] == [{"digest": zeros, "reason": "there is no such manifest"}]
    admin.request("POST", f"/api/v1/images/{image}/scans", many, JSON).expect(400)
    admin.request("POST", f"/api/v1/images/{image}/scans", b"{}", JSON).expect(400)


def test_who_may_not_scan_is_refused_and_counted(admin: Client, viewer: Client, nobody: Client) -> None:
    admin.push("scan/denied", IMAGE, "1")
    image = find(admin, "images", "scan/denied")
    order = json.dumps({"tags": ["1"]}).encode()

    def denied() -> float:
        text = admin.get("/metrics").expect(200).body.decode()
        lines = [line for line in text.splitlines() if "scr_image_scans_total" in line and 'outcome="denied"' in line]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    before = denied()
    viewer.request("POST", f"/api/v1/images/{image}/scans", order, JSON).expect(403)
    nobody.request("POST", f"/api/v1/images/{image}/scans", order, JSON).expect(404)
    viewer.get(address(viewer, "scan/denied")).expect(200)

    assert denied() == before + 1


def test_scans_that_were_accepted_are_counted(admin: Client) -> None:
    def allowed() -> float:
        text = admin.get("/metrics").expect(200).body.decode()
        lines = [line for line in text.splitlines() if "scr_image_scans_total" in line and 'outcome="allowed"' in line]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    before = allowed()
    admin.push("scan/counted", make.image([{"n": b"counted"}]), "1")
    begun = time.monotonic()

    while allowed() != before + 1:
        assert time.monotonic() - begun < DEADLINE_S


@pytest.mark.parametrize(("kind", "path"), [("repositories", "scan"), ("registries", "local")])
def test_all_of_a_repository_or_registry_is_one_job(admin: Client, viewer: Client, kind: str, path: str) -> None:
    admin.push("scan/wide", IMAGE, "1")
    where = f"/api/v1/{kind}/{find(admin, kind, path)}/scans"

    viewer.request("POST", where, b"", JSON).expect(403)
    job = json.loads(admin.request("POST", where, b"", JSON).expect(202).body)

    assert job["kind"] == "scan"
