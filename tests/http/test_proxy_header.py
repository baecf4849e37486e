"""Proxies in front of the real server: PROXY version 2 and X-Forwarded-For count from a trusted one only.

Who the server thinks a client is shows in its log, in the line of a failed sign-in.
"""

import socket
import struct
from pathlib import Path

import argon2
import pytest

from tests.http.certificates import Authority
from tests.http.raw import Raw, wait_for_line, wait_until
from tests.make.server import Server

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
PING = b"GET /v2/ HTTP/1.1\r\nHost: {host}\r\n\r\n"
WRONG = b"Authorization: Basic YW5uOndyb25n\r\n"


@pytest.fixture(scope="module")
def server_config() -> str:
    known = argon2.PasswordHasher().hash("right")
    return (
        f'[server]\nnames = ["hub.example"]\ntrusted_proxies = ["127.0.0.1", "127.0.1.0/24"]\nheader_timeout = "1s"\n'
        f'[[user]]\nname = "ann"\npassword_hash = "{known}"\n'
    )


def _header(source: str, *, command: int = 0x21, values: bytes = b"") -> bytes:
    addresses = socket.inet_aton(source) + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 4711, 443) + values
    return SIGNATURE + struct.pack("!BBH", command, 0x11, len(addresses)) + addresses


def _fail(*headers: str) -> bytes:
    return (
        b"GET /v2/ HTTP/1.1\r\nHost: hub.example\r\n"
        + WRONG
        + "".join(f"{one}\r\n" for one in headers).encode()
        + b"\r\n"
    )


def test_a_trusted_proxy_tells_the_client_ahead_of_the_connection(server: Server) -> None:
    with Raw(server) as raw:
        raw.send(_header("198.51.100.1"))
        assert raw.ask(_fail()).status == 401
        assert raw.ask(PING).status == 401

    wait_for_line(server, "address=198.51.100.1")


def test_a_header_may_come_in_pieces(server: Server) -> None:
    sent = _header("198.51.100.2", values=b"\x04\x00\x10" + b"x" * 16)
    with Raw(server) as raw:
        raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(sent)):
            raw.send(sent[at : at + 1])
        assert raw.ask(_fail()).status == 401

    wait_for_line(server, "address=198.51.100.2")


def test_a_health_check_of_the_proxy_counts_as_the_proxy(server: Server) -> None:
    with Raw(server) as raw:
        raw.send(SIGNATURE + struct.pack("!BBH", 0x20, 0x00, 0))

        assert raw.ask(PING).status == 401


def test_a_trusted_proxy_need_not_send_one(server: Server) -> None:
    with Raw(server) as raw:
        assert raw.ask(PING).status == 401


def test_from_anybody_else_the_connection_is_refused(server: Server) -> None:
    with Raw(server, source="127.0.0.9") as raw:
        raw.send(_header("198.51.100.3") + PING)

        assert raw.is_ended()
    assert "trusted_proxies" in wait_for_line(server, "proxy.untrusted peer=127.0.0.9")


def test_without_trusted_proxies_it_is_refused_too(tmp_path: Path) -> None:
    with Server(tmp_path) as plain:
        with Raw(plain) as raw:
            raw.send(_header("127.0.0.1") + PING)

            assert raw.is_ended()
        assert "trusted_proxies" in wait_for_line(plain, "proxy.untrusted")


def test_proxies_are_believed_and_disbelieved_while_it_serves(tmp_path: Path) -> None:
    known = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("right")
    user = f'[[user]]\nname = "ann"\npassword_hash = "{known}"\n'
    trusting = f'[server]\nnames = ["hub.example"]\ntrusted_proxies = ["127.0.0.1"]\n{user}'
    with Server(tmp_path, user) as server:
        with Raw(server) as before:
            assert before.ask(PING).status == 401
            server.config.write_text(trusting)
            wait_for_line(server, "config.reloaded")

            with Raw(server) as raw:
                raw.send(_header("198.51.100.21"))
                assert raw.ask(_fail()).status == 401
                assert raw.ask(PING).status == 401
            wait_for_line(server, "address=198.51.100.21")
            assert before.ask(PING).status == 401  # who is connected stays so
            assert before.ask(_fail("X-Forwarded-For: 198.51.100.22")).status == 401
            wait_for_line(server, "address=198.51.100.22")

            server.config.write_text(trusting.replace('"127.0.0.1"', '"127.0.0.99"'))
            wait_until(lambda: sum("config.reloaded" in line for line in server.log) == 2)
            assert before.ask(_fail("X-Forwarded-For: 198.51.100.23")).status == 401
        with Raw(server) as raw:
            raw.send(_header("198.51.100.24") + PING)
            assert raw.is_ended()
        assert not any("198.51.100.23" in line or "198.51.100.24" in line for line in server.log)


