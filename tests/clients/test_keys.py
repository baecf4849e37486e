"""Every client signs in with an access key over TLS, at both endpoints, works within its policy and not beyond it.

The key of `dev` may pull and push in the repository `team` of the registry `pay`, as the manual has it (2.6); that of
`reader` may pull everything. What is refused names the action that is missing, wherever a client reads the answer: most
ask with HEAD first, whose answer has no body, so of a repository they may not even pull from they say 403.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.cli.main import main
from appliance.domain.names import RegistryName
from appliance.domain.registry import EndpointType, RegistrySettings
from tests import make
from tests.clients.programs import Program
from tests.clients.resolver import Resolver
from tests.clients.test_endpoints import House
from tests.http.houses import furnish
from tests.make.accounts import Key, Member, make_accounts
from tests.make.chart import archive
from tests.make.layout import write_layout

PULL, PUSH = "PullRepositoryImages", "PushRepositoryImages"
MEMBERS = (
    Member(
        "dev",
        statements=[
            {"effect": "allow", "actions": ["LoginContainerRegistry"], "resources": ["registry/pay"]},
            {
                "effect": "allow",
                "actions": ["PullRepositoryImages", "PushRepositoryImages"],
                "resources": ["registry/pay/repository/team"],
            },
        ],
    ),
    Member("reader", ["ScrPullOnlyAccess"]),
)


@pytest.fixture(scope="module")
def resolver() -> Iterator[Resolver]:
    with Resolver() as running:
        yield running


@pytest.fixture(scope="module")
def keys() -> dict[str, Key]:
    return {}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, resolver: Resolver, keys: dict[str, Key]) -> Iterator[House]:
    """The registry `pay` at both endpoints, and two keys."""
    folder = tmp_path_factory.mktemp("house")
    domains = '[endpoint.private]\ndomain = "corp.example"\n[endpoint.public]\ndomain = "public.example"\n'
    server = make.Server(folder, domains)
    assert main(["tls", "init", "--config", str(server.config), "--data-dir", str(server.data)]) == 0
    tls = f'tls_certificate = "{server.data}/tls/server.crt"\ntls_key = "{server.data}/tls/server.key"\n'
    public = '[endpoint.public]\nlisten = ["127.0.0.1:0"]\ndomain = "public.example"\n'
    server.config.write_text(f'[server]\n{tls}[endpoint.private]\ndomain = "corp.example"\n{public}')
    furnish(server, RegistrySettings(RegistryName("pay"), endpoint=EndpointType.BOTH))
    keys.update(make_accounts(server.data, MEMBERS))
    with server:
        yield House(server, resolver)


@pytest.fixture(scope="module")
def daemon_environment(house: House) -> dict[str, str]:
    """What the docker daemon is told: it is the one that speaks with registries."""
    return house.environment


@pytest.fixture(scope="module")
def places(house: House) -> tuple[str, str]:
    """The registry's address at the private and at the public endpoint."""
    return house.private("pay"), house.public("pay")


def sign_in(program: Program, key: Key, address: str, *words: str) -> None:
    """Sign in with an access key."""
    login = (*(words or ("login",)), "--username", key.access_key, "--password-stdin")
    program.run(*login, address, stdin=key.secret_key.encode())


def test_docker(docker: Program, house: House, keys: dict[str, Key], places: tuple[str, str], rootfs: Path) -> None:
    docker.environment.update(house.environment)
    for address in places:
        sign_in(docker, keys["dev"], address)
    here, there = (f"{address}/team/docker:v1" for address in places)
    docker.run("import", rootfs, here)
    docker.run("tag", here, f"{places[0]}/other/docker:v1")

    docker.run("push", here)
    docker.run("rmi", here)
    docker.run("pull", there)
    neighbour = docker.refused("push", f"{places[0]}/other/docker:v1")
    sign_in(docker, keys["reader"], places[1])
    docker.run("pull", there)
    reader = docker.refused("push", there)

    assert PUSH in neighbour
    assert PUSH in reader


def test_podman(
    home: Path, runtime: Path, house: House, keys: dict[str, Key], places: tuple[str, str], rootfs: Path
) -> None:
    store = home / "podman-keys"
    options = [f"--root={store / 'root'}", f"--runroot={runtime / 'keys'}", f"--tmpdir={runtime / 'keys-tmp'}"]
    options += ["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none"]
    podman = Program("podman", store, options, house.environment)
    for address in places:
        sign_in(podman, keys["dev"], address)
    here, there = (f"{address}/team/podman:v1" for address in places)
    podman.run("import", rootfs, here)

    podman.run("push", here)
    podman.run("rmi", "--all", "--force")
    podman.run("pull", there)
    neighbour = podman.refused("push", there, f"docker://{places[0]}/other/podman:v1")
    unseen = podman.refused("pull", f"{places[0]}/other/podman:v1")
    sign_in(podman, keys["reader"], places[1])
    reader = podman.refused("push", there)

    assert "403" in neighbour
    assert PULL in unseen
    assert PUSH in reader


