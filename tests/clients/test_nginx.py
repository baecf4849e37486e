"""An nginx in front: with its default headers nobody gets in by them, with the documented ones everything works."""

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.domain.names import RegistryName
from appliance.domain.registry import EndpointType, RegistrySettings
from tests import make
from tests.clients.programs import ROOT, Program, find
from tests.http.houses import furnish
from tests.http.raw import Raw, wait_until
from tests.http.test_endpoints import ask, free_port, user
from tests.make.layout import assert_layout_holds, write_layout

_STOP_S = 60
DEFAULTS = "proxy_pass http://{address};"
HOST = "nets-nets1.corp.example"
CONFIG = f'[server]\nnames = ["registry.example.com"]\n[endpoint.private]\ndomain = "corp.example"\n{user()}'
TRUSTED = CONFIG.replace("[server]\n", '[server]\ntrusted_proxies = ["127.0.0.1"]\n')
NETS = RegistrySettings(RegistryName("nets"), endpoint=EndpointType.PRIVATE, private_access_control=True)


def documented() -> str:
    """Return what stands in the location of the documentation's nginx, for the server at `{address}`."""
    text = (ROOT / "docs" / "operations.md").read_text()
    found = re.search(r"```nginx\n.*?location / \{\n(.*?)\n    \}", text, re.DOTALL)
    assert found is not None
    return found[1].replace("127.0.0.1:5000", "{address}")


@contextmanager
def nginx(folder: Path, server: make.Server, location: str) -> Iterator[str]:
    """Run an nginx before `server`; yield its URL."""
    port = free_port()
    folder.mkdir()
    settings = location.replace("{address}", server.address)
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr;\nevents {{}}\n"
        f"http {{ access_log off; {paths}\nserver {{ listen 127.0.0.1:{port};\nclient_max_body_size 0;\n"
        f"location / {{ {settings} }} }} }}\n"
    )
    command = [find("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: process.poll() is not None or _answers(port))
        assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=_STOP_S)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def trusting(tmp_path: Path) -> Iterator[make.Server]:
    """A server that believes the nginx of this machine; only 127.0.0.9 may use the registry `nets`."""
    server = make.Server(tmp_path / "scr", TRUSTED)
    furnish(server, NETS, local="private_access_control = 1")
    for name in ("nets", "local"):
        (server.data / "allowlists" / f"{name}.private.txt").write_text("127.0.0.9\n")
    with server:
        yield server


def test_in_open_mode_nobody_behind_it_is_the_administrator(tmp_path: Path) -> None:
    with make.Server(tmp_path / "scr") as server, nginx(tmp_path / "nginx", server, DEFAULTS) as url:
        for path in ("/v2/", "/api/v1/status", "/v2/_catalog"):
            answer = ask(server, url, "registry.example.com", path=path, credentials="Accept: */*")

            assert answer.status == 403
            assert b"scr is behind a proxy: configure authentication" in answer.body


@pytest.mark.parametrize("told", ["127.0.0.9", "127.0.0.9, 127.0.0.9", "203.0.113.1, 127.0.0.9"])
def test_with_its_default_headers_no_client_makes_itself_another(
    tmp_path: Path, trusting: make.Server, told: str
) -> None:
    with nginx(tmp_path / "nginx", trusting, DEFAULTS) as url:
        for source in ("127.0.0.8", "127.0.0.9"):
            forged = ask(trusting, url, HOST, f"X-Forwarded-For: {told}", source=source)
            plain = ask(trusting, url, HOST, source=source)

            assert (forged.status, plain.status) == (400, 403)
            assert b"proxy_set_header" in forged.body


def test_where_it_is_not_believed_the_list_is_asked_for_its_own_address(tmp_path: Path) -> None:
    server = make.Server(tmp_path / "scr", CONFIG)
    furnish(server, local="private_access_control = 1")
    (server.data / "allowlists" / "local.private.txt").write_text("127.0.0.9\n")
    with server, nginx(tmp_path / "nginx", server, documented()) as url:
        forged = ask(server, url, "registry.example.com", "X-Forwarded-For: 127.0.0.9", source="127.0.0.9")

        assert forged.status == 403
        assert b"127.0.0.1 may not use" in forged.body


def test_with_the_documented_headers_the_list_sees_the_client(tmp_path: Path, trusting: make.Server) -> None:
    with nginx(tmp_path / "nginx", trusting, documented()) as url:
        for host in (HOST, "registry.example.com"):
            assert ask(trusting, url, host, source="127.0.0.9").status == 200
            for headers in ((), ("X-Forwarded-For: 127.0.0.9",), ("X-Real-IP: 127.0.0.9", "Forwarded: for=127.0.0.9")):
                assert ask(trusting, url, host, *headers, source="127.0.0.8").status == 403
        assert ask(trusting, url, "evil.example", source="127.0.0.9").status == 421
        assert ask(trusting, url, "evil.example", f"X-Forwarded-Host: {HOST}", source="127.0.0.9").status == 421


def test_a_client_pushes_and_pulls_through_the_documented_one(tmp_path: Path, home: Path) -> None:
    manifest = make.image([{"large": b"x" * 3_000_000}, {"small": b"1"}])
    source = write_layout(tmp_path / "in", manifest, "v1")
    skopeo = Program("skopeo", home / "skopeo-nginx")
    with make.Server(tmp_path / "scr", TRUSTED) as server, nginx(tmp_path / "nginx", server, documented()) as url:
        place = url.partition("://")[2]
        plain = ("--src-tls-verify=false", "--dest-tls-verify=false")
        skopeo.run("login", "--tls-verify=false", "--username", "ann", "--password-stdin", place, stdin=b"right")

        skopeo.run("copy", "--preserve-digests", *plain, f"oci:{source}:v1", f"docker://{place}/through/nginx:v1")
        skopeo.run("copy", *plain, f"docker://{place}/through/nginx:v1", f"oci:{tmp_path / 'out'}:v1")

        assert_layout_holds(tmp_path / "out", manifest)


def test_smuggled_heads_of_one_registry_do_not_reach_another(tmp_path: Path, trusting: make.Server) -> None:
    with nginx(tmp_path / "nginx", trusting, documented()) as url:
        place = url.partition("://")[2].rpartition(":")
        inner = f"GET /v2/ HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-For: 127.0.0.9\r\n\r\n"
        head = (
            "POST /v2/a/b/blobs/uploads/ HTTP/1.1\r\nHost: registry.example.com\r\nTransfer-Encoding: chunked\r\n"
            f"Content-Length: {len(inner)}\r\n\r\n0\r\n\r\n{inner}"
        )
        with Raw(trusting, socket.create_connection((place[0], int(place[2])), 30, ("127.0.0.8", 0))) as raw:
            raw.send(head.encode())
            told = raw.rest()

        assert told.count(b"HTTP/1.1 ") == 1
        assert told.startswith(b"HTTP/1.1 400 ")
