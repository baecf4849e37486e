"""`scr scan`: against a server, and on what lies on the host; what it prints and how it ends."""

import json
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from appliance.cli.main import main
from tests import make
from tests.cli.conftest import Scr
from tests.make.layout import write_layout
from tests.make.server import Server
from tests.make.shelf import write_shelf
from tests.scan.expected import FIXTURES, Row, dense_rows
from tests.services.scanned import image_of

DEBIAN = image_of(FIXTURES / "recon/oci/debian-buster.tar.gz")
KEY = b"aws = AKIA" + b"QWERTYUIOPASDFGH" + b"\n"
APK = b"P:musl\nV:1.2.4-r0\nA:x86_64\no:musl\n\n"
PLAIN = {"etc/os-release": b"ID=alpine\nVERSION_ID=3.10.2\n", "lib/apk/db/installed": APK, "srv/.env": KEY}


class Found(msgspec.Struct):
    id: str
    package: str
    version: str
    fixed: str
    severity: str
    status: str
    excluded: str | None


class Told(msgspec.Struct):
    name: str
    state: str
    packages: int
    vulnerabilities: list[Found]
    limits: list[str]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a vulnerability database."""
    return write_shelf(tmp_path_factory.mktemp("shelf"))


@pytest.fixture(scope="module")
def data(server: Server, shelf: Path) -> None:
    """Let the server have vulnerability data."""
    assert main(["vulndb", "import", str(shelf), "--data-dir", str(server.data)]) == 0


def told(out: str) -> list[Told]:
    return msgspec.json.decode(out, type=list[Told])


def rows(found: list[Found]) -> Counter[Row]:
    return Counter(
        (one.id, one.package, one.version, one.fixed or None, one.severity.upper(), one.status) for one in found
    )


def test_without_data_it_says_so_and_never_takes_that_for_clean(server: Server, scr: Scr) -> None:
    with server.client() as client:
        client.push("first/app", make.image([PLAIN]), "1")

    ran = scr("scan", "first/app:1").expect(0)

    assert "vulnerabilities: unknown; 1 secret; 1 package" in ran.out
    assert "srv/.env" in ran.out
    assert "QWERTYUIOPASDFGH" not in ran.out
    assert "no vulnerability data yet" in ran.talk
    scr("scan", "first/app:1", "--fail-on", "critical", "--no-new").expect(1)


@pytest.mark.usefixtures("data")
def test_the_findings_of_an_image_are_told_whole(server: Server, scr: Scr) -> None:
    with server.client() as client:
        client.push("debian/base", DEBIAN, "10")

    (result,) = told(scr("scan", f"{server.address}/debian/base:10", "--json").expect(0).out)

    assert (result.state, result.limits) == ("complete", [])
    assert rows(result.vulnerabilities) == Counter(row[:6] for row in dense_rows("debian-buster").elements())


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(("level", "code"), [("negligible", 1), ("critical", 1)])
def test_the_exit_code_is_that_of_the_worst_finding(server: Server, scr: Scr, level: str, code: int) -> None:
    with server.client() as client:
        client.push("debian/exit", DEBIAN, "10")

    ran = scr("scan", "debian/exit:10", "--fail-on", level, "--severity", "critical").expect(code)

    assert "critical" in ran.out
    assert "upgrade " in ran.out


@pytest.mark.usefixtures("data")
def test_what_a_policy_excludes_is_told_beside_and_needs_no_new_scan(server: Server, scr: Scr) -> None:
    with server.client() as client:
        client.push("debian/policy", DEBIAN, "10")
    before = told(scr("scan", "debian/policy:10", "--json").expect(0).out)[0]
    scr("image", "edit", "debian/policy", "--policy", "scan.exclude_severity=critical").expect(0)

    ran = scr("scan", "debian/policy:10", "--no-new", "--fail-on", "low").expect(0)
    after = told(scr("scan", "debian/policy:10", "--no-new", "--json").expect(0).out)[0]

    assert f"vulnerabilities: none; {len(before.vulnerabilities)} excluded" in ran.out
    assert {one.excluded for one in after.vulnerabilities} == {"severity"}
    assert {one.excluded for one in before.vulnerabilities} == {None}


@pytest.mark.usefixtures("data")
def test_a_distribution_that_the_data_do_not_know_is_not_called_clean(server: Server, scr: Scr) -> None:
    files = {**PLAIN, "etc/os-release": b"ID=alpine\nVERSION_ID=99.1\n"}
    with server.client() as client:
        client.push("unknown/app", make.image([files]), "1")

    ran = scr("scan", "unknown/app:1")

    assert "vulnerabilities: none known; 1 secret; 1 package" in ran.out
    assert "not complete: the vulnerability data hold nothing about alpine 99" in ran.talk
    scr("scan", "unknown/app:1", "--fail-on", "critical").expect(1)


def test_what_an_image_calls_itself_moves_no_cursor(server: Server, scr: Scr) -> None:
    release = "ID=alpine\nVERSION_ID=99.1\x1b[2J\u202e\n".encode()
    with server.client() as client:
        client.push("hostile/app", make.image([{**PLAIN, "etc/os-release": release}]), "1")

    ran = scr("scan", "hostile/app:1")

    for text in (ran.out, ran.talk):
        assert "99.1\u241b[2J<U+202E>" in text
        assert "\x1b[2J" not in text


def test_each_platform_of_an_index_has_its_result(server: Server, scr: Scr) -> None:
    platforms = [make.image([PLAIN]), make.image([{**PLAIN, "arm": b"1"}], platform="linux/arm64")]
    with server.client() as client:
        client.push("many/app", make.index(platforms), "1")

    results = told(scr("scan", "many/app:1", "--json").expect(0).out)

    assert len(results) == 2
    assert all(result.packages == 1 for result in results)


def test_what_has_nothing_to_scan_is_refused_with_the_reason(
    server: Server, scr: Scr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SCR_DEBUG")
    with server.client() as client:
        client.push("charts/app", make.artifact("application/x-thing"), "1")

    assert "there is nothing to scan" in scr("scan", "charts/app:1").expect(1).talk


def test_a_whole_repository_is_ordered_by_one_job(server: Server, scr: Scr) -> None:
    with server.client() as client:
        for number in range(3):
            client.push(f"wide/app{number}", make.image([{**PLAIN, "n": b"%d" % number}]), "1")

    ran = scr("scan", "--repository", "wide", "--json").expect(0)

    assert json.loads(ran.out) == {"ordered": 3}


@pytest.mark.usefixtures("data")
def test_a_layout_an_archive_and_a_folder_are_scanned_without_asking_the_server(scr: Scr, tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "layout", DEBIAN, "10")
    with tarfile.open(tmp_path / "image.tar", "w") as archive:
        archive.add(layout, ".")
    root = tmp_path / "root"
    for name, content in PLAIN.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)

    (from_layout,) = told(scr("scan", str(layout), "--json").expect(0).out)
    (from_archive,) = told(scr("scan", str(tmp_path / "image.tar"), "--json").expect(0).out)
    (from_folder,) = told(scr("scan", str(root), "--json").expect(0).out)

    assert rows(from_layout.vulnerabilities) == Counter(row[:6] for row in dense_rows("debian-buster").elements())
    assert rows(from_archive.vulnerabilities) == rows(from_layout.vulnerabilities)
    assert (from_folder.packages, from_folder.limits) == (1, [])


def test_a_path_that_holds_no_image_is_refused(scr: Scr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCR_DEBUG")
    (tmp_path / "notes.txt").write_text("no image")

    scr("scan", str(tmp_path / "notes.txt")).expect(1)


def test_a_path_is_scanned_without_loading_what_serves_and_fetches(tmp_path: Path) -> None:
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/etc/os-release").write_bytes(PLAIN["etc/os-release"])
    words = ["scan", str(tmp_path / "root"), "--json", "--data-dir", str(tmp_path / "data")]
    code = f"import sys; from appliance.cli.main import main; main({words!r}); print(*sys.modules, file=sys.stderr)"

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    loaded = set(ran.stderr.splitlines()[-1].split())
    assert [one.packages for one in told(ran.stdout)] == [0]
    assert "appliance.services.scan_path" in loaded
    assert not loaded & {"litestar", "uvicorn", "urllib3", "cryptography", "obstore", "appliance.assemble.appliance"}


def test_a_secret_that_a_layer_above_removed_is_noted(server: Server, scr: Scr) -> None:
    key = (
        b"-----BEGIN RSA PRIVATE KEY-----\n"
        + b"MIIEowIBAAKCAQEA0Z3VS5JJcds3xfn" * 20
        + b"\n-----END RSA PRIVATE KEY-----\n"
    )
    with server.client() as client:
        client.push(
            "secret/app", make.image([{"srv/gone.key": key, "srv/kept.key": key}, {"srv/.wh.gone.key": b""}]), "1"
        )

    lines = scr("scan", "secret/app:1").expect(0).out.splitlines()

    noted = {
        name: [line.endswith("hidden by a layer above") for line in lines if name in line] for name in ("gone", "kept")
    }
    assert noted == {"gone": [True], "kept": [False]}
