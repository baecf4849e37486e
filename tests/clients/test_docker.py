"""Round trips with docker: its own daemon and command line, on storage that needs nothing of the kernel."""

import shutil
from pathlib import Path

from tests import make
from tests.clients.compare import read_twice
from tests.clients.programs import Program

RUN = ("run", "--rm", "--network=none")


def test_an_image_is_pushed_pulled_and_run(
    docker: Program, skopeo: Program, server: make.Server, client: make.Client, rootfs: Path, tmp_path: Path
) -> None:
    remote = f"{server.address}/docker/busybox:v1"
    docker.run("import", rootfs, remote)

    docker.run("push", remote)
    docker.run("rmi", remote)
    docker.run("pull", remote)
    said = docker.run(*RUN, remote, "/bin/cat", "/greeting")

    seen = read_twice(client, skopeo, "docker/busybox", "v1", tmp_path / "out")
    told = docker.run("image", "inspect", "--format={{index .RepoDigests 0}}", remote).strip()
    assert told == f"{server.address}/docker/busybox@{seen.digest}"
    assert len(seen.layers) == 1
    assert said == "hello from busybox\n"


def test_a_name_of_one_component_works(docker: Program, server: make.Server, client: make.Client, rootfs: Path) -> None:
    remote = f"{server.address}/single:v1"
    docker.run("import", rootfs, remote)

    docker.run("push", remote)

    short, long = (
        client.get_manifest("single", "v1").expect(200),
        client.get_manifest("library/single", "v1").expect(200),
    )
    assert short.body == long.body


def test_an_image_of_many_layers_goes_to_two_repositories(
    docker: Program, skopeo: Program, server: make.Server, client: make.Client, rootfs: Path, tmp_path: Path
) -> None:
    lines = ["FROM scratch", f"ADD {rootfs.name} /"]
    for number in range(7):
        (tmp_path / f"file{number}").write_bytes(f"{number}".encode() * 300_000)
        lines.append(f"ADD file{number} /data/")
    (tmp_path / "Dockerfile").write_text("\n".join(lines))
    shutil.copy(rootfs, tmp_path)
    first, second = f"{server.address}/docker/layers:v1", f"{server.address}/other/layers:v1"
    docker.run("build", "--network=none", "--tag", first, tmp_path)
    docker.run("tag", first, second)

    docker.run("push", first)
    said = docker.run("push", second)

    one = read_twice(client, skopeo, "docker/layers", "v1", tmp_path / "one")
    two = read_twice(client, skopeo, "other/layers", "v1", tmp_path / "two")
    assert one == two
    assert len(one.layers) == 8
    assert said.count("Mounted from ") == 8


def test_a_second_push_finds_every_layer(docker: Program, server: make.Server, rootfs: Path) -> None:
    remote = f"{server.address}/docker/again:v1"
    docker.run("import", rootfs, remote)
    docker.run("push", remote)

    said = docker.run("push", remote)

    assert "Layer already exists" in said


def test_a_hand_made_index_is_pulled_for_this_machine(
    docker: Program, server: make.Server, client: make.Client
) -> None:
    images = [make.image([{"here": name.encode()}], platform=f"linux/{name}") for name in ("amd64", "arm64")]
    manifest = make.index(images)
    client.push("docker/many", manifest, "v1")

    said = docker.run("pull", "--platform=linux/arm64", f"{server.address}/docker/many:v1")
    docker.run("pull", f"{server.address}/docker/many@{images[0].digest}")

    assert manifest.digest in said
    told = docker.run("image", "inspect", "--format={{.Architecture}}", f"{server.address}/docker/many:v1")
    assert told.strip() == "arm64"


def test_all_tags_are_pulled(docker: Program, server: make.Server, client: make.Client) -> None:
    for tag in ("v1", "v2", "v3"):
        client.push("docker/tags", make.docker_image([{"tag": tag.encode()}]), tag)

    docker.run("pull", "--all-tags", f"{server.address}/docker/tags")

    listed = docker.run("images", "--format={{.Tag}}", f"{server.address}/docker/tags")
    assert sorted(listed.split()) == ["v1", "v2", "v3"]


def test_a_manifest_list_is_made_and_pushed(docker: Program, server: make.Server, client: make.Client) -> None:
    images = [make.docker_image(), make.docker_image(platform="linux/arm64")]
    name = f"{server.address}/docker/list"
    for number, image in enumerate(images):
        client.push("docker/list", image, f"part{number}")

    docker.run("manifest", "create", "--insecure", f"{name}:v1", f"{name}:part0", f"{name}:part1")
    docker.run("manifest", "push", "--insecure", f"{name}:v1")

    body = client.get_manifest("docker/list", "v1").expect(200).body.decode()
    assert all(image.digest in body for image in images)


def test_an_image_that_is_not_there_is_said_to_be_unknown(docker: Program, server: make.Server) -> None:
    complaint = docker.refused("pull", f"{server.address}/docker/nothing:v1")

    assert "not found" in complaint or "manifest unknown" in complaint
