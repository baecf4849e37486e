"""`scr contents` and `scr finding`: what is in images, and vulnerabilities that do not count."""

import json
import random
import time
from pathlib import Path

import pytest

from tests import make
from tests.cli.conftest import Scr
from tests.make.client import Client
from tests.make.damage import break_blob
from tests.make.images import Manifest
from tests.make.server import Server
from tests.scan.test_vex import document, statement

APK = b"P:musl\nV:1.2.4-r%d\nA:x86_64\no:musl\n\n"
BASE = {"etc/os-release": b"ID=alpine\nVERSION_ID=3.10.2\n", "lib/apk/db/installed": APK % 0}
OLD, NEW = (
    make.image([BASE, {"srv/old": b"1"}]),
    make.configured(
        make.image([BASE, {"lib/apk/db/installed": APK % 1, "srv/new": b"22", "evil/a\x1b[2Jb\nc\u202ed": b""}]),
        {"Env": ["API_KEY=hunter2"], "User": "app"},
        ["RUN one\n  two"],
    ),
)
DEADLINE_S = 60.0  # far more than a scan takes


@pytest.fixture(scope="module", autouse=True)
def scanned(server: Server) -> None:
    """Push two images, and wait for their scans."""
    with server.client() as client:
        client.push("inside/app", OLD, "1")
        client.push("inside/app", NEW, "2")
        for one in (OLD, NEW):
            await_scan(client, "inside/app", one)


def await_scan(client: Client, path: str, image: Manifest) -> None:
    begun = time.monotonic()
    found = json.loads(client.get(f"/api/v1/images?path={path}").expect(200).body)["items"][0]["id"]
    while not json.loads(client.get(f"/api/v1/images/{found}/manifests/{image.digest}/scan").expect(200).body)[
        "readAt"
    ]:
        assert time.monotonic() - begun < DEADLINE_S


def test_folders_are_listed_and_a_file_is_read(scr: Scr, tmp_path: Path) -> None:
    root, srv = scr("contents", "files", "inside/app:2").expect(0).out, scr("contents", "files", "inside/app:2", "srv")
    taken = tmp_path / "taken"

    assert "etc/" in root
    assert "srv/new" in srv.expect(0).out
    assert "2 B" in srv.out
    scr("contents", "read", "inside/app:2", "srv/new", "-o", str(taken)).expect(0)
    assert taken.read_bytes() == b"22"
    assert "no file /srv/old" in scr("contents", "read", "inside/app:2", "srv/old").expect(1).talk
    assert "nothing lies there" in scr("contents", "files", "inside/app:2", "nowhere").expect(0).talk


