"""Explain: every step with its rule, to who may know it, and by the command line."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence

import msgspec
import pytest

from appliance.domain.access import Holder
from tests import make
from tests.http.api.conftest import find
from tests.make.accounts import Key, Member
from tests.make.client import Client, Reply
from tests.make.server import ROOT, Server

IMAGE = make.image([{"etc/motd": b"hello"}])
VIEW = {"effect": "allow", "actions": ["ViewRegistry"], "resources": ["registry/local"]}
MEMBERS = (
    Member("admin", ["ScrFullAccess"]),
    Member("ann", ["ScrPullOnlyAccess"]),
    Member("ci", ["ScrPullPushOnlyAccess"], kind=Holder.ROLE),
    Member("curious", statements=[VIEW]),
    Member(
        "desk",
        statements=[VIEW, {"effect": "allow", "actions": ["ViewUser"], "resources": ["user/ann"]}],
    ),
    Member("nobody"),
)


class Step(msgspec.Struct, frozen=True):
    """One decision."""

    stage: str
    allowed: bool
    reason: str


class Explained(msgspec.Struct, frozen=True):
    """All of them."""

    allowed: bool
    principal: str
    steps: list[Step]


@pytest.fixture(scope="module")
def members() -> Sequence[Member]:
    return MEMBERS


@pytest.fixture
def admin(server: Server, keys: dict[str, Key]) -> Iterator[Client]:
    with server.client(user=keys["admin"].access_key, password=keys["admin"].secret_key) as client:
        yield client


def ask(client: Client, who: str, action: str, name: str = "", **more: str) -> Reply:
    body = msgspec.json.encode({"as": who, "action": action, "name": name, **more})
    return client.request("POST", "/api/v1/explain", body, {"Content-Type": "application/json"})


def explained(client: Client, who: str, action: str, name: str = "", **more: str) -> Explained:
    return ask(client, who, action, name, **more).expect(200).decode(Explained)


def test_every_step_stands_there_with_the_rule_that_decided(admin: Client) -> None:
    admin.push("pay/api", IMAGE, "1")

    found = explained(admin, "ann", "pull", "pay/api:1", **{"from": "192.0.2.7"})

    assert found.allowed
    assert found.principal == "user:ann"
    assert [step.stage for step in found.steps] == [
        "listener",
        "registry",
        "endpoint type",
        "allowlist",
        "authentication",
        "access policy",
        "access policy",
        "pull limit",
    ]
    reasons = "\n".join(step.reason for step in found.steps)
    assert "policy ScrPullOnlyAccess allows LoginContainerRegistry" in reasons
    assert "policy ScrPullOnlyAccess allows PullRepositoryImages" in reasons
    assert "access control of the private endpoint is off" in reasons


@pytest.mark.parametrize(
    ("who", "action", "name", "stage", "reason"),
    [
        ("ann", "push", "pay/api", "access policy", "no policy allows PushRepositoryImages"),
        ("user:ann", "delete", "pay/api:1", "access policy", "no policy allows DeleteRepositoryImages"),
        ("anonymous", "pull", "pay/api:1", "access policy", "no policy allows LoginContainerRegistry"),
        ("nobody", "login", "", "access policy", "no policy allows LoginContainerRegistry"),
        ("role:ci", "ManageRepository", "pay", "access policy", "no policy allows ManageRepository"),
    ],
)
def test_a_refusal_is_the_last_step(admin: Client, who: str, action: str, name: str, stage: str, reason: str) -> None:
    found = explained(admin, who, action, name)

    assert not found.allowed
    assert [step.allowed for step in found.steps] == [True] * (len(found.steps) - 1) + [False]
    assert (found.steps[-1].stage, found.steps[-1].reason) == (stage, reason)


def test_who_has_nothing_to_sign_in_with_is_told_so(admin: Client) -> None:
    content = {"Content-Type": "application/json"}
    admin.request("POST", "/api/v1/users", b'{"name": "bare", "policies": ["ScrFullAccess"]}', content).expect(201)

    last = explained(admin, "bare", "pull", "pay/api:1").steps[-1]

    assert (last.stage, last.allowed) == ("authentication", False)
    assert last.reason == "user:bare has neither a password nor an access key in force"


def test_an_access_key_is_explained_as_its_owner(admin: Client, keys: dict[str, Key]) -> None:
    found = explained(admin, keys["ci"].access_key, "push", "pay/api")

    assert (found.allowed, found.principal) == (True, "role:ci")
    assert any(f"signs in with access key {keys['ci'].access_key}" in step.reason for step in found.steps)


def test_a_lock_is_a_step(admin: Client) -> None:
    admin.push("pay/held", IMAGE, "1")
    patch = {"Content-Type": "application/json"}
    image = find(admin, "images", "pay/held")
    admin.request("PATCH", f"/api/v1/images/{image}", b'{"locked": true}', patch).expect(200)

    for action in ("push", "delete"):
        last = explained(admin, "admin", action, "pay/held:1").steps[-1]
        assert (last.stage, last.allowed) == ("quota and lock", False)
        assert "image pay/held is locked" in last.reason
    assert explained(admin, "admin", "push", "pay/held:2").allowed


def test_a_full_quota_is_a_step(admin: Client) -> None:
    registry = find(admin, "registries", "local")
    content = {"Content-Type": "application/json"}
    admin.request("PATCH", f"/api/v1/registries/{registry}", b'{"quotaBytes": 1}', content).expect(200)
    try:
        last = explained(admin, "admin", "push", "pay/new:1").steps[-1]
    finally:
        admin.request("PATCH", f"/api/v1/registries/{registry}", b'{"quotaBytes": null}', content).expect(200)

    assert (last.stage, last.allowed) == ("quota and lock", False)
    assert "quota" in last.reason


def test_a_full_quota_of_images_is_a_step_for_new_ones(admin: Client) -> None:
    admin.push("pay/there", IMAGE, "1")
    registry = find(admin, "registries", "local")
    content = {"Content-Type": "application/json"}
    admin.request("PATCH", f"/api/v1/registries/{registry}", b'{"quotaImages": 1}', content).expect(200)
    try:
        last = explained(admin, "admin", "push", "pay/another:1").steps[-1]
        may_push_again = explained(admin, "admin", "push", "pay/there:2").allowed
    finally:
        admin.request("PATCH", f"/api/v1/registries/{registry}", b'{"quotaImages": null}', content).expect(200)

    assert (last.stage, last.allowed) == ("quota and lock", False)
    assert "its quota is 1" in last.reason
    assert may_push_again


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"as": "ann", "action": "steal"}, 400),
        ({"as": "ann", "from": "here"}, 400),
        ({"as": "ann", "name": "Pay/api"}, 400),
        ({"as": "ann", "unknown": 1}, 400),
        ({"as": "group:ops"}, 400),
        ({"as": "ann", "registry": "absent"}, 404),
        ({"as": "zoe"}, 404),
        ({"as": "role:ann"}, 404),
        ({"as": "SCR" + "A" * 17}, 404),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(admin: Client, body: dict[str, object], status: int) -> None:
    content = {"Content-Type": "application/json"}
    admin.request("POST", "/api/v1/explain", msgspec.json.encode(body), content).expect(status)


def test_one_asks_about_oneself_and_about_those_one_may_see(server: Server, keys: dict[str, Key]) -> None:
    def status(asker: str, who: str) -> int:
        with server.client(user=keys[asker].access_key, password=keys[asker].secret_key) as client:
            return ask(client, who, "pull", "pay/api").status

    assert [status("curious", who) for who in ("user:curious", keys["curious"].access_key, "anonymous")] == [200] * 3
    assert [status("curious", who) for who in ("ann", "user:ann", "role:ci", "zoe")] == [403] * 4
    assert status("curious", keys["ann"].access_key) == 404  # as for a key that is none
    assert [status("desk", who) for who in ("ann", keys["ann"].access_key)] == [200] * 2
    assert [status("desk", who) for who in ("ci", "role:ci", "admin")] == [403] * 3
    assert [status("ann", who) for who in ("ann", "anonymous")] == [403] * 2  # without ViewRegistry nothing


def test_the_command_prints_every_decision_and_ends_with_1_for_a_refusal(server: Server, admin: Client) -> None:
    admin.push("pay/api", IMAGE, "1")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "appliance", "explain", *words, "--data-dir", str(server.data)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)

    pulled, pushed = run("--as", "ann", "pull", "pay/api:1"), run("--as", "ann", "push", "pay/api:1", "--json")

    assert pulled.returncode == 0
    assert "policy ScrPullOnlyAccess allows PullRepositoryImages" in pulled.stdout
    assert "user:ann from 127.0.0.1: pull pay/api:1 is allowed" in pulled.stderr
    assert pushed.returncode == 1
    assert not msgspec.json.decode(pushed.stdout, type=Explained).allowed
