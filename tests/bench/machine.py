"""What the figures depend on besides the programs: the interpreter's build, the processor, the disk, the load."""

import os
import platform
import statistics
import sysconfig
import time
from pathlib import Path

import msgspec

_PROBES = 20
_BLOCK = 4096  # bytes
_ROUNDS = 5
_STEPS = 100_000


class Machine(msgspec.Struct, frozen=True):
    """Facts for the head of the table."""

    interpreter: str
    build: str
    loop_ms: float  # least time of a fixed loop of plain Python: tells builds of an interpreter apart whatever they say
    processor: str
    processors: int
    kernel: str
    load: float  # of the last minute, when it was looked at
    sync_ms: float  # median of writing 4 KiB and making them durable
    generator: str


def look(folder: Path, generator: str) -> Machine:
    """Return the facts; the disk is that of `folder`."""
    return Machine(
        interpreter=f"{platform.python_implementation()} {platform.python_version()}, {platform.python_compiler()}",
        build=build_of(str(sysconfig.get_config_var("CONFIG_ARGS") or ""), has_library=_has_library()),
        loop_ms=_loop_ms(),
        processor=_processor(),
        processors=len(os.sched_getaffinity(0)),
        kernel=platform.release(),
        load=load(),
        sync_ms=_sync_ms(folder / "probe"),
        generator=generator,
    )


def load() -> float:
    """Return how many processes wanted to run, on average of the last minute."""
    return os.getloadavg()[0]


def build_of(arguments: str, *, has_library: bool) -> str:
    """Return in words how a CPython was built, from its configure arguments and whether libpython is loaded.

    Debian's /usr/bin/python3 is built with PGO and LTO, but its record is that of the shared library, which is not.
    """
    if "--enable-shared" in arguments and not has_library:
        return "build not recorded (the record is of the shared library, which does not run here)"
    found = ["PGO" if "--enable-optimizations" in arguments else "no PGO (with it and LTO up to twice as fast)"]
    found.append("LTO" if "--with-lto" in arguments else "no LTO")
    found += ["debug build"] if "--with-pydebug" in arguments else []
    return ", ".join(found)


def _has_library() -> bool:
    return "libpython3" in Path("/proc/self/maps").read_text()


def _loop_ms() -> float:
    return min(_loop() for _ in range(_ROUNDS)) * 1e3


def _loop() -> float:
    began = time.perf_counter()
    total = 0
    for number in range(_STEPS):
        made = {"a": number, "b": str(number)}
        total += len(made["b"]) if isinstance(made["b"], str) else 0
    return time.perf_counter() - began


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _sync_ms(path: Path) -> float:
    taken = []
    with path.open("wb", buffering=0) as file:
        for _ in range(_PROBES):
            began = time.perf_counter()
            file.write(bytes(_BLOCK))
            os.fsync(file.fileno())
            taken.append((time.perf_counter() - began) * 1e3)
    path.unlink()
    return statistics.median(taken)
