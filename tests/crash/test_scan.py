"""kill -9 in the middle of a scan: no half result is ever shown, no child is left, and the scan comes to its end."""

import gzip
import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.make.client import Client
from tests.make.server import Server
from tests.scan import tar_bytes as make
from tests.services.test_scanning import APK, RELEASE, from_layers

DEADLINE_S = 120.0  # far more than the scan takes
FILES = 150_000  # that take some seconds to read


def slow_layer() -> bytes:
    blocks = [make.entry(b"etc/os-release", RELEASE), make.entry(b"lib/apk/db/installed", APK)]
    blocks += [make.header(b"d%d/%d" % (number // 500, number), 0) for number in range(FILES)]
    return gzip.compress(b"".join([*blocks, make.END]), 1)


IMAGE = from_layers(slow_layer())


def until(is_so: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not is_so():
        assert time.monotonic() - begun < DEADLINE_S


def children_of(pid: int) -> set[int]:
    """Return the scanning children of a process."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            words = (status.parent / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(fields[1]) == pid and b"_worker" in words:
            found.add(int(status.parent.name))
    return found


def told(client: Client) -> Any:  # noqa: ANN401 - JSON
    image = json.loads(client.get("/api/v1/images?path=kill/app").expect(200).body)["items"][0]["id"]
    return json.loads(client.get(f"/api/v1/images/{image}/manifests/{IMAGE.digest}/scan").expect(200).body)


def count(server: Server, table: str, condition: str = "1") -> int:
    with sqlite3.connect(f"file:{server.data}/scan.sqlite?mode=ro", uri=True) as database:
        return int(database.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()[0])  # noqa: S608


def test_a_scan_that_is_killed_shows_nothing_and_is_done_after_the_start(tmp_path: Path) -> None:
    server = Server(tmp_path).start()
    with server.client() as client:
        client.push("kill/app", IMAGE, "1")
        until(lambda: bool(children_of(server.pid)) and count(server, "layers", "NOT is_whole") == 1)
        children = children_of(server.pid)
        before = told(client)
    server.kill()

    assert (before["state"], before["packages"]) == ("queued", 0)
    assert count(server, "scans") == 0
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))

    with server, server.client() as client:
        until(lambda: told(client)["state"] == "no data")
        after = told(client)
        assert (after["packages"], after["limits"]) == (2, [])
        assert count(server, "layers") == 1
        assert count(server, "files", "mode >= 0") == FILES + 2
