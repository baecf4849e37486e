"""`scr tls init` and `scr trust`: from nothing to a client that trusts the server."""

import http.client
import json
import ssl
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from appliance.cli.main import main
from appliance.domain.names import RegistryName
from appliance.domain.registry import EndpointType, RegistrySettings
from tests.http.houses import furnish, url_of
from tests.http.test_endpoints import user
from tests.make.server import Server

ALWAYS = {"localhost", "127.0.0.1", "::1"}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str, str]]:
    """A server with both endpoints and a certificate of its own, and how one of its registries is called at each."""
    domains = '[endpoint.private]\ndomain = "corp.example"\n[endpoint.public]\ndomain = "public.example"\n'
    server = Server(tmp_path_factory.mktemp("trusted"), domains)
    assert main(["tls", "init", "--config", str(server.config), "--data-dir", str(server.data)]) == 0
    tls = server.data / "tls"
    server.config.write_text(
        f'[server]\ntls_certificate = "{tls}/server.crt"\ntls_key = "{tls}/server.key"\n{domains}'
        f'listen = ["127.0.0.1:0"]\n{user()}'
    )
    furnish(server, RegistrySettings(RegistryName("pay"), endpoint=EndpointType.BOTH))
    with server:
        ports = [url_of(server, f'registry "local"{end}').rpartition(":")[2] for end in ("", ", public endpoint")]
        yield server, f"pay-pay1.corp.example:{ports[0]}", f"pay-pay1.public.example:{ports[1]}"


def names_in(path: Path) -> set[str]:
    """Return the names and addresses of a certificate."""
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(one.value) for one in found}


def ask(server: Server, context: ssl.SSLContext) -> int:
    """Return the status of a GET by TLS."""
    connection = http.client.HTTPSConnection(server.address, context=context, timeout=60)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status
    finally:
        connection.close()


def test_keys_are_for_their_owner_alone() -> None:
    assert main(["tls", "init"]) == 0

    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in Path("data/tls").iterdir()}
    assert modes == {"ca.key": 0o600, "server.key": 0o600, "ca.crt": 0o644, "server.crt": 0o644}


def test_the_certificate_names_what_the_configuration_names() -> None:
    Path("scr.toml").write_text(
        '[server]\nnames = ["Registry.example.com"]\npublic_url = "https://hub.example.com:8443"\n'
        'listen = ["10.0.0.7:5000"]\ntls_certificate = "not/yet.crt"\ntls_key = "not/yet.key"\n'
    )

    assert main(["tls", "init", "--name", "extra.example.com", "--name", "2001:db8::1"]) == 0

    wanted = {"registry.example.com", "hub.example.com", "10.0.0.7", "extra.example.com", "2001:db8::1"}
    assert names_in(Path("data/tls/server.crt")) == wanted | ALWAYS


def test_the_certificate_covers_the_names_of_every_registry_at_both_endpoints() -> None:
    Path("scr.toml").write_text(
        '[endpoint.private]\ndomain = "corp.example"\n[endpoint.public]\ndomain = "Registry.Example.com."\n'
    )

    assert main(["tls", "init"]) == 0

    wanted = {"corp.example", "*.corp.example", "registry.example.com", "*.registry.example.com"}
    assert names_in(Path("data/tls/server.crt")) == wanted | ALWAYS


