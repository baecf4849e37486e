"""The server from start to stop: what it takes over while it runs, and what it says when it cannot."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from appliance.services.keys import hash_password
from tests.make.client import Client
from tests.make.server import ROOT, SCR, Server

Until = Callable[[Callable[[], bool], str], None]
PASSWORD = "correct horse"  # noqa: S105 - of a test's own user


@pytest.fixture(scope="module")
def user() -> str:
    """A table of one user."""
    return f'[[user]]\nname = "ci"\npassword_hash = "{hash_password(PASSWORD)}"\n'


class State(msgspec.Struct, frozen=True):
    """Body of /health/ready."""

    status: str


def status_of(server: Server, path: str) -> int:
    """Return the status of a GET without credentials."""
    with server.client() as client:
        return client.get(path).status


def health(server: Server) -> str:
    """Return what /health/ready says."""
    with server.client() as client:
        return client.get("/health/ready").decode(State).status


def has_said(server: Server, *words: str) -> bool:
    """Whether one line of the log has all of `words`."""
    return any(all(word in line for word in words) for line in server.log)


def refusal(folder: Path, *options: str, environment: dict[str, str] | None = None) -> str:
    """Return what `scr serve` says when it does not start; it must end with 1 and without a traceback."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("SCR_")}
    ended = subprocess.run(
        [*SCR, "serve", *options],
        cwd=folder,
        env={**known, "PYTHONPATH": str(ROOT), **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_users_come_and_go_while_it_serves(tmp_path: Path, user: str, until: Until) -> None:
    with Server(tmp_path, "[log]\n") as server:
        assert status_of(server, "/v2/") == 200

        server.config.write_text(user)
        until(lambda: status_of(server, "/v2/") == 401, "the end of the open mode")

        with server.client(user="ci", password=PASSWORD) as signed_in:
            assert signed_in.get("/v2/").status == 200
        server.config.write_text('[log]\nlevel = "debug"\n')
        until(lambda: status_of(server, "/v2/") == 200, "the return of the open mode")
        until(lambda: has_said(server, "config.reloaded", "log.level, user"), "the line that says so")
        assert not has_said(server, "watchfiles")  # no library writes lines of its own


@pytest.mark.parametrize("broken", ["[log\n", "", None, "[sever]\n"])
def test_a_configuration_that_breaks_changes_nothing_and_is_said_until_it_is_mended(
    tmp_path: Path, user: str, until: Until, broken: str | None
) -> None:
    with Server(tmp_path, user) as server:
        assert health(server) == "ready"

        server.config.unlink()
        if broken is not None:
            server.config.write_text(broken)
        until(lambda: has_said(server, "error", "config.refused"), "the complaint")

        assert status_of(server, "/v2/") == 401
        assert health(server) == "degraded"
        server.config.write_text(user)
        until(lambda: health(server) == "ready", "the end of the complaint")


def test_a_hangup_reads_everything_again(tmp_path: Path, until: Until) -> None:
    with Server(tmp_path) as server:
        os.kill(server.pid, signal.SIGHUP)

        until(lambda: has_said(server, "config.reloaded", "changed=nothing"), "the reload")


def test_what_needs_a_restart_is_said(tmp_path: Path, until: Until) -> None:
    with Server(tmp_path) as server:
        server.config.write_text('[[listener]]\naddress = "127.0.0.1:0"\n')

        until(lambda: has_said(server, "config.needs_restart", "keys=listener"), "the warning")


def test_every_listener_has_a_ready_line(tmp_path: Path) -> None:
    with Server(tmp_path, '[[listener]]\naddress = "127.0.0.1:0"\n') as server:
        lines = [line for line in server.log if "serving http://127.0.0.1:" in line]
        if len(lines) < 2:  # the second line may still be on its way
            assert health(server) == "ready"
            lines = [line for line in server.log if "serving http://127.0.0.1:" in line]

        assert len(lines) == 2
        assert all(line.endswith('(registry "local")') for line in lines)
        for line in lines:
            with Client(line.split()[3]) as client:
                assert client.get("/v2/").status == 200


def test_a_second_process_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        said = refusal(tmp_path, "--data-dir", str(server.data), "--listen", "127.0.0.1:0")

        assert said.startswith(f"scr: another scr (process {server.pid}) serves {server.data}; stop it first")
        assert health(server) == "ready"


def test_an_address_in_use_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        said = refusal(tmp_path, "--listen", f"127.0.0.1:{port}")

    assert f"scr: cannot listen on 127.0.0.1:{port}:" in said
    assert "choose another with --listen" in said


def test_other_machines_are_not_served_without_tls(tmp_path: Path) -> None:
    said = refusal(tmp_path, "--listen", ":0")

    assert "would be served without TLS" in said
    assert not (tmp_path / "data").exists()


def test_a_database_that_is_none_ends_the_start_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "scr.sqlite").write_bytes(b"no database, but long enough to look like one " * 100)

    said = refusal(tmp_path, "--listen", "127.0.0.1:0")

    assert len(said.strip().split("\n")) == 1


def test_a_running_transfer_is_finished_before_the_end(tmp_path: Path, until: Until) -> None:
    server = Server(tmp_path).start()
    with server.client() as client, socket.create_connection(_address(server)) as slow:
        session = client.start_upload("demo/app")
        begin_patch(slow, server, session)

        os.kill(server.pid, signal.SIGTERM)
        until(lambda: has_said(server, "scr.stopping"), "the stop")
        slow.sendall(b"56789")

        assert slow.recv(65_536).startswith(b"HTTP/1.1 202 ")
    server.stop()


def test_a_second_signal_breaks_transfers_off(tmp_path: Path, until: Until) -> None:
    server = Server(tmp_path, '[server]\nshutdown_grace = "1h"\n').start()
    with server.client() as client, socket.create_connection(_address(server)) as slow:
        session = client.start_upload("demo/app")
        begin_patch(slow, server, session)
        os.kill(server.pid, signal.SIGTERM)
        until(lambda: has_said(server, "scr.stopping"), "the stop")

        server.stop()  # the second SIGTERM; it would wait for an hour after one

        with contextlib.suppress(ConnectionResetError):
            assert b" 202 " not in slow.recv(65_536)


def test_after_a_kill_it_starts_again_and_uploads_go_on(tmp_path: Path) -> None:
    server = Server(tmp_path).start()
    with server.client() as client:
        session = client.start_upload("demo/app")
    server.kill()

    with server, server.client() as client:
        assert health(server) == "ready"
        assert client.get(session).status == 204


def begin_patch(slow: socket.socket, server: Server, session: str) -> None:
    """Send the first half of a chunk of ten bytes, once the server is known to read it."""
    head = f"PATCH {session} HTTP/1.1\r\nhost: {server.address}\r\ncontent-length: 10\r\nexpect: 100-continue\r\n\r\n"
    slow.sendall(head.encode())
    assert slow.recv(65_536).startswith(b"HTTP/1.1 100 ")
    slow.sendall(b"01234")


def _address(server: Server) -> tuple[str, int]:
    host, _, port = server.address.partition(":")
    return host, int(port)