BAD = {
    "version 1": b"PROXY TCP4 198.51.100.4 192.0.2.1 4711 443\r\n",
    "a broken signature": SIGNATURE[:-1] + b"X" + _header("198.51.100.4")[12:],
    "an unknown command": _header("198.51.100.4", command=0x22),
    "a length past the limit": SIGNATURE + struct.pack("!BBH", 0x21, 0x11, 60_000),
    "addresses cut short": SIGNATURE + struct.pack("!BBH", 0x21, 0x11, 4) + b"\x01\x02\x03\x04",
    "a value longer than the header": _header("198.51.100.4", values=b"\x01\x00\xff"),
    "a header that stops": _header("198.51.100.4")[:20],
}


@pytest.mark.parametrize("sent", BAD.values(), ids=BAD.keys())
def test_a_malformed_header_ends_the_connection(server: Server, sent: bytes) -> None:
    with Raw(server) as raw:
        raw.send(sent)
        try:
            answer = raw.rest()
        except ConnectionResetError:  # not a byte of it was for us
            return

        assert b" 200 " not in answer
        assert b" 401 " not in answer


def test_a_header_goes_before_tls(tmp_path: Path, server_config: str) -> None:
    authority = Authority(tmp_path).sign()
    tls = f'[server]\ntls_certificate = "{authority.chain}"\ntls_key = "{authority.key}"\n'
    with Server(tmp_path / "scr", server_config.replace("[server]\n", tls)) as server:
        with Raw(server) as raw:
            raw.send(_header("198.51.100.5"))
            with authority.connect(server, over=raw.socket) as secured:
                assert secured.ask(_fail()).status == 401
        wait_for_line(server, "address=198.51.100.5")


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        (("X-Forwarded-For: 203.0.113.1, 198.51.100.11",), "198.51.100.11"),
        (("X-Forwarded-For: 203.0.113.1", "X-Forwarded-For: 198.51.100.12"), "198.51.100.12"),
        (("X-Forwarded-For: 198.51.100.13, 127.0.1.7",), "198.51.100.13"),
        (("X-Forwarded-For: [2001:db8::14]:4711",), "2001:db8::14"),
        (("X-Forwarded-For: ::ffff:198.51.100.15",), "198.51.100.15"),
    ],
)
def test_a_trusted_proxy_tells_the_client_in_a_header(server: Server, headers: tuple[str, ...], client: str) -> None:
    with Raw(server) as raw:
        assert raw.ask(_fail(*headers)).status == 401

    wait_for_line(server, f"address={client}")


def test_a_trusted_proxy_that_writes_nonsense_is_refused(server: Server) -> None:
    with Raw(server) as raw:
        answer = raw.ask(_fail("X-Forwarded-For: unknown"))

    assert answer.status == 400
    assert b"mend the proxy" in answer.body


@pytest.mark.parametrize("host", ["{host}", "localhost:{port}", "LOCALHOST.:{port}"])
def test_a_proxy_that_does_not_pass_on_the_host_is_not_believed_either(server: Server, host: str) -> None:
    host = host.replace("{port}", server.address.rpartition(":")[2])
    sent = f"GET /v2/ HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 198.51.100.18\r\n".encode() + WRONG + b"\r\n"
    with Raw(server) as raw:
        answer = raw.ask(sent)

    assert answer.status == 400
    assert b"proxy_set_header" in answer.body


def test_nobody_else_may_tell_an_address_in_a_header(server: Server) -> None:
    with Raw(server, source="127.0.0.10") as raw:
        assert raw.ask(_fail("X-Forwarded-For: 198.51.100.16")).status == 401

    wait_for_line(server, "address=127.0.0.10")
    assert not any("198.51.100.16" in line for line in server.log)


def test_a_header_behind_a_header_is_judged_by_the_address_it_told(server: Server) -> None:
    with Raw(server) as raw:
        raw.send(_header("198.51.100.17"))  # not a trusted proxy itself, so it may not tell another
        assert raw.ask(_fail("X-Forwarded-For: 203.0.113.17")).status == 401

    wait_for_line(server, "address=198.51.100.17")
