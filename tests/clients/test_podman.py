"""Round trips with podman: what it makes, what it takes, and that the result runs."""

import json
from pathlib import Path

import pytest

from tests import make
from tests.clients.compare import read_twice
from tests.clients.programs import Program

# limits of its own: podman would raise them, and not every machine's root may
RUN = ("run", "--rm", "--network=none", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_an_image_is_pushed_pulled_and_run(
    podman: Program, skopeo: Program, server: make.Server, client: make.Client, rootfs: Path, tmp_path: Path, form: str
) -> None:
    name = f"podman/{form}"
    remote = f"{server.address}/{name}:v1"
    podman.run("import", rootfs, remote)

    podman.run("push", "--tls-verify=false", f"--format={form}", f"--digestfile={tmp_path / 'digest'}", remote)
    podman.run("rmi", "--all", "--force")
    podman.run("pull", "--tls-verify=false", remote)
    said = podman.run(*RUN, remote, "/bin/cat", "/greeting")

    seen = read_twice(client, skopeo, name, "v1", tmp_path / "out")
    assert seen.digest == (tmp_path / "digest").read_text()
    assert seen.layers == [rootfs.read_bytes()]
    assert said == "hello from busybox\n"


def test_the_same_layers_go_to_a_second_repository(
    podman: Program, skopeo: Program, server: make.Server, client: make.Client, rootfs: Path, tmp_path: Path
) -> None:
    first, second = f"{server.address}/podman/first:v1", f"{server.address}/elsewhere/second:v1"
    podman.run("import", rootfs, first)

    podman.run("push", "--tls-verify=false", first)
    podman.run("tag", first, second)
    podman.run("push", "--tls-verify=false", second)  # by mount, from what podman remembers of the first push

    assert read_twice(client, skopeo, "elsewhere/second", "v1", tmp_path / "out").layers == [rootfs.read_bytes()]


def test_an_image_made_by_hand_is_pulled_by_digest(podman: Program, server: make.Server, client: make.Client) -> None:
    manifest = make.image([{"etc/one": b"1"}, {"etc/two": b"2"}])
    client.push("podman/by-hand", manifest)
    remote = f"{server.address}/podman/by-hand@{manifest.digest}"

    podman.run("pull", "--tls-verify=false", remote)

    told = json.loads(podman.run("image", "inspect", remote))
    assert told[0]["Digest"] == manifest.digest
    assert len(told[0]["RootFS"]["Layers"]) == 2


def test_a_manifest_list_is_pushed_whole(
    podman: Program, skopeo: Program, server: make.Server, client: make.Client, tmp_path: Path
) -> None:
    children = [make.image(), make.image(platform="linux/arm64")]
    for number, child in enumerate(children):
        client.push("podman/many", child, f"part{number}")
    remote = f"{server.address}/podman/many"
    podman.run("manifest", "create", "many")
    for number in range(len(children)):
        podman.run("manifest", "add", "--tls-verify=false", "many", f"docker://{remote}:part{number}")

    podman.run("manifest", "push", "--all", "--tls-verify=false", "many", f"docker://{remote}:v1")

    pushed = json.loads(client.get_manifest("podman/many", "v1").expect(200).body)
    assert [entry["digest"] for entry in pushed["manifests"]] == [child.digest for child in children]
    assert read_twice(client, skopeo, "podman/many", children[1].digest, tmp_path / "out").digest == children[1].digest


def test_search_finds_what_was_pushed(podman: Program, server: make.Server, client: make.Client) -> None:
    client.push("podman/searched", make.image(), "v1", "v2")

    listed = podman.run(
        "search",
        "--list-tags",
        "--tls-verify=false",
        "--format=json",
        f"{server.address}/podman/searched",
    )

    assert json.loads(listed)[0]["Tags"] == ["v1", "v2"]
