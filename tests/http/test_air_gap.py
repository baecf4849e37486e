"""Behind an air gap, every connection to the outside forbidden: data come in, images are scanned and matched again."""

import gzip
import json
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from appliance.cli.main import main
from appliance.scan.exports import FORMS
from tests.browser.screens import furnish, furnish_scans
from tests.http.ui.asking import ask, send
from tests.make.server import ROOT, SCR, Server
from tests.scan.expected import FIXTURES, dense_rows
from tests.services.scanned import image_of

GAP = (sys.executable, "-m", "tests.make.air_gap")
IMAGE = image_of(FIXTURES / "recon/oci/alpine-310.tar.gz")
DEADLINE_S = 120.0  # far more than a scan takes


class CutOff(Server):
    """A server that can connect to nothing."""

    program = (*GAP, *SCR, "serve")


@pytest.mark.parametrize(
    "call",
    [
        "socket.create_connection(('127.0.0.1', 9))",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
    ],
)
def test_a_program_behind_the_gap_reaches_nothing(call: str) -> None:
    attempt = (
        "import socket\na, b = socket.socketpair()\na.send(b'1')\nassert b.recv(1) == b'1'\n"
        f"try:\n    {call}\nexcept PermissionError:\n    print('cut off')"
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
        forms = [f"{where}/export?form={form}" for form in FORMS]
        pages = [
            client.get(page).expect(200).body for page in ("/", "/api/schema", "/metrics", "/health/ready", *forms)
        ]
        document = tmp_path / "app.vex.json"
        document.write_bytes(client.get(f"{where}/export?form=openvex").expect(200).body)
        assert main(["finding", "import", str(document), "--everywhere", *door]) == 0
        assert main(["scan", "gap/app:1", "--attach", "cyclonedx", *door]) == 0

    assert (before["state"], before["matchedWith"]) == ("no data", None)
    assert after["readAt"] == before["readAt"]
    assert Counter(row["id"] for row in rows) == Counter(str(row[0]) for row in dense_rows("alpine-310").elements())
    assert all(pages)


FOREIGN = re.compile(
    r"""<(?:script|img|iframe|source|use|form|object|embed)\b[^>]*\b(?:src|href|action|data)="(?!/[^/]|/"|data:|\#)[^"]*"
    |<link\b[^>]*\bhref="(?!/[^/])[^"]*"
    |@import|url\((?!["']?(?:/|data:|\#))""",
    re.VERBOSE,
)


def test_every_page_works_without_a_single_connection_and_asks_for_nothing_from_elsewhere(tmp_path: Path) -> None:
    with CutOff(tmp_path / "server") as server:
        screens = [*furnish(server), *furnish_scans(server)]
        answers = {one.address: ask(server, one.address) for one in screens}
        used = {name for answer in answers.values() for name in re.findall(r'"(/static/[^"#]+)', answer.text)}
        files = {name: ask(server, name) for name in used}
        ordered = [send(server, address) for address in answers if address.split("?")[0].endswith("/scan")]

    assert {address: answer.status for address, answer in answers.items() if answer.status != 200} == {}
    assert {name: file.status for name, file in files.items() if file.status != 200} == {}
    assert [address for address, answer in answers.items() if FOREIGN.search(answer.text)] == []
    assert [name for name, file in files.items() if name.endswith(".css") and FOREIGN.search(file.text)] == []
    assert {answer.status for answer in ordered} == {303}
    assert not any("request.failed" in line for line in server.log)


@pytest.mark.parametrize(
    ("text", "is_foreign"),
    [
        ('<script src="https://example.com/a.js">', True),
        ('<img alt="" src="//example.com/a.png">', True),
        ('<link rel="stylesheet" href="http://example.com/a.css">', True),
        ("body { background: url(https://example.com/a.png) }", True),
        ('<a rel="noreferrer" href="https://example.com/CVE-2026-1">', False),  # followed by a person only
        ('<script src="/static/a.js">', False),
    ],
)
def test_what_a_page_asks_for_is_told_from_what_a_person_may_follow(text: str, *, is_foreign: bool) -> None:
    assert bool(FOREIGN.search(text)) is is_foreign
