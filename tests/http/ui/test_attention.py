"""What needs attention on the first page: each thing is there while it is so, and leads to where it is mended."""

import json
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from html import unescape
from pathlib import Path

import pytest

from tests import make
from tests.http.certificates import Authority
from tests.http.ui.asking import ask, send, sign_in, until
from tests.make.accounts import Key, Member
from tests.make.server import Server

PASSWORD = "correct horse"  # noqa: S105 - of users that live for these tests


@pytest.fixture(scope="module")
def members() -> Sequence[Member]:
    return (Member("ann", ("ScrFullAccess",), password=PASSWORD),)


@pytest.fixture(scope="module")
def ann(server: Server) -> str:
    return sign_in(server, "ann", PASSWORD)


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose certificate ends soon and whose disk has less room than it shall keep."""
    folder = tmp_path_factory.mktemp("troubled")
    authority = Authority(folder).sign(days=5)
    config = (
        f'[server]\ntls_certificate = "{authority.chain}"\ntls_key = "{authority.key}"\nallow_plain = true\n'
        '[storage]\nmin_free = "900TiB"\n'
    )
    with Server(folder, config) as server:
        server.url = server.url.replace("https://", "http://")
        yield server


def cares(server: Server, cookie: str = "") -> dict[str, tuple[str, str]]:
    """Return what the first page says needs attention: by name, what is wrong and where it is mended."""
    text = ask(server, "/", **({"Cookie": cookie} if cookie else {})).text
    found = re.findall(r"<strong>([^<]+)</strong>: (.*?)</span><a class=\"btn btn-sm\" href=\"([^\"]+)\"", text)
    return {name: (unescape(detail), unescape(place)) for name, detail, place in found}


def test_a_certificate_that_ends_soon_leads_to_its_settings(troubled: Server) -> None:
    detail, place = cares(troubled)["tls certificate"]

    assert re.fullmatch(r"it ends on \d{4}-\d\d-\d\d; renew it", detail)
    assert "tls_certificate" in ask(troubled, place).text


def test_a_full_disk_leads_to_storage_where_a_collection_can_be_run(troubled: Server) -> None:
    detail, place = cares(troubled)["disk"]

    assert "nothing new is taken" in detail
    assert 'name="kind" value="gc"' in ask(troubled, place).text


def test_a_broken_allowlist_leads_to_the_lists_which_say_what_is_wrong(server: Server, ann: str) -> None:
    registry = json.loads(ask(server, "/api/v1/registries?path=local", Accept="application/json", Cookie=ann).content)
    settings = {"visibility": "private", "endpoint": "private", "private_access_control": "on"}
    assert send(server, "/allowlists/local.private", Cookie=ann, text="127.0.0.0/8\n", act="save").status == 303
    assert send(server, f"/registries/{registry['items'][0]['id']}", Cookie=ann, **settings).status == 303
    assert "allowlists" not in cares(server, ann)
    file = server.data / "allowlists" / "local.private.txt"
    file.write_text("rubbish\n")

    assert until(lambda: "allowlists" in cares(server, ann))
    detail, place = cares(server, ann)["allowlists"]
    shown = ask(server, place, Cookie=ann).text
    file.write_text("127.0.0.0/8\n")

    assert "1 allowlist is not in force as written" in detail
    assert 'href="/allowlists/local.private"' in shown
    assert "rubbish" in shown
    assert until(lambda: "allowlists" not in cares(server, ann))


def test_a_failed_job_leads_to_its_page_where_it_is_tried_again(server: Server, ann: str) -> None:
    place = send(server, "/jobs", Cookie=ann, kind="roll-up").headers["location"]
    ask(server, f"/api/v1{place}?wait=30", Accept="application/json", Cookie=ann)
    fail(server.data / "scr.sqlite", place.rpartition("/")[2])

    detail, cure = cares(server, ann)["failed job roll-up"]
    shown = ask(server, cure, Cookie=ann).text
    again = send(server, f"{cure}/retry", Cookie=ann)
    ask(server, f"/api/v1{place}?wait=30", Accept="application/json", Cookie=ann)

    assert (detail, cure) == ("the disk went away", place)
    assert f'action="{place}/retry"' in shown
    assert again.status == 303
    assert "failed job roll-up" not in cares(server, ann)


def test_refused_pulls_lead_to_what_was_refused_and_why(server: Server, keys: dict[str, Key], ann: str) -> None:
    with server.client(user=keys["ann"].access_key, password=keys["ann"].secret_key) as client:
        client.push("held/api", make.image([{"a": b"1"}]), "1")
        found = json.loads(client.get("/api/v1/images?path=held/api").expect(200).body)["items"][0]["id"]
        policy = b'{"policy": {"pullLimit": {"refuseUnscanned": true}, "scan": {"onPush": false}}}'
        client.request("PATCH", f"/api/v1/images/{found}", policy, {"Content-Type": "application/json"}).expect(200)
        client.push("held/api", make.image([{"a": b"never scanned"}]), "2")
        client.get_manifest("held/api", "2").expect(403)

    assert until(lambda: "refused pulls" in cares(server, ann))
    detail, place = cares(server, ann)["refused pulls"]

    assert detail == "1 pulls were refused in the last 24 hours"
    assert "held/api" in ask(server, place, Cookie=ann).text


def fail(database: Path, job: str) -> None:
    """Let a job have failed just now."""
    with sqlite3.connect(database, timeout=30) as connection:
        connection.execute(
            "UPDATE jobs SET state = 'failed', reason = 'the disk went away', ended_at = ? WHERE public_id = ?",
            (int(time.time() * 1000), job),
        )
    connection.close()
