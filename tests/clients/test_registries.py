"""Clients meet the rules of registries: quotas, repositories that must be made first, registries of their own port."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import make
from tests.clients.programs import Program
from tests.http.api.test_registries import Registry, send
from tests.http.api.test_registries import make as make_registry
from tests.http.v2.test_registry_rules import free_port
from tests.make.layout import write_layout

INSECURE = ("--src-tls-verify=false", "--dest-tls-verify=false")


@pytest.fixture(scope="module")
def client(server: make.Server) -> Iterator[make.Client]:
    with server.client() as one:
        yield one


def make_own(client: make.Client, name: str, **settings: object) -> tuple[Registry, str]:
    """Make a registry with a listener of its own; return it and its address."""
    port = free_port()
    return make_registry(client, name, port=port, **settings), f"127.0.0.1:{port}"


def write_image(folder: Path, size: int = 100_000) -> str:
    """Write an image that cannot be compressed as an OCI layout; return its name for skopeo."""
    layer = b"".join(number.to_bytes(4) for number in range(size // 4))
    write_layout(folder, make.image([{"data": layer}]), "1")
    return f"oci:{folder}:1"


def test_docker_shows_quota_and_use_when_a_push_is_over_it(docker: Program, client: make.Client, rootfs: Path) -> None:
    remote = f"{make_own(client, 'tiny', quotaBytes=10_000)[1]}/docker/busybox:v1"
    docker.run("import", rootfs, remote)

    said = docker.refused("push", remote)

    assert "denied" in said
    assert "registry tiny uses" in said
    assert "of its quota of 9.8 KiB" in said


def test_podman_shows_the_same(podman: Program, client: make.Client, rootfs: Path) -> None:
    remote = f"{make_own(client, 'small', quotaBytes=10_000)[1]}/podman/busybox:v1"
    podman.run("import", rootfs, remote)

    said = podman.refused("push", "--tls-verify=false", remote)

    assert "registry small uses" in said


def test_skopeo_pushes_again_once_the_quota_is_raised(skopeo: Program, client: make.Client, tmp_path: Path) -> None:
    source = write_image(tmp_path / "layout")
    registry, address = make_own(client, "raised", quotaBytes=10_000)
    copy = ("copy", *INSECURE, source, f"docker://{address}/pay/api:1")

    said = skopeo.refused(*copy)
    send(client, "PATCH", f"/api/v1/registries/{registry.id}", {"quotaBytes": 10_000_000}).expect(200)
    skopeo.run(*copy)

    assert "of its quota of 9.8 KiB" in said


def test_docker_is_told_to_make_a_repository_first_where_pushes_make_none(
    docker: Program, tmp_path: Path, rootfs: Path
) -> None:
    with make.Server(tmp_path, "[compat]\nscr_strict = true\n") as server, server.client() as client:
        remote = f"{server.address}/payments/busybox:v1"
        docker.run("import", rootfs, remote)
        docker.run("tag", remote, f"{server.address}/busybox:v1")

        absent = docker.refused("push", remote)
        single = docker.refused("push", f"{server.address}/busybox:v1")
        send(client, "POST", "/api/v1/repositories", {"name": "payments"}).expect(201)
        docker.run("push", remote)

    assert "create it first: scr repository create payments" in absent
    assert "names no repository" in single


def test_two_registries_of_one_process_have_the_same_name_for_different_images(
    docker: Program, client: make.Client, rootfs: Path
) -> None:
    (_, one), (_, other) = make_own(client, "first"), make_own(client, "second")
    docker.run("import", "--message=one", rootfs, f"{one}/pay/api:1")
    docker.run("import", "--message=other", rootfs, f"{other}/pay/api:1")

    docker.run("push", f"{one}/pay/api:1")
    absent = docker.refused("pull", f"{other}/pay/api:1")
    said = docker.run("push", f"{other}/pay/api:1")

    assert "not found" in absent or "manifest unknown" in absent
    assert "Mounted from" not in said  # the layer is the same, and is the other registry's alone
    with make.Client(f"http://{one}") as here, make.Client(f"http://{other}") as there:
        assert here.get_manifest("pay/api", "1").body != there.get_manifest("pay/api", "1").body
