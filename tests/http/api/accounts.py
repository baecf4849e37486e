"""What the tests of users, roles, groups, policies and access keys send and look at."""

from typing import Any

import msgspec

from tests.make.client import Client, Reply

API = "/api/v1"
Body = dict[str, Any]  # JSON, as it is on the wire


def send(client: Client, method: str, path: str, body: object = None, **headers: str) -> Reply:
    """Return the answer to a request with a JSON body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = None if body is None else msgspec.json.encode(body)
    return client.request(method, f"{API}/{path}", content, {"Content-Type": "application/json", **named})


def make(client: Client, kind: str, **order: object) -> Body:
    """Return the user, role, group, policy or key that was made."""
    return send(client, "POST", kind, order).expect(201).decode(Body)


def show(client: Client, path: str) -> Body:
    """Return what is at `path`."""
    return send(client, "GET", path).expect(200).decode(Body)


def names(client: Client, path: str) -> list[str]:
    """Return the names in a page."""
    return [one["name"] for one in show(client, path)["items"]]


def find(client: Client, kind: str, name: str) -> Body:
    """Return the one of that name."""
    (found,) = show(client, f"{kind}?path={name}")["items"]
    assert isinstance(found, dict)
    return found


def detail(reply: Reply) -> str:
    """Return what a problem document says."""
    return str(reply.decode(Body)["detail"])


def attach(client: Client, policy: str, kind: str, holder: Body) -> Reply:
    """Attach the policy of that name."""
    found = find(client, "policies", policy)
    return send(client, "PUT", f"policies/{found['id']}/attachments/{kind}/{holder['id']}")
