"""`scr doctor`: a registry that is well has no problem, and each thing that a proxy breaks is told with its cure."""

import http.client
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from appliance.cli import doctor_host
from appliance.cli.doctor_ports import look_at_ports
from appliance.cli.main import main
from appliance.config.quantities import Address
from appliance.services.keys import hash_password
from tests.make.server import Server

PASSWORD = "s3cret"  # noqa: S105 - of a user that lives for this module


class Finding(msgspec.Struct, frozen=True):
    """A finding as JSON shows it."""

    name: str
    state: str
    detail: str
    cure: str = ""


@pytest.fixture(scope="module")
def server_config() -> str:
    known = hash_password(PASSWORD)
    return f'[[user]]\nname = "admin"\npassword_hash = "{known}"\npolicies = ["ScrFullAccess"]\n'


class Passed(msgspec.Struct):
    """A request or an answer on its way through the proxy; a quirk changes it."""

    status: int
    headers: dict[str, str]
    body: bytes
    method: str


Quirk = Callable[[Passed], None]


def nothing(_: Passed) -> None:
    """Change nothing."""


class Proxy(http.server.ThreadingHTTPServer):
    """A proxy before `target`; `ask` may change requests (a status answers at once), `answer` what comes back."""

    daemon_threads = True

    def __init__(self, target: str, ask: Quirk, answer: Quirk) -> None:
        self.target, self.ask, self.answer = target, ask, answer
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection to the proxy."""

    protocol_version = "HTTP/1.1"
    server: Proxy

    def pass_on(self) -> None:
        asked = Passed(0, {name.lower(): value for name, value in self.headers.items()}, self.read(), self.command)
        self.server.ask(asked)
        if asked.status:
            self.reply(Passed(asked.status, {"content-type": "text/html"}, b"<html>proxy</html>", self.command))
            return
        connection = http.client.HTTPConnection(self.server.target, timeout=60)
        sent = {name: value for name, value in asked.headers.items() if name != "transfer-encoding"}
        sent["content-length"] = str(len(asked.body))
        connection.request(asked.method, self.path, asked.body, sent)
        got = connection.getresponse()
        passed = Passed(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read(), self.command)
        connection.close()
        self.server.answer(passed)
        self.reply(passed)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on  # noqa: N815 - the base class's names

    def read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def reply(self, passed: Passed) -> None:
        self.send_response(passed.status)
        if self.command != "HEAD":
            passed.headers["content-length"] = str(len(passed.body))
        for name, value in passed.headers.items():
            if name not in ("date", "server", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(passed.body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def proxy(server: Server, ask: Quirk = nothing, answer: Quirk = nothing) -> Iterator[str]:
    """Run a proxy before `server`; return its address."""
    running = Proxy(server.address, ask, answer)
    thread = threading.Thread(target=running.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_address[1]}"
    finally:
        running.shutdown()
        running.server_close()
        thread.join()


class Doctor:
    """Runs `scr doctor --json` against the server, through an address of its own or another one."""

    def __init__(self, server: Server, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._server = server
        self._capsys = capsys
        self._credentials = folder / "credentials"
        self._credentials.write_text(f"admin:{PASSWORD}")

    def __call__(self, url: str, *options: str) -> tuple[int, dict[str, Finding]]:
        self._capsys.readouterr()
        where = ["--data-dir", str(self._server.data), "--server", url, "--credentials", str(self._credentials)]
        code = main(["doctor", "--json", *where, *options])
        found = msgspec.json.decode(self._capsys.readouterr().out, type=list[Finding])
        return code, {one.name: one for one in found}


@pytest.fixture
def doctor(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Doctor:
    monkeypatch.setenv("SCR_DEBUG", "1")
    return Doctor(server, tmp_path, capsys)


def test_a_registry_that_is_well_has_no_problem_and_keeps_nothing(server: Server, doctor: Doctor) -> None:
    code, found = doctor(server.url)

    assert code == 0
    assert {one.state for one in found.values()} <= {"ok", "skipped", "warning"}
    for name in ("disk room", "file operations", "clock", "server", "name", "ping", "push and pull", "range requests"):
        assert found[name].state in ("ok", "warning"), found[name]
    assert found["clean up"].state == "ok"
    with server.client(user="admin", password=PASSWORD) as client:
        assert json.loads(client.get("/v2/_catalog").body) == {"repositories": []}
        assert b"scr-doctor" not in client.get("/api/v1/repositories").body


def test_a_proxy_that_changes_nothing_is_well(server: Server, doctor: Doctor) -> None:
    with proxy(server) as url:
        code, found = doctor(url, "--large")

    assert code == 0
    assert found["64 MiB body"].state == "ok"


def wrong_location(passed: Passed) -> None:
    if "location" in passed.headers:
        passed.headers["location"] = "http://internal:8080" + passed.headers["location"]


def no_location(passed: Passed) -> None:
    passed.headers.pop("location", None)


def small_bodies(passed: Passed) -> None:
    if len(passed.body) > 1 << 20:
        passed.status = 413


def no_chunks(passed: Passed) -> None:
    if "transfer-encoding" in passed.headers:
        passed.status = 411


def impatient(passed: Passed) -> None:
    if len(passed.body) > 1 << 20:
        passed.status = 504


def no_credentials(passed: Passed) -> None:
    passed.headers.pop("authorization", None)


def no_range(passed: Passed) -> None:
    passed.headers.pop("range", None)


def another_host(passed: Passed) -> None:
    passed.headers["host"] = "registry.example"


def without_challenge(passed: Passed) -> None:
    passed.headers.pop("www-authenticate", None)


def elsewhere(passed: Passed) -> None:
    passed.status = 404


def no_digest(passed: Passed) -> None:
    passed.headers.pop("docker-content-digest", None)


def pretty(passed: Passed) -> None:
    if passed.headers.get("content-type", "").endswith("manifest.v1+json"):
        passed.body = json.dumps(json.loads(passed.body or b"{}"), indent=1).encode()


def plain_text(passed: Passed) -> None:
    if "json" in passed.headers.get("content-type", ""):
        passed.headers["content-type"] = "text/plain"


def head_as_get(passed: Passed) -> None:
    if passed.method == "HEAD":
        passed.headers.pop("content-length", None)


def read_only(passed: Passed) -> None:
    if passed.method not in ("GET", "HEAD"):
        passed.status = 405


@pytest.mark.parametrize(
    ("ask", "answer", "name", "detail", "cure"),
    [
        (nothing, wrong_location, "upload", "internal:8080", "proxy_redirect off"),
        (nothing, no_location, "upload", "no Location", "pass that header on"),
        (small_bodies, nothing, "2 MiB body", "413", "client_max_body_size 0"),
        (no_chunks, nothing, "chunked upload", "411", "proxy_request_buffering off"),
        (impatient, nothing, "2 MiB body", "504", "proxy_read_timeout"),
        (no_credentials, without_challenge, "ping", "WWW-Authenticate", "pass that header on"),
        (elsewhere, nothing, "ping", "404", "location /v2/"),
        (nothing, no_digest, "upload", "Docker-Content-Digest", "all headers"),
        (nothing, pretty, "push and pull", "other bytes", "rewrites bodies"),
        (nothing, plain_text, "push and pull", "text/plain", "Content-Type"),
        (nothing, head_as_get, "push and pull", "HEAD", "compression off"),
        (read_only, nothing, "upload", "405", "POST, PATCH, PUT"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_a_proxy_breaks_is_told_with_its_cure(
    server: Server, doctor: Doctor, ask: Quirk, answer: Quirk, name: str, detail: str, cure: str
) -> None:
    with proxy(server, ask, answer) as url:
        code, found = doctor(url)

    assert code == 1
    assert found[name].state == "problem"
    assert detail in found[name].detail
    assert cure in found[name].cure


def test_without_ranges_it_works_with_a_warning(server: Server, doctor: Doctor) -> None:
    with proxy(server, no_range) as url:
        code, found = doctor(url)

    assert code == 0
    assert found["range requests"].state == "warning"


def test_a_proxy_that_takes_the_credentials_is_told_apart_from_a_wrong_address(server: Server, doctor: Doctor) -> None:
    with proxy(server, no_credentials) as url:
        _, found = doctor(url)

    assert found["ping"].state == "skipped"
    assert "--credentials" in found["ping"].cure


def test_an_unknown_host_name_is_told_with_the_line_for_the_settings(server: Server, doctor: Doctor) -> None:
    with proxy(server, another_host) as url:
        code, found = doctor(url)

    assert code == 1
    assert "names = [" in found["ping"].cure


def test_an_address_where_nobody_answers_is_a_problem(doctor: Doctor) -> None:
    code, found = doctor("http://127.0.0.1:1")

    assert code == 1
    assert found["public address"].state == "problem"


def test_without_a_server_the_host_is_looked_at_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()

    (tmp_path / "scr.toml").write_text('[server]\nlisten = ["127.0.0.1:0"]\n')

    code = main(["doctor", "--data-dir", str(tmp_path / "data"), "--config", str(tmp_path / "scr.toml")])

    told = capsys.readouterr().out
    assert code == 1
    assert "file operations" in told
    assert "127.0.0.1:0 can be listened on" in told
    assert "glibc 2." in told
    assert "scr serve" in told
    assert list((tmp_path / "data").iterdir()) == []


def test_a_port_that_another_program_has_is_told_before_the_first_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        (tmp_path / "scr.toml").write_text(f'[server]\nlisten = ["{address}"]\n')
        where = ["--config", str(tmp_path / "scr.toml"), "--data-dir", str(tmp_path / "data")]

        code = main(["doctor", *where])

    assert code == 1
    assert f"somebody listens on {address} already" in capsys.readouterr().out


def test_an_address_that_the_host_does_not_have_is_told() -> None:
    (found,) = look_at_ports([Address("192.0.2.1", 5000)])

    assert found.state == "problem"
    assert found.detail == "this host has no address 192.0.2.1"


@pytest.mark.parametrize(
    ("told", "state"),
    [("glibc 2.31", "ok"), ("glibc 3.0", "ok"), ("glibc 2.28", "warning"), ("glibc 2.9", "warning"), (None, "warning")],
)
def test_a_c_library_that_is_too_old_for_the_packaged_program_is_told(told: str | None, state: str) -> None:
    assert doctor_host.look_at_library(told).state == state


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/srv/scr/data", "nfs4"), ("/srv/scr", "nfs4"), ("/srv", "ext4"), ("/mnt/a b/x", "xfs"), ("/srv/scrx", "ext4")],
)
def test_the_file_system_is_the_one_of_the_nearest_mount(folder: str, kind: str) -> None:
    mounts = (
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "30 22 0:44 / /srv/scr rw - nfs4 host:/x rw\n"
        "31 22 8:2 / /mnt/a\\040b rw - xfs /dev/sdb rw\n"
        "nonsense\n"
    )

    assert doctor_host.file_system_of(Path(folder), mounts) == kind
