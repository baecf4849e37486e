"""What belongs to the appliance as a whole is nothing for who may look at, or manage, one of its registries."""

from collections.abc import Iterator

import pytest

from tests.http.api.conftest import JSON
from tests.make.accounts import Key, Member, make_accounts
from tests.make.client import Client
from tests.make.server import Server

ONE = {"effect": "allow", "actions": ["*"], "resources": ["registry/local", "registry/local/*"]}
PATHS = ("/api/v1/jobs", "/api/v1/schedules", "/api/v1/snapshots", "/api/v1/collections/leaving")
ORDERS = ("/api/v1/jobs", "/api/v1/collections", "/api/v1/scrubs", "/api/v1/verifications")


@pytest.fixture(scope="module")
def keys() -> dict[str, Key]:
    return {}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, keys: dict[str, Key]) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("server"))
    keys.update(make_accounts(running.data, (Member("one", statements=[ONE]), Member("all", ["ScrFullAccess"]))))
    running.start()
    try:
        yield running
    finally:
        running.stop()


def client_of(server: Server, key: Key) -> Client:
    return server.client(user=key.access_key, password=key.secret_key)


@pytest.mark.parametrize("path", PATHS)
def test_it_is_not_shown(server: Server, keys: dict[str, Key], path: str) -> None:
    with client_of(server, keys["one"]) as one, client_of(server, keys["all"]) as whole:
        one.get("/api/v1/repositories").expect(200)
        one.get(path).expect(403)
        whole.get(path).expect(200)


@pytest.mark.parametrize("path", ORDERS)
def test_nothing_is_ordered(server: Server, keys: dict[str, Key], path: str) -> None:
    with client_of(server, keys["one"]) as one:
        one.request("POST", path, b'{"kind": "gc"}' if path.endswith("jobs") else b"{}", JSON).expect(403)
