"""TLS listeners against the real server: what is spoken, a certificate's change, what the wrong protocol hears."""

import os
import ssl
import struct
from pathlib import Path

import argon2
import pytest
from cryptography import x509

from tests.http.certificates import Authority
from tests.http.raw import Raw, wait_for_line, wait_until
from tests.make.images import Blob
from tests.make.server import Server

PASSWORD = "correct horse"  # noqa: S105 - of this test's own servers
HOST = b"Host: {host}\r\n"
PING = b"GET /v2/ HTTP/1.1\r\n" + HOST + b"\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls")).sign()


@pytest.fixture(scope="module")
def server_config(authority: Authority) -> str:
    return f'[server]\ntls_certificate = "{authority.chain}"\ntls_key = "{authority.key}"\nheader_timeout = "1s"\n'


def _shown(server: Server, authority: Authority) -> int:
    """Return the serial number of the certificate that a new connection is shown."""
    with authority.connect(server) as raw:
        assert isinstance(raw.socket, ssl.SSLSocket)
        found = raw.socket.getpeercert(binary_form=True)
        assert found is not None
        return x509.load_der_x509_certificate(found).serial_number


def _serial(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


def test_the_registry_speaks_tls(server: Server, authority: Authority) -> None:
    assert server.url.startswith("https://")
    with authority.connect(server) as raw:
        assert raw.ask(PING).status == 200
        assert raw.ask(PING).status == 200


def test_tls_1_2_is_spoken_with_forward_secrecy_and_authenticated_encryption(
    server: Server, authority: Authority
) -> None:
    with authority.connect(server, newest=ssl.TLSVersion.TLSv1_2) as raw:
        assert isinstance(raw.socket, ssl.SSLSocket)
        cipher = raw.socket.cipher()

        assert cipher is not None
        assert cipher[0].startswith("ECDHE-")
        assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]


def test_older_tls_is_not_spoken(server: Server) -> None:
    hello = bytes.fromhex("0301") + os.urandom(32) + b"\x00" + bytes.fromhex("0004c013c014") + b"\x01\x00"
    handshake = b"\x01" + struct.pack("!I", len(hello))[1:] + hello
    with Raw(server, source="127.0.0.2") as raw:
        raw.send(b"\x16\x03\x01" + struct.pack("!H", len(handshake)) + handshake)

        assert not raw.rest().startswith(b"\x16")  # no handshake in answer
    assert "UNSUPPORTED_PROTOCOL" in wait_for_line(server, "tls.handshake_failed peer=127.0.0.2")


def test_large_blobs_cross_tls_byte_for_byte(server: Server, authority: Authority) -> None:
    blob = Blob(os.urandom(5_000_001))
    with authority.connect(server) as raw:
        begun = raw.ask(b"POST /v2/a/b/blobs/uploads/ HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n")
        raw.send(f"PUT {begun.headers['location']}?digest={blob.digest} HTTP/1.1\r\n".encode())
        raw.send(HOST + f"Content-Length: {len(blob.data)}\r\n\r\n".encode())
        raw.socket.sendall(blob.data)

        assert raw.read().status == 201
        found = raw.ask(f"GET /v2/a/b/blobs/{blob.digest} HTTP/1.1\r\nHost: {{host}}\r\n\r\n".encode())
        assert found.body == blob.data


def test_plain_http_hears_what_to_do(server: Server) -> None:
    with Raw(server) as raw:
        answer = raw.ask(PING)

        assert answer.status == 400
        assert b"Use https://" in answer.body
        assert raw.is_ended()
    assert "https://" in wait_for_line(server, "http.on_tls_port")


def test_what_is_neither_is_let_go(server: Server) -> None:
    with Raw(server) as raw:
        raw.send(b"\x00\x00\x00hello")

        assert raw.is_ended()


@pytest.mark.parametrize("start", [b"", b"\x16", b"\x16\x03\x01\x02\x00"])
def test_a_handshake_that_stops_ends(server: Server, start: bytes) -> None:
    with Raw(server) as raw:
        raw.send(start)

        assert raw.is_ended()


