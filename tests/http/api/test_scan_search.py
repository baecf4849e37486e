"""Search over scans, and accepted findings: by the API, for those who may see and say it."""

import json
import time
from pathlib import Path

import msgspec
import pytest

from appliance.cli.main import main
from tests import make
from tests.cli.test_scan import DEBIAN, shelf  # noqa: F401 - a fixture
from tests.http.api.conftest import JSON, find
from tests.make.client import Client
from tests.make.server import Server

DEADLINE_S = 60.0  # far more than a scan takes
ADDRESS = "/api/v1/accepted-findings"


@pytest.fixture(scope="module")
def known(server: Server, shelf: Path) -> str:  # noqa: F811 - the fixture
    """Let the server have vulnerability data and an image; return the worst vulnerability of it."""
    door = ["--data-dir", str(server.data)]
    assert main(["vulndb", "import", str(shelf), *door]) == 0
    with server.client(user="admin", password="correct horse") as client:  # noqa: S106 - of users of one test
        client.push("search/debian", DEBIAN, "10")
    assert main(["scan", "search/debian:10", *door]) == 0
    with server.client(user="admin", password="correct horse") as client:  # noqa: S106
        rows = json.loads(client.get(f"{scan_of(client)}/vulnerabilities?limit=1").expect(200).body)
    return str(rows["items"][0]["id"])


def scan_of(client: Client) -> str:
    return f"/api/v1/images/{find(client, 'images', 'search/debian')}/manifests/{DEBIAN.digest}/scan"


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    "query", ["packages?name=bash", "packages?name=ba*", "files?q=/var/lib/dpkg/status", "files?q=os-release"]
)
def test_images_are_found_by_what_is_in_them_by_those_who_may_see_them(
    viewer: Client, nobody: Client, query: str
) -> None:
    found = json.loads(viewer.get(f"/api/v1/search/{query}").expect(200).body)["items"]
    unseen = json.loads(nobody.get(f"/api/v1/search/{query}").expect(200).body)["items"]

    assert found
    assert all(hit["images"][0]["path"] == "search/debian" for hit in found)
    assert all(hit["images"][0]["tags"] == ["10"] for hit in found)
    assert unseen == []


def test_images_are_found_by_vulnerability_and_by_the_content_of_a_file(viewer: Client, known: str) -> None:
    by_id = json.loads(viewer.get(f"/api/v1/search/vulnerabilities?id={known}").expect(200).body)["items"]
    one = json.loads(viewer.get("/api/v1/search/files?q=/var/lib/dpkg/status").expect(200).body)["items"][0]
    by_content = json.loads(viewer.get(f"/api/v1/search/files?q={one['sha256']}").expect(200).body)["items"]

    assert [hit["vulnerability"] for hit in by_id] == [known]
    assert by_content == [one]


def test_a_search_for_nothing_finds_nothing_and_one_for_everything_is_refused(viewer: Client) -> None:
    assert json.loads(viewer.get("/api/v1/search/files?q=").expect(200).body)["items"] == []
    viewer.get("/api/v1/search/files?q=*").expect(400)


def until_counted(client: Client, critical: int) -> None:
    """Wait until the list of manifests counts so many critical findings."""
    begun = time.monotonic()
    image = find(client, "images", "search/debian")
    while True:
        brief = json.loads(client.get(f"/api/v1/images/{image}/manifests").expect(200).body)["items"][0]["scan"]
        if {count["severity"]: count["counted"] for count in brief["counts"]}.get("critical", 0) == critical:
            return
        assert time.monotonic() - begun < DEADLINE_S, brief


def accept(client: Client, **order: object) -> str:
    reply = client.request("POST", ADDRESS, msgspec.json.encode(order), JSON).expect(201)
    return str(json.loads(reply.body)["id"])


