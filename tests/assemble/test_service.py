"""What a service manager sees of the real server: readiness, reloads, signs of life, sockets opened before it."""

import asyncio
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.assemble.service import ServiceManager
from tests.make.server import Server

_WAIT_S = 60


class Manager:
    """Listens to what the service says."""

    def __init__(self, folder: Path) -> None:
        """Listen in `folder`."""
        self.address = str(folder / "notify")
        self._way = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._way.bind(self.address)
        self._way.settimeout(_WAIT_S)

    def hear(self, start: str) -> str:
        """Return the next thing that begins with `start`; what comes before it is passed over."""
        while True:
            text = self._way.recv(4096).decode()
            if text.startswith(start):
                return text

    def has_heard(self) -> bool:
        """Whether something was said that nobody heard yet."""
        self._way.setblocking(False)  # noqa: FBT003 - the name of the method says what
        try:
            return bool(self._way.recv(4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Listen no more."""
        self._way.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """A service manager."""
    listening = Manager(tmp_path)
    yield listening
    listening.close()


class Activated(Server):
    """A server whose socket listens before it starts."""

    program = (sys.executable, "-m", "tests.assemble.activated", "serve")


def test_it_says_ready_when_it_serves_and_stopping_when_it_ends(tmp_path: Path, manager: Manager) -> None:
    with Server(tmp_path / "server", environment={"NOTIFY_SOCKET": manager.address}) as server:
        assert manager.hear("READY=1") == f"READY=1\nSTATUS=serving {server.url}"

    assert manager.hear("STOPPING=1")


def test_a_reload_is_said_before_and_after(tmp_path: Path, manager: Manager) -> None:
    with Server(tmp_path / "server", "[log]\n", environment={"NOTIFY_SOCKET": manager.address}) as server:
        manager.hear("READY=1")

        server.config.write_text("[log]\nlevel = 'nothing'\n")

        assert "MONOTONIC_USEC=" in manager.hear("RELOADING=1")
        ready = manager.hear("READY=1")
        assert "[log] level" in ready
        assert ready.count("\n") == 1


def test_it_shows_that_it_lives_as_often_as_is_asked(tmp_path: Path, manager: Manager) -> None:
    with Server(tmp_path, environment={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "300000"}):
        assert [manager.hear("WATCHDOG=1") for _ in range(3)] == ["WATCHDOG=1"] * 3


def test_it_serves_on_the_socket_that_listened_before_it(tmp_path: Path) -> None:
    with Activated(tmp_path, environment={"ACTIVATE": "127.0.0.1"}) as server, server.client() as client:
        assert not server.url.endswith(":0")
        assert client.get("/v2/").status == 200


def test_a_socket_that_no_listener_is_for_is_refused(tmp_path: Path) -> None:
    server = Activated(tmp_path, environment={"ACTIVATE": "127.0.0.2"})

    with pytest.raises(
        AssertionError, match=r"listens on 127\.0\.0\.2 port \d+ for scr, and no listener is called that"
    ):
        server.start()


def test_what_is_meant_for_another_process_is_not_taken() -> None:
    environment = {"LISTEN_FDS": "1", "LISTEN_PID": "1", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}

    found = ServiceManager.of(environment)

    assert found.sockets == ()
    assert environment == {}  # children do not inherit them


@pytest.mark.anyio
async def test_who_does_not_answer_shows_no_life(manager: Manager) -> None:
    asked = asyncio.Queue[None](3)

    async def fail() -> None:
        asked.put_nowait(None)  # the fourth raises QueueFull instead
        raise OSError("no database")

    watched = asyncio.ensure_future(ServiceManager(manager.address, 0.01).show_life(fail))
    for _ in range(3):
        await asked.get()
    watched.cancel()

    assert not manager.has_heard()
