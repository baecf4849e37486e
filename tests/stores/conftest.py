"""A server whose bucket is behind a proxy that goes wrong as told."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.make.object_store import ObjectStore
from tests.make.proxy import Proxy
from tests.make.server import Server
from tests.make.stores import MASTER, bucket_variables

Start = Callable[..., Server]


@pytest.fixture
def proxy(object_store: ObjectStore) -> Iterator[Proxy]:
    with Proxy(object_store.endpoint) as running:
        yield running


@pytest.fixture
def start(tmp_path: Path, proxy: Proxy) -> Iterator[Start]:
    """Start a server over a prefix of its own; all of them end with the test."""
    running: list[Server] = []

    def make(config: str = "", *, folder: str = "server", given: Mapping[str, str] | None = None) -> Server:
        variables = {
            **bucket_variables(proxy.endpoint),
            "SCR_STORAGE__S3__DEADLINE": "20s",  # a busy machine is no store that is down
            "SCR_STORAGE__KEY__VARIABLE": "TEST_MASTER_KEY",
            "TEST_MASTER_KEY": MASTER,
            **(given or {}),
        }
        server = Server(tmp_path / folder, config, environment=variables).start()
        running.append(server)
        return server

    yield make
    proxy.choose = lambda *_: ""
    for server in running:
        server.stop()
