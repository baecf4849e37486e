"""OpenVEX documents by the API: imported where one may accept, told with each finding, withdrawn."""

import json
from typing import Any

import pytest

from tests.cli.test_scan import shelf
from tests.http.api.conftest import JSON, find, problem
from tests.http.api.test_scan_search import ADDRESS, known, scan_of, until_counted
from tests.http.api.test_scans import IMAGE
from tests.make.client import Client
from tests.scan.test_vex import document, statement

__all__ = ["known", "shelf"]  # fixtures
DOCUMENTS = f"{ADDRESS}/documents"


def take(client: Client, text: bytes, status: int = 201, **where: str) -> Any:  # noqa: ANN401 - JSON
    order = json.dumps({"document": text.decode(), **where}).encode()
    return json.loads(client.request("POST", DOCUMENTS, order, JSON).expect(status).body)


def test_what_the_registry_writes_another_place_reads_and_the_pull_limit_follows(admin: Client, known: str) -> None:
    image = find(admin, "images", "search/debian")
    rows = json.loads(admin.get(f"{scan_of(admin)}/vulnerabilities?limit=1000").expect(200).body)["items"]
    critical = sum(row["severity"] == "critical" for row in rows)
    affected = sum(row["id"] == known for row in rows)
    order = {"vulnerability": known, "image": image, "reason": "not reachable here"}
    made = json.loads(admin.request("POST", ADDRESS, json.dumps(order).encode(), JSON).expect(201).body)["id"]
    written = admin.get(f"{scan_of(admin)}/export?form=openvex").expect(200).body
    admin.request("DELETE", f"{ADDRESS}/{made}").expect(204)
    until_counted(admin, critical)

    taken = take(admin, written, registry=find(admin, "registries", "local"))
    until_counted(admin, critical - affected)
    told = json.loads(admin.get(f"{scan_of(admin)}/vulnerabilities?counted=false").expect(200).body)["items"]
    listed = json.loads(admin.get(f"{ADDRESS}?limit=1000").expect(200).body)["items"]
    again = take(admin, written, registry=find(admin, "registries", "local"))
    admin.request("DELETE", f"{DOCUMENTS}/{taken['document']['id']}").expect(204)
    until_counted(admin, critical)

    assert (taken["isNew"], taken["accepted"], again["isNew"], taken["untaken"]) == (True, affected, False, [])
    name = json.loads(written)["@id"]
    assert {(row["id"], row["acceptance"]["reason"], row["acceptance"]["document"]) for row in told} == {
        (known, "not reachable here", name)
    }
    assert {(one["origin"]["document"], one["origin"]["author"], one["where"]) for one in listed} == {
        (name, "scr", "local")
    }
    assert all(one["product"].startswith("sha256:") and one["package"].startswith("pkg:deb/") for one in listed)
    assert json.loads(admin.get(DOCUMENTS).expect(200).body)["items"] == []
    assert json.loads(admin.get(ADDRESS).expect(200).body)["items"] == []


def test_a_document_counts_where_one_may_accept_only(admin: Client, viewer: Client, nobody: Client) -> None:
    admin.push("vex/app", IMAGE, "1")
    image = find(admin, "images", "vex/app")
    text = document(statement())

    take(viewer, text, 403, image=image)
    take(viewer, text, 403)
    take(nobody, text, 404, image=image)
    taken = take(admin, text, image=image)["document"]
    seen = json.loads(viewer.get(DOCUMENTS).expect(200).body)["items"]
    viewer.request("DELETE", f"{DOCUMENTS}/{taken['id']}").expect(403)
    nobody.request("DELETE", f"{DOCUMENTS}/{taken['id']}").expect(404)

    assert [(one["where"], one["author"], one["version"]) for one in seen] == [("vex/app", "Somebody", 1)]
    assert json.loads(admin.get(f"{DOCUMENTS}?registry=*").expect(200).body)["items"] == []
    admin.request("DELETE", f"{DOCUMENTS}/{taken['id']}").expect(204)
    admin.request("DELETE", f"{DOCUMENTS}/{taken['id']}").expect(404)


def test_what_cannot_be_taken_is_told(admin: Client) -> None:
    whole = take(admin, document(statement(products=[{"@id": "x"}]), **{"@id": "told"}))
    other = take(admin, document(statement(), **{"@id": "told"}), 409)
    wrong = take(admin, b"{}", 400)

    assert whole["untaken"] == [{"statement": 1, "reason": "'x' is neither a package URL nor a digest"}]
    assert "imported with another text" in other["detail"]
    assert wrong["type"] == "urn:scr:problem:vex-invalid"
    admin.request("DELETE", f"{DOCUMENTS}/{whole['document']['id']}").expect(204)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (document(author="a" * (9 << 20)), 400),
        (document(author="a" * (17 << 20)), 413),
        (b'{"@context": "https://openvex.dev/ns", "a": ' + b"[" * 1_000_000, 400),
    ],
    ids=["long", "longer", "deep"],
)
def test_a_document_without_end_is_refused_and_the_server_goes_on(admin: Client, text: bytes, status: int) -> None:
    order = json.dumps({"document": text.decode()}).encode()

    reply = admin.request("POST", DOCUMENTS, order, JSON).expect(status)

    assert problem(reply.body).detail
    admin.get("/api/v1/status").expect(200)
