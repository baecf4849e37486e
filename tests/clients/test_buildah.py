"""Round trips with buildah: an image is built here, pushed, and pulled by buildah and by skopeo."""

from pathlib import Path

import pytest

from tests import make
from tests.clients.compare import read_twice
from tests.clients.programs import Program


@pytest.mark.parametrize("form", ["oci", "docker"])
def test_a_built_image_is_pushed_and_used_as_a_base(
    buildah: Program, skopeo: Program, server: make.Server, client: make.Client, rootfs: Path, tmp_path: Path, form: str
) -> None:
    name = f"buildah/{form}"
    remote = f"{server.address}/{name}:v1"
    container = buildah.run("from", "scratch").strip()
    buildah.run("add", container, rootfs, "/")
    buildah.run("run", "--isolation=chroot", container, "/bin/busybox", "cp", "/greeting", "/copied")
    buildah.run("commit", f"--format={form}", "--rm", container, "built")

    buildah.run("push", "--tls-verify=false", f"--digestfile={tmp_path / 'digest'}", "built", f"docker://{remote}")
    buildah.run("rmi", "--all", "--force")
    again = buildah.run("from", "--tls-verify=false", remote).strip()
    said = buildah.run("run", "--isolation=chroot", again, "/bin/cat", "/copied")

    seen = read_twice(client, skopeo, name, "v1", tmp_path / "out")
    assert seen.digest == (tmp_path / "digest").read_text()
    assert len(seen.layers) == 1
    assert said == "hello from busybox\n"


def test_a_layer_on_top_of_a_pulled_base_reuses_the_base(
    buildah: Program, skopeo: Program, server: make.Server, client: make.Client, rootfs: Path, tmp_path: Path
) -> None:
    base = make.image([{"base": b"below\n"}])
    client.push("buildah/base", base, "v1")
    recipe = tmp_path / "Containerfile"
    recipe.write_text(f"FROM {server.address}/buildah/base:v1\nADD {rootfs.name} /\nRUN /bin/busybox test -f /base\n")
    remote = f"{server.address}/buildah/derived:v1"

    buildah.run(
        "bud", "--isolation=chroot", "--tls-verify=false", "--layers", "-f", recipe, "-t", remote, rootfs.parent
    )
    buildah.run("push", "--tls-verify=false", remote)

    seen = read_twice(client, skopeo, "buildah/derived", "v1", tmp_path / "out")
    assert seen.layers[0] == make.tar({"base": b"below\n"})
    assert len(seen.layers) >= 2


def test_a_manifest_list_of_two_architectures_is_pushed(
    buildah: Program, server: make.Server, client: make.Client
) -> None:
    remote = f"{server.address}/buildah/many:v1"
    for architecture in ("amd64", "arm64"):
        container = buildah.run("from", f"--arch={architecture}", "scratch").strip()
        buildah.run("config", f"--label=for={architecture}", container)
        buildah.run("commit", "--manifest=many", "--rm", container)

    buildah.run("manifest", "push", "--all", "--tls-verify=false", "many", f"docker://{remote}")

    pulled = buildah.run("pull", "--arch=arm64", "--tls-verify=false", remote).strip()
    assert '"for": "arm64"' in buildah.run("inspect", "--type=image", pulled)
    assert client.get_manifest("buildah/many", "v1").expect(200).headers["content-type"].endswith("index.v1+json")
