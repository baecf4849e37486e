"""What a person sees in a client when a rule refuses: a push to a locked tag, a pull over a limit."""

from pathlib import Path

import msgspec
import pytest

from tests import make
from tests.clients.programs import Program
from tests.make.client import Client

LOCKED = "is locked; unlock it, or push another tag"
LIMITED = "it was never scanned, and the image's pull limit refuses what is not scanned"


@pytest.fixture(scope="module")
def server_config() -> str:
    return "[defaults.repository.scan]\non_push = false\n"  # what is never scanned is what the limit refuses


class _Found(msgspec.Struct):
    id: str


class _Page(msgspec.Struct):
    items: list[_Found]


def change(client: Client, path: str, below: str, order: dict[str, object]) -> None:
    """Change an image, or something below it."""
    found = client.get(f"/api/v1/images?path={path}").expect(200).decode(_Page).items[0].id
    headers = {"Content-Type": "application/json"}
    client.request("PATCH", f"/api/v1/images/{found}{below}", msgspec.json.encode(order), headers).expect(200)


def limit(client: Client, path: str) -> None:
    change(client, path, "", {"policy": {"pullLimit": {"refuseUnscanned": True}}})


def test_docker_says_which_lock_and_which_limit(
    docker: Program, server: make.Server, client: Client, rootfs: Path
) -> None:
    remote = f"{server.address}/rules/docker"
    docker.run("import", rootfs, f"{remote}:1")
    docker.run("push", f"{remote}:1")
    change(client, "rules/docker", "/tags/1", {"locked": True})
    docker.run("import", "--message", "another", rootfs, f"{remote}:1")

    pushed = docker.refused("push", f"{remote}:1")
    docker.run("tag", f"{remote}:1", f"{remote}:2")
    docker.run("push", f"{remote}:2")
    docker.run("rmi", f"{remote}:1", f"{remote}:2")
    limit(client, "rules/docker")
    pulled = docker.refused("pull", f"{remote}:2")

    assert LOCKED in pushed
    assert LIMITED in pulled


def test_podman_says_which_lock_and_which_limit(
    podman: Program, server: make.Server, client: Client, rootfs: Path
) -> None:
    remote = f"{server.address}/rules/podman"
    podman.run("import", rootfs, f"{remote}:1")
    podman.run("push", "--tls-verify=false", f"{remote}:1")
    change(client, "rules/podman", "", {"locked": True})
    podman.run("import", "--message", "another", rootfs, f"{remote}:1")

    pushed = podman.refused("push", "--tls-verify=false", f"{remote}:1")
    podman.run("rmi", f"{remote}:1")
    limit(client, "rules/podman")
    pulled = podman.refused("pull", "--tls-verify=false", f"{remote}:1")

    assert "image rules/podman is locked" in pushed
    assert LIMITED in pulled


@pytest.mark.parametrize("name", ["skopeo", "crane", "regctl"])
def test_copying_clients_say_which_lock_and_which_limit(
    request: pytest.FixtureRequest, name: str, server: make.Server, client: Client, tmp_path: Path
) -> None:
    program: Program = request.getfixturevalue(name)
    remote = f"{server.address}/rules/{name}"
    for tag in ("1", "2"):
        client.push(f"rules/{name}", make.image([{name: tag.encode()}]), tag)
    change(client, f"rules/{name}", "/tags/1", {"locked": True})
    push = {
        "skopeo": (
            "copy",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            f"docker://{remote}:2",
            f"docker://{remote}:1",
        ),
        "crane": ("copy", f"{remote}:2", f"{remote}:1"),
        "regctl": ("image", "copy", f"{remote}:2", f"{remote}:1"),
    }[name]
    pull = {
        "skopeo": ("copy", "--src-tls-verify=false", f"docker://{remote}:2", f"dir:{tmp_path}/out"),
        "crane": ("pull", f"{remote}:2", str(tmp_path / "out.tar")),
        "regctl": ("image", "export", f"{remote}:2", str(tmp_path / "out.tar")),
    }[name]

    pushed = program.refused(*push)
    limit(client, f"rules/{name}")
    pulled = program.refused(*pull)

    assert LOCKED in pushed
    assert LIMITED in pulled


def test_helm_and_oras_push_to_a_locked_tag_and_pull_what_no_limit_judges(
    helm: Program, oras: Program, server: make.Server, client: Client, tmp_path: Path
) -> None:
    client.push("rules/greeting", make.chart(), "1.0.0")
    change(client, "rules/greeting", "/tags/1.0.0", {"locked": True})
    limit(client, "rules/greeting")
    archive = tmp_path / "greeting-1.0.0.tgz"
    packed = tmp_path / "packed"
    (packed / "greeting").mkdir(parents=True)
    (packed / "greeting" / "Chart.yaml").write_text("apiVersion: v2\nname: greeting\nversion: 1.0.0\n")
    helm.run("package", packed / "greeting", "--destination", tmp_path)
    (tmp_path / "file.txt").write_text("hello")

    by_helm = helm.refused("push", archive, f"oci://{server.address}/rules", "--plain-http")
    by_oras = oras.refused(
        "push",
        "--plain-http",
        "--disable-path-validation",
        f"{server.address}/rules/greeting:1.0.0",
        tmp_path / "file.txt",
    )

    assert LOCKED in by_helm
    assert LOCKED in by_oras
    helm.run(
        "pull",
        f"oci://{server.address}/rules/greeting",
        "--version",
        "1.0.0",
        "--plain-http",
        "--destination",
        tmp_path,
    )
