"""Fixtures of every test: a server for a module, a client of it, golden files."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import settings

from tests.make.accounts import Key, Member, make_accounts
from tests.make.client import Client
from tests.make.object_store import KEY, SECRET, ObjectStore
from tests.make.server import Server
from tests.make.stores import STORES, variables
from tests.watch import Watch

# no example has a time of its own to keep: a busy machine is no fault, and a hang ends by the test's timeout
settings.register_profile("scr", deadline=None)
settings.load_profile("scr")

GOLDEN = Path(__file__).parent / "golden"


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Watch(config), "scr-watch")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="write tests/golden anew instead of comparing with it")
    parser.addoption("--store", choices=STORES, default="folder", help="where servers that the tests start keep blobs")
    parser.addoption("--registry", help="drive the registry at this URL instead of starting the server")


@pytest.fixture(scope="module")
def server_config() -> str:
    """The scr.toml of the module's server; a module that needs another one has a fixture of this name."""
    return ""


@pytest.fixture(scope="module")
def members() -> Sequence[Member]:
    """Users and roles that the module's server has when it starts; a module that needs some has such a fixture."""
    return ()


@pytest.fixture(scope="module")
def keys() -> dict[str, Key]:
    """An access key of each of `members`, by name, once the server runs."""
    return {}


@pytest.fixture(scope="module")
def store(request: pytest.FixtureRequest) -> str:
    """The store of the module's server, as `--store` says; a module that needs another has a fixture of this name."""
    return str(request.config.getoption("--store"))


@pytest.fixture(scope="module")
def store_variables(request: pytest.FixtureRequest, store: str) -> dict[str, str]:
    """The variables that give the module's server its store."""
    return variables(store, lambda: request.getfixturevalue("object_store")) if store != "folder" else {}


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    server_config: str,
    store_variables: dict[str, str],
    members: Sequence[Member],
    keys: dict[str, Key],
) -> Iterator[Server]:
    """The module's server, which must end cleanly and without a traceback in its log.

    With `--registry http://127.0.0.1:5001` it is another program that runs already: a peer as control of the tests.
    """
    if url := request.config.getoption("--registry"):
        peer = Server(tmp_path_factory.mktemp("peer"))
        peer.url = str(url)
        yield peer
        return
    running = Server(tmp_path_factory.mktemp("server"), server_config, environment=store_variables)
    if members:
        keys.update(make_accounts(running.data, members))
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """An object store for the whole run; each test takes a bucket of its own."""
    store = ObjectStore(tmp_path_factory.mktemp("object-store"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        with store:
            yield store


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """A client of the module's server."""
    with server.client() as connected:
        yield connected


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the file of that name under tests/golden; `make golden` writes it instead."""
    is_writing = bool(request.config.getoption("--golden"))

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if is_writing:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.is_file(), f"{name} does not exist; run `make golden` and review it"
        assert text == path.read_text()

    return compare


@pytest.fixture(scope="session")
def is_long() -> bool:
    """Whether `make crash` or `make fuzz` asked for the long run; `make test` takes the short one."""
    return os.environ.get("SCR_TEST_LONG") == "1"
