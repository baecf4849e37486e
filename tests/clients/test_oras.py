"""Round trips with oras: files, artifacts, referrers, and whole graphs copied between repositories."""

import json
from pathlib import Path

from tests import make
from tests.clients.programs import Program
from tests.make.layout import assert_layout_holds, write_layout

SBOM = "application/vnd.example.sbom+json"


def test_files_come_back_byte_for_byte(oras: Program, server: make.Server, client: make.Client, tmp_path: Path) -> None:
    (oras.home / "report.bin").write_bytes(bytes(range(256)) * 8000)
    (oras.home / "empty.txt").write_bytes(b"")
    remote = f"{server.address}/oras/files:v1,v2"

    oras.run("push", "--plain-http", "--artifact-type", SBOM, remote, "report.bin:application/x-report", "empty.txt")
    oras.run("pull", "--plain-http", f"{server.address}/oras/files:v2", "--output", tmp_path)

    assert (tmp_path / "report.bin").read_bytes() == (oras.home / "report.bin").read_bytes()
    assert (tmp_path / "empty.txt").read_bytes() == b""
    assert client.list_tags("oras/files") == ["v1", "v2"]
    content = json.loads(client.get_manifest("oras/files", "v1").body)
    assert content["artifactType"] == SBOM
    for layer in content["layers"]:
        assert make.Blob(client.get_blob("oras/files", layer["digest"]).body).digest == layer["digest"]


def test_what_is_attached_is_discovered_and_copied(oras: Program, server: make.Server, client: make.Client) -> None:
    manifest = make.image()
    client.push("oras/subject", manifest, "v1")
    (oras.home / "sbom.json").write_text('{"packages": []}')
    here, there = f"{server.address}/oras/subject:v1", f"{server.address}/oras/moved:v1"

    oras.run(
        "attach", "--plain-http", "--distribution-spec=v1.1-referrers-api", "--artifact-type", SBOM, here, "sbom.json"
    )
    found = json.loads(oras.run("discover", "--plain-http", "--format=json", here))
    oras.run("cp", "--recursive", "--from-plain-http", "--to-plain-http", here, there)
    moved = json.loads(oras.run("discover", "--plain-http", "--format=json", "--artifact-type", SBOM, there))

    assert [entry["artifactType"] for entry in found["referrers"]] == [SBOM]
    assert [entry["digest"] for entry in moved["referrers"]] == [found["referrers"][0]["digest"]]
    client.assert_holds("oras/moved", "v1", manifest)
    # with the referrers API there, no client falls back to a tag
    assert client.list_tags("oras/subject") == ["v1"]


def test_an_index_and_its_referrers_come_back_in_a_layout(
    oras: Program, server: make.Server, client: make.Client, tmp_path: Path
) -> None:
    manifest = make.index([make.index([make.image()]), make.image(platform="linux/arm64")])
    referrer = make.artifact(SBOM, b'{"of": "all"}', subject=manifest)
    source = write_layout(tmp_path / "in", manifest, "v1")
    remote = f"{server.address}/oras/nested:v1"

    oras.run("cp", "--from-oci-layout", "--to-plain-http", f"{source}:v1", remote)
    client.push("oras/nested", referrer)
    oras.run("cp", "--recursive", "--from-plain-http", "--to-oci-layout", remote, f"{tmp_path / 'out'}:v1")

    client.assert_holds("oras/nested", "v1", manifest)
    assert_layout_holds(tmp_path / "out", manifest)
    assert_layout_holds(tmp_path / "out", referrer)


def test_blobs_manifests_and_tags_one_by_one(oras: Program, server: make.Server, client: make.Client) -> None:
    manifest = make.image([{"single": b"1"}])
    name = f"{server.address}/oras/single"
    for blob in manifest.blobs:
        oras.run(
            "blob", "push", "--plain-http", "--size", str(len(blob.data)), f"{name}@{blob.digest}", "-", stdin=blob.data
        )
    (oras.home / "manifest.json").write_bytes(manifest.body)

    oras.run("manifest", "push", "--plain-http", "--media-type", manifest.media_type, f"{name}:v1,v2", "manifest.json")
    oras.run("tag", "--plain-http", f"{name}:v1", "latest")
    resolved = oras.run("resolve", "--plain-http", f"{name}:latest").strip()
    listed = oras.run("repo", "tags", "--plain-http", name).split()
    oras.run("manifest", "delete", "--plain-http", "--force", f"{name}@{manifest.digest}")

    assert resolved == manifest.digest
    assert listed == ["latest", "v1", "v2"]
    assert client.get_manifest("oras/single", "latest").status == 404
    oras.run("blob", "delete", "--plain-http", "--force", f"{name}@{manifest.blobs[0].digest}")
    assert client.get_blob("oras/single", manifest.blobs[0].digest).status == 404


def test_the_catalogue_is_listed(oras: Program, server: make.Server, client: make.Client) -> None:
    client.push("oras/listed", make.image(), "v1")

    assert "oras/listed" in oras.run("repo", "ls", "--plain-http", server.address).split()


def test_a_backup_of_a_repository_is_restored_elsewhere(
    oras: Program, server: make.Server, client: make.Client
) -> None:
    manifest = make.image([{"kept": b"1"}])
    client.push("oras/saved", manifest, "v1", "v2")
    client.push("oras/saved", make.artifact(SBOM, subject=manifest))

    oras.run("backup", "--plain-http", "--include-referrers", "--output=saved", f"{server.address}/oras/saved:v1,v2")
    oras.run("restore", "--plain-http", "--input=saved", f"{server.address}/oras/restored:v1,v2")

    for tag in ("v1", "v2"):
        client.assert_holds("oras/restored", tag, manifest)
    referrers = client.get(f"/v2/oras/restored/referrers/{manifest.digest}").expect(200)
    assert make.artifact(SBOM, subject=manifest).digest in referrers.body.decode()
