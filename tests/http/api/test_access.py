"""No route without a check: walked by somebody who may nothing, and by somebody who may only look."""

import json
import time
from collections.abc import Iterator

import msgspec
import pytest

from appliance import errors
from appliance.domain.job import JobId
from appliance.domain.moment import Timestamp
from appliance.errors import ScrError
from appliance.http.api import problem as problems
from appliance.http.api.app import make_app
from appliance.http.health import Health
from appliance.http.meter import Meter
from appliance.http.running import Running
from tests.http.api.conftest import JSON, PASSWORD, Item, List, find, problem
from tests.make import images
from tests.make.client import Client, why
from tests.make.server import Server
from tests.scan.test_vex import document

OPEN = {"/health/live", "/health/ready"}  # probes know no password and learn nothing
IMAGE = images.image([{"etc/motd": b"hidden"}])
_IMAGES = "/api/v1/images/{image_id:str}"
PULLED = {f"{_IMAGES}/manifests/{{digest:str}}/scan/file"}  # as the right to pull, which is no look
LOOKS = {
    f"{_IMAGES}/retention-tests",
    f"{_IMAGES}/retention-simulations",
    "/api/v1/explain",
}  # POSTs that change nothing
BODIES = {  # what a route takes that needs more than an empty order
    ("PATCH", f"{_IMAGES}/tags/{{tag:str}}"): b'{"locked": true}',
    ("PUT", f"{_IMAGES}/tags/{{tag:str}}"): b'{"digest": "%b"}' % IMAGE.digest.encode(),
    ("POST", f"{_IMAGES}/manifests/deletions"): b'{"digests": ["%b"]}' % IMAGE.digest.encode(),
    ("POST", f"{_IMAGES}/manifests/locks"): b'{"digests": ["%b"], "locked": true}' % IMAGE.digest.encode(),
    ("POST", "/api/v1/registries"): b'{"name": "other"}',
    ("POST", "/api/v1/repositories"): b'{"name": "other"}',
    **dict.fromkeys(
        (
            (method, f"{path}{rest}")
            for path in (
                "/api/v1/allowlists/management",
                "/api/v1/registries/{registry_id:str}/allowlists/{endpoint:str}",
            )
            for method, rest in (("PUT", ""), ("POST", "/check"))
        ),
        b'{"text": ""}',
    ),
    ("POST", "/api/v1/allowlists/management/entries"): b'{"entry": "192.0.2.7"}',
    ("POST", "/api/v1/registries/{registry_id:str}/allowlists/{endpoint:str}/entries"): b'{"entry": "192.0.2.7"}',
}
ABSENT = {"/api/v1/vulndb/vulnerabilities/{vulnerability:str}"}  # what a server without vulnerability data knows not
BODIES |= {
    ("POST", "/api/v1/users"): b'{"name": "other"}',
    ("POST", "/api/v1/users/imports"): b'{"htpasswd": ""}',
    ("PUT", "/api/v1/users/{user_id:str}/password"): b'{"password": null}',
    ("POST", "/api/v1/roles"): b'{"name": "other"}',
    ("POST", "/api/v1/groups"): b'{"name": "other"}',
    ("POST", "/api/v1/policies"): b'{"name": "other", "load": {"policy": "ScrFullAccess"}}',
    ("POST", "/api/v1/access-keys"): b'{"owner": "user:other", "name": "other"}',
}
BODIES[("POST", "/api/v1/accepted-findings")] = b'{"vulnerability": "CVE-2026-1", "reason": "x"}'
BODIES[("POST", "/api/v1/accepted-findings/documents")] = json.dumps({"document": document().decode()}).encode()
OPEN |= {"/api/v1/defaults"}  # the words of the documentation, for whoever signed in
OPEN |= {
    "/api/v1/session",
    "/api/v1/self",
    "/api/v1/self/password",
    "/api/v1/first-administrator",
}  # everybody's own: it needs no right, and shows and ends nothing of others


class Key(msgspec.Struct, frozen=True, rename="camel"):
    """An access key."""

    access_key: str


class Keys(msgspec.Struct, frozen=True):
    """A page of them."""

    items: list[Key]


