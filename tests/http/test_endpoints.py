"""Endpoints of the real server: which registry a request means, who may come in, and what a change does."""

import json
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import argon2
import pytest

from appliance.cli.main import main
from appliance.domain.names import RegistryName
from appliance.domain.registry import EndpointType, RegistrySettings
from tests.http.houses import furnish, url_of
from tests.http.raw import Answer, Raw, wait_for_line, wait_until
from tests.make.images import image
from tests.make.server import Server

CREDENTIALS = "Authorization: Basic YW5uOnJpZ2h0"  # ann:right
PAY = RegistrySettings(RegistryName("pay"), endpoint=EndpointType.BOTH)
DEV = RegistrySettings(RegistryName("dev"))
NETS = RegistrySettings(
    RegistryName("nets"), endpoint=EndpointType.BOTH, private_access_control=True, public_access_control=True
)
PAY_PRIVATE, PAY_PUBLIC = "pay-pay1.corp.example", "pay-pay1.public.example"


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def user() -> str:
    """Return the table of the user `ann` whose password is `right`."""
    known = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("right")
    return f'[[user]]\nname = "ann"\npassword_hash = "{known}"\npolicies = ["ScrFullAccess"]\n'


OWN_PORT = free_port()
CONFIG = f"""\
[server]
trusted_proxies = ["127.0.0.50"]
[endpoint.private]
domain = "corp.example"
[endpoint.public]
listen = ["127.0.0.1:0"]
domain = "public.example"
[[listener]]
address = "127.0.0.1:0"
endpoint = "public"
registry = "nets"
[[resource_group]]
name = "build"
kind = "vm"
addresses = ["127.0.0.7"]
{user()}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with both endpoints, and four registries."""
    made = Server(tmp_path_factory.mktemp("server"), CONFIG)
    till = RegistrySettings(RegistryName("till"), port=OWN_PORT)
    furnish(made, PAY, DEV, NETS, till)
    (made.data / "allowlists" / "nets.private.txt").write_text("127.0.0.1\n@build\n")
    (made.data / "allowlists" / "nets.public.txt").write_text("127.0.0.9\n203.0.113.0/24\n")
    with made:
        yield made


