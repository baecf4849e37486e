"""`python -m tests.bench.starts`: how long `scr serve` takes to its first answer, from sources and packaged.

The programs are those of the working tree: its sources, by the interpreter that runs this, and what `make package` and
`make package-pyinstaller` left in `dist`. They take turns. Warm is the median of several starts on a folder that was
served before; cold is the best of a few after the page cache was emptied, which only root can do. Memory is what the
process and its children hold after the first answer.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from appliance import __version__
from tests.bench.generator import ROOT
from tests.bench.processes import resident
from tests.bench.registries import Scr

_ABOUT = "Measure starts and memory of the sources, the packaged program and the fallback."
_DROP = Path("/proc/sys/vm/drop_caches")
_SETTLED_S = 1.0
_MIB = 1 << 20
# what the packaged file is to reach
_WARM_S, _COLD_S, _MEMORY, _SIZE = 0.6, 1.2, 1.3, 90.0


class Program(Scr):
    """`scr serve` by `command`; the file is looked for in `dist` where there is one."""

    def __init__(self, name: str, folder: Path, command: tuple[str, ...], file: Path | None = None) -> None:
        super().__init__(folder / name)
        self.name = name
        self.file = file
        self._command = command

    def _commands(self) -> list[list[str]]:
        (ours,) = super()._commands()
        return [[*self._command, *ours[ours.index("serve") :]]]


class Figures(msgspec.Struct):
    """What was found of one program: seconds and bytes."""

    warm: list[float] = []
    cold: list[float] = []
    memory: int = 0


def programs(folder: Path, dist: Path) -> Iterator[Program]:
    """Yield those that are here; the packaged file first after the sources."""
    yield Program("sources", folder, (sys.executable, "-m", "appliance"))
    for name, suffix in (("packaged", ""), ("fallback", "-pyinstaller")):
        file = dist / f"scr-{__version__}-linux-{os.uname().machine}{suffix}"
        if file.is_file():
            yield Program(name, folder, (str(file),), file)


def measure(found: list[Program], warm: int, cold: int) -> dict[str, Figures]:
    """Take turns; return what was found of each."""
    figures = {one.name: Figures() for one in found}
    for one in found:
        _start(one)  # makes the data folder, and what the packaged file lays into it
    for _ in range(warm):
        for one in found:
            figures[one.name].warm.append(_start(one))
    for _ in range(cold if os.access(_DROP, os.W_OK) else 0):
        for one in found:
            os.sync()
            _DROP.write_text("3")
            figures[one.name].cold.append(_start(one))
    for one in found:
        figures[one.name].memory = _held(one)
    return figures


def _start(one: Program) -> float:
    try:
        return one.start()
    finally:
        one.stop()


def _held(one: Program) -> int:
    try:
        one.start()
        time.sleep(_SETTLED_S)
        return resident(one.pids[0])
    finally:
        one.stop()


def tell(found: list[Program], figures: dict[str, Figures], say: Callable[[str], None]) -> None:
    """Print the table, and what became of the goals of the packaged file."""
    say(f"{'start to first answer':24}{'warm s':>9}{'cold s':>9}{'MiB held':>10}{'MB file':>9}")
    for one in found:
        its = figures[one.name]
        size = f"{one.file.stat().st_size / 1e6:.1f}" if one.file else "-"
        cold = f"{min(its.cold):.2f}" if its.cold else "-"
        say(f"  {one.name:22}{statistics.median(its.warm):>9.2f}{cold:>9}{its.memory / _MIB:>10.1f}{size:>9}")
    for one in found:
        if one.name == "packaged" and one.file:
            for goal in _goals(figures["packaged"], figures["sources"], one.file.stat().st_size / 1e6):
                say(f"  {goal}")
    names = {one.name for one in found}
    for name, target in (("packaged", "package"), ("fallback", "package-pyinstaller")):
        if name not in names:
            say(f"  {name}: not measured, for it is not in dist (make {target})")
    if not os.access(_DROP, os.W_OK):
        say("  cold: not measured, for only root can empty the page cache")


def _goals(packaged: Figures, sources: Figures, size: float) -> Iterator[str]:
    judged = [
        (f"warm ≤ {_WARM_S} s", statistics.median(packaged.warm), _WARM_S),
        (f"memory ≤ {_MEMORY} x sources", packaged.memory / sources.memory, _MEMORY),
        (f"file ≤ {_SIZE:.0f} MB", size, _SIZE),
    ]
    if packaged.cold:
        judged.append((f"cold ≤ {_COLD_S} s", min(packaged.cold), _COLD_S))
    for text, value, most in judged:
        yield f"{'+' if value <= most else '-'} packaged, {text}: {value:.2f}"


def main() -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.starts", description=_ABOUT)
    parser.add_argument("--warm", type=int, default=10, metavar="N", help="warm starts of each (default: 10)")
    parser.add_argument("--cold", type=int, default=3, metavar="N", help="cold starts of each (default: 3)")
    options = parser.parse_args()
    place = ROOT / ".cache" / "bench"
    place.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="starts-", dir=place))

    def say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    try:
        found = list(programs(folder, ROOT / "dist"))
        tell(found, measure(found, options.warm, options.cold), say)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
