"""Whatever the description of the management API allows is answered as it says, and nothing is a mistake of ours."""

from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from appliance.http.api.app import describe_api
from appliance.services.keys import hash_password
from tests.fuzz.conftest import sized
from tests.http.api import accounts
from tests.http.api.conftest import PASSWORD, List, find
from tests.http.api.test_registries import make
from tests.make import images
from tests.make.client import Client
from tests.make.server import Server

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
DOCUMENT = msgspec.json.decode(describe_api(), type=dict[str, Any])
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = sorted((method, path) for path, methods in DOCUMENT["paths"].items() for method in methods)
SPOILABLE = [  # in the path, every text is an id
    (method, path)
    for method, path in OPERATIONS
    if "requestBody" in DOCUMENT["paths"][path][method]
    or any(one["in"] == "query" for one in DOCUMENT["paths"][path][method].get("parameters", []))
]
SLOWED = (  # wrong secrets wait longer each time
    "/api/v1/session",
    "/api/v1/self/password",
    "/api/v1/first-administrator",
)
IMAGE = images.image([{"etc/motd": b"hello"}])


@pytest.fixture(scope="module")
def server_config() -> str:
    user = f'name = "admin"\npassword_hash = "{hash_password(PASSWORD)}"\npolicies = ["ScrFullAccess"]'
    return f"[[user]]\n{user}\n"


@pytest.fixture(scope="module")
def ids(server: Server) -> dict[str, str]:
    """What the parameters of paths may be, so that routes are asked for things that are there."""
    with server.client(user="admin", password=PASSWORD) as admin:
        admin.push("pay/api", IMAGE, "1", "2")
        registry = make(admin, "fuzzed")
        admin.push("gone/api", IMAGE, "1")
        admin.delete(f"/api/v1/images/{find(admin, 'images', 'gone/api')}").expect(204)
        job = admin.request("POST", "/api/v1/jobs", b'{"kind": "gc"}').expect(202)
        return {
            "registry_id": registry.id,
            "repository_id": find(admin, "repositories", "pay"),
            "image_id": find(admin, "images", "pay/api"),
            "deletion_id": admin.get("/api/v1/deletions").expect(200).decode(List).items[0].id,
            "job_id": msgspec.json.decode(job.body, type=dict[str, Any])["id"],
            "digest": IMAGE.digest,
            "tag": "1",
            "endpoint": "private",
            **_accounts(admin),
        }


def _accounts(admin: Client) -> dict[str, str]:
    """Return the ids of somebody of each sort."""
    load = {"load": {"policy": "ScrPullOnlyAccess"}}
    policy = accounts.make(admin, "policies", name="fuzzed", **load)
    user = accounts.make(admin, "users", name="fuzzed")
    key = accounts.make(admin, "access-keys", owner="user:fuzzed", name="fuzzed")
    return {
        "user_id": user["id"],
        "role_id": accounts.make(admin, "roles", name="fuzzed")["id"],
        "group_id": accounts.make(admin, "groups", name="fuzzed")["id"],
        "policy_id": policy["id"],
        "kind": "user",
        "holder_id": user["id"],
        "access_key": key["accessKey"],
    }


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_what_a_route_allows_is_answered_as_described(
    server: Server, ids: dict[str, str], method: str, path: str
) -> None:
    _ask(server, ids, method, path, GenerationMode.POSITIVE)


@pytest.mark.parametrize(("method", "path"), SPOILABLE)
def test_what_a_route_does_not_allow_is_refused_as_described(
    server: Server, ids: dict[str, str], method: str, path: str
) -> None:
    _ask(server, ids, method, path, GenerationMode.NEGATIVE)


def _ask(server: Server, ids: dict[str, str], method: str, path: str, mode: GenerationMode) -> None:
    """Send requests of that mode to the route; every answer is as described, and the log has no mistake of ours."""
    operation = SCHEMA[path][method]

    slowed = path in SLOWED

    @settings(sized(2, 3) if slowed else sized(3, 100), phases=[Phase.generate], suppress_health_check=[*HealthCheck])
    @given(case=operation.as_strategy(generation_mode=mode), is_there=st.booleans())
    def ask(case: Case[Any], is_there: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        if is_there and method != "delete":
            case.path_parameters.update({name: ids[name] for name in case.path_parameters if name in ids})
        with requests.Session() as session:
            session.trust_env = False
            response = case.call(base_url=server.url, session=session, auth=("admin", PASSWORD), timeout=60)
            case.validate_response(response, checks=CHECKS)

    cast("Callable[[], None]", ask)()

    assert [line for line in server.log if "request.failed" in line] == []
