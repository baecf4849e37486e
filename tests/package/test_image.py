"""The image of the appliance: served by scr itself, pulled by podman and skopeo as it was pushed, and run."""

import json
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests import make
from tests.clients.programs import Program
from tests.package.hosts import ROOT, is_fallback, packaged

pytestmark = pytest.mark.skipif(is_fallback(), reason="the image is made of the real file")
NOBODY = 65532
RUN = ("run", "--rm", "--network=host", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")


def build() -> Path:
    """Build the image around the file under test; return the archive."""
    words = [ROOT / "packaging" / "image" / "build.sh", packaged()]
    said = subprocess.run(words, capture_output=True, text=True, timeout=240, check=True).stderr
    found = re.search(r"dist/\S+\.tar", said)
    assert found, said
    return ROOT / found[0]


@pytest.fixture(scope="module")
def archive() -> Path:
    """The image, as an OCI archive."""
    return build()


@pytest.fixture(scope="module")
def served(archive: Path, server: make.Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image's name in the server, which is the file under test: skopeo pushed it there."""
    name = f"{server.address}/scr/scr:1"
    words = ("copy", "--preserve-digests", "--dest-tls-verify=false", f"oci-archive:{archive}", f"docker://{name}")
    Program("skopeo", tmp_path_factory.mktemp("pushing"), ("--insecure-policy",)).run(*words)
    return name


def _content(packed: tarfile.TarFile, name: str) -> bytes:
    file = packed.extractfile(name)
    assert file is not None, f"{name} is no file"
    return file.read()


def test_two_builds_are_equal(archive: Path) -> None:
    before = archive.read_bytes()

    assert build().read_bytes() == before


def test_skopeo_pulls_it_byte_for_byte(archive: Path, served: str, skopeo: Program, tmp_path: Path) -> None:
    with tarfile.open(archive) as packed:
        names = [name for name in packed.getnames() if re.fullmatch(r"blobs/sha256/[0-9a-f]{64}", name)]
        built = {Path(name).name: _content(packed, name) for name in names}

    skopeo.run(
        "copy", "--preserve-digests", "--src-tls-verify=false", f"docker://{served}", f"oci:{tmp_path / 'out'}:1"
    )

    assert {path.name: path.read_bytes() for path in (tmp_path / "out/blobs/sha256").iterdir()} == built


def test_its_own_command_imports_it(archive: Path, served: str, server: make.Server) -> None:
    words = [str(word) for word in (packaged(), "image", "import", archive, "scr/own:1", "--data-dir", server.data)]
    subprocess.run(words, timeout=240, check=True)

    with server.client() as client:
        imported = client.get("/v2/scr/own/manifests/1").expect(200)
        assert client.get(f"/v2/{served.partition('/')[2].replace(':', '/manifests/')}").body == imported.body


def test_podman_pulls_it_byte_for_byte(archive: Path, served: str, podman: Program) -> None:
    with tarfile.open(archive) as packed:
        digest = json.loads(_content(packed, "index.json"))["manifests"][0]["digest"]

    podman.run("pull", "--tls-verify=false", served)

    told = json.loads(podman.run("image", "inspect", served))[0]
    assert told["Digest"] == digest
    assert (told["User"], told["Config"]["Entrypoint"]) == ("65532:65532", ["/usr/bin/scr"])


def test_it_refuses_to_listen_to_everybody_without_tls(served: str, podman: Program) -> None:
    podman.run("pull", "--tls-verify=false", served)

    said = podman.refused(*RUN, served)

    assert "it would be served without TLS" in said
    assert "tls_certificate" in said


def test_it_runs_as_nobody_on_a_read_only_root(served: str, podman: Program, tmp_path: Path) -> None:
    podman.run("pull", "--tls-verify=false", served)
    folder = tmp_path / "inside"
    running = make.Server(folder, environment=podman.environment)
    running.program = (*podman.command, *RUN, "--read-only", f"--volume={folder}:{folder}", served, "serve")
    for path in (folder, running.config):
        os.chown(path, NOBODY, NOBODY)

    with running, running.client() as client:
        client.push("pay/api", make.image(), "1")
        client.assert_holds("pay/api", "1", make.image())
        name = podman.run("ps", "--quiet").strip()
        assert "ready" in podman.run("exec", name, "/usr/bin/scr", "status", "--data-dir", running.data)
        assert (running.data / "scr.sqlite").stat().st_uid == NOBODY
