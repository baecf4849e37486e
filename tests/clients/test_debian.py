"""A real Debian system as an image: thousands of files in one large layer, through three clients."""

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from tests import make
from tests.clients.programs import Program, need_file


@pytest.fixture(scope="module")
def debian() -> Path:
    """A minimal Debian as a tar archive, as debootstrap made it during the set-up."""
    return need_file(".cache/debian.tar")


def test_a_debian_system_survives_the_round_trip(
    home: Path, server: make.Server, client: make.Client, debian: Path, tmp_path: Path
) -> None:
    buildah = Program(
        "buildah", home / "buildah", [f"--root={home / 'b'}", f"--runroot={home / 'r'}", "--storage-driver=vfs"]
    )
    crane = Program("crane", home / "crane")
    remote = f"{server.address}/debian/minimal:v1"
    container = buildah.run("from", "scratch").strip()
    buildah.run("add", container, debian, "/")
    buildah.run("commit", "--rm", container, "debian")

    buildah.run("push", "--tls-verify=false", "debian", f"docker://{remote}")
    buildah.run("rmi", "--all", "--force")
    again = buildah.run("from", "--tls-verify=false", remote).strip()
    told = buildah.run("run", "--isolation=chroot", again, "dpkg-query", "--show")
    crane.run("validate", "--remote", remote)
    crane.run("export", remote, tmp_path / "export.tar")

    content = json.loads(client.get_manifest("debian/minimal", "v1").expect(200).body)
    digest, size = content["layers"][0]["digest"], content["layers"][0]["size"]
    data = client.get_blob("debian/minimal", digest).expect(200).body
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (digest.partition(":")[2], size)
    assert "\nbash\t" in told
    assert _files(tmp_path / "export.tar") == _files(debian)


def _files(archive: Path) -> dict[str, str]:
    """Return the SHA-256 of each file by its path; hard links are files too."""
    found = {}
    with tarfile.open(archive) as members:
        for member in members:
            content = members.extractfile(member) if member.isreg() or member.islnk() else None
            if content is not None:
                found[member.name.removeprefix("./")] = hashlib.sha256(content.read()).hexdigest()
    assert len(found) > 1000
    return found