def ask(
    server: Server, url: str, host: str, *headers: str, path: str = "/v2/", source: str = "", credentials: str = ""
) -> Answer:
    """GET `path` at `url` as the user ann, or with other `credentials`, under the name `host`."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", credentials or CREDENTIALS, *headers, "", ""]
    place = url.partition("://")[2].rpartition(":")
    connected = socket.create_connection((place[0], int(place[2])), 30, (source or "127.0.0.1", 0))
    with Raw(server, connected) as raw:
        return raw.ask("\r\n".join(lines).encode("latin-1"))


@pytest.fixture(scope="module")
def private(server: Server) -> str:
    return server.url


@pytest.fixture(scope="module")
def public(server: Server) -> str:
    return url_of(server, 'registry "local", public endpoint')


@pytest.fixture(scope="module")
def nets(server: Server) -> str:
    return url_of(server, 'registry "nets", public endpoint')


def test_each_registry_answers_under_its_own_names_and_holds_its_own_images(server: Server, private: str) -> None:
    manifest = image()
    with server.client(user="ann", password="right") as client:  # noqa: S106 - of this test's own server
        client.push("team/app", manifest, "v1")  # to the default registry

    path = "/v2/team/app/manifests/v1"
    assert ask(server, private, "127.0.0.1", path=path).status == 200
    assert ask(server, private, "corp.example", path=path).status == 200
    assert ask(server, private, PAY_PRIVATE, path=path).status == 404
    assert ask(server, f"http://127.0.0.1:{OWN_PORT}", "127.0.0.1", path=path).status == 404


@pytest.mark.parametrize(
    "host", ["dev-dev1.public.example", PAY_PRIVATE, "127.0.0.1", "evil.example", "dev-pay1.public.example"]
)
def test_at_the_public_endpoint_only_what_is_public_is_served(server: Server, public: str, host: str) -> None:
    assert ask(server, public, PAY_PUBLIC).status == 200

    answer = ask(server, public, host)

    assert answer.status == 421
    assert json.loads(answer.body)["errors"][0]["code"] == "NAME_UNKNOWN"


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/status", "/api/schema", "/metrics", "/api/v1/../v1/status", "//api/v1/status"]
)
def test_management_is_not_at_the_public_endpoint(server: Server, private: str, public: str, path: str) -> None:
    answer = ask(server, public, PAY_PUBLIC, path=path)

    assert answer.status == 404
    assert b"not at the public endpoint" in answer.body
    assert ask(server, private, "127.0.0.1", path="/api/v1/status").status == 200


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_is_told_at_every_door(server: Server, private: str, public: str, nets: str, path: str) -> None:
    assert [
        ask(server, url, "any.example", path=path, source="127.0.0.3").status for url in (private, public, nets)
    ] == [
        200,
        200,
        200,
    ]


@pytest.mark.parametrize(
    "path", ["/health/../api/v1/status", "/health/%2e%2e/api/v1/status", "/health//../../api/v1/status", "/health/x"]
)
def test_health_opens_nothing_else(server: Server, public: str, path: str) -> None:
    assert ask(server, public, PAY_PUBLIC, path=path).status == 404


@pytest.mark.parametrize("host", [PAY_PUBLIC, "dev-dev1.public.example", "127.0.0.1", "evil.example"])
def test_a_listener_of_its_own_means_one_registry_under_any_host(server: Server, nets: str, host: str) -> None:
    assert ask(server, nets, host, source="127.0.0.9").status == 200
    assert ask(server, nets, host, source="127.0.0.8").status == 403


@pytest.mark.parametrize(
    ("headers"),
    [
        ("Host: dev-dev1.corp.example",),  # a second one
        ("X-Forwarded-Host: dev-dev1.corp.example",),
        ("Forwarded: host=dev-dev1.corp.example",),
        ("X-Original-Host: dev-dev1.corp.example", "X-Host: dev-dev1.corp.example"),
    ],
)
def test_no_other_header_says_which_registry_is_meant(server: Server, public: str, headers: tuple[str, ...]) -> None:
    answer = ask(server, public, PAY_PUBLIC, *headers)

    assert answer.status == (400 if headers[0].startswith("Host") else 200)


def test_a_whole_url_of_another_registry_is_refused(server: Server, private: str) -> None:
    answer = ask(server, private, PAY_PRIVATE, path="http://nets-nets1.corp.example/v2/", source="127.0.0.3")

    assert answer.status == 400


def test_an_allowlist_decides_before_anybody_is_asked_for_a_password(server: Server, private: str) -> None:
    host = "nets-nets1.corp.example"

    assert ask(server, private, host, source="127.0.0.1").status == 200
    assert ask(server, private, host, source="127.0.0.7").status == 200  # @build
    for credentials in (CREDENTIALS, "Authorization: Basic YW5uOndyb25n", "Authorization: Bearer x"):
        refused = ask(server, private, host, source="127.0.0.8", credentials=credentials)
        assert (refused.status, "www-authenticate" in refused.headers) == (403, False)
        told = json.loads(refused.body)["errors"][0]
        assert told["code"] == "DENIED"
        assert "127.0.0.8 may not use the private endpoint" in told["message"]
    assert ask(server, private, "127.0.0.1", source="127.0.0.8").status == 200  # another registry


def test_a_refusal_names_the_page_that_explains_it_or_the_command_where_that_page_is_not(
    server: Server, private: str, nets: str
) -> None:
    refused = ask(server, private, "nets-nets1.corp.example", source="127.0.0.8")
    outside = ask(server, nets, "127.0.0.1", source="127.0.0.8")

    assert b"; why: http://nets-nets1.corp.example/why/" in refused.body
    assert re.search(rb"; why: scr why [0-9a-f]{32}", outside.body)


@pytest.mark.parametrize(
    ("source", "told", "status"),
    [
        ("127.0.0.50", "203.0.113.9", 200),
        ("127.0.0.50", "198.51.100.1, 203.0.113.9", 200),
        ("127.0.0.50", "203.0.113.9, 198.51.100.1", 403),  # the left one is the client's own claim
        ("127.0.0.50", "203.0.113.9, 127.0.0.50", 200),
        ("127.0.0.50", "::ffff:203.0.113.9", 200),
        ("127.0.0.50", "", 403),  # the proxy itself is not on the list
        ("127.0.0.50", "unknown", 400),
        ("127.0.0.8", "203.0.113.9", 403),  # no proxy of ours
        ("127.0.0.9", "198.51.100.1", 200),  # it may not make itself another either
    ],
)
def test_the_address_is_the_one_that_a_trusted_proxy_tells(
    server: Server, nets: str, source: str, told: str, status: int
) -> None:
    headers = [f"X-Forwarded-For: {told}"] if told else []

    assert ask(server, nets, "hub.example", *headers, source=source).status == status


@pytest.mark.parametrize(
    "header", ["X-Real-IP", "Forwarded", "Client-IP", "True-Client-IP", "X-Client-IP", "CF-Connecting-IP"]
)
def test_no_other_header_tells_an_address(server: Server, nets: str, header: str) -> None:
    for source in ("127.0.0.50", "127.0.0.8"):
        assert ask(server, nets, "127.0.0.1", f"{header}: 203.0.113.9", source=source).status == 403


def test_the_first_version_of_the_api_is_not_there_whoever_asks(server: Server, private: str, nets: str) -> None:
    for url, source in ((private, "127.0.0.1"), (nets, "127.0.0.8")):
        for credentials in (CREDENTIALS, "X-None: x"):
            answer = ask(server, url, "127.0.0.1", path="/v1/_ping", source=source, credentials=credentials)
            assert answer.status == 404


def test_an_edit_counts_for_new_requests_and_rubbish_keeps_the_last_good_list(server: Server, private: str) -> None:
    host = "nets-nets1.corp.example"
    path = server.data / "allowlists" / "nets.private.txt"
    good = path.read_text()

    path.write_text(good + "127.0.0.30\n")
    wait_until(lambda: ask(server, private, host, source="127.0.0.30").status == 200)

    path.write_text("127.0.0.31\nlet me in\n")
    assert "line 2: let me in is no address" in wait_for_line(server, "allowlist.refused list=nets.private")
    assert ask(server, private, host, source="127.0.0.30").status == 200
    assert ask(server, private, host, source="127.0.0.31").status == 403
    health = ask(server, private, "127.0.0.1", path="/health/ready")
    assert (health.status, json.loads(health.body)["status"]) == (200, "degraded")
    assert b"nets" not in health.body

    path.write_text(good)
    wait_until(lambda: ask(server, private, host, source="127.0.0.30").status == 403)
    health = ask(server, private, "127.0.0.1", path="/health/ready")
    assert json.loads(health.body)["status"] == "ready"


def test_a_group_of_the_configuration_counts_at_once(server: Server, private: str) -> None:
    host = "nets-nets1.corp.example"
    server.config.write_text(CONFIG.replace('["127.0.0.7"]', '["127.0.0.40/29"]'))

    wait_until(lambda: ask(server, private, host, source="127.0.0.41").status == 200)

    assert ask(server, private, host, source="127.0.0.7").status == 403
    server.config.write_text(CONFIG)
    wait_until(lambda: ask(server, private, host, source="127.0.0.7").status == 200)


def change(server: Server, method: str, path: str, **order: object) -> dict[str, Any]:
    """Make, edit or delete a registry over the API as the user ann; return the answer with its status."""
    with server.client(user="ann", password="right") as client:  # noqa: S106 - of this test's own server
        reply = client.request(method, path, json.dumps(order).encode(), {"Content-Type": "application/json"})
    return {"status": reply.status, **(json.loads(reply.body) if reply.body else {})}


def answers(port: int) -> bool:
    """Whether anybody accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_registry_has_its_port_and_its_names_as_soon_as_it_is_made(server: Server, private: str, public: str) -> None:
    first, second = free_port(), free_port()
    made = change(server, "POST", "/api/v1/registries", name="porty", port=first, endpoint="private+public")
    path = f"/api/v1/registries/{made['id']}"
    host = f"porty-{made['id']}"

    assert made["status"] == 201
    assert made["urls"]["private"] == [
        f"http://{host}.corp.example:{private.rpartition(':')[2]}",
        f"http://127.0.0.1:{first}",
    ]
    assert made["urls"]["public"] == [f"http://{host}.public.example:{public.rpartition(':')[2]}"]
    assert ask(server, f"http://127.0.0.1:{first}", "127.0.0.1").status == 200
    assert ask(server, public, f"{host}.public.example").status == 200

    assert change(server, "PATCH", path, port=second, endpoint="private")["status"] == 200
    assert ask(server, f"http://127.0.0.1:{second}", "127.0.0.1").status == 200
    assert not answers(first)
    assert ask(server, public, f"{host}.public.example").status == 421

    assert change(server, "DELETE", f"{path}?confirm=porty")["status"] == 204
    assert not answers(second)
    assert ask(server, private, f"{host}.corp.example").status == 404


