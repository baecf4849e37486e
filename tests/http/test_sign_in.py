"""Basic authentication against the real server: who gets in, what a refusal says, and what the log does not."""

import base64
import socket

import argon2
import pytest

from tests.http.raw import Answer, Raw, wait_for_line
from tests.make.client import without_why
from tests.make.server import Server

PASSWORD = "correct horse battery: staple"  # noqa: S105 - of this test's own server

USERS = ("ann", "carl", "dora", "emil")  # failures slow a name down, so each test that fails has one of its own


@pytest.fixture(scope="module")
def server_config() -> str:
    known = argon2.PasswordHasher().hash(PASSWORD)
    users = "".join(
        f'[[user]]\nname = "{name}"\npassword_hash = "{known}"\npolicies = ["ScrFullAccess"]\n' for name in USERS
    )
    return f'{users}[server]\nnames = ["registry.example.com"]\n'


def _basic(user: str, password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _ask(server: Server, *headers: str, method: str = "GET", path: str = "/v2/", source: str = "127.0.0.1") -> Answer:
    with Raw(server, source=source) as raw:
        raw.send("\r\n".join([f"{method} {path} HTTP/1.1", "Host: {host}", *headers, "", ""]).encode())
        return raw.read(is_head=method == "HEAD")


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v2/", ""),
        ("HEAD", "/v2/", ""),
        ("GET", "/v2", ""),
        ("GET", "/v2/a/b/manifests/1", "repository:a/b:pull"),
        ("GET", "/v2/alpine/manifests/1", "repository:library/alpine:pull"),
        ("HEAD", "/v2/a/b/blobs/x", "repository:a/b:pull"),
        ("GET", "/v2/a/b/tags/list", "repository:a/b:pull"),
        ("GET", "/v2/a/b/referrers/x", "repository:a/b:pull"),
        ("PUT", "/v2/a/b/manifests/1", "repository:a/b:pull,push"),
        ("POST", "/v2/a/b/blobs/uploads/", "repository:a/b:pull,push"),
        ("POST", "/v2/a/b/blobs/uploads/?mount=x&from=c/d", "repository:a/b:pull,push repository:c/d:pull"),
        ("POST", "/v2/a/b/blobs/uploads/?mount=x&from=a/b", "repository:a/b:pull,push"),
        ("POST", "/v2/a/b/blobs/uploads/?mount=x&from=/", "repository:a/b:pull,push"),
        ("DELETE", "/v2/a/b/blobs/uploads/x", "repository:a/b:pull,push"),
        ("DELETE", "/v2/a/b/manifests/1", "repository:a/b:delete"),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
        ("GET", "/v2/nonsense/of/any/kind", ""),
        ("GET", "/v2/A/b/manifests/1", ""),
        ("OPTIONS", "/v2/", ""),
        ("GET", "/api/v1/repositories", "registry:management:*"),
        ("GET", "/api/v1/nothing", "registry:management:*"),
    ],
)
def test_without_credentials_everything_is_challenged(server: Server, method: str, path: str, scope: str) -> None:
    answer = _ask(server, "Content-Length: 0", method=method, path=path)

    realm = f'Bearer realm="{server.url}/token",service="{server.address}"'
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == realm + (f',scope="{scope}"' if scope else "")


def test_what_is_no_method_of_http_is_refused(server: Server) -> None:
    assert _ask(server, method="BREW").status == 400


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_the_right_password_opens(server: Server, scheme: str) -> None:
    assert _ask(server, _basic("ann", PASSWORD).replace("Basic", scheme)).status == 200


def test_http_1_0_is_served_with_a_password_and_ends(server: Server) -> None:
    with Raw(server) as raw:
        answer = raw.ask(f"GET /v2/ HTTP/1.0\r\nHost: {{host}}\r\n{_basic('ann', PASSWORD)}\r\n\r\n".encode())

        assert answer.status == 200
        assert raw.is_ended()


def test_a_wrong_password_and_an_unknown_user_look_alike(server: Server) -> None:
    wrong = _ask(server, _basic("carl", "guess"), source="127.0.0.2")
    unknown = _ask(server, _basic("nobody", "guess"), source="127.0.0.2")
    told = {"date", "content-length"}

    assert wrong.status == unknown.status == 401
    assert without_why(wrong.body) == without_why(unknown.body)
    assert {k: v for k, v in wrong.headers.items() if k not in told} == {
        k: v for k, v in unknown.headers.items() if k not in told
    }


