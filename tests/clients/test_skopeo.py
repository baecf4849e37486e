"""Round trips with skopeo: hand-made layouts in, the same bytes out."""

import json
from pathlib import Path

import pytest

from tests import make
from tests.clients.programs import Program
from tests.make.layout import assert_layout_holds, write_layout

PLAIN = ("--src-tls-verify=false", "--dest-tls-verify=false")
CONTENT = {
    "one-layer": make.image(),
    "three-layers": make.image([{"a": b"1"}, {"b": b"2" * 3_000_000}, {".wh.a": b""}]),
    "index": make.index([make.image(), make.image(platform="linux/arm64"), make.image(platform="linux/s390x")]),
    "annotated": make.image(annotations={"org.opencontainers.image.title": "größe"}),
}


@pytest.mark.parametrize("name", CONTENT)
def test_a_layout_comes_back_byte_for_byte(
    skopeo: Program, server: make.Server, client: make.Client, tmp_path: Path, name: str
) -> None:
    manifest = CONTENT[name]
    source = write_layout(tmp_path / "in", manifest, "v1")
    remote = f"docker://{server.address}/skopeo/{name}:v1"

    skopeo.run("copy", "--all", "--preserve-digests", *PLAIN, f"oci:{source}:v1", remote)
    skopeo.run("copy", "--all", "--preserve-digests", *PLAIN, remote, f"oci:{tmp_path / 'out'}:v1")

    client.assert_holds(f"skopeo/{name}", "v1", manifest)
    assert_layout_holds(tmp_path / "out", manifest)


def test_a_docker_image_stays_a_docker_image(
    skopeo: Program, server: make.Server, client: make.Client, tmp_path: Path
) -> None:
    manifest = make.docker_image([{"a": b"1"}, {"b": b"2"}])
    client.push("skopeo/docker", manifest, "v1")
    here, there = f"docker://{server.address}/skopeo/docker:v1", f"docker://{server.address}/skopeo/docker-copy:v1"

    skopeo.run("copy", "--preserve-digests", *PLAIN, here, f"dir:{tmp_path / 'out'}")
    skopeo.run("copy", "--preserve-digests", *PLAIN, f"dir:{tmp_path / 'out'}", there)

    assert (tmp_path / "out" / "manifest.json").read_bytes() == manifest.body
    client.assert_holds("skopeo/docker-copy", "v1", manifest)


def test_a_manifest_list_of_docker_images_is_copied_whole(
    skopeo: Program, server: make.Server, client: make.Client
) -> None:
    manifest = make.docker_list([make.docker_image(), make.docker_image(platform="linux/arm64")])
    client.push("skopeo/list", manifest, "v1")
    remote = f"docker://{server.address}/skopeo"

    skopeo.run("copy", "--all", "--preserve-digests", *PLAIN, f"{remote}/list:v1", f"{remote}/list-copy:v1")

    client.assert_holds("skopeo/list-copy", "v1", manifest)


def test_layers_compressed_anew_with_zstd_are_kept_as_they_came(
    skopeo: Program, server: make.Server, client: make.Client, tmp_path: Path
) -> None:
    source = write_layout(tmp_path / "in", make.image([{"data": b"z" * 500_000}]), "v1")
    remote = f"docker://{server.address}/skopeo/zstd:v1"

    skopeo.run("copy", "--dest-compress-format=zstd", "--dest-compress", *PLAIN, f"oci:{source}:v1", remote)
    skopeo.run("copy", "--dest-decompress", *PLAIN, remote, f"dir:{tmp_path / 'out'}")

    reply = client.get_manifest("skopeo/zstd", "v1")
    layer = json.loads(reply.body)["layers"][0]
    blob = client.get_blob("skopeo/zstd", layer["digest"]).body
    assert layer["mediaType"].endswith("tar+zstd")
    assert make.Blob(blob).digest == layer["digest"]
    assert blob[:4] == bytes.fromhex("28b52ffd")  # RFC 8878, 3.1.1: the magic number of a zstd frame
    assert any(file.read_bytes() == make.tar({"data": b"z" * 500_000}) for file in (tmp_path / "out").iterdir())


def test_inspect_tags_and_delete_work(skopeo: Program, server: make.Server, client: make.Client) -> None:
    manifest = make.image([{"inspected": b"1"}])
    client.push("skopeo/inspected", manifest, "v1", "v2")
    remote = f"docker://{server.address}/skopeo/inspected"

    raw = skopeo.run("inspect", "--raw", "--tls-verify=false", f"{remote}:v1")
    told = json.loads(skopeo.run("inspect", "--tls-verify=false", f"{remote}:v1"))
    listed = json.loads(skopeo.run("list-tags", "--tls-verify=false", remote))
    skopeo.run("delete", "--tls-verify=false", f"{remote}:v1")

    assert raw.encode() == manifest.body
    assert told["Digest"] == manifest.digest
    assert listed["Tags"] == ["v1", "v2"]
    # skopeo resolves the tag and deletes the digest, and a digest goes with all its tags
    assert client.get_manifest("skopeo/inspected", "v2").status == 404


def test_an_image_that_is_not_there_is_said_to_be_unknown(skopeo: Program, server: make.Server) -> None:
    complaint = skopeo.refused("inspect", "--tls-verify=false", f"docker://{server.address}/skopeo/nothing:v1")

    assert "manifest unknown" in complaint or "name unknown" in complaint or "MANIFEST_UNKNOWN" in complaint
