"""Opening and closing the doors of the real server: addresses, the control socket, shortage, an orderly end."""

import os
import resource
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.http.certificates import Authority
from tests.http.raw import PATIENCE_S, Raw, wait_for_line, wait_until
from tests.make.images import Blob
from tests.make.server import Server

HOST = b"Host: {host}\r\n"
PING = b"GET /v2/ HTTP/1.1\r\n" + HOST + b"\r\n"


def _over_unix(server: Server, path: str) -> Raw:
    connected = socket.socket(socket.AF_UNIX)
    connected.settimeout(PATIENCE_S)
    connected.connect(path)
    return Raw(server, connected)


def test_ipv6_is_served(tmp_path: Path) -> None:
    with Server(tmp_path, options=["--listen", "[::1]:0"]) as server:
        wait_until(lambda: any("http://[::1]:" in line for line in server.log))
        port = int(wait_for_line(server, "http://[::1]:").partition("[::1]:")[2].split()[0])
        with Raw(server, socket.create_connection(("::1", port), PATIENCE_S)) as raw:
            assert raw.ask(f"GET /v2/ HTTP/1.1\r\nHost: [::1]:{port}\r\n\r\n".encode()).status == 200
        with Raw(server) as raw:
            assert raw.ask(PING).status == 200


def test_a_port_in_use_is_said_so(tmp_path: Path) -> None:
    with Server(tmp_path / "one") as server:
        other = Server(tmp_path / "two", options=["--listen", server.address])
        with pytest.raises(AssertionError, match="cannot listen on"):
            other.start()


def test_the_control_socket_is_for_the_servers_user_only(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        path = server.data / "control.sock"

        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with _over_unix(server, str(path)) as raw:
            assert raw.ask(b"GET /v2/ HTTP/1.1\r\nHost: any.name\r\nVia: 1.1 x\r\n\r\n").status == 200


_AS_NOBODY = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
connected = socket.socket(socket.AF_UNIX)
connected.settimeout(30)
connected.connect("control.sock")
try:
    connected.sendall(b"GET /v2/ HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    sys.exit(len(connected.recv(100)))
except ConnectionError:
    sys.exit(0)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_is_refused_even_where_the_file_lets_him_in(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.data.chmod(0o711)
        (server.data / "control.sock").chmod(0o666)
        done = subprocess.run([sys.executable, "-c", _AS_NOBODY], cwd=server.data, check=False)

        assert done.returncode == 0  # not a byte came
        assert "uid 65534" in wait_for_line(server, "control.refused")


def test_a_data_folder_of_any_length_has_a_control_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 80) / ("y" * 80)
    with Server(deep) as server:
        folder = os.open(server.data, os.O_RDONLY)
        with _over_unix(server, f"/proc/self/fd/{folder}/control.sock") as raw:
            assert raw.ask(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
        os.close(folder)


def test_a_control_socket_left_by_a_crash_is_replaced(tmp_path: Path) -> None:
    server = Server(tmp_path).start()
    server.kill()
    with server, _over_unix(server, str(server.data / "control.sock")) as raw:
        assert raw.ask(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n").status == 200


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
def test_a_shortage_of_descriptors_passes(tmp_path: Path, is_tls: bool) -> None:  # noqa: FBT001 - a parameter
    authority = Authority(tmp_path).sign()
    config = f'[server]\ntls_certificate = "{authority.chain}"\ntls_key = "{authority.key}"\n' if is_tls else ""
    with Server(tmp_path / "scr", config) as server:
        before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        highest = max(int(entry.name) for entry in Path(f"/proc/{server.pid}/fd").iterdir())
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (highest + 4, before[1]))
        held = [Raw(server) for _ in range(20)]
        if is_tls:
            wait_for_line(server, "listen.exhausted")
        for raw in held:
            raw.socket.close()
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)

        with authority.connect(server) if is_tls else Raw(server) as raw:
            assert raw.ask(PING).status == 200
        assert sum("listen.exhausted" in line for line in server.log) < 20  # it rests, it does not spin


def test_sigterm_ends_idle_connections_and_lets_a_transfer_finish(tmp_path: Path) -> None:
    blob = Blob(os.urandom(100_000))
    server = Server(tmp_path).start()
    with Raw(server) as idle, Raw(server) as busy:
        assert idle.ask(PING).status == 200
        begun = busy.ask(b"POST /v2/a/b/blobs/uploads/ HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n")
        busy.send(f"PUT {begun.headers['location']}?digest={blob.digest} HTTP/1.1\r\n".encode())
        busy.send(HOST + b"Expect: 100-continue\r\n" + f"Content-Length: {len(blob.data)}\r\n\r\n".encode())
        assert busy.read().status == 100

        os.kill(server.pid, signal.SIGTERM)

        assert idle.is_ended()
        with pytest.raises(ConnectionRefusedError):
            Raw(server)
        busy.socket.sendall(blob.data)
        answer = busy.read()
        assert answer.status == 201
        assert answer.headers["connection"] == "close"
        assert busy.is_ended()
    server.stop()
    with server.start().client() as client:
        assert client.get_blob("a/b", blob.digest).expect(200).body == blob.data
    server.stop()


def test_sigterm_lets_a_download_finish(tmp_path: Path) -> None:
    blob = Blob(os.urandom(16 << 20))
    server = Server(tmp_path).start()
    with server.client() as client:
        client.put_blob("a/b", blob).expect(201)
    with Raw(server) as raw:
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        raw.send(f"GET /v2/a/b/blobs/{blob.digest} HTTP/1.1\r\nHost: {{host}}\r\n\r\n".encode())
        got = raw.socket.recv(1)  # it has begun
        os.kill(server.pid, signal.SIGTERM)
        wait_for_line(server, "scr.stopping")

        got += raw.rest()
        assert got.endswith(blob.data)
    server.stop()


def test_what_takes_longer_than_the_grace_is_cut(tmp_path: Path) -> None:
    server = Server(tmp_path, '[server]\nshutdown_grace = "200ms"\n').start()
    with Raw(server) as raw:
        begun = raw.ask(b"POST /v2/a/b/blobs/uploads/ HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n")
        raw.send(f"PUT {begun.headers['location']}?digest=sha256:{'0' * 64} HTTP/1.1\r\n".encode())
        raw.send(HOST + b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n")
        assert raw.read().status == 100

        server.stop()

        assert raw.is_ended()


def test_half_a_request_does_not_hold_up_the_end(tmp_path: Path) -> None:
    server = Server(tmp_path).start()
    with Raw(server) as raw:
        assert raw.ask(PING).status == 200
        raw.send(b"GET /v2/ HTTP/1.1\r\nHost:")
        server.stop()

        assert raw.is_ended()


def test_a_client_that_ends_its_side_still_gets_its_answer(tmp_path: Path) -> None:
    with Server(tmp_path) as server, Raw(server) as raw:
        raw.send(PING)
        raw.socket.shutdown(socket.SHUT_WR)

        assert raw.read().status == 200
        assert raw.is_ended()