def test_the_authority_is_kept_until_it_is_forced(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tls", "init", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    first = Path("data/tls/ca.crt").read_bytes()

    assert main(["tls", "init", "--name", "more.example.com", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    second = Path("data/tls/ca.crt").read_bytes()
    assert main(["tls", "init", "--force"]) == 0

    assert made["isNewAuthority"]
    assert not again["isNewAuthority"]
    assert first == second
    assert "more.example.com" in again["names"]
    assert Path("data/tls/ca.crt").read_bytes() != first


def test_a_key_that_is_none_is_not_written_over(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tls", "init"]) == 0
    Path("data/tls/ca.key").write_text("mine")

    assert main(["tls", "init"]) == 1

    assert "ca.key cannot be read as a key; move it away" in capsys.readouterr().err
    assert Path("data/tls/ca.key").read_text() == "mine"


@pytest.mark.parametrize("name", ["a b", "host:5000", "", "-x.example.com"])
def test_a_name_that_is_none_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tls", "init", f"--name={name}"]) == 1

    assert "is no host name or address" in capsys.readouterr().err


def test_the_lines_it_prints_serve_clients_that_trust_the_authority(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tls", "init", "--data-dir", str(tmp_path / "data")]) == 0
    lines = capsys.readouterr().out

    with Server(tmp_path, lines) as server:
        trusting = ssl.create_default_context(cafile=str(tmp_path / "data" / "tls" / "ca.crt"))
        assert ask(server, trusting) == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(server, ssl.create_default_context())

    assert server.url.startswith("https://127.0.0.1:")


@pytest.mark.parametrize("client", ["docker", "podman", "containerd", "k3s", "kind"])
def test_trust_prints_what_it_would_install(client: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tls", "init"]) == 0
    capsys.readouterr()
    words = ["trust", client, "--registry", "hub.example.com:5000", "--ca", "data/tls/ca.crt", "--root", str(tmp_path)]

    assert main(words) == 0
    printed = capsys.readouterr().out
    assert main([*words, "--install"]) == 0

    installed = {one for one in (tmp_path / "etc").rglob("*") if one.is_file()}
    assert installed
    for one in installed:
        assert f"# {one}\n" in printed
        assert one.read_text() in printed
    authority = Path("data/tls/ca.crt").read_text()
    assert any(one.read_text() == authority for one in installed)
    assert main([*words, "--install"]) == 0  # again: nothing is in the way


@pytest.mark.parametrize(
    ("client", "path", "words"),
    [
        ("podman", "containers/registries.conf.d/scr-hub.example.com-5000.conf", ["insecure = true"]),
        (
            "containerd",
            "containerd/certs.d/hub.example.com:5000/hosts.toml",
            ['server = "http://hub.example.com:5000"'],
        ),
        ("k3s", "rancher/k3s/registries.yaml", ['- "http://hub.example.com:5000"']),
        ("kind", "kind-scr/certs.d/hub.example.com:5000/hosts.toml", ['[host."http://hub.example.com:5000"]']),
        ("docker", "docker/daemon.json", ['"hub.example.com:5000"']),
    ],
)
def test_plain_http_is_the_clients_own_exception(client: str, path: str, words: list[str], tmp_path: Path) -> None:
    assert main(["trust", client, "--registry", "hub.example.com:5000", "--root", str(tmp_path), "--install"]) == 0

    text = (tmp_path / "etc" / path).read_text()
    assert all(word in text for word in words)
    if path.endswith((".conf", ".toml")):
        assert tomllib.loads(text)


def test_dockers_other_settings_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "docker" / "daemon.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"data-root": "/srv/docker", "insecure-registries": ["old:1"]}')

    for _ in range(2):
        assert main(["trust", "docker", "--registry", "hub:5000", "--root", str(tmp_path), "--install"]) == 0

    assert json.loads(path.read_text()) == {"data-root": "/srv/docker", "insecure-registries": ["old:1", "hub:5000"]}


def test_docker_needs_no_word_for_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trust", "docker"]) == 0

    caught = capsys.readouterr()
    assert caught.out == ""
    assert "takes plain HTTP from this machine without being told" in caught.err


def test_a_file_of_somebody_else_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "etc" / "rancher" / "k3s" / "registries.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("mirrors: {}\n")
    words = ["trust", "k3s", "--registry", "hub:5000", "--root", str(tmp_path), "--install"]

    assert main(words) == 1

    assert "is there and says something else" in capsys.readouterr().err
    assert path.read_text() == "mirrors: {}\n"
    assert main([*words, "--force"]) == 0


@pytest.mark.parametrize(
    ("client", "paths"),
    [
        ("docker", ["docker/certs.d/{0}/ca.crt", "docker/certs.d/{1}/ca.crt"]),
        ("podman", ["containers/certs.d/{0}/ca.crt", "containers/certs.d/{1}/ca.crt"]),
        ("containerd", ["containerd/certs.d/{0}/hosts.toml", "containerd/certs.d/{1}/hosts.toml"]),
        ("kind", ["kind-scr/certs.d/{0}/hosts.toml", "kind-scr/certs.d/{1}/ca.crt"]),
    ],
)
def test_every_registry_of_the_running_server_is_trusted(
    tmp_path: Path, trusted: tuple[Server, str, str], client: str, paths: list[str]
) -> None:
    server, private, public = trusted
    options = ["--config", str(server.config), "--data-dir", str(server.data), "--listen", "127.0.0.1:5000"]

    assert main(["trust", client, *options, "--install", "--root", str(tmp_path)]) == 0

    assert [path for path in paths if not (tmp_path / "etc" / path.format(private, public)).is_file()] == []


def test_k3s_is_told_of_all_registries_in_its_one_file(tmp_path: Path, trusted: tuple[Server, str, str]) -> None:
    server, private, public = trusted
    options = ["--config", str(server.config), "--data-dir", str(server.data), "--listen", "127.0.0.1:5000"]

    assert main(["trust", "k3s", *options, "--install", "--root", str(tmp_path)]) == 0

    found = msgspec.yaml.decode((tmp_path / "etc/rancher/k3s/registries.yaml").read_bytes())
    for address in (private, public):
        assert found["mirrors"][address]["endpoint"] == [f"https://{address}"]
        authority = tmp_path / found["configs"][address]["tls"]["ca_file"].removeprefix("/")
        assert authority.read_bytes() == (server.data / "tls" / "ca.crt").read_bytes()


def test_where_no_server_runs_names_of_registries_are_left_out_and_that_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("scr.toml").write_text('[endpoint.private]\ndomain = "corp.example"\n')

    assert main(["trust", "podman"]) == 0

    assert "names of registries are left out" in capsys.readouterr().err


def test_a_missing_authority_is_named_with_the_ways_out(capsys: pytest.CaptureFixture[str]) -> None:
    Path("scr.toml").write_text('[server]\npublic_url = "https://hub.example.com"\n')

    assert main(["trust", "docker"]) == 1

    assert "data/tls/ca.crt cannot be read; make a local authority with scr tls init" in capsys.readouterr().err


def test_a_port_that_is_not_known_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trust", "podman", "--listen", "127.0.0.1:0"]) == 1

    assert "name host and port with --registry" in capsys.readouterr().err
