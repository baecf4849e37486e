"""`scr install` on Debian 11, 12 and 13, with a systemctl that writes down what it is told and ends as it is told."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import make
from tests.package.hosts import RELEASES, packaged
from tests.package.lived_in import LivedIn, lived_in

IMAGE = make.image([{"app": b"installed without a package"}])
_SYSTEMCTL = """#!/bin/sh
echo "$@" >>/told
[ "$1" != restart ] || [ ! -e /broken ] || { rm /broken; echo "scr.service failed" >&2; exit 1; }
"""


@pytest.fixture(params=RELEASES)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LivedIn]:
    """A host of each release that looks as if systemd ran it, with the packaged file at /scr."""
    with lived_in(str(request.param), tmp_path / "host") as found:
        (tmp_path / "host/shared/scr").write_bytes(packaged().read_bytes())
        (tmp_path / "host/shared/systemctl").write_text(_SYSTEMCTL)
        shared = tmp_path / "host/shared"
        found.run("mkdir", "-p", "/run/systemd/system")
        found.run("install", "-m", "0755", f"{shared}/systemctl", "/usr/bin/systemctl")
        found.run("install", "-m", "0755", f"{shared}/scr", "/scr")
        yield found


def test_it_is_installed_started_and_taken_away(host: LivedIn, tmp_path: Path) -> None:
    host.run("/scr", "install")

    assert host.run("cat", "/told").splitlines() == ["daemon-reload", "enable scr.service", "restart scr.service"]
    assert host.run("stat", "-c", "%a %U %G", "/var/lib/scr", "/etc/scr/scr.toml").splitlines() == [
        "700 scr scr",
        "640 root scr",
    ]
    with host.service(tmp_path / "first", "/usr/local/bin/scr") as server, server.client() as client:
        client.push("pay/api", IMAGE, "1")
        client.assert_holds("pay/api", "1", IMAGE)

    host.run("/usr/local/bin/scr", "uninstall", "--purge", "--yes")
    for place in ("/var/lib/scr", "/etc/scr", "/usr/local/bin/scr", "/etc/systemd/system/scr.service"):
        assert not host.has(place), place
    assert "disable --now scr.service scr.socket" in host.run("cat", "/told")


def test_a_program_that_does_not_start_makes_way_for_the_one_before(host: LivedIn) -> None:
    host.run("/scr", "install")
    host.run("sh", "-c", "cp /usr/local/bin/scr /first; printf more >>/scr; touch /broken")

    said = host.run("/scr", "install", code=1)

    assert "the program of before is back" in said
    host.run("cmp", "/first", "/usr/local/bin/scr")
    assert host.run("tail", "-n", "2", "/told").splitlines() == ["restart scr.service", "restart scr.service"]


def test_a_program_that_cannot_take_over_the_data_replaces_nothing(host: LivedIn, tmp_path: Path) -> None:
    host.run("/scr", "install")
    with host.service(tmp_path / "first", "/usr/local/bin/scr"):
        pass
    connection = sqlite3.connect(tmp_path / "host/upper/var/lib/scr/scr.sqlite")
    connection.execute("PRAGMA user_version = 9999")  # as a far newer program would leave it
    connection.close()
    host.run("sh", "-c", "cp /usr/local/bin/scr /first; printf more >>/scr")

    said = host.run("/scr", "install", code=1)

    assert "a newer scr wrote it" in said
    host.run("cmp", "/first", "/usr/local/bin/scr")
