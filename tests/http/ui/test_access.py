"""The access matrix on the pages: every one, as somebody who may nothing and as somebody who may only look."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from litestar import Litestar

from appliance.http.ui.pages import make_console
from tests import make
from tests.http.ui.asking import ask, send, sign_in
from tests.make.accounts import Member
from tests.make.server import Server
from tests.scan.test_vex import document, statement

PASSWORD = "correct horse"  # noqa: S105 - of users that the test makes
OWN = {"/", "/language", "/sign-in", "/sign-out", "/self", "/self/password", "/search", "/static/{name:str}"}
LOOKING = {  # forms that change nothing: no tag is locked
    "/images/{image_id:str}/delete-tags/preview",
    "/images/{image_id:str}/lock-tags/preview",
    "/images/{image_id:str}/unlock-tags/preview",
}
PULLING = "/images/{image_id:str}/manifests/{digest:str}/files/view"  # as the right to pull, which a viewer has not
IMAGE = make.image([{"etc/motd": b"hidden"}])


def routes() -> list[tuple[str, str]]:
    """Return method and path of every page."""
    nothing: Any = None  # no handler runs
    console = make_console(nothing, nothing, nothing)
    cells = [cell.cell_contents for cell in console.__closure__ or ()]
    app = next(one for one in cells if isinstance(one, Litestar))
    return sorted(
        (method, route.path)
        for route in app.routes
        for method in getattr(route, "methods", ())
        if method in {"GET", "POST"} and route.path not in OWN
    )


@pytest.fixture(scope="module")
def members() -> Sequence[Member]:
    return (
        Member("ann", ("ScrFullAccess",), password=PASSWORD),
        Member("viewer", ("ScrViewOnlyAccess",), password=PASSWORD),
        Member("nobody", password=PASSWORD),
    )


@pytest.fixture(scope="module")
def cookies(server: Server) -> dict[str, str]:
    """A session of each."""
    return {name: sign_in(server, name, PASSWORD) for name in ("ann", "viewer", "nobody")}


@pytest.fixture(scope="module")
def ids(server: Server, cookies: dict[str, str]) -> dict[str, str]:
    """Something of each kind, called hidden, and its id."""
    ann = cookies["ann"]

    def made(path: str, **fields: str) -> str:
        answer = send(server, path, Cookie=ann, **fields)
        assert answer.status in {201, 303}, answer.text
        return answer.headers.get("location", "").rpartition("/")[2]

    key = send(server, "/access-keys", Cookie=ann, owner="user:ann", name="hidden-key")
    access_key, secret = re.findall(r'<span class="mono">([^<]+)</span>', key.text)[:2]
    with server.client(user=access_key, password=secret) as client:
        client.push("hidden/api", IMAGE, "hidden-tag")
        image = re.search(rb'"id":"([a-z0-9]+)"', client.get("/api/v1/images?path=hidden/api").expect(200).body)
        client.push("hidden/gone", IMAGE, "1")
        client.delete(f"/v2/hidden/gone/manifests/{IMAGE.digest}").expect(202)
        deletion = re.search(rb'"id":"([a-z0-9]+)"', client.get("/api/v1/deletions?path=hidden/gone").expect(200).body)
        repository = re.search(rb'"id":"([a-z0-9]+)"', client.get("/api/v1/repositories?path=hidden").expect(200).body)
    assert image is not None
    assert repository is not None
    assert deletion is not None
    found = {
        "deletion_id": deletion[1].decode(),
        "image_id": image[1].decode(),
        "repository_id": repository[1].decode(),
        "registry_id": made("/registries", name="hidden", visibility="private", endpoint="private"),
        "user_id": made("/users", name="hidden-user"),
        "group_id": made("/groups", name="hidden-group"),
        "role_id": made("/roles", name="hidden-role"),
        "policy_id": made("/policies", by="load", name="hidden-policy", policy="ScrViewOnlyAccess"),
        "job_id": made("/jobs", kind="gc"),
        "access_key": access_key,
        "digest": IMAGE.digest,
        "tag": "hidden-tag",
        "name": "local.private",
        "section": "description",
        "refusal_id": "0" * 32,
    }
    accepted = {"vulnerability": "CVE-2026-0001", "reason": "hidden", "where": "image"}
    made(f"/images/{found['image_id']}/manifests/{IMAGE.digest}/scan/accept", **accepted)
    listed = re.search(r"/accepted-findings/([a-z0-9]+)/reopen", ask(server, "/accepted-findings", Cookie=ann).text)
    assert listed is not None
    found["acceptance"] = listed[1]
    text = document(statement(products=[{"@id": "hidden"}]), **{"@id": "hidden"}).decode()
    made("/accepted-findings/documents", document=text, where="image", place="hidden/api")
    page = ask(server, "/accepted-findings/documents", Cookie=ann).text
    listed = re.search(r"/accepted-findings/documents/([a-z0-9]+)/withdraw", page)
    assert listed is not None
    found["document"] = listed[1]
    kinds = {"users": "user_id", "groups": "group_id", "roles": "role_id", "policies": "policy_id"}
    return {**found, **{f"{kind}/account_id": found[name] for kind, name in kinds.items()}}


def address(path: str, ids: dict[str, str]) -> str:
    kind = path.split("/")[1]
    path = path.replace("{account_id:str}", ids.get(f"{kind}/account_id", ids["access_key"]))
    for name, value in ids.items():
        path = path.replace(f"{{{name}:str}}", value)
    assert "{" not in path, f"the test knows no value for {path}"
    if path.endswith("/files/view"):
        return f"{path}?path=etc/motd"
    return f"{path}?digest={IMAGE.digest}" if path.endswith("/delete-tags") else path


def test_there_are_pages_to_walk() -> None:
    assert len(routes()) > 50


@pytest.mark.parametrize("path", [path for method, path in routes() if method == "GET"])
def test_who_may_nothing_sees_nothing(server: Server, cookies: dict[str, str], ids: dict[str, str], path: str) -> None:
    place = address(path, ids)

    answer = ask(server, place, Cookie=cookies["nobody"])

    assert answer.status in {200, 303, 403, 404}
    shown = answer.text.replace(place, "")
    assert "hidden" not in re.sub(
        r'visually-hidden|aria-hidden|type="hidden"|[a-z/]*/repository/hidden[a-z/]*', "", shown
    )


@pytest.mark.parametrize("name", ["viewer", "nobody"])
@pytest.mark.parametrize("path", [path for method, path in routes() if method == "POST" and path not in LOOKING])
def test_who_may_not_change_changes_nothing(
    server: Server, cookies: dict[str, str], ids: dict[str, str], path: str, name: str
) -> None:
    fields = {
        "name": "other",
        "kind": "gc",
        "confirm": "hidden",
        "owner": "user:ann",
        "by": "load",
        "tag": "hidden-tag",
    }

    answer = send(
        server, address(path, ids), Cookie=cookies[name], **fields, policy="ScrFullAccess", digest=IMAGE.digest
    )

    assert 400 <= answer.status < 500, answer.headers
    assert ask(server, f"/images/{ids['image_id']}", Cookie=cookies["ann"]).status == 200


@pytest.mark.parametrize("path", [path for method, path in routes() if method == "GET" and "refusal_id" not in path])
def test_who_may_look_sees(server: Server, cookies: dict[str, str], ids: dict[str, str], path: str) -> None:
    answer = ask(server, address(path, ids), Cookie=cookies["viewer"])

    assert answer.status in ({403} if path == PULLING else {200, 303}), answer.text
