"""The server with a user of each sort; the shapes of the management API's answers."""

from collections.abc import Iterator

import msgspec
import pytest

from appliance.services.keys import hash_password
from tests.make.client import Client
from tests.make.server import Server

JSON = {"Content-Type": "application/json"}
PASSWORD = "correct horse"  # noqa: S105 - of users that live for one test


class Item(msgspec.Struct, frozen=True):
    """What the tests look at in an entry of any list."""

    id: str = ""
    name: str = ""
    path: str = ""


class List(msgspec.Struct, frozen=True):
    """A page."""

    items: list[Item]
    next: str | None


class Problem(msgspec.Struct, frozen=True):
    """A problem document."""

    type: str
    title: str
    status: int
    detail: str


@pytest.fixture(scope="module")
def server_config() -> str:
    known = hash_password(PASSWORD)
    users = {
        "admin": '"ScrFullAccess"',
        "viewer": '"ScrViewOnlyAccess"',
        "pusher": '"ScrPullPushOnlyAccess"',
        "nobody": "",
    }
    return "".join(
        f'[[user]]\nname = "{name}"\npassword_hash = "{known}"\npolicies = [{policies}]\n'
        for name, policies in users.items()
    )


@pytest.fixture
def admin(server: Server) -> Iterator[Client]:
    with server.client(user="admin", password=PASSWORD) as client:
        yield client


@pytest.fixture
def viewer(server: Server) -> Iterator[Client]:
    with server.client(user="viewer", password=PASSWORD) as client:
        yield client


@pytest.fixture
def nobody(server: Server) -> Iterator[Client]:
    with server.client(user="nobody", password=PASSWORD) as client:
        yield client


def find(client: Client, kind: str, path: str) -> str:
    """Return the id of the repository or image at `path`."""
    items = client.get(f"/api/v1/{kind}?path={path}").expect(200).decode(List).items
    assert len(items) == 1
    return items[0].id


def problem(reply_body: bytes) -> Problem:
    """Return the problem document."""
    return msgspec.json.decode(reply_body, type=Problem)