def test_a_wrong_password_is_wrong_for_a_right_one_remembered(server: Server) -> None:
    assert _ask(server, _basic("carl", PASSWORD), source="127.0.0.3").status == 200

    for user, password in (("carl", PASSWORD + " "), ("carl", ""), ("CARL", PASSWORD)):
        assert _ask(server, _basic(user, password), source="127.0.0.3").status == 401


def test_who_failed_often_still_gets_in_with_the_right_password(server: Server) -> None:
    for guess in range(4):
        assert _ask(server, _basic("dora", f"guess {guess}"), source="127.0.0.4").status == 401

    assert _ask(server, _basic("dora", PASSWORD), source="127.0.0.4").status == 200


def test_the_log_tells_of_a_failure_and_no_secret(server: Server) -> None:
    _ask(server, _basic("emil", "a-guess-to-look-for"), source="127.0.0.5")
    _ask(server, _basic("a-name-to-look-for", "x"), source="127.0.0.5")
    wait_for_line(server, "login.failed user=emil address=127.0.0.5")
    wait_for_line(server, "login.failed user=(unknown) address=127.0.0.5")
    text = "\n".join(server.log)

    assert "a-guess-to-look-for" not in text
    assert "a-name-to-look-for" not in text
    assert PASSWORD not in text
    assert base64.b64encode(f"ann:{PASSWORD}".encode()).decode() not in text


def test_a_forwarding_header_from_nobody_trusted_is_ignored(server: Server) -> None:
    assert _ask(server, _basic("emil", "x"), "X-Forwarded-For: 198.51.100.7", source="127.0.0.6").status == 401

    wait_for_line(server, "address=127.0.0.6")
    assert not any("198.51.100.7" in line for line in server.log)


def test_a_configured_name_is_served_and_another_misdirected(server: Server) -> None:
    with Raw(server) as raw:
        known = raw.ask(
            f"GET /v2/ HTTP/1.1\r\nHost: Registry.Example.Com\r\n{_basic('ann', PASSWORD)}\r\n\r\n".encode()
        )
        other = raw.ask(f"GET /v2/ HTTP/1.1\r\nHost: other.example.com\r\n{_basic('ann', PASSWORD)}\r\n\r\n".encode())

    assert known.status == 200
    assert other.status == 421


def test_a_body_is_refused_before_it_is_sent(server: Server) -> None:
    with Raw(server) as raw:
        answer = raw.ask(
            b"PUT /v2/a/b/manifests/1 HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )

        assert answer.status == 401  # and no "100 Continue" before it
        assert answer.headers["connection"] == "close"
        assert raw.is_ended()


def test_a_small_body_nobody_wanted_leaves_the_connection_usable(server: Server) -> None:
    with Raw(server) as raw:
        first = raw.ask(b"PUT /v2/a/b/manifests/1 HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\n\r\nhello")
        second = raw.ask(f"GET /v2/ HTTP/1.1\r\nHost: {{host}}\r\n{_basic('ann', PASSWORD)}\r\n\r\n".encode())

        assert first.status == 401
        assert second.status == 200


def test_a_client_that_sends_a_large_body_first_still_reads_the_refusal(server: Server) -> None:
    size = 8 << 20
    with Raw(server) as raw:
        raw.send(b"PUT /v2/a/b/manifests/1 HTTP/1.1\r\nHost: {host}\r\nContent-Length: %d\r\n\r\n" % size)
        raw.send(b"x" * size)
        answer = raw.read()

        assert answer.status == 401
        assert answer.headers["connection"] == "close"
        assert raw.is_ended()


def test_the_operator_needs_no_password_at_the_control_socket(server: Server) -> None:
    with socket.socket(socket.AF_UNIX) as connected:
        connected.connect(str(server.data / "control.sock"))
        with Raw(server, connected) as raw:
            assert raw.ask(b"GET /v2/_catalog HTTP/1.1\r\nHost: anything\r\n\r\n").status == 200