def test_what_is_accepted_is_told_does_not_count_and_counts_again_once_reopened(admin: Client, known: str) -> None:
    image = find(admin, "images", "search/debian")
    rows = json.loads(admin.get(f"{scan_of(admin)}/vulnerabilities?limit=1000").expect(200).body)["items"]
    critical = sum(row["severity"] == "critical" for row in rows)
    affected = sum(row["id"] == known for row in rows)

    made = accept(admin, vulnerability=known.lower(), image=image, reason="not reachable here")
    told = json.loads(admin.get(f"{scan_of(admin)}/vulnerabilities?counted=false").expect(200).body)["items"]
    until_counted(admin, critical - affected)
    listed = json.loads(admin.get(ADDRESS).expect(200).body)["items"]
    admin.request("DELETE", f"{ADDRESS}/{made}").expect(204)
    until_counted(admin, critical)

    assert {(row["id"], row["excluded"], row["acceptance"]["reason"]) for row in told} == {
        (known, "accepted", "not reachable here")
    }
    assert [(one["id"], one["where"]) for one in listed] == [(made, "search/debian")]


def test_an_acceptance_lifts_a_pull_limit_and_its_end_brings_it_back(admin: Client, known: str) -> None:
    image = find(admin, "images", "search/debian")
    rows = json.loads(admin.get(f"{scan_of(admin)}/vulnerabilities?severity=critical&limit=1000").expect(200).body)
    limit = {"policy": {"pullLimit": {"refuseCritical": True, "critical": len(rows["items"])}}}
    admin.request("PATCH", f"/api/v1/images/{image}", json.dumps(limit).encode(), JSON).expect(200)
    refused = admin.get_manifest("search/debian", "10")

    made = accept(admin, vulnerability=known, image=image, reason="fixed upstream")
    begun = time.monotonic()
    while admin.get_manifest("search/debian", "10").status != 200:
        assert time.monotonic() - begun < DEADLINE_S
    admin.request("DELETE", f"{ADDRESS}/{made}").expect(204)
    begun = time.monotonic()
    while admin.get_manifest("search/debian", "10").status != 403:
        assert time.monotonic() - begun < DEADLINE_S

    assert refused.status == 403
    off = json.dumps({"policy": {"pullLimit": {"refuseCritical": False}}}).encode()
    admin.request("PATCH", f"/api/v1/images/{image}", off, JSON).expect(200)


@pytest.mark.parametrize(
    "order",
    [
        {"vulnerability": "CVE-1"},
        {"vulnerability": "", "reason": "x"},
        {"vulnerability": "CVE-1", "reason": " "},
        {"vulnerability": "CVE-1", "reason": "x", "expiresAt": "2020-01-01T00:00:00Z"},
        {"vulnerability": "CVE-1", "reason": "x", "expiresAt": "9999-12-31T23:59:59.999999Z"},
        {"vulnerability": "CVE-1", "reason": "x", "image": "a", "repository": "b"},
    ],
)
def test_an_acceptance_that_says_too_little_is_refused(admin: Client, order: dict[str, str]) -> None:
    admin.request("POST", ADDRESS, json.dumps(order).encode(), JSON).expect(400)


def test_who_may_not_manage_accepts_nothing(admin: Client, viewer: Client, nobody: Client) -> None:
    admin.push("search/other", make.image([{"a": b"1"}]), "1")
    order = {"vulnerability": "CVE-1", "reason": "x", "image": find(admin, "images", "search/other")}

    for client, status in ((viewer, 403), (nobody, 404)):
        client.request("POST", ADDRESS, json.dumps(order).encode(), JSON).expect(status)
    viewer.request("POST", ADDRESS, json.dumps({"vulnerability": "CVE-1", "reason": "x"}).encode(), JSON).expect(403)
    made = accept(admin, **order)
    viewer.request("DELETE", f"{ADDRESS}/{made}").expect(403)
    nobody.request("DELETE", f"{ADDRESS}/{made}").expect(404)
