"""`python -m tests.bench.scale`: whether it stays as fast with 8 million tags as with 1 000 images.

Fills a database row by row, starts `scr` on it, and asks for pages, manifests and a policy test at random places; then
lets a collection take 10 000 manifests while clients pull. Both sizes are measured the same way, one after the other.
"""

import argparse
import base64
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tests.bench.generator import ROOT, Generator
from tests.bench.jobs import Ask, percentile
from tests.bench.registries import Scr
from tests.bench.scale_data import Filled, Made, Size, database_bytes, fill
from tests.make.client import Client

_SMALL, _FULL = 1_000, 40_000  # images; DESIGN's sizes: 800 000 manifests, 8 000 000 tags
_TOML = """[server]
listen = ["127.0.0.1:{plain}"]
[storage]
data_dir = "{data}"
grace = "1s"
[schedule]
gc = ""
upload_expiry = ""
sweep = ""
scrub = ""
check = ""
backup = ""
"""
_PULLED_S = 1.0


class Quiet(Scr):
    """`scr serve` without a timetable, which collects as soon as it is told."""

    def _commands(self) -> list[list[str]]:
        commands = super()._commands()
        (self.folder / "scr.toml").write_text(_TOML.format(plain=self.plain.port, data=self.data))
        return commands


class Figures(msgspec.Struct, frozen=True):
    """What one size gave: milliseconds by name, and what stands beside them."""

    size: Size
    medians: dict[str, float]
    worst: dict[str, float]  # p99
    start_s: float
    database: int
    pull_p99: tuple[float, float] = (0.0, 0.0)  # ms before and during the collection
    collected: str = ""


def measure(folder: Path, size: Size, rounds: int, say: Callable[[str], None]) -> Figures:
    """Fill, start and ask. Raises StartFailed, GeneratorFailed, AssertionError."""
    server = Quiet(folder)
    server.start()
    server.stop()
    began = time.monotonic()
    filled = fill(server.data, size)
    say(f"{size.images} images, {size.all_tags} tags: filled in {time.monotonic() - began:.0f} s")
    start_s = server.start()
    try:
        with Client(server.plain.url) as client:
            taken = {name: _times(ask, rounds) for name, ask in _questions(client, filled, size)}
        before, during, collected = (0.0, 0.0, "")
        if size.condemned:
            before, during, collected = _pull_while_collecting(server, folder, filled.images)
    finally:
        server.stop()
    return Figures(
        size,
        {name: statistics.median(times) for name, times in taken.items()},
        {name: percentile(times, 0.99) for name, times in taken.items()},
        start_s,
        database_bytes(server.data),
        (before, during),
        collected,
    )