def test_a_port_that_somebody_else_has_is_refused_and_changes_nothing(server: Server, private: str) -> None:
    taken = int(private.rpartition(":")[2])
    made = change(server, "POST", "/api/v1/registries", name="unported")
    path = f"/api/v1/registries/{made['id']}"

    refused = change(server, "POST", "/api/v1/registries", name="squatter", port=taken)
    edited = change(server, "PATCH", path, port=taken)

    assert (refused["status"], edited["status"]) == (409, 409)
    assert f"cannot listen on 127.0.0.1:{taken}" in refused["detail"]
    assert change(server, "GET", path)["port"] is None
    assert ask(server, private, "127.0.0.1", path="/health/ready").status == 200


def test_the_allowlist_of_a_registry_that_came_to_nothing_lets_nobody_into_the_next_of_its_name(
    server: Server, private: str
) -> None:
    taken = int(private.rpartition(":")[2])
    wanted = {"name": "again", "privateAccessControl": True}
    refused = change(server, "POST", "/api/v1/registries", port=taken, privateAllowlist="127.0.0.1\n", **wanted)

    made = change(server, "POST", "/api/v1/registries", **wanted)

    assert (refused["status"], made["status"]) == (409, 201)
    assert ask(server, private, f"again-{made['id']}.corp.example").status == 403