def test_a_client_that_does_not_know_the_authority_is_told_of_in_the_log(server: Server) -> None:
    with Raw(server, source="127.0.0.3") as raw, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(raw.socket, server_hostname="localhost")

    assert "scr trust" in wait_for_line(server, "tls.handshake_failed peer=127.0.0.3")


def test_a_new_certificate_is_shown_without_a_restart(server: Server, authority: Authority) -> None:
    with authority.connect(server) as before:
        assert before.ask(PING).status == 200
        assert _shown(server, authority) == _serial(authority.chain)

        authority.sign()
        wait_until(lambda: _shown(server, authority) == _serial(authority.chain))

        assert before.ask(PING).status == 200  # who is connected stays so


def test_a_broken_certificate_keeps_the_one_before_and_shouts(server: Server, authority: Authority) -> None:
    shown = _shown(server, authority)
    good = authority.chain.read_bytes()
    authority.chain.write_bytes(good[: len(good) // 2])
    wait_for_line(server, "tls.certificate_refused")

    assert _shown(server, authority) == shown
    with authority.connect(server) as raw:
        health = raw.ask(b"GET /health/ready HTTP/1.1\r\n" + HOST + b"\r\n")
        assert health.status == 200
        assert b'"status":"degraded"' in health.body
        assert b"a new file was refused" in health.body
        assert str(authority.folder).encode() not in health.body

    authority.sign()
    wait_until(lambda: _shown(server, authority) == _serial(authority.chain))
    with authority.connect(server) as raw:
        assert b'"status":"ready"' in raw.ask(b"GET /health/ready HTTP/1.1\r\n" + HOST + b"\r\n").body


def test_a_key_of_another_certificate_keeps_the_one_before(server: Server, authority: Authority) -> None:
    shown = _shown(server, authority)
    key = authority.key.read_bytes()
    other = Authority(authority.folder / "..").sign().key.read_bytes()
    refused = sum("tls.certificate_refused" in line for line in server.log)
    authority.key.write_bytes(other)
    wait_until(lambda: sum("tls.certificate_refused" in line for line in server.log) > refused)

    assert _shown(server, authority) == shown
    authority.key.write_bytes(key)
    wait_until(lambda: sum("tls.certificate_loaded" in line for line in server.log) > 0)


@pytest.mark.parametrize("setting", ["", 'trusted_proxies = ["127.0.0.9"]\n'])  # both ways of accepting
def test_tls_at_a_plain_port_is_answered_in_http_with_the_cure_in_the_log(tmp_path: Path, setting: str) -> None:
    with Server(tmp_path, f"[server]\n{setting}") as plain, Raw(plain) as raw:
        hello = ssl.MemoryBIO()
        with pytest.raises(ssl.SSLWantReadError):
            ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()

        answer = raw.ask(hello.read())  # clients of Go and containerd try http:// when they see this

        assert (answer.status, b"plain HTTP" in answer.body) == (400, True)
        assert "tls_certificate" in wait_for_line(plain, "tls.on_plain_port")


def test_both_are_served_on_one_port_where_that_is_asked_for(tmp_path: Path, authority: Authority) -> None:
    known = argon2.PasswordHasher().hash(PASSWORD)
    config = (
        f'[server]\ntls_certificate = "{authority.chain}"\ntls_key = "{authority.key}"\nallow_plain = true\n'
        f'[[user]]\nname = "ann"\npassword_hash = "{known}"\n'
    )
    credentials = b"Authorization: Basic YW5uOmNvcnJlY3QgaG9yc2U=\r\n"
    with Server(tmp_path, config) as server:
        with authority.connect(server) as raw:
            assert raw.ask(PING).headers["www-authenticate"].startswith('Bearer realm="https://')
            assert raw.ask(b"GET /v2/ HTTP/1.1\r\n" + HOST + credentials + b"\r\n").status == 200
        with Raw(server) as raw:
            without = raw.ask(PING)
            given = raw.ask(b"GET /v2/ HTTP/1.1\r\n" + HOST + credentials + b"\r\n")

    for refused in (without, given):  # neither asked for a password in the clear, nor taken one
        assert refused.status == 401
        assert "www-authenticate" not in refused.headers
        assert b"https://" in refused.body