def test_skopeo(home: Path, house: House, keys: dict[str, Key], places: tuple[str, str], tmp_path: Path) -> None:
    skopeo = Program("skopeo", home / "skopeo-keys", (), house.environment)
    source = f"oci:{write_layout(tmp_path / 'in', make.image(), 'v1')}:v1"
    for address in places:
        sign_in(skopeo, keys["dev"], address)
    here, there = (f"docker://{address}/team/skopeo:v1" for address in places)

    skopeo.run("copy", source, here)
    skopeo.run("copy", there, f"oci:{tmp_path / 'out'}:v1")
    neighbour = skopeo.refused("copy", source, here.replace("team", "other"))
    unseen = skopeo.refused("inspect", here.replace("team", "other"))
    deleted = skopeo.refused("delete", here)
    sign_in(skopeo, keys["reader"], places[1])
    reader = skopeo.refused("copy", source, there.replace("v1", "v2"))

    assert "403" in neighbour
    assert PULL in unseen
    assert "DeleteRepositoryImages" in deleted
    assert PUSH in reader


def test_helm(home: Path, house: House, keys: dict[str, Key], places: tuple[str, str], tmp_path: Path) -> None:
    helm = Program("helm", home / "helm-keys", (), house.environment)
    packed = tmp_path / "greeting-1.0.0.tgz"
    packed.write_bytes(archive("greeting", "1.0.0"))
    for address in places:
        sign_in(helm, keys["dev"], address, "registry", "login")

    helm.run("push", packed, f"oci://{places[0]}/team")
    helm.run("pull", f"oci://{places[1]}/team/greeting", "--version=1.0.0", "--destination", home)
    neighbour = helm.refused("push", packed, f"oci://{places[0]}/other")
    unseen = helm.refused("show", "chart", f"oci://{places[0]}/other/greeting")
    sign_in(helm, keys["reader"], places[1], "registry", "login")
    reader = helm.refused("push", packed, f"oci://{places[1]}/team/more")

    assert (home / packed.name).read_bytes() == packed.read_bytes()
    assert "403" in neighbour
    assert "403" in unseen
    assert PUSH in reader


def test_oras(home: Path, house: House, keys: dict[str, Key], places: tuple[str, str]) -> None:
    oras = Program("oras", home / "oras-keys", (), house.environment)
    (oras.home / "report.txt").write_text("all well")
    for address in places:
        sign_in(oras, keys["dev"], address)

    oras.run("push", f"{places[0]}/team/oras:v1", "report.txt")
    oras.run("pull", f"{places[1]}/team/oras:v1", "--output", home / "oras-out")
    neighbour = oras.refused("push", f"{places[0]}/other/oras:v1", "report.txt")
    unseen = oras.refused("repo", "tags", f"{places[0]}/other/oras")
    sign_in(oras, keys["reader"], places[1])
    reader = oras.refused("push", f"{places[1]}/team/oras:v2", "report.txt")

    assert (home / "oras-out" / "report.txt").read_text() == "all well"
    assert "403" in neighbour
    assert PULL in unseen
    assert PUSH in reader


def test_crane(home: Path, house: House, keys: dict[str, Key], places: tuple[str, str], tmp_path: Path) -> None:
    crane = Program("crane", home / "crane-keys", (), house.environment)
    source = write_layout(tmp_path / "in", make.image(), "v1")
    for address in places:
        sign_in(crane, keys["dev"], address, "auth", "login")

    crane.run("push", source, f"{places[0]}/team/crane:v1")
    crane.run("pull", f"{places[1]}/team/crane:v1", tmp_path / "crane.tar")
    neighbour = crane.refused("copy", f"{places[0]}/team/crane:v1", f"{places[0]}/other/crane:v1")
    unseen = crane.refused("manifest", f"{places[0]}/other/crane:v1")
    deleted = crane.refused("delete", f"{places[0]}/team/crane:v1")
    catalogue = crane.run("catalog", places[0])
    sign_in(crane, keys["reader"], places[1], "auth", "login")
    reader = crane.refused("push", source, f"{places[1]}/team/crane:v2")

    assert "403" in neighbour
    assert PULL in unseen
    assert "DeleteRepositoryImages" in deleted
    assert "team/crane" in catalogue
    assert PUSH in reader
