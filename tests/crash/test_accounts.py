"""kill -9 in a change of accounts at every step of its commit: it is there whole or not at all; what was told stays."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from appliance.cli.client import Client
from appliance.errors import Unavailable
from tests.crash.faults import Plan
from tests.crash.labour import operator
from tests.crash.server import PATIENCE_S, CrashingServer

API = "/api/v1"
POLICIES = ["ScrPullOnlyAccess", "ScrViewOnlyAccess"]
JSON = {"Content-Type": "application/json"}
Body = dict[str, Any]  # JSON, as it is on the wire


def send(client: Client, method: str, path: str, body: object = None) -> Body:
    answer = client.ask(method, f"{API}/{path}", None if body is None else msgspec.json.encode(body), JSON)
    return msgspec.json.decode(answer.body, type=Body) if answer.body else {}


def find(client: Client, kind: str, name: str) -> Body | None:
    found = send(client, "GET", f"{kind}?path={name}")["items"]
    return found[0] if found else None


class Change(msgspec.Struct):
    """A change of accounts: what it needs, what it does, and whether it is there: True, False, never half."""

    lay: Callable[[Client, str], None]
    do: Callable[[Client, str], None]
    is_done: Callable[[Client, str], bool]


def make(client: Client, name: str) -> None:
    send(client, "POST", "users", {"name": name, "policies": POLICIES})


def lay_nothing(client: Client, name: str) -> None:
    del client, name


def is_made(client: Client, name: str) -> bool:
    user = find(client, "users", name)
    assert user is None or [one["name"] for one in user["policies"]] == POLICIES
    records = recorded(client, f"user:{name}", "user.created")
    assert records == (0 if user is None else 1)
    return user is not None


def delete(client: Client, name: str) -> None:
    user = find(client, "users", name)
    assert user is not None
    send(client, "DELETE", f"users/{user['id']}")


def is_deleted(client: Client, name: str) -> bool:
    holders = send(client, "GET", "policies?path=ScrPullOnlyAccess")["items"][0]["id"]
    attached = [one["name"] for one in send(client, "GET", f"policies/{holders}/attachments?limit=1000")["items"]]
    user = find(client, "users", name)
    assert (name in attached) == (user is not None)
    assert recorded(client, f"user:{name}", "user.deleted") == (0 if user is not None else 1)
    return user is None


def lay_policy(client: Client, name: str) -> None:
    send(client, "POST", "policies", {"name": name, "load": {"policy": "ScrPullOnlyAccess"}})


def switch_off(client: Client, name: str) -> None:
    policy = find(client, "policies", name)
    assert policy is not None
    send(client, "PATCH", f"policies/{policy['id']}", {"enabled": False, "description": "off"})


def is_off(client: Client, name: str) -> bool:
    policy = find(client, "policies", name)
    assert policy is not None
    assert (policy["enabled"], policy["description"]) in ((True, ""), (False, "off"))
    return not policy["enabled"]


def recorded(client: Client, subject: str, kind: str) -> int:
    found = send(client, "GET", f"activity?kind={kind}&limit=1000")["items"]
    return sum(one["about"] == subject for one in found)


CHANGES = {
    "made": Change(lay_nothing, make, is_made),
    "deleted": Change(make, delete, is_deleted),
    "switched off": Change(lay_policy, switch_off, is_off),
}


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashingServer]:
    server = CrashingServer(tmp_path_factory.mktemp("accounts")).start()
    try:
        yield server
        server.stop()
    finally:
        server.kill()


@pytest.mark.timeout(PATIENCE_S)
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_whole_wherever_the_server_is_killed(crashing: CrashingServer, name: str) -> None:
    change, number = CHANGES[name], 0
    while True:
        number += 1
        who = f"{name.replace(' ', '-')}-{number}"
        with operator(crashing) as client:
            change.lay(client, who)
            crashing.plan(Plan(number, ("wal_write", "wal_sync")))
            try:
                change.do(client, who)
                was_killed = False
            except Unavailable:
                was_killed = True
                assert crashing.wait() == -9
        crashing.plan(Plan())
        with operator(crashing.start() if was_killed else crashing) as client:
            assert change.is_done(client, who) or was_killed
        if not was_killed:
            break

    assert number > 2, "it was never killed"


@pytest.mark.timeout(PATIENCE_S)
def test_what_was_told_is_there_after_a_kill(crashing: CrashingServer) -> None:
    with operator(crashing) as client:
        send(client, "POST", "roles", {"name": "told", "policies": ["ScrPullOnlyAccess"]})
        key = send(client, "POST", "access-keys", {"owner": "role:told", "name": "only"})
        path = f"access-keys/{key['accessKey']}"
        rotated = send(client, "POST", f"{path}/rotation", {"overlapSeconds": 3600})
        crashing.kill()
    crashing.start()

    for secret in (key["secretKey"], rotated["secretKey"]):
        with crashing.client(user=key["accessKey"], password=secret) as user:
            user.get("/v2/").expect(200)
    with operator(crashing) as client:
        send(client, "PATCH", path, {"enabled": False})
        crashing.kill()
    crashing.start()
    with crashing.client(user=key["accessKey"], password=rotated["secretKey"]) as user:
        user.get("/v2/").expect(401)
