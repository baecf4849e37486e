"""What the server does by itself: collection, counting, and what a stop or a crash leaves for the next start."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.assemble.settings import names_of
from appliance.config import Sources, load
from tests import make
from tests.make.server import Server

Until = Callable[[Callable[[], bool], str], None]
AT_ONCE = '[storage]\nrecycle = "0"\ngrace = "0"\nupload_expiry = "0"\n[schedule]\ngc = "100ms"\n'


def blobs_in(server: Server) -> list[Path]:
    """Return the files of blobs."""
    return [one for one in (server.data / "blobs").rglob("*") if one.is_file()]


def fact(server: Server, name: str) -> str:
    """Return a fact of the stopped server's database."""
    with sqlite3.connect(server.data / "scr.sqlite") as database:
        row = database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    database.close()
    return str(row[0])


def test_collection_runs_by_itself_and_says_what_it_freed(tmp_path: Path, until: Until) -> None:
    with Server(tmp_path, AT_ONCE) as server, server.client() as client:
        client.put_blob("demo/app", make.Blob(b"nobody names me")).expect(201)

        until(lambda: not blobs_in(server), "the collection of a blob that no manifest names")

        until(lambda: any("collection.done" in line for line in server.log), "the line of the log")


def test_a_clock_that_went_back_between_two_starts_pauses_collection(tmp_path: Path, until: Until) -> None:
    server = Server(tmp_path, AT_ONCE)
    with server:
        pass
    stopped_at = int(fact(server, "stopped_at"))
    with sqlite3.connect(server.data / "scr.sqlite") as database:
        database.execute("UPDATE facts SET value = ? WHERE name = 'stopped_at'", (str(stopped_at + 86_400_000),))
    database.close()

    with server:
        until(lambda: any("clock.moved by_s=-86" in line for line in server.log), "the warning")


def test_pulls_are_written_when_it_stops(tmp_path: Path) -> None:
    server = Server(tmp_path)
    image = make.image()
    with server, server.client() as client:
        client.push("demo/app", image, "1")
        client.get("/v2/demo/app/manifests/1").expect(200)

    with sqlite3.connect(server.data / "scr.sqlite") as database:
        (pulls,) = database.execute("SELECT pulls FROM images").fetchone()
    database.close()
    assert pulls == 1


def test_a_stop_is_told_from_a_crash(tmp_path: Path) -> None:
    server = Server(tmp_path)

    with server:
        pass
    after_stop = fact(server, "stopped_at")
    server.start()
    server.kill()
    after_crash = fact(server, "stopped_at")

    assert after_stop.isdigit()
    assert after_crash == ""


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", {"127.0.0.1"}),
        ('[server]\nnames = ["Hub.example.com"]\nlisten = ["localhost:1"]\n', {"hub.example.com", "localhost"}),
        ('[server]\npublic_url = "https://hub.example.com:8443"\n', {"hub.example.com", "127.0.0.1"}),
        ('[[listener]]\naddress = "127.0.0.2:0"\n', {"127.0.0.1", "127.0.0.2"}),
    ],
)
def test_the_registry_answers_to_every_name_that_the_configuration_gives_it(
    tmp_path: Path, text: str, names: set[str]
) -> None:
    path = tmp_path / "scr.toml"
    path.write_text(text)

    assert names_of(load(Sources(path)).config) == names
