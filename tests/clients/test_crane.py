"""Round trips with crane: layouts and tarballs in, validated and pulled again."""

import json
from pathlib import Path

from tests import make
from tests.clients.programs import Program
from tests.make.layout import assert_layout_holds, write_layout


def test_an_index_comes_back_byte_for_byte(
    crane: Program, server: make.Server, client: make.Client, tmp_path: Path
) -> None:
    manifest = make.index([make.image(), make.image([{"arm": b"64"}], platform="linux/arm64")])
    source = write_layout(tmp_path / "in", manifest, "v1")
    remote = f"{server.address}/crane/index:v1"

    crane.run("push", "--index", source, remote)
    crane.run("validate", "--remote", remote)
    crane.run("pull", "--format=oci", remote, tmp_path / "out")

    pushed = crane.run("digest", remote).strip()
    # crane wraps a layout in its index.json, so what it pushed is an index of our index
    assert make.Blob(client.get_manifest("crane/index", "v1").body).digest == pushed
    client.assert_holds("crane/index", manifest.digest, manifest)
    assert (tmp_path / "out" / "blobs" / "sha256" / manifest.digest.partition(":")[2]).read_bytes() == manifest.body


def test_copies_keep_the_digest_and_all_tags(crane: Program, server: make.Server, client: make.Client) -> None:
    manifest = make.image([{"a": b"1"}, {"b": b"2"}])
    client.push("crane/from", manifest, "v1", "v2")

    crane.run("copy", f"{server.address}/crane/from:v1", f"{server.address}/crane/to:other")
    crane.run("copy", "--all-tags", f"{server.address}/crane/from", f"{server.address}/crane/all")

    client.assert_holds("crane/to", "other", manifest)
    for tag in ("v1", "v2"):
        client.assert_holds("crane/all", tag, manifest)


def test_an_image_is_appended_to_changed_and_flattened(
    crane: Program, server: make.Server, client: make.Client, tmp_path: Path
) -> None:
    client.push("crane/base", make.image([{"base": b"1"}]), "v1")
    (tmp_path / "layer.tar").write_bytes(make.tar({"added": b"2\n"}))
    name = f"{server.address}/crane/base"

    crane.run("append", "--base", f"{name}:v1", "--new_layer", tmp_path / "layer.tar", "--new_tag", f"{name}:v2")
    crane.run("mutate", f"{name}:v2", "--label=made=here", "--tag", f"{name}:v3")
    crane.run("flatten", f"{name}:v3", "--tag", f"{name}:v4")
    crane.run("export", f"{name}:v4", tmp_path / "export.tar")

    assert b"2\n" in (tmp_path / "export.tar").read_bytes()
    assert json.loads(crane.run("config", f"{name}:v3"))["config"]["Labels"] == {"made": "here"}
    assert len(json.loads(client.get_manifest("crane/base", "v4").body)["layers"]) == 1
    crane.run("validate", "--remote", f"{name}:v4")


def test_a_tarball_is_pulled_and_pushed(
    crane: Program, server: make.Server, client: make.Client, tmp_path: Path
) -> None:
    manifest = make.docker_image([{"a": b"1"}, {"b": b"2"}])
    client.push("crane/tarball", manifest, "v1")

    crane.run("pull", f"{server.address}/crane/tarball:v1", tmp_path / "image.tar")
    crane.run("push", tmp_path / "image.tar", f"{server.address}/crane/tarball-copy:v1")

    copied = json.loads(client.get_manifest("crane/tarball-copy", "v1").body)
    assert copied["config"]["digest"] == manifest.blobs[0].digest
    assert [layer["digest"] for layer in copied["layers"]] == [blob.digest for blob in manifest.blobs[1:]]


def test_a_sha512_manifest_is_kept_under_its_digest(crane: Program, server: make.Server, client: make.Client) -> None:
    manifest = make.image(algorithm="sha512")
    client.push("crane/sha512", manifest)

    assert crane.run("manifest", f"{server.address}/crane/sha512@{manifest.digest}").encode() == manifest.body


def test_tags_blobs_catalogue_and_deletion(crane: Program, server: make.Server, client: make.Client) -> None:
    manifest = make.image([{"listed": b"1"}])
    client.push("crane/listed", manifest, "v1", "v2")
    name = f"{server.address}/crane/listed"

    crane.run("tag", f"{name}:v1", "v3")
    listed = crane.run("ls", name).split()
    catalogue = crane.run("catalog", server.address).split()
    blob = crane.run("blob", f"{name}@{manifest.blobs[0].digest}")
    crane.run("delete", f"{name}:v1")
    left = crane.run("ls", name).split()
    crane.run("delete", f"{name}@{manifest.digest}")

    assert listed == ["v1", "v2", "v3"]
    assert "crane/listed" in catalogue
    assert blob.encode() == manifest.blobs[0].data
    assert left == ["v2", "v3"]
    assert client.get_manifest("crane/listed", "v2").status == 404


def test_a_layout_is_pulled_whole(crane: Program, server: make.Server, client: make.Client, tmp_path: Path) -> None:
    manifest = make.image([{"laid": b"out"}])
    client.push("crane/layout", manifest, "v1")

    crane.run("pull", "--format=oci", f"{server.address}/crane/layout:v1", tmp_path / "out")

    assert_layout_holds(tmp_path / "out", manifest)