def test_a_connection_that_stays_open_does_not_keep_what_was_decided(server: Server) -> None:
    port = free_port()
    made = change(server, "POST", "/api/v1/registries", name="lasting", port=port)
    path = f"/api/v1/registries/{made['id']}"
    request = f"GET /v2/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{CREDENTIALS}\r\n\r\n".encode()
    with Raw(server, socket.create_connection(("127.0.0.1", port), 30)) as raw:
        assert raw.ask(request).status == 200

        change(server, "PATCH", path, privateAccessControl=True)
        assert raw.ask(request).status == 403
        change(server, "PATCH", path, privateAccessControl=False)
        assert raw.ask(request).status == 200
        change(server, "DELETE", f"{path}?confirm=lasting")
        assert raw.ask(request).status == 421


def _proxied(told: str) -> bytes:
    """Return a PROXY header of version 2 that tells a client's address."""
    addresses = socket.inet_aton(told) + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 4711, 443)
    return b"\r\n\r\n\x00\r\nQUIT\n" + struct.pack("!BBH", 0x21, 0x11, len(addresses)) + addresses


@pytest.mark.parametrize(
    ("source", "told", "status"),
    [("127.0.0.50", "203.0.113.9", 200), ("127.0.0.50", "198.51.100.1", 403), ("127.0.0.8", "203.0.113.9", 0)],
)
def test_the_address_is_the_one_that_a_proxy_header_tells(
    server: Server, nets: str, source: str, told: str, status: int
) -> None:
    place = nets.partition("://")[2].rpartition(":")
    request = f"GET /v2/ HTTP/1.1\r\nHost: hub.example\r\n{CREDENTIALS}\r\n\r\n".encode()
    with Raw(server, socket.create_connection((place[0], int(place[2])), 30, (source, 0))) as raw:
        raw.send(_proxied(told) + request)
        if status:
            assert raw.read().status == status
        else:  # nobody else may tell one: the connection ends
            assert raw.is_ended()


