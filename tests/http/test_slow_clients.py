"""Clients that hold a connection and do little with it are let go; the slow ones that go on are not."""

import os
import select
import socket

import pytest

from tests.http.raw import PATIENCE_S, Raw, wait_for_line
from tests.make.images import Blob
from tests.make.server import Server

HOST = b"Host: {host}\r\n"
PACE_S = 0.05


@pytest.fixture(scope="module")
def server_config() -> str:
    return '[server]\nheader_timeout = "500ms"\nidle_timeout = "1s"\nmin_rate = "64KiB"\n'


def _trickle(raw: Raw, piece: bytes, times: int) -> bool:
    """Send `piece` at a slow pace; return whether the server answered or ended the connection meanwhile."""
    for _ in range(times):
        if select.select([raw.socket], [], [], PACE_S)[0]:
            return True
        raw.send(piece)
    return False


def test_a_connection_that_says_nothing_ends(server: Server) -> None:
    with Raw(server) as raw:
        assert raw.is_ended()


def test_a_head_that_stops_is_answered_and_ends(server: Server) -> None:
    with Raw(server) as raw:
        answer = raw.ask(b"GET /v2/ HTTP/1.1\r\nHost:")

        assert answer.status == 408
        assert raw.is_ended()


def test_a_head_that_comes_byte_by_byte_gets_no_more_time(server: Server) -> None:
    with Raw(server) as raw:
        raw.send(b"GET /v2/ HTTP/1.1\r\nX: ")

        assert _trickle(raw, b"y", 600)
        assert raw.read().status == 408


def test_an_idle_connection_ends_without_a_word(server: Server) -> None:
    with Raw(server) as raw:
        assert raw.ask(b"GET /v2/ HTTP/1.1\r\n" + HOST + b"\r\n").status == 200

        assert raw.rest() == b""


def test_a_connection_in_use_does_not_end(server: Server) -> None:
    with Raw(server) as raw:
        for _ in range(60):  # three times the idle timeout
            assert raw.ask(b"GET /v2/ HTTP/1.1\r\n" + HOST + b"\r\n").status == 200
            assert not select.select([raw.socket], [], [], PACE_S)[0]


@pytest.mark.parametrize("framing", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
def test_a_body_that_stops_is_answered_and_ends(server: Server, framing: bytes) -> None:
    with Raw(server) as raw:
        answer = raw.ask(b"PUT /v2/a/b/manifests/1 HTTP/1.1\r\n" + HOST + framing + b"\r\n\r\n5\r\nhello\r\n")

        assert answer.status == 408
        assert raw.is_ended()


def test_a_body_that_trickles_is_answered_and_ends(server: Server) -> None:
    with Raw(server) as raw:
        raw.send(b"PUT /v2/a/b/manifests/1 HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\n")

        assert _trickle(raw, b"y", 600)
        assert raw.read().status == 408


def test_a_client_told_to_continue_that_does_not_is_let_go(server: Server) -> None:
    with Raw(server) as raw:
        raw.send(b"PUT /v2/a/b/manifests/1 HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n")

        assert raw.read().status == 100
        assert raw.read().status == 408


def test_a_body_at_the_rate_asked_for_is_taken_however_long_it_takes(server: Server) -> None:
    pieces, piece = 40, b"x" * 16_384  # 320 KiB a second, for two seconds
    with Raw(server) as raw:
        location = raw.ask(b"POST /v2/a/b/blobs/uploads/ HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n").headers[
            "location"
        ]
        raw.send(
            f"PATCH {location} HTTP/1.1\r\nHost: {{host}}\r\nContent-Length: {pieces * len(piece)}\r\n\r\n".encode()
        )

        assert not _trickle(raw, piece, pieces)
        assert raw.read().status == 202


def test_a_client_that_does_not_read_is_let_go(server: Server) -> None:
    blob = Blob(os.urandom(32 << 20))
    with server.client() as client:
        client.put_blob("a/b", blob).expect(201)
    with Raw(server) as raw:
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.send(f"GET /v2/a/b/blobs/{blob.digest} HTTP/1.1\r\nHost: {{host}}\r\n\r\n".encode())
        ended = select.poll()
        ended.register(raw.socket, 0)  # errors and hang-ups only

        assert ended.poll(PATIENCE_S * 1000)
    assert "peer=127.0.0.1" in wait_for_line(server, "client.too_slow")


def test_a_client_that_reads_slowly_gets_everything(server: Server) -> None:
    blob = Blob(os.urandom(4 << 20))
    with server.client() as client:
        client.put_blob("a/b", blob).expect(201)
    with Raw(server) as raw:
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        raw.send(f"GET /v2/a/b/blobs/{blob.digest} HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n\r\n".encode())
        got = bytearray()
        while piece := raw.socket.recv(131_072):
            got += piece
            select.select([], [], [], PACE_S)  # some 2 MiB a second: past the timeout, well above the rate

        assert got.endswith(blob.data)


def test_the_operators_door_is_watched_too(server: Server) -> None:
    with socket.socket(socket.AF_UNIX) as connected:
        connected.settimeout(PATIENCE_S)
        connected.connect(str(server.data / "control.sock"))
        with Raw(server, connected) as raw:
            assert raw.ask(b"GET /v2/ HTTP/1.1\r\nHost:").status == 408
