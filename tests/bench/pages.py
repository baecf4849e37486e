"""`python -m tests.bench.pages`: how soon the console's lists begin to come, and what they weigh.

Fills a database row by row with 100 000 images and 10 000 tags in one of them, starts `scr` on it, and loads each list
as a browser would, one connection, without its assets.
"""

import argparse
import contextlib
import gzip
import http.client
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from appliance import assets
from tests.bench.generator import ROOT
from tests.bench.scale import Quiet
from tests.bench.scale_data import Filled, Size, fill

FULL = Size(100_000, manifests=2, tags=2, big_tags=10_000)
GOAL_MS, GOAL_BYTES, GOAL_ASSETS = 100.0, 100_000, 300_000
_HEADERS = {"Accept": "text/html", "Accept-Encoding": "identity"}


class Weighed(msgspec.Struct, frozen=True):
    """A page: the median milliseconds to its first byte, and its bytes after gzip."""

    name: str
    first_byte_ms: float
    packed: int

    @property
    def is_good(self) -> bool:
        """Whether it meets both goals."""
        return self.first_byte_ms < GOAL_MS and self.packed < GOAL_BYTES


class _Job(msgspec.Struct):
    id: str
    state: str


def measure(folder: Path, size: Size, rounds: int, say: Callable[[str], None]) -> list[Weighed]:
    """Fill, start, and load each list `rounds` times."""
    server = Quiet(folder)
    server.start()
    server.stop()
    began = time.monotonic()
    filled = fill(server.data, size)
    say(f"{size.images} images, {size.all_tags} tags: filled in {time.monotonic() - began:.0f} s")
    server.start()
    try:
        with contextlib.closing(http.client.HTTPConnection(urlsplit(server.plain.url).netloc, timeout=60)) as client:
            measured_s = _measure_repositories(client)
            say(f"job measure, due each hour: {measured_s:.1f} s; the storage page by bytes tells what it found")
            return [_weigh(client, name, path, rounds) for name, path in _lists(filled)]
    finally:
        server.stop()


def _measure_repositories(connection: http.client.HTTPConnection) -> float:
    """Run the job that a server runs each hour; return how many seconds it took."""
    began = time.monotonic()
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/api/v1/jobs", b'{"kind":"measure"}', headers)
    job = msgspec.json.decode(connection.getresponse().read(), type=_Job)
    while job.state in {"waiting", "running"}:
        connection.request("GET", f"/api/v1/jobs/{job.id}?wait=5", headers={"Accept": "application/json"})
        job = msgspec.json.decode(connection.getresponse().read(), type=_Job)
    assert job.state == "done", job
    return time.monotonic() - began


def _lists(filled: Filled) -> Iterator[tuple[str, str]]:
    yield "home", "/"
    yield "registries", "/registries"
    yield "repositories", "/repositories?registry=local"
    yield "images", "/images?registry=local"
    yield "images by push", "/images?registry=local&sort=-pushed"
    yield "images of all registries", "/images?registry=*"
    if filled.big_tags is not None:
        yield "tags of one image", f"/images/{filled.big_tags.id}/tags"
        yield "tags of one image by name", f"/images/{filled.big_tags.id}/tags?sort=tag"
    yield "activity", "/activity"
    yield "activity by who", "/activity?sort=principal"
    yield "deletions", "/deletions"
    yield "jobs", "/jobs"
    yield "storage", "/storage"
    yield "storage by bytes", "/storage?sort=-live"
    yield "users", "/users"
    yield "search", "/search?q=i00042"


def _weigh(connection: http.client.HTTPConnection, name: str, path: str, rounds: int) -> Weighed:
    taken, body = [], b""
    for _ in range(rounds + 1):  # the first one compiles templates
        began = time.perf_counter()
        connection.request("GET", path, headers=_HEADERS)
        answer = connection.getresponse()
        taken.append(1000 * (time.perf_counter() - began))
        body = answer.read()
        assert answer.status == 200, f"{path}: {answer.status}"
    return Weighed(name, statistics.median(taken[1:]), len(gzip.compress(body)))


def weigh_assets() -> int:
    """Return the bytes of all assets after gzip."""
    names = [name for suffix in (".css", ".js", ".svg") for name in assets.list_names("web.static", suffix)]
    return sum(len(gzip.compress(assets.read("web.static", name))) for name in names)


def show(pages: list[Weighed], packed: int, say: Callable[[str], None]) -> None:
    """Print the table."""
    say(f"{'page':28}{'first byte':>12}{'gz':>10}   goals: < {GOAL_MS:.0f} ms, < {GOAL_BYTES // 1000} kB")
    for one in pages:
        mark = "" if one.is_good else "   missed"
        say(f"{one.name:28}{one.first_byte_ms:9.1f} ms{one.packed / 1000:7.1f} kB{mark}")
    mark = "" if packed < GOAL_ASSETS else "   missed"
    say(f"{'all assets':28}{'':12}{packed / 1000:7.1f} kB   goal: < {GOAL_ASSETS // 1000} kB{mark}")


def main() -> int:
    """Run; return the exit code. A goal that is missed is no failure."""
    made = argparse.ArgumentParser(prog="python -m tests.bench.pages", description="Weigh the console's lists.")
    made.add_argument("--images", type=int, default=FULL.images, metavar="N")
    made.add_argument("--rounds", type=int, default=11, metavar="N")
    options = made.parse_args()

    def say(text: str) -> None:
        print(text, flush=True)  # noqa: T201 - it is what the program is for

    parent = ROOT / ".cache" / "bench"
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        size = msgspec.structs.replace(FULL, images=options.images)
        show(measure(Path(folder), size, options.rounds, say), weigh_assets(), say)
    return 0


if __name__ == "__main__":
    sys.exit(main())