def test_what_breaks_off_is_told_and_leaves_no_file(scr: Scr, server: Server, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(12 << 20)  # noqa: S311 - bytes that do not shrink, the same each time
    image = make.image([{"srv/large": content}])
    with server.client() as client:
        client.push("inside/broken", image, "1")
        await_scan(client, "inside/broken", image)
    break_blob(server.data, image.blobs[1].digest, 11 << 20)
    taken = tmp_path / "taken"

    told = scr("contents", "read", "inside/broken:1", "srv/large", "-o", str(taken)).expect(1).talk

    assert "hung up" in told
    assert not taken.exists()


def test_two_images_are_compared(scr: Scr) -> None:
    told = scr("contents", "compare", "inside/app:1", "inside/app:2").expect(0).out
    whole = json.loads(scr("contents", "compare", "inside/app:1", "inside/app:2", "--json").expect(0).out)

    assert "config           5 differ" in told
    assert "+ user app" in told
    assert "+ environment API_KEY ****" in told
    assert "+ step 1 RUN one two" in told
    assert "- step 2 layer 1" in told
    assert "musl 1.2.4-r0 -> 1.2.4-r1" in told
    assert "+ /srv/new 2 B" in told
    assert "- /srv/old 1 B" in told
    assert whole["files"]["newCount"] == 2


def test_names_of_files_move_no_cursor_and_begin_no_line(scr: Scr) -> None:
    listed = scr("contents", "files", "inside/app:2", "evil").expect(0).out
    compared = scr("contents", "compare", "inside/app:1", "inside/app:2").expect(0).out

    assert "a\u241b[2Jb\u240ac<U+202E>d" in listed
    assert "+ /evil/a\u241b[2Jb\u240ac<U+202E>d" in compared


def test_images_are_found_by_what_is_in_them(scr: Scr) -> None:
    assert "inside/app:2" in scr("contents", "search", "packages", "musl", "--version", "1.2.4-r1").expect(0).out
    assert "/srv/new" in scr("contents", "search", "files", "/srv/n*").expect(0).out
    replaced = scr("contents", "search", "files", "/lib/apk/db/installed").expect(0).out
    assert "inside/app:1, inside/app:2 (hidden)" in replaced  # one base layer
    assert "no scanned image" in scr("contents", "search", "vulnerabilities", "CVE-1999-0001").expect(0).talk


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (["--image", "inside/app"], "inside/app"),
        (["--repository", "inside"], "inside"),
        (["--whole-registry"], "local"),
        (["--everywhere"], "everywhere"),
    ],
)
def test_a_finding_is_accepted_listed_and_counts_again(scr: Scr, where: list[str], told: str) -> None:
    words = ("finding", "accept", "CVE-2026-0001", "--reason", "not called", "--until", "2099-01-31", *where, "--json")
    made = json.loads(scr(*words).expect(0).out)
    registry = ("--registry", "*") if told == "everywhere" else ()

    listed = scr("finding", "list", *registry).expect(0).out
    scr("finding", "reopen", made["id"]).expect(0)

    assert made["where"] == told
    assert "2099-01-31" in listed
    assert "not called" in listed
    assert made["id"] not in scr("finding", "list", *registry).expect(0).out


def test_a_document_is_imported_listed_and_withdrawn(scr: Scr, tmp_path: Path) -> None:
    file = tmp_path / "app.vex.json"
    file.write_bytes(document(statement(), statement("affected"), statement(products=[{"@id": "x"}])))
    words = ("finding", "import", str(file), "--image", "inside/app")

    done = scr(*words).expect(0)
    listed = scr("finding", "documents").expect(0).out
    found = json.loads(scr("finding", "documents", "--json").expect(0).out)[0]
    again = json.loads(scr(*words, "--json").expect(0).out)

    assert "Somebody says: 1 statement accepted in inside/app" in done.out
    assert "1 statement of what is affected or looked into" in done.talk
    assert "statement 3 does not count here: 'x' is neither a package URL nor a digest" in done.talk
    assert "https://example.com/vex/1" in listed
    assert (again["isNew"], again["document"]["id"]) == (False, found["id"])
    assert "nothing has changed" in scr(*words).expect(0).talk
    scr("finding", "withdraw", found["id"]).expect(0)
    assert "no document was imported" in scr("finding", "documents").expect(0).talk
    assert "see the list" in scr("finding", "withdraw", found["id"]).expect(1).talk
    file.write_bytes(b"[]")
    assert "this is no OpenVEX document" in scr(*words).expect(1).talk
    assert "cannot be read" in scr("finding", "import", str(tmp_path / "none"), "--everywhere").expect(1).talk


def test_what_is_wrong_says_what_is_right(scr: Scr) -> None:
    words = ("finding", "accept", "CVE-2026-0001", "--reason", "x")

    assert "write it as 2027-01-31" in scr(*words, "--everywhere", "--until", "soon").expect(1).talk
    assert "there is none called" in scr(*words, "--repository", "nothing").expect(1).talk
    scr(*words).expect(2)
    assert "nothing is accepted under" in scr("finding", "reopen", "zzzzzzzzzz").expect(1).talk