class _Described(msgspec.Struct, frozen=True):
    openapi: str
    paths: dict[str, dict[str, object]]


DEADLINE_S = 60.0  # far more than a scan takes


def routes() -> list[tuple[str, str]]:
    """Return method and path of every route there is, described or not."""

    async def ready() -> Health:
        return Health("ready", ())

    async def settled(_: JobId) -> None:
        return

    running = Running(Timestamp(0), tuple, str, ready, settled, tuple)
    app = make_app(None, running, None, Meter(), None)  # type: ignore[arg-type]  # no handler runs
    return sorted(
        (method, route.path)
        for route in app.routes
        for method in getattr(route, "methods", ())
        if method != "OPTIONS" and route.path not in OPEN
    )


def address(method: str, path: str, ids: dict[str, str]) -> str:
    for name, value in ids.items():
        path = path.replace(f"{{{name}:str}}", value)
    assert "{" not in path, f"the test knows no value for {path}"
    if (method, path.rpartition("/")[2]) == ("DELETE", "entries"):
        return f"{path}?entry=192.0.2.7"
    if path.endswith("/scan/file"):
        return f"{path}?path=etc/motd"
    return path + ("?path=hidden/api" if path == "/api/v1/tags" else "")


def body(method: str, path: str) -> bytes | None:
    """Return a body that the route can read."""
    return BODIES.get((method, path), b"{}") if method in ("POST", "PUT", "PATCH") else None


@pytest.fixture
def ids(server: Server, admin: Client) -> dict[str, str]:
    admin.push("hidden/api", IMAGE, "1", "gone")
    admin.delete("/v2/hidden/api/manifests/gone").expect(202)
    until_scanned(admin, find(admin, "images", "hidden/api"))
    with server.client(user="viewer", password=PASSWORD) as viewer:
        refusal = why(viewer.get_manifest("hidden/api", "1").expect(403).body)
    return {
        "refusal_id": refusal,
        "repository_id": find(admin, "repositories", "hidden"),
        "registry_id": find(admin, "registries", "local"),
        "image_id": find(admin, "images", "hidden/api"),
        "tag": "1",
        "digest": IMAGE.digest,
        "deletion_id": admin.get("/api/v1/deletions?path=hidden/api").expect(200).decode(List).items[0].id,
        "job_id": admin.request("POST", "/api/v1/jobs", b'{"kind": "gc"}', JSON).expect(202).decode(Item).id,
        "endpoint": "private",
        "name": "alpine",
        "vulnerability": "CVE-2024-3094",
        "acceptance": accepted(admin),
        "document": imported(admin),
        "before": IMAGE.digest,
        **accounts(admin),
    }


def until_scanned(admin: Client, image: str) -> None:
    """Wait until there is a result of the image's scan."""
    begun = time.monotonic()
    while not json.loads(admin.get(f"/api/v1/images/{image}/manifests/{IMAGE.digest}/scan").body)["matchedAt"]:
        assert time.monotonic() - begun < DEADLINE_S


def accepted(admin: Client) -> str:
    """Return the id of a finding that is accepted in the image."""
    order = {"vulnerability": "CVE-2026-1", "reason": "not reachable", "image": find(admin, "images", "hidden/api")}
    return (
        admin.request("POST", "/api/v1/accepted-findings", json.dumps(order).encode(), JSON).expect(201).decode(Item).id
    )


def imported(admin: Client) -> str:
    """Return the id of a document that was imported for the image."""
    order = {"document": document().decode(), "image": find(admin, "images", "hidden/api")}
    address = "/api/v1/accepted-findings/documents"
    reply = admin.request("POST", address, json.dumps(order).encode(), JSON).expect(201)
    return str(json.loads(reply.body)["document"]["id"])


