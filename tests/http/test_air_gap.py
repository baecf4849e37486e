"""Behind an air gap, every connection to the outside forbidden: data come in, images are scanned and matched again."""

import gzip
import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from appliance.cli.main import main
from tests.make.server import ROOT, SCR, Server
from tests.scan.expected import FIXTURES, dense_rows
from tests.services.scanned import image_of

GAP = (sys.executable, "-m", "tests.make.air_gap")
IMAGE = image_of(FIXTURES / "recon/oci/alpine-310.tar.gz")
DEADLINE_S = 120.0  # far more than a scan takes


class CutOff(Server):
    """A server that can connect to nothing."""

    program = (*GAP, *SCR, "serve")


def test_a_program_behind_the_gap_reaches_nothing() -> None:
    attempt = (
        "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 9))\n"
        "except PermissionError:\n    print('cut off')"
    )

    ended = subprocess.run(
        [*GAP, sys.executable, "-c", attempt], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )

    assert ended.stdout == "cut off\n"


def test_import_scan_match_and_pages_work_without_a_single_connection(tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "trivy.db").write_bytes(gzip.decompress((FIXTURES / "dense/trivy.db.gz").read_bytes()))
    shutil.copy(FIXTURES / "dense/metadata.json", shelf)
    with CutOff(tmp_path / "server") as server, server.client() as client:
        door = ["--data-dir", str(server.data)]
        client.push("gap/app", IMAGE, "1")
        assert main(["scan", "gap/app:1", *door]) == 0
        image = json.loads(client.get("/api/v1/images?path=gap/app").expect(200).body)["items"][0]["id"]
        where = f"/api/v1/images/{image}/manifests/{IMAGE.digest}/scan"
        before = json.loads(client.get(where).expect(200).body)

        assert main(["vulndb", "import", str(shelf), *door]) == 0
        begun = time.monotonic()
        while json.loads(client.get(where).expect(200).body)["state"] != "complete":
            assert time.monotonic() - begun < DEADLINE_S
        after = json.loads(client.get(where).expect(200).body)
        rows = json.loads(client.get(f"{where}/vulnerabilities?limit=1000").expect(200).body)["items"]
        pages = [client.get(page).expect(200).body for page in ("/", "/api/schema", "/metrics", "/health/ready")]

    assert (before["state"], before["matchedWith"]) == ("no data", None)
    assert after["readAt"] == before["readAt"]
    assert Counter(row["id"] for row in rows) == Counter(str(row[0]) for row in dense_rows("alpine-310").elements())
    assert all(pages)
