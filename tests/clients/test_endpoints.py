"""Every client through both endpoints over TLS, by the registries' own names, trusting what `scr tls init` made."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.cli.main import main
from appliance.domain.names import RegistryName
from appliance.domain.registry import EndpointType, RegistrySettings
from tests import make
from tests.clients.programs import Program
from tests.clients.resolver import Resolver
from tests.http.houses import furnish, url_of
from tests.http.test_endpoints import user
from tests.make.chart import archive
from tests.make.layout import write_layout

LOGIN = ("--username", "ann", "--password-stdin")
PASSWORD = b"right"


class House:
    """A server with two endpoints, and how clients reach its registries."""

    def __init__(self, server: make.Server, resolver: Resolver) -> None:
        self.server = server
        self.resolver = resolver
        self._private = url_of(server, 'registry "local"').rpartition(":")[2]
        self._public = url_of(server, 'registry "local", public endpoint').rpartition(":")[2]
        self.environment = {
            "HTTPS_PROXY": resolver.url,
            "SSL_CERT_FILE": str(server.data / "tls" / "ca.crt"),
            "NO_PROXY": "",
        }

    def private(self, registry: str) -> str:
        """Return the address of a registry at the private endpoint."""
        return f"{registry}-{registry}1.corp.example:{self._private}"

    def public(self, registry: str) -> str:
        """Return its address at the public endpoint, where one that is private has none."""
        return f"{registry}-{registry}1.public.example:{self._public}"


@pytest.fixture(scope="module")
def resolver() -> Iterator[Resolver]:
    with Resolver() as running:
        yield running


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, resolver: Resolver) -> Iterator[House]:
    """`pay` at both endpoints, for this machine only at the public one; `dev` at the private one; `shut` for nobody."""
    folder = tmp_path_factory.mktemp("house")
    domains = '[endpoint.private]\ndomain = "corp.example"\n[endpoint.public]\ndomain = "public.example"\n'
    server = make.Server(folder, domains)
    assert main(["tls", "init", "--config", str(server.config), "--data-dir", str(server.data)]) == 0
    tls = f'tls_certificate = "{server.data}/tls/server.crt"\ntls_key = "{server.data}/tls/server.key"\n'
    server.config.write_text(f'[server]\n{tls}{domains}listen = ["127.0.0.1:0"]\n{user()}')
    pay = RegistrySettings(RegistryName("pay"), endpoint=EndpointType.BOTH, public_access_control=True)
    shut = RegistrySettings(RegistryName("shut"), private_access_control=True)
    furnish(server, pay, RegistrySettings(RegistryName("dev")), shut)
    (server.data / "allowlists" / "pay.public.txt").write_text("127.0.0.1\n")
    with server:
        yield House(server, resolver)


@pytest.fixture(scope="module")
def daemon_environment(house: House) -> dict[str, str]:
    """What the docker daemon is told: it is the one that speaks with registries."""
    return house.environment


def _program(name: str, home: Path, house: House, *options: str) -> Program:
    return Program(name, home, options, house.environment)


def test_docker_goes_by_both_endpoints(docker: Program, house: House, rootfs: Path) -> None:
    docker.environment.update(house.environment)
    there, here = f"{house.private('pay')}/docker/busybox:v1", f"{house.public('pay')}/docker/busybox:v1"
    for address in (house.private("pay"), house.public("pay"), house.private("dev")):
        docker.run("login", *LOGIN, address, stdin=PASSWORD)
    shut = docker.refused("login", *LOGIN, house.private("shut"), stdin=PASSWORD)
    docker.run("import", rootfs, there)

    docker.run("push", there)
    docker.run("rmi", there)
    docker.run("pull", here)
    other = docker.refused("pull", there.replace("pay-pay1", "dev-dev1"))
    absent = docker.refused("pull", f"{house.public('dev')}/docker/busybox:v1")

    assert "403 Forbidden" in shut  # it shows no more of the answer to its ping
    assert "not found" in other or "manifest unknown" in other
    assert "no registry is called" in absent


def test_podman_goes_by_both_endpoints(home: Path, runtime: Path, house: House, rootfs: Path) -> None:
    store = home / "podman-endpoints"
    options = [f"--root={store / 'root'}", f"--runroot={runtime / 'run'}", f"--tmpdir={runtime / 'tmp'}"]
    options += ["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none"]
    podman = _program("podman", store, house, *options)
    there, here = f"{house.private('pay')}/podman/busybox:v1", f"{house.public('pay')}/podman/busybox:v1"
    for address in (house.private("pay"), house.public("pay")):
        podman.run("login", *LOGIN, address, stdin=PASSWORD)
    shut = podman.refused("pull", f"{house.private('shut')}/podman/busybox:v1")
    podman.run("import", rootfs, there)

    podman.run("push", there)
    podman.run("rmi", "--all", "--force")
    podman.run("pull", here)
    absent = podman.refused("pull", f"{house.public('dev')}/podman/busybox:v1")

    assert "403" in shut
    assert "no registry is called" in absent or "421" in absent


def test_skopeo_goes_by_both_endpoints(home: Path, house: House, tmp_path: Path) -> None:
    skopeo = _program("skopeo", home / "skopeo-endpoints", house)
    manifest = make.image()
    source = write_layout(tmp_path / "in", manifest, "v1")
    for address in (house.private("pay"), house.public("pay")):
        skopeo.run("login", *LOGIN, address, stdin=PASSWORD)

    skopeo.run("copy", f"oci:{source}:v1", f"docker://{house.private('pay')}/skopeo/app:v1")
    found = json.loads(skopeo.run("inspect", f"docker://{house.public('pay')}/skopeo/app:v1"))
    absent = skopeo.refused("inspect", f"docker://{house.public('dev')}/skopeo/app:v1")

    assert found["Digest"] == manifest.digest
    assert "no registry is called" in absent or "421" in absent


def test_crane_and_oras_go_by_both_endpoints(home: Path, house: House) -> None:
    crane, oras = _program("crane", home / "crane-e", house), _program("oras", home / "oras-e", house)
    for address in (house.private("pay"), house.public("pay"), house.private("dev")):
        crane.run("auth", "login", address, *LOGIN, stdin=PASSWORD)
        oras.run("login", *LOGIN, address, stdin=PASSWORD)
    (oras.home / "report.txt").write_text("all well")

    oras.run("push", f"{house.public('pay')}/oras/report:v1", "report.txt")
    crane.run("copy", f"{house.private('pay')}/oras/report:v1", f"{house.private('dev')}/copied/report:v1")
    digests = {
        crane.run("digest", f"{address}/{name}:v1")
        for address, name in (
            (house.private("pay"), "oras/report"),
            (house.public("pay"), "oras/report"),
            (house.private("dev"), "copied/report"),
        )
    }
    shut = crane.refused("digest", f"{house.private('shut')}/oras/report:v1")
    absent = crane.refused("digest", f"{house.public('dev')}/copied/report:v1")

    assert len(digests) == 1
    assert "not on the allowlist" in shut
    assert "421" in absent or "no registry is called" in absent


def test_helm_goes_by_both_endpoints(home: Path, house: House, tmp_path: Path) -> None:
    helm = _program("helm", home / "helm-e", house)
    packed = archive("greeting", "1.0.0")
    (tmp_path / "greeting-1.0.0.tgz").write_bytes(packed)
    for address in (house.private("pay"), house.public("pay")):
        helm.run("registry", "login", *LOGIN, address, stdin=PASSWORD)

    helm.run("push", tmp_path / "greeting-1.0.0.tgz", f"oci://{house.private('pay')}/charts")
    (tmp_path / "out").mkdir()
    remote = f"oci://{house.public('pay')}/charts/greeting"
    helm.run("pull", remote, "--version=1.0.0", "--destination", tmp_path / "out")
    absent = helm.refused("pull", remote.replace("pay-pay1", "dev-dev1"), "--version=1.0.0")

    assert (tmp_path / "out" / "greeting-1.0.0.tgz").read_bytes() == packed
    assert "421" in absent or "no registry is called" in absent


def test_the_names_were_those_of_the_registries(house: House) -> None:
    assert {"pay-pay1.corp.example", "pay-pay1.public.example", "dev-dev1.public.example"} <= house.resolver.names
