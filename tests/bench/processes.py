"""What a process and its children have used: processor seconds and memory, as /proc tells. Linux only."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Self

_TICK = os.sysconf("SC_CLK_TCK")
_USER, _CHILDREN_SYSTEM = 11, 15  # of the fields behind the command: utime, stime, cutime, cstime (proc_pid_stat(5))
_EVERY_S = 0.05


def family(pid: int) -> Iterator[int]:
    """Yield `pid` and all its descendants that run now."""
    yield pid
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                for child in (task / "children").read_text().split():
                    yield from family(int(child))


def cpu_seconds(pid: int) -> float:
    """Return the processor time of `pid` and its children, ended ones too, in seconds (resolution: 10 ms)."""
    total = 0
    for one in family(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[_USER:_CHILDREN_SYSTEM]))
    return total / _TICK


def resident(pid: int) -> int:
    """Return the bytes of memory that `pid` and its children hold now (VmRSS)."""
    return sum(_status(one, "VmRSS") for one in family(pid))


class Peak:
    """The most memory that a process and its children held inside a `with` block, in `size`, bytes.

    The kernel's own mark of the process is reset and read; children are looked at every 50 ms.
    """

    def __init__(self, pid: int) -> None:
        self.size = 0
        self._pid = pid
        self._over = Event()
        self._watcher = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        with suppress(OSError):  # without it the mark is that of the whole life of the process
            Path(f"/proc/{self._pid}/clear_refs").write_text("5")
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._watcher.join()
        self.size = max(self.size, _status(self._pid, "VmHWM"))

    def _watch(self) -> None:
        while not self._over.wait(_EVERY_S):
            self.size = max(self.size, resident(self._pid))


def _status(pid: int, field: str) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    return 0


class Stopwatch:
    """Seconds of the clock and of a process's processors, inside a `with` block."""

    def __init__(self, *pids: int) -> None:
        self.seconds = 0.0
        self.cpu_s = 0.0
        self._pids = pids

    def __enter__(self) -> Self:
        self._cpu_s = sum(map(cpu_seconds, self._pids))
        self._began = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.perf_counter() - self._began
        self.cpu_s = sum(map(cpu_seconds, self._pids)) - self._cpu_s