def accounts(admin: Client) -> dict[str, str]:
    """Return the ids of somebody of each sort; made once, for the server stays."""
    kinds = {"users": "user_id", "roles": "role_id", "groups": "group_id", "policies": "policy_id"}
    for kind in kinds:
        load = b', "load": {"policy": "ScrFullAccess"}' if kind == "policies" else b""
        admin.request("POST", f"/api/v1/{kind}", b'{"name": "hidden"%b}' % load, JSON).expect(201, 409)
    found = {name: find(admin, kind, "hidden") for kind, name in kinds.items()}
    order = b'{"owner": "user:hidden", "name": "hidden"}'
    admin.request("POST", "/api/v1/access-keys", order, JSON).expect(201, 409)
    keys = admin.get("/api/v1/access-keys?owner=user:hidden").expect(200).decode(Keys).items
    return {**found, "kind": "user", "holder_id": found["user_id"], "access_key": keys[0].access_key}


def test_there_are_routes_to_walk() -> None:
    assert len(routes()) >= 13


@pytest.mark.parametrize(("method", "path"), routes())
def test_who_may_nothing_sees_and_changes_nothing(
    admin: Client, nobody: Client, ids: dict[str, str], method: str, path: str
) -> None:
    reply = nobody.request(method, address(method, path, ids), body(method, path))

    if reply.status == 200:
        assert reply.decode(List).items == []
    else:
        assert reply.status in (403, 404)
        assert "hidden" not in problem(reply.body).detail.replace("repository/hidden/image/api", "")
    admin.get_manifest("hidden/api", "1").expect(200)


@pytest.mark.parametrize(
    ("method", "path"), [route for route in routes() if route[0] != "GET" and route[1] not in LOOKS]
)
def test_who_may_only_look_changes_nothing(
    admin: Client, viewer: Client, ids: dict[str, str], method: str, path: str
) -> None:
    query = {"repositories": "?confirm=hidden", "registries": "?confirm=local"}.get(path.split("/")[3], "")
    query = query if method == "DELETE" else ""

    reply = viewer.request(method, address(method, path, ids) + query, body(method, path)).expect(403)

    assert problem(reply.body).type == "urn:scr:problem:access-denied"
    admin.get_manifest("hidden/api", "1").expect(200)


@pytest.mark.parametrize(("method", "path"), [route for route in routes() if route[0] == "GET"])
def test_who_may_look_sees(viewer: Client, ids: dict[str, str], method: str, path: str) -> None:
    status = 404 if path in ABSENT else 403 if path in PULLED else 200

    reply = viewer.request(method, address(method, path, ids)).expect(status)

    assert reply.body


def test_an_id_that_may_not_be_seen_answers_like_one_that_is_not_there(nobody: Client, ids: dict[str, str]) -> None:
    hidden = nobody.get(f"/api/v1/images/{ids['image_id']}")
    absent = nobody.get("/api/v1/images/aaaaaaaaaa")

    assert (hidden.status, absent.status) == (404, 404)
    assert hidden.body.replace(ids["image_id"].encode(), b"") == absent.body.replace(b"aaaaaaaaaa", b"")


def test_the_description_lists_every_route_of_the_api_and_names_no_other_host(admin: Client) -> None:
    reply = admin.get("/api/schema").expect(200)

    described = reply.decode(_Described)
    known = {(method.upper(), path) for path, methods in described.paths.items() for method in methods}
    of_all = {(method, path.replace(":str}", "}")) for method, path in routes() if path.startswith("/api/v1/")}
    own = {
        ("GET", "/api/v1/self"),
        ("PUT", "/api/v1/self/password"),
        ("GET", "/api/v1/defaults"),
        ("POST", "/api/v1/first-administrator"),
    }
    assert known == of_all | own | {(method, "/api/v1/session") for method in ("GET", "POST", "DELETE")}
    assert b"//" not in reply.body


def leaves(kind: type[ScrError]) -> Iterator[type[ScrError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from leaves(below)


@pytest.mark.parametrize("kind", list(leaves(ScrError)), ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_and_a_name_of_its_own(kind: type[ScrError]) -> None:
    error = kind("why", 7) if issubclass(kind, errors.OutOfRange) else kind("why")

    status, headers, body = problems.answer_to(error)

    assert kind in problems.STATUSES or any(above in problems.STATUSES for above in kind.__mro__[1:-3])
    assert 400 <= status <= 599
    assert (b"content-type", b"application/problem+json") in headers
    assert problem(body).detail == "why"
