"""Zero configuration against the real server: this machine is served without a password, what may be foreign is not."""

import pytest

from tests.http.raw import Answer, Raw
from tests.make.server import Server


def _ask(server: Server, *headers: str, method: str = "GET", path: str = "/v2/", host: str = "{host}") -> Answer:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "Content-Length: 0", "", ""]
    with Raw(server) as raw:
        return raw.ask("\r\n".join(lines).encode("latin-1"))


def _port(server: Server) -> str:
    return server.address.rpartition(":")[2]


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "[::1]", "localhost."])
def test_this_machine_is_served_under_each_of_its_names(server: Server, name: str) -> None:
    assert _ask(server, host=f"{name}:{_port(server)}").status == 200


@pytest.mark.parametrize(
    "header",
    [
        "Via: 1.1 proxy",
        "Forwarded: for=10.0.0.1",
        "X-Real-IP: 10.0.0.1",
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-Host: localhost",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Prefix: /r",
        "x-FORWARDED-anything: 1",
    ],
)
def test_a_request_that_was_forwarded_is_refused_with_the_cure(server: Server, header: str) -> None:
    answer = _ask(server, header)

    assert answer.status == 403
    assert b"scr is behind a proxy: configure authentication" in answer.body


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost:1", "10.0.0.1:{port}", "[2001:db8::1]:{port}"])
def test_another_address_or_port_is_refused_with_the_cure(server: Server, host: str) -> None:
    answer = _ask(server, host=host.replace("{port}", _port(server)))

    assert answer.status == 403
    assert b"scr is behind a proxy: configure authentication" in answer.body


@pytest.mark.parametrize("name", ["registry.example.com", "localhost.example.com", "evil", "127.0.0.1.nip.io"])
def test_a_name_of_somebody_else_is_misdirected(server: Server, name: str) -> None:
    answer = _ask(server, host=f"{name}:{_port(server)}")

    assert answer.status == 421
    assert name.encode() in answer.body


@pytest.mark.parametrize(
    "host", ["", "a b", "localhost:5000, evil", "localhost:x", "http://localhost", "[::1", "a@b", "-"]
)
def test_a_host_that_is_none_is_refused(server: Server, host: str) -> None:
    assert _ask(server, host=host).status == 400


@pytest.mark.parametrize("authorization", ["Basic YTpi", "Basic", "Basic !!", "Basic YQ==", "Bearer scr1.x.y.z", "x"])
def test_wrong_credentials_are_wrong_without_authentication_too(server: Server, authorization: str) -> None:
    answer = _ask(server, f"Authorization: {authorization}")

    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer realm=")


FOREIGN = [
    ("Origin: https://evil.example",),
    ("Origin: null",),
    ("Origin: http://localhost:1",),
    ("Origin: https://{host}",),
    ("Sec-Fetch-Site: cross-site",),
    ("Sec-Fetch-Site: same-site",),
    ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"),
    ("Sec-Fetch-Site: cross-site", "Origin: http://{host}"),
]


@pytest.mark.parametrize("path", ["/v2/", "/v2/_catalog", "/%76%32/", "/api/v1/repositories"])
@pytest.mark.parametrize("headers", FOREIGN, ids=[" ".join(one) for one in FOREIGN])
def test_a_page_from_elsewhere_reaches_no_data(server: Server, headers: tuple[str, ...], path: str) -> None:
    answer = _ask(server, *headers, path=path)

    assert answer.status == 403
    assert b"a page of another site" in answer.body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_a_page_from_elsewhere_changes_nothing(server: Server, method: str) -> None:
    with Raw(server) as raw:
        raw.send(f"{method} / HTTP/1.1\r\nHost: {{host}}\r\n".encode())
        raw.send(b"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n\r\n")

        assert raw.read(is_head=method == "HEAD").status == 403


OWN = [
    (),
    ("Origin: http://{host}",),
    ("Sec-Fetch-Site: same-origin", "Origin: http://{host}"),
    ("Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"),
]


@pytest.mark.parametrize("headers", OWN, ids=[" ".join(one) or "no browser" for one in OWN])
def test_our_own_pages_and_clients_that_are_no_browser_are_served(server: Server, headers: tuple[str, ...]) -> None:
    assert _ask(server, *headers).status == 200


def test_a_link_from_elsewhere_may_lead_to_a_page(server: Server) -> None:
    answer = _ask(server, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", path="/")

    assert answer.status != 403


def test_a_refusal_has_the_form_of_what_was_asked(server: Server) -> None:
    of_v2 = _ask(server, "Via: 1.1 proxy", path="/v2/")
    of_api = _ask(server, "Via: 1.1 proxy", path="/api/v1/repositories")

    assert of_v2.headers["content-type"] == "application/json"
    assert b'"code":"DENIED"' in of_v2.body
    assert of_v2.headers["docker-distribution-api-version"] == "registry/2.0"
    assert of_api.headers["content-type"] == "application/problem+json"
    assert b'"status":403' in of_api.body


def test_probes_are_answered_under_any_name(server: Server) -> None:
    assert _ask(server, path="/health/live", host="10.1.2.3:5000").status == 200
    assert _ask(server, path="/health/ready", host="pod.example").status == 200
