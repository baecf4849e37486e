"""`scr vulndb`: data are missing, imported from a file and from a registry here, shown, and removed."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.cli.main import main
from tests.cli.conftest import Scr
from tests.make.client import Client
from tests.make.server import Server
from tests.scan.expected import FIXTURES, dense_rows
from tests.scan.feeds import feed_files
from tests.services.scanned import image_of

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def carried(tmp_path: Path) -> Path:
    path = tmp_path / "db.tar.gz"
    path.write_bytes(feed_files.dense_archive())
    return path


@pytest.fixture(autouse=True)
def empty(scr: Scr) -> Iterator[None]:
    """No data before and after each test."""
    yield
    for source in json.loads(scr("vulndb", "list", "--json").expect(0).out):
        scr("vulndb", "remove", source["name"], "--yes").expect(0)


def test_that_there_are_no_data_is_said_everywhere(scr: Scr, server: Server, client: Client) -> None:
    assert "no vulnerability data yet" in scr("vulndb", "status").expect(1).out
    assert "no vulnerability data yet" in scr("status").expect(0).out
    assert "no vulnerability data yet" in client.get("/health/ready").expect(200).body.decode()
    assert "\nscr_advisories 0\n" in client.get("/metrics").expect(200).body.decode()
    assert any("vulndb.missing" in line for line in server.log)


def test_a_file_is_imported_shown_and_removed(scr: Scr, carried: Path, client: Client) -> None:
    said = scr("vulndb", "import", str(carried)).expect(0).out
    status = json.loads(scr("vulndb", "status", "--json").expect(0).out)
    listed = json.loads(scr("vulndb", "list", "--json").expect(0).out)

    assert "imported trivy: 5,911 advisories, made 2026-08-01" in said
    assert status["builtAt"] == "2026-08-01T00:00:00Z"
    assert "debian 10" in status["covers"]
    assert [(one["name"], one["origin"], one["verified"]) for one in listed] == [("trivy", str(carried), "unverified")]
    assert "was imported before" in scr("vulndb", "import", str(carried)).expect(0).out
    assert "\nscr_advisories 5911\n" in client.get("/metrics").expect(200).body.decode()
    assert "5,911" in scr("vulndb", "remove", "trivy", "--dry-run").expect(0).out
    removed = scr("vulndb", "remove", "trivy", "--yes").expect(0).out
    assert "removed trivy; no data are left, and results stay as they were matched" in removed
    assert json.loads(scr("vulndb", "list", "--json").expect(0).out) == []


def test_what_speaks_for_each_source_is_told(scr: Scr, carried: Path, client: Client) -> None:
    scr("vulndb", "import", str(carried)).expect(0)
    doubtful = scr("vulndb", "status").expect(0)
    doubted = json.loads(client.get("/api/v1/vulndb").expect(200).body)["unverified"]
    total = hashlib.sha256(carried.read_bytes()).hexdigest()
    carried.with_name(f"{carried.name}.sha256").write_text(f"{total}  {carried.name}\n")

    assert "nothing has changed" in scr("vulndb", "import", str(carried)).expect(0).out
    trusted = scr("vulndb", "status").expect(0)
    client.push("aquasec/trivy-db", feed_files.dense_artifact(), "2")
    scr("vulndb", "import", "--image", "aquasec/trivy-db:2", "--name", "pushed").expect(0)

    assert "source   trivy, unverified" in doubtful.out
    assert "nothing speaks for trivy" in doubtful.talk
    assert doubted == ["trivy"]
    assert "source   trivy, verified by its check sum" in trusted.out
    assert "nothing speaks for" not in trusted.talk
    assert "source   pushed, verified by its digest" in scr("vulndb", "status").expect(0).out
    assert json.loads(client.get("/api/v1/vulndb").expect(200).body)["unverified"] == []


def test_data_older_than_allowed_make_the_health_degraded(scr: Scr, carried: Path, client: Client) -> None:
    scr("vulndb", "import", str(carried)).expect(0)

    assert "days old" in client.get("/health/ready").expect(200).body.decode()


def test_an_artifact_is_imported_by_its_name(scr: Scr, client: Client) -> None:
    client.push("aquasec/trivy-db", feed_files.dense_artifact(), "2")

    said = scr("vulndb", "import", "--image", "aquasec/trivy-db:2", "--json").expect(0).out

    assert json.loads(said)["advisories"] == 5911
    assert "aquasec/trivy-db:2" in scr("vulndb", "list").expect(0).out


def test_a_vulnerability_is_told_with_its_texts(scr: Scr, tmp_path: Path, client: Client) -> None:
    (tmp_path / "PyPI.zip").write_bytes(feed_files.osv_zip("pypi"))
    scr("vulndb", "import", str(tmp_path / "PyPI.zip")).expect(0)

    told = json.loads(client.get("/api/v1/vulndb/vulnerabilities/CVE-2019-19844").expect(200).body.decode())

    assert told["description"]
    assert told["references"]
    assert "scr vulndb status" in client.get("/api/v1/vulndb/vulnerabilities/CVE-1").expect(404).body.decode()


def test_what_cannot_be_imported_says_why_and_changes_nothing(scr: Scr, tmp_path: Path) -> None:
    (tmp_path / "notes").write_bytes(b"hello")

    assert "holds no vulnerability data" in scr("vulndb", "import", str(tmp_path / "notes")).expect(1).talk
    assert "no file or folder" in scr("vulndb", "import", str(tmp_path / "gone")).expect(1).talk
    assert "it was changed" in scr("vulndb", "import", str(tmp_path / "notes"), "--sha256", "0" * 64).expect(1).talk
    assert "has no 2" in scr("vulndb", "import", "--image", "aquasec/nothing:2").expect(1).talk
    assert "name a path" in scr("vulndb", "import").expect(1).talk
    assert "scr vulndb list" in scr("vulndb", "remove", "nothing", "--yes").expect(1).talk
    scr("vulndb", "status").expect(1)


def test_an_import_can_be_left_to_itself(scr: Scr, carried: Path) -> None:
    job = scr("vulndb", "import", str(carried), "--detach").expect(0).talk.split()[1]

    assert "done" in scr("job", "show", job, "--follow").expect(0).out
    assert "trivy" in scr("vulndb", "list").expect(0).out


def jobs_of(scr: Scr, kind: str) -> list[dict[str, object]]:
    """Return the jobs of that kind, the newest first, when all of them have ended."""
    while True:
        found: list[dict[str, object]] = json.loads(scr("job", "list", "--kind", kind, "--json").expect(0).out)
        running = [job for job in found if job["endedAt"] is None]
        if not running:
            return found
        scr("job", "show", str(running[0]["id"]), "--follow").expect(0)


def test_images_that_were_scanned_before_are_matched_when_data_come(scr: Scr, client: Client, carried: Path) -> None:
    client.push("pay/api", image_of(FIXTURES / "recon/oci/alpine-310.tar.gz"), "1")
    scanned = jobs_of(scr, "scan")[0]["report"]

    scr("vulndb", "import", str(carried)).expect(0)
    matched = jobs_of(scr, "scan.match")[0]["report"]

    assert isinstance(scanned, dict)
    assert (scanned["state"], scanned["findings"]) == ("no data", 0)
    assert matched == {"images": 1, "new": 0, "gone": 0}


def test_a_new_image_is_matched_with_the_data_there_are(scr: Scr, client: Client, carried: Path) -> None:
    scr("vulndb", "import", str(carried)).expect(0)

    client.push("pay/shop", image_of(FIXTURES / "recon/oci/photon-30.tar.gz"), "1")

    scanned = jobs_of(scr, "scan")[0]["report"]
    assert isinstance(scanned, dict)
    assert (scanned["state"], scanned["findings"]) == ("complete", dense_rows("photon-30").total())


def test_data_are_fetched_from_another_registry_and_by_a_timetable(tmp_path: Path, capsys: Capture) -> None:
    with Server(tmp_path / "there") as there:
        with there.client() as client:
            client.push("aquasec/trivy-db", feed_files.dense_artifact(), "2")
        source = f'[[vulndb_source]]\nname = "daily"\naddress = "oci://{there.address}/aquasec/trivy-db:2"\n'
        with Server(tmp_path / "here", f'{source}\n[schedule]\nvulndb_fetch = "1h"\n') as here:
            folder = ("--data-dir", str(here.data))

            assert main(["vulndb", "fetch", *folder]) == 0
            assert "imported daily: 5,911 advisories" in capsys.readouterr().out
            assert main(["vulndb", "fetch", "daily", *folder]) == 0
            assert "nothing has changed" in capsys.readouterr().out
            assert main(["vulndb", "fetch", "weekly", *folder]) == 1
            assert main(["job", "schedule", *folder]) == 0
            assert "schedule.vulndb_fetch" in capsys.readouterr().out


def test_without_a_source_nothing_is_fetched(scr: Scr) -> None:
    assert "fetches from nowhere else" in scr("vulndb", "fetch").expect(1).talk