def _questions(client: Client, filled: Filled, size: Size) -> Iterator[tuple[str, Callable[[], object]]]:
    dice = random.Random(7)  # noqa: S311 - the same places every time

    def at() -> Made:
        return dice.choice(filled.images)

    def cursor(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def get(path: str) -> object:
        return client.get(path).expect(200)

    order = msgspec.json.encode({"policy": {"count": True, "keepNewest": 5}})
    json_type = {"Content-Type": "application/json"}
    yield "manifest GET", lambda: get(f"/v2/{(one := at()).path}/manifests/{one.tag}")
    early = [one.path for one in filled.images[: len(filled.images) // 2]]  # so that the page behind it is a whole one
    by_path = "/api/v1/images?limit=100&cursor="
    yield "images, page by path", lambda: get(by_path + cursor(dice.choice(early)))
    yield "images, page by push", lambda: get("/api/v1/images?limit=100&sort=-pushed")
    yield "images, page by pulls", lambda: get("/api/v1/images?limit=100&sort=-pulls")
    yield "tags, page by name", lambda: get(f"/api/v1/images/{at().id}/tags?limit=100")
    yield "tags, page by push", lambda: get(f"/api/v1/images/{at().id}/tags?limit=100&sort=-pushed")
    yield "tags, page of /v2", lambda: get(f"/v2/{at().path}/tags/list?n=100&last=v1")
    yield "manifests, page", lambda: get(f"/api/v1/images/{at().id}/manifests?limit=20")
    yield "referrers, page", lambda: get(f"/v2/{(one := at()).path}/referrers/{one.subject}")
    yield (
        "retention test",
        lambda: client.request("POST", f"/api/v1/images/{at().id}/retention-tests", order, json_type).expect(200),
    )
    if (one := filled.big_tags) is not None:
        place = cursor(f"v{size.big_tags // 2}")
        within = f"/api/v1/images/{one.id}/tags?limit=100&cursor={place}"
        yield f"tags, page within {size.big_tags}", lambda: get(within)
    if (one := filled.big_subject) is not None:
        of_subject = f"/v2/{one.path}/referrers/{one.subject}"
        yield f"referrers, page of {size.big_referrers}", lambda: get(of_subject)


class _Job(msgspec.Struct):
    id: str
    state: str
    report: dict[str, object] | None


def _times(ask: Callable[[], object], rounds: int) -> list[float]:
    """Return milliseconds of `rounds` requests, one after the other."""
    for _ in range(min(rounds, 20)):
        ask()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        ask()
        times.append((time.perf_counter() - began) * 1e3)
    return times


def _pull_while_collecting(server: Quiet, folder: Path, made: list[Made]) -> tuple[float, float, str]:
    """Return the p99 of pulls before a collection and during it (the median second), and what it collected."""
    ask = Ask(server.plain, [f"/v2/{one.path}/manifests/{one.tag}" for one in made], connections=8, seconds=_PULLED_S)
    ended = threading.Event()
    told: list[str] = []

    def collect() -> None:
        began = time.monotonic()
        with Client(server.plain.url) as client:
            json_type = {"Content-Type": "application/json"}
            job = client.request("POST", "/api/v1/jobs", b'{"kind":"gc"}', json_type).expect(202).decode(_Job)
            while job.state in ("waiting", "running"):
                job = client.get(f"/api/v1/jobs/{job.id}?wait=5").expect(200).decode(_Job)
        report = job.report or {}
        told.append(
            f"{report.get('manifests')} manifests, {report.get('blobs')} blobs in {time.monotonic() - began:.1f} s"
        )
        ended.set()

    with Generator(folder) as generator:
        generator.do_own(ask)
        before = [generator.do_own(ask).p99 for _ in range(5)]
        thread = threading.Thread(target=collect)
        thread.start()
        during = []
        while not ended.is_set():
            during.append(generator.do_own(ask).p99)
        thread.join()
    return statistics.median(before), statistics.median(during), told[0]


def show(figures: list[Figures], say: Callable[[str], None]) -> None:
    """Print a table: the first size, the last one, how many times slower."""
    first, last = figures[0], figures[-1]
    say(f"{'milliseconds, median (p99)':32}{first.size.images:>9} images{last.size.images:>9} images   times")
    for name, value in last.medians.items():
        base = first.medians.get(name)
        was = f"{base:.2f} ({first.worst[name]:.1f})" if base else ""
        times = f"{value / base:8.2f}" if base else ""
        say(f"{name:32}{was:>16}{f'{value:.2f} ({last.worst[name]:.1f})':>16}{times}")
    for one in figures:
        say(
            f"{one.size.images} images: start {one.start_s:.2f} s, database {one.database / (1 << 20):.0f} MiB,"
            f" {one.database / one.size.all_tags:.0f} bytes a tag with all that belongs to it"
        )
        if one.collected:
            before, during = one.pull_p99
            slower = during / before if before else 0.0
            say(
                f"  collection: {one.collected};"
                f" pulls p99 {before:.2f} ms before, {during:.2f} ms meanwhile: {slower:.1f} times"
            )


def sizes(kind: str) -> list[Size]:
    """Return what is measured: the two sizes of DESIGN, or two small ones for the ordinary run."""
    if kind == "full":
        return [
            Size(_SMALL, condemned=500),
            Size(_FULL, big_tags=100_000, big_referrers=10_000, condemned=500),
        ]
    return [Size(100, tags=50, condemned=10), Size(1_000, tags=50, big_tags=5_000, big_referrers=500, condemned=50)]


def main() -> int:
    """Run; return the exit code."""
    made = argparse.ArgumentParser(
        prog="python -m tests.bench.scale", description="Measure at the sizes to design for."
    )
    made.add_argument("--size", choices=("small", "full"), default="small", help="full takes some minutes and 4 GB")
    made.add_argument("--rounds", type=int, default=200, metavar="N", help="requests of each kind")
    made.add_argument(
        "--folder", type=Path, default=ROOT / ".cache/bench", metavar="DIR", help="where data goes meanwhile"
    )
    options = made.parse_args()

    def say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    options.folder.mkdir(parents=True, exist_ok=True)
    figures = []
    for size in sizes(options.size):
        with tempfile.TemporaryDirectory(prefix="scale-", dir=options.folder) as folder:
            figures.append(measure(Path(folder), size, options.rounds, say))
    show(figures, say)
    return 0


if __name__ == "__main__":
    sys.exit(main())
