"""The Debian package: installed, started, upgraded, removed and purged on Debian 11, 12 and 13."""

import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import make
from tests.package.hosts import RELEASES, ROOT, is_fallback, packaged
from tests.package.lived_in import LivedIn, lived_in

IMAGE = make.image([{"app": b"packaged as a deb"}])

pytestmark = pytest.mark.skipif(is_fallback(), reason="the package is made of the real file")


@pytest.fixture(scope="module")
def package() -> Path:
    """The package, built around the file under test."""
    words = [ROOT / "packaging" / "deb" / "build.sh", packaged()]
    said = subprocess.run(words, capture_output=True, text=True, timeout=240, check=True).stderr
    found = re.search(r"dist/\S+\.deb", said)
    assert found, said
    return ROOT / found[0]


@pytest.fixture(scope="module")
def newer(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same package with a higher version."""
    folder = tmp_path_factory.mktemp("newer")
    subprocess.run(["dpkg-deb", "--raw-extract", package, folder / "tree"], timeout=120, check=True)
    control = folder / "tree" / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^Version: .*", "Version: 99.0", control.read_text()))
    target = folder / "scr_99.0.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "--build", folder / "tree", target], timeout=120, check=True
    )
    return target


@pytest.fixture(params=RELEASES)
def host(request: pytest.FixtureRequest, tmp_path: Path, package: Path, newer: Path) -> Iterator[LivedIn]:
    """A host of each release that sees both packages."""
    with lived_in(str(request.param), tmp_path / "host") as found:
        shutil.copy(package, tmp_path / "host" / "shared" / "scr.deb")
        shutil.copy(newer, tmp_path / "host" / "shared" / "newer.deb")
        yield found


def test_two_builds_are_equal(package: Path) -> None:
    before = package.read_bytes()

    subprocess.run([ROOT / "packaging" / "deb" / "build.sh", packaged()], capture_output=True, timeout=240, check=True)

    assert package.read_bytes() == before


def test_it_is_installed_started_upgraded_and_purged(host: LivedIn, tmp_path: Path) -> None:
    shared = tmp_path / "host" / "shared"
    said = host.run("dpkg", "--install", str(shared / "scr.deb"))
    assert "no systemd runs here" in said
    assert host.run("stat", "-c", "%a %U %G", "/var/lib/scr", "/etc/scr/scr.toml").splitlines() == [
        "700 scr scr",
        "640 root scr",
    ]
    assert host.has("/usr/share/man/man1/scr.1.gz") or "bullseye" in host.run("cat", "/etc/os-release")

    with host.service(tmp_path / "first") as server, server.client() as client:
        client.push("pay/api", IMAGE, "1")
        said = host.run("dpkg", "--install", str(shared / "newer.deb"))  # while the older one serves
        assert "nothing is to be done" in said
        client.assert_holds("pay/api", "1", IMAGE)
    with host.service(tmp_path / "second") as server, server.client() as client:
        client.assert_holds("pay/api", "1", IMAGE)

    host.run("dpkg", "--remove", "scr")
    assert not host.has("/usr/bin/scr")
    assert host.has("/var/lib/scr/scr.sqlite")
    host.run("dpkg", "--purge", "scr")
    assert not host.has("/var/lib/scr")
    assert not host.has("/etc/scr")
    assert "scr" not in host.run("getent", "passwd").replace("/scripts", "")


def test_an_upgrade_that_cannot_be_leaves_what_runs(host: LivedIn, tmp_path: Path) -> None:
    shared = tmp_path / "host" / "shared"
    host.run("dpkg", "--install", str(shared / "scr.deb"))
    with host.service(tmp_path / "first"):
        pass
    connection = sqlite3.connect(tmp_path / "host" / "upper" / "var/lib/scr/scr.sqlite")
    connection.execute("PRAGMA user_version = 9999")  # as a far newer program would leave it
    connection.close()

    said = host.run("dpkg", "--install", str(shared / "newer.deb"))

    assert "a newer scr wrote it" in said
    assert "what runs was left running" in said