def test_management_may_have_an_address_and_a_list_of_its_own_and_the_operator_needs_neither(tmp_path: Path) -> None:
    settings = '[endpoint.management]\nlisten = ["127.0.0.1:0"]\naccess_control = true\n'
    own = '[[listener]]\naddress = "127.0.0.1:0"\nregistry = "gone"\n'
    with Server(tmp_path, f"{settings}{own}{user()}") as made:
        management, gone = url_of(made, "management"), url_of(made, 'registry "gone"')
        wait_for_line(made, "allowlist.missing list=management")
        wait_for_line(made, "listen.registry_unknown registry=gone")

        def status(url: str, path: str) -> int:
            return ask(made, url, url.partition("://")[2], path=path).status

        assert [status(made.url, path) for path in ("/v2/", "/api/v1/status", "/metrics", "/")] == [200, 404, 404, 404]
        assert [status(management, path) for path in ("/v2/", "/token", "/api/v1/status", "/")] == [404, 404, 403, 403]
        assert status(gone, "/v2/") == 421
        assert main(["allowlist", "add", "management", "127.0.0.1", "--data-dir", str(made.data)]) == 0
        assert [status(management, path) for path in ("/api/v1/status", "/metrics")] == [200, 200]


def test_a_public_endpoint_that_serves_no_registry_says_what_to_do(tmp_path: Path) -> None:
    with Server(tmp_path, '[endpoint.public]\nlisten = ["127.0.0.1:0"]\n') as made:
        assert "--endpoint private+public" in wait_for_line(made, "listen.public_idle")


@pytest.mark.parametrize("text", ["let me in\n", None], ids=["rubbish", "no file"])
def test_at_the_start_rubbish_lets_nobody_in_and_the_operator_still_does(tmp_path: Path, text: str | None) -> None:
    made = Server(tmp_path)
    furnish(made, local="private_access_control = 1")
    if text is not None:
        (made.data / "allowlists" / "local.private.txt").write_text(text)
    with made:
        answer = ask(made, made.url, made.address)
        health = ask(made, made.url, made.address, path="/health/ready")
        status = ask(made, made.url, made.address, path="/api/v1/status")

        assert [one.status for one in (answer, health, status)] == [403, 200, 401]
        assert json.loads(health.body)["status"] == "degraded"
        wait_for_line(made, "nobody gets in")
        (made.data / "allowlists" / "local.private.txt").write_text("127.0.0.1\n")
        wait_until(lambda: ask(made, made.url, made.address).status != 403)


def test_a_registry_that_is_not_made_yet_is_told_how_it_would_be_called(server: Server, public: str) -> None:
    port = free_port()
    draft = {"name": "shop", "endpoint": "private+public", "port": port}
    kind = {"Content-Type": "application/json"}
    address = "/api/v1/registries/checks"

    with server.client(user="ann", password="right") as client:  # noqa: S106 - of this test's own server
        told = json.loads(client.request("POST", address, json.dumps(draft).encode(), kind).expect(200).body)
        hidden = json.loads(client.request("POST", address, b'{"name": "shop"}', kind).expect(200).body)

    corp = f"http://shop-<id>.corp.example:{server.url.rpartition(':')[2]}"
    outside = f"http://shop-<id>.public.example:{public.rpartition(':')[2]}"
    assert told["urls"] == {"private": [corp, f"http://127.0.0.1:{port}"], "public": [outside]}
    assert hidden["urls"] == {"private": [corp], "public": []}
