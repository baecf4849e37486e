"""`scr image export` and `scr image import`: every byte that went out comes in again, or nothing does."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Scr
from tests.make import images
from tests.make.client import Client
from tests.make.images import Blob, Manifest
from tests.make.layout import assert_layout_holds, write_layout
from tests.make.server import ROOT, Server

AMD = images.image([{"etc/motd": b"hello"}, {"a": b"b" * 3000}], platform="linux/amd64")
ARM = images.image([{"etc/motd": b"hello, arm"}], platform="linux/arm64")
INDEX = images.index([AMD, ARM])
FORMS = ["folder", "a.tar", "a.tar.gz", "a.tgz"]


def digests(client: Client, name: str) -> list[str]:
    """Return the tags of an image, none where there is no such image."""
    reply = client.get(f"/v2/{name}/tags/list")
    return json.loads(reply.body)["tags"] if reply.status == 200 else []


@pytest.mark.parametrize("form", FORMS)
def test_an_index_goes_out_and_comes_in_byte_for_byte(scr: Scr, client: Client, tmp_path: Path, form: str) -> None:
    client.push("out/multi", INDEX, "1")
    path = str(tmp_path / form)

    scr("image", "export", "out/multi:1", path).expect(0)
    scr("image", "import", path, f"in/{form.lower()}:2").expect(0)

    client.assert_holds(f"in/{form}", "2", INDEX)


def test_an_exported_folder_is_what_the_specification_says(scr: Scr, client: Client, tmp_path: Path) -> None:
    client.push("spec/multi", INDEX, "1")
    folder = tmp_path / "layout"

    scr("image", "export", "spec/multi:1", str(folder)).expect(0)

    assert_layout_holds(folder, INDEX)
    assert json.loads((folder / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads((folder / "index.json").read_bytes())["manifests"]
    assert entry["digest"] == INDEX.digest
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "1"


def test_images_keep_their_names_and_shared_blobs_are_carried_once(scr: Scr, client: Client, tmp_path: Path) -> None:
    client.push("names/one", AMD, "1")
    client.push("names/two", AMD, "2")
    client.push("names/three", INDEX, "3")
    path = tmp_path / "a.tar"

    scr("image", "export", "names/one:1", "names/two:2", f"names/three@{INDEX.digest}", str(path)).expect(0)
    scr("repository", "delete", "names", "--yes", "--purge").expect(0)
    scr("image", "import", str(path)).expect(0)

    client.assert_holds("names/one", "1", AMD)
    client.assert_holds("names/two", "2", AMD)
    client.assert_holds("names/three", INDEX.digest, INDEX)
    with tarfile.open(path) as archive:
        names = archive.getnames()
    assert (
        len(names)
        == len(set(names))
        == 2
        + len({*(p.digest for p in INDEX.walk())})
        + len({blob.digest for part in INDEX.walk() for blob in part.blobs})
    )


def test_the_same_images_make_the_same_archive(scr: Scr, client: Client, tmp_path: Path) -> None:
    client.push("same/multi", INDEX, "1")

    for name in ("a.tar.gz", "b.tar.gz"):
        scr("image", "export", "same/multi:1", str(tmp_path / name)).expect(0)

    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()


def test_all_tags_are_carried_when_asked_for(scr: Scr, client: Client, tmp_path: Path) -> None:
    client.push("tags/api", AMD, "1", "2")
    client.push("tags/api", ARM, "3")
    path = str(tmp_path / "a.tar")

    scr("image", "export", "--all-tags", "tags/api", path).expect(0)
    scr("image", "import", path, "tags/copy").expect(0)

    assert digests(client, "tags/copy") == ["1", "2", "3"]


def test_signatures_and_what_refers_to_them_come_along_when_asked_for(scr: Scr, client: Client, tmp_path: Path) -> None:
    sbom = images.artifact("application/spdx+json", b'{"spdx": 1}', subject=AMD)
    of_sbom = images.artifact("application/vnd.sig", b"signed", subject=sbom)
    cosign = images.artifact("application/vnd.cosign", b"cosigned")
    client.push("signed/api", INDEX, "1")
    for manifest in (sbom, of_sbom):
        client.push("signed/api", manifest)
    client.push("signed/api", cosign, f"sha256-{INDEX.digest[7:]}.sig")
    bare, full = str(tmp_path / "bare.tar"), str(tmp_path / "full.tar")

    scr("image", "export", "signed/api:1", bare).expect(0)
    scr("image", "export", "signed/api:1", full, "--referrers").expect(0)
    scr("image", "import", bare, "bare/api").expect(0)
    scr("image", "import", full, "full/api").expect(0)

    client.assert_holds("full/api", "1", INDEX)
    client.assert_holds("full/api", sbom.digest, sbom)
    client.assert_holds("full/api", of_sbom.digest, of_sbom)
    client.assert_holds("full/api", f"sha256-{INDEX.digest[7:]}.sig", cosign)
    client.get_manifest("bare/api", sbom.digest).expect(404)


def test_referrers_of_several_images_stay_with_their_own(scr: Scr, client: Client, tmp_path: Path) -> None:
    sbom = images.artifact("application/spdx+json", b"{}", subject=AMD)
    client.push("own/one", AMD, "1")
    client.push("own/two", AMD, "1")
    client.push("own/two", sbom)
    path = str(tmp_path / "a.tar")

    scr("image", "export", "own/one:1", "own/two:1", path, "--referrers").expect(0)
    scr("repository", "delete", "own", "--yes", "--purge").expect(0)
    scr("image", "import", path).expect(0)

    client.assert_holds("own/two", sbom.digest, sbom)
    client.get_manifest("own/one", sbom.digest).expect(404)


def test_charts_artifacts_and_sha512_are_carried(scr: Scr, client: Client, tmp_path: Path) -> None:
    image = images.image([{"etc/motd": b"sha512"}], algorithm="sha512")
    artifact = images.artifact("application/vnd.x", b"payload")
    client.push("kinds/long", image)
    client.push("kinds/artifact", artifact, "1")
    path = str(tmp_path / "a.tar")

    scr("image", "export", f"kinds/long@{image.digest}", "kinds/artifact:1", path).expect(0)
    scr("repository", "delete", "kinds", "--yes", "--purge").expect(0)
    scr("image", "import", path).expect(0)

    client.assert_holds("kinds/long", image.digest, image)
    client.assert_holds("kinds/artifact", "1", artifact)


def test_a_sparse_index_is_carried_with_a_word_about_it(scr: Scr, client: Client, tmp_path: Path) -> None:
    client.push("sparse/multi", AMD)
    client.put_manifest("sparse/multi", "1", INDEX).expect(201)
    path = str(tmp_path / "a.tar")

    ran = scr("image", "export", "sparse/multi:1", path).expect(0)
    refused = scr("image", "import", path, "sparse/copy").expect(1)
    scr("image", "import", path, "sparse/copy", "--sparse").expect(0)

    assert ARM.digest in ran.talk
    assert "--sparse" in refused.talk
    assert client.get_manifest("sparse/copy", "1").expect(200).body == INDEX.body


def test_a_layout_of_another_tool_takes_the_name_it_is_given(scr: Scr, client: Client, tmp_path: Path) -> None:
    folder = write_layout(tmp_path / "layout", AMD, "7")

    refused = scr("image", "import", str(folder)).expect(1)
    scr("image", "import", str(folder), "other/kept").expect(0)
    scr("image", "import", str(folder), "other/renamed:8").expect(0)

    assert "scr image import FILE NAME" in refused.talk
    client.assert_holds("other/kept", "7", AMD)
    client.assert_holds("other/renamed", "8", AMD)


def test_children_that_a_layout_lists_beside_their_index_need_no_name(scr: Scr, client: Client, tmp_path: Path) -> None:
    client.push("beside/multi", INDEX, "1")
    folder = tmp_path / "layout"
    scr("image", "export", "beside/multi:1", str(folder)).expect(0)
    listed = json.loads((folder / "index.json").read_bytes())
    listed["manifests"] += [AMD.descriptor(), ARM.descriptor()]
    (folder / "index.json").write_text(json.dumps(listed))
    scr("repository", "delete", "beside", "--yes", "--purge").expect(0)

    ran = scr("image", "import", str(folder)).expect(0)

    assert ran.out.splitlines() == [f"beside/multi:1@{INDEX.digest}"]
    client.assert_holds("beside/multi", "1", INDEX)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_of_a_tampered_layout_is_imported(scr: Scr, client: Client, tmp_path: Path, form: str) -> None:
    client.push("tamper/src", INDEX, "1")
    path = tmp_path / "layout"
    scr("image", "export", "tamper/src:1", str(path)).expect(0)
    layer = AMD.blobs[-1]
    file = path / "blobs" / layer.digest.replace(":", "/")
    file.write_bytes(layer.data[:-1] + b"!")
    if form != "folder":
        packed = tmp_path / form
        with tarfile.open(packed, "w" if form.endswith(".tar") else "w:gz") as archive:
            archive.add(path, ".")
        path = packed

    ran = scr("image", "import", str(path), f"tamper/{form.lower()}").expect(1)

    assert "were changed on the way; nothing was imported" in ran.talk
    client.get(f"/v2/tamper/{form}/tags/list").expect(404)
    for part in INDEX.walk():
        client.get_manifest(f"tamper/{form}", part.digest).expect(404)


@pytest.mark.parametrize("form", ["a.tar", "a.tar.gz"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_nothing_of_a_cut_archive_is_imported(
    scr: Scr, client: Client, tmp_path: Path, form: str, share: float
) -> None:
    client.push("cut/src", INDEX, "1")
    path = tmp_path / form
    scr("image", "export", "cut/src:1", str(path)).expect(0)
    whole = path.read_bytes()
    content = whole.rstrip(b"\0") if form == "a.tar" else whole
    path.write_bytes(content[: int(len(content) * share)])

    ran = scr("image", "import", str(path), "cut/copy").expect(1)

    assert "nothing was imported" in ran.talk
    client.get("/v2/cut/copy/tags/list").expect(404)


def test_an_export_that_fails_leaves_nothing(scr: Scr, client: Client, tmp_path: Path) -> None:
    client.push("fail/api", AMD, "1")

    missing = scr("image", "export", "fail/api:1", "fail/api:2", str(tmp_path / "a.tar")).expect(1)
    (tmp_path / "b.tar").write_bytes(b"mine")
    there = scr("image", "export", "fail/api:1", str(tmp_path / "b.tar")).expect(1)
    nowhere = scr("image", "export", "fail/api:1", str(tmp_path / "none" / "b.tar")).expect(1)

    assert "fail/api has no 2" in missing.talk
    assert "is there already" in there.talk
    assert "make it first" in nowhere.talk
    assert [found.name for found in tmp_path.iterdir()] == ["b.tar"]
    assert (tmp_path / "b.tar").read_bytes() == b"mine"


def test_a_second_import_sends_no_blob_again(scr: Scr, client: Client, tmp_path: Path) -> None:
    client.push("twice/api", AMD, "1")
    path = str(tmp_path / "a.tar")
    scr("image", "export", "twice/api:1", path).expect(0)

    first = scr("image", "import", path, "twice/copy")
    second = scr("image", "import", path, "twice/copy")

    assert "0 B of blobs were new" not in first.talk
    assert "0 B of blobs were new" in second.talk


def test_an_archive_of_docker_save_is_imported_under_its_own_name(scr: Scr, client: Client, tmp_path: Path) -> None:
    layer = b"layer" * 1000
    config = json.dumps({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [Blob(layer).digest]}}).encode()
    saved = json.dumps([{"Config": "c.json", "RepoTags": ["saved/api:1"], "Layers": ["l/layer.tar"]}]).encode()
    path = tmp_path / "saved.tar"
    with tarfile.open(path, "w") as archive:
        for name, content in {"l/layer.tar": layer, "c.json": config, "manifest.json": saved}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))

    scr("image", "import", str(path)).expect(0)

    manifest = json.loads(client.get_manifest("saved/api", "1").expect(200).body)
    assert client.get_blob("saved/api", manifest["config"]["digest"]).body == config
    assert client.get_blob("saved/api", manifest["layers"][0]["digest"]).body == layer


def large_layer(size: int) -> Iterator[bytes]:
    """Yield `size` bytes that no archive makes smaller to speak of, the same ones each time."""
    state = hashlib.sha256()
    for _ in range(size >> 20):
        state.update(b"x")
        yield state.digest() * (1 << 15)


def test_memory_stays_flat_while_a_large_blob_goes_out_and_in(server: Server, client: Client, tmp_path: Path) -> None:
    size = 192 << 20
    state = hashlib.sha256()
    for piece in large_layer(size):
        state.update(piece)
    location = client.start_upload("large/api")
    client.request("PATCH", location, large_layer(size)).expect(202)
    digest = f"sha256:{state.hexdigest()}"
    join = "&" if "?" in location else "?"
    client.request("PUT", f"{location}{join}digest={digest}", b"").expect(201)
    config = Blob(b"{}")
    client.put_blob("large/api", config).expect(201)
    body = images.encode(
        {
            "schemaVersion": 2,
            "mediaType": images.OCI_MANIFEST,
            "config": config.descriptor("application/vnd.oci.image.config.v1+json"),
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": size}],
        }
    )
    client.put_manifest("large/api", "1", Manifest(images.OCI_MANIFEST, body, (), ())).expect(201)
    path = tmp_path / "a.tar.gz"

    peaks = [
        peak_of(server, "image", "export", "large/api:1", str(path)),
        peak_of(server, "image", "import", str(path), "large/copy"),
    ]

    assert path.stat().st_size > 1 << 20
    client.head(f"/v2/large/copy/blobs/{digest}").expect(200)
    assert max(peaks) < 80 << 20, "a command held much of the blob in memory"


def peak_of(server: Server, *words: str) -> int:
    """Run a command in a process of its own; return the most memory it had, in bytes."""
    # VmHWM and not getrusage, whose peak counts the process that forked this one
    program = "import sys\nfrom appliance.cli.main import main\ncode = main(sys.argv[1:])\n"
    program += "status = open('/proc/self/status').read()\n"
    program += "print(status.partition('VmHWM:')[2].split()[0], file=sys.stderr)\nsys.exit(code)"
    command = [sys.executable, "-c", program, *words, "--data-dir", str(server.data)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stderr.splitlines()[-1]) << 10
