"""Round trips with regctl: layouts with referrers and digest tags, artifacts, both digest algorithms."""

import json
from pathlib import Path

import pytest

from tests import make
from tests.clients.programs import Program
from tests.make.layout import assert_layout_holds, write_layout

SBOM = "application/vnd.example.sbom+json"


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_an_image_comes_back_byte_for_byte(
    regctl: Program, server: make.Server, client: make.Client, tmp_path: Path, algorithm: str
) -> None:
    manifest = make.image([{"a": b"1"}, {"b": b"2" * 100_000}], algorithm=algorithm)
    client.push(f"regctl/{algorithm}", manifest)
    remote = f"{server.address}/regctl/{algorithm}"

    regctl.run("image", "copy", f"{remote}@{manifest.digest}", f"ocidir://{tmp_path}/out@{manifest.digest}")
    regctl.run("image", "copy", f"ocidir://{tmp_path}/out@{manifest.digest}", f"{remote}-copy@{manifest.digest}")

    client.assert_holds(f"regctl/{algorithm}-copy", manifest.digest, manifest)


def test_referrers_and_digest_tags_travel_with_the_image(
    regctl: Program, server: make.Server, client: make.Client, tmp_path: Path
) -> None:
    manifest = make.index([make.image(), make.image(platform="linux/arm64")])
    referrers = [make.artifact(SBOM, f"{number}".encode(), subject=manifest) for number in range(3)]
    signature = make.artifact("application/vnd.example.signature")
    signed = f"sha256-{manifest.digest.partition(':')[2]}.sig"
    client.push("regctl/referred", manifest, "v1")
    client.push("regctl/referred", signature, signed)
    for referrer in referrers:
        client.push("regctl/referred", referrer)
    here, there = f"{server.address}/regctl/referred:v1", f"{server.address}/regctl/referred-copy:v1"
    everything = ("--referrers", "--digest-tags")

    regctl.run("image", "copy", *everything, here, f"ocidir://{tmp_path}/out:v1")
    regctl.run("image", "copy", *everything, f"ocidir://{tmp_path}/out:v1", there)
    listed = json.loads(regctl.run("artifact", "list", "--format={{jsonPretty .}}", there))

    client.assert_holds("regctl/referred-copy", "v1", manifest)
    client.assert_holds("regctl/referred-copy", signed, signature)
    for referrer in referrers:
        client.assert_holds("regctl/referred-copy", referrer.digest, referrer)
    found = {entry["digest"] for entry in listed["descriptors"]}
    assert found == {referrer.digest for referrer in referrers}


def test_an_artifact_is_put_listed_and_got(regctl: Program, server: make.Server, client: make.Client) -> None:
    client.push("regctl/subject", make.image(), "v1")
    remote = f"{server.address}/regctl/subject:v1"
    data = b'{"packages": ["a"]}'

    regctl.run("artifact", "put", "--artifact-type", SBOM, "--subject", remote, stdin=data)
    got = regctl.run("artifact", "get", "--subject", remote, "--filter-artifact-type", SBOM)
    tree = regctl.run("artifact", "tree", remote)

    assert got.encode() == data
    assert SBOM in tree
    assert client.list_tags("regctl/subject") == ["v1"]  # no fall-back tag where the referrers API is


def test_an_archive_is_exported_and_imported(
    regctl: Program, server: make.Server, client: make.Client, tmp_path: Path
) -> None:
    manifest = make.docker_list([make.docker_image(), make.docker_image(platform="linux/arm64")])
    client.push("regctl/archive", manifest, "v1")
    name = f"{server.address}/regctl/archive"

    regctl.run("image", "export", f"{name}:v1", tmp_path / "image.tar")
    regctl.run("image", "import", f"{name}-copy:v1", tmp_path / "image.tar")

    client.assert_holds("regctl/archive-copy", "v1", manifest)


def test_blobs_tags_and_repositories(regctl: Program, server: make.Server, client: make.Client) -> None:
    name = f"{server.address}/regctl/blobs"
    client.push("regctl/blobs", make.image([{"kept": b"1"}]), "v1", "v2")
    blob = make.Blob(b"content " * 50_000)

    put = regctl.run("blob", "put", name, "--content-type=application/octet-stream", stdin=blob.data).strip()
    got = regctl.run("blob", "get", name, blob.digest)
    regctl.run("tag", "delete", f"{name}:v1")
    tags = regctl.run("tag", "ls", name).split()
    repositories = regctl.run("repo", "ls", server.address).split()

    assert put == blob.digest
    assert got.encode() == blob.data
    assert tags == ["v2"]  # the tag alone went: the manifest has another one
    assert "regctl/blobs" in repositories


def test_a_layout_with_a_nested_index_is_pushed_whole(
    regctl: Program, server: make.Server, client: make.Client, tmp_path: Path
) -> None:
    manifest = make.index([make.index([make.image(), make.chart()]), make.artifact(SBOM)])
    source = write_layout(tmp_path / "in", manifest, "v1")
    remote = f"{server.address}/regctl/nested:v1"

    regctl.run("image", "copy", f"ocidir://{source}:v1", remote)
    regctl.run("image", "copy", remote, f"ocidir://{tmp_path}/out:v1")

    client.assert_holds("regctl/nested", "v1", manifest)
    assert_layout_holds(tmp_path / "out", manifest)
