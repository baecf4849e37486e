"""Kills the process at a step of its choice, or lets a step fail: what `serve.py` puts under the real server.

What is to happen stands in a file that may change while the server runs; the steps are counted from each change on.
"""

import errno
import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import apsw
import msgspec

from appliance.blobstore.files import Files, failed

Step = Literal[
    "create",
    "open",
    "write",
    "truncate",
    "sync",
    "rename",
    "link",
    "remove",
    "add_folder",
    "sync_folder",
    "wal_write",
    "wal_sync",
    "main_write",
    "main_sync",
]
# what needs room on a disk
GROWING: tuple[Step, ...] = ("create", "write", "sync", "rename", "add_folder", "wal_write")

_REAL = "unix"  # SQLite's own VFS


class Plan(msgspec.Struct, frozen=True):
    """At the `number`th of the `steps` (0: never) the process is killed, or the step fails with `error` (an errno).

    `lasting`: every later one of the steps fails too. `while_there`: only as long as this file exists.
    """

    number: int = 0
    steps: tuple[Step, ...] = ()
    error: int = 0  # 0: kill
    lasting: bool = False
    while_there: str = ""

    def save(self, path: Path) -> None:
        """Put it in force, whole."""
        staged = path.with_name(path.name + ".new")
        staged.write_bytes(msgspec.json.encode(self))
        staged.rename(path)


def met_file(plan: Path) -> Path:
    """Return the file beside the plan that is there once a step has failed."""
    return plan.with_name(plan.name + ".met")


class Faults:
    """Follows the plan in the file `path`."""

    def __init__(self, path: Path) -> None:
        """Begin with the plan that is there."""
        self._path = path
        self._lock = threading.Lock()
        self._plan = Plan()
        self._stamp = (0, 0)
        self._count = 0

    def meet(self, step: Step) -> None:
        """Come to `step`: return, raise OSError, or be no more."""
        with self._lock:
            self._read()
            if step not in self._plan.steps or not self._plan.number:
                return
            if self._plan.while_there and not Path(self._plan.while_there).exists():
                return
            self._count += 1
            is_hit = self._count == self._plan.number or (self._plan.lasting and self._count > self._plan.number)
            number = self._plan.error
            if is_hit and not number:
                os.kill(os.getpid(), signal.SIGKILL)
        if not is_hit:
            return
        met_file(self._path).touch()
        raise OSError(number, os.strerror(number))

    def _read(self) -> None:
        status = self._path.stat()
        stamp = status.st_ino, status.st_mtime_ns
        if stamp != self._stamp:
            self._plan = msgspec.json.decode(self._path.read_bytes(), type=Plan)
            self._stamp, self._count = stamp, 0


class FaultyFiles(Files):
    """The real thing, until the plan says otherwise."""

    def __init__(self, faults: Faults) -> None:
        """Follow `faults`."""
        super().__init__()
        self._faults = faults

    def _meet(self, step: Step, path: Path) -> None:
        try:
            self._faults.meet(step)
        except OSError as error:
            raise failed(step, path, error) from error

    def create(self, path: Path) -> int:
        self._meet("create", path)
        return super().create(path)

    def open(self, path: Path) -> int:
        self._meet("open", path)
        return super().open(path)

    def write(self, descriptor: int, path: Path, pieces: Sequence[bytes | memoryview], offset: int) -> None:
        """Write half before the step is met: that is how a disk fills up, and how a process dies."""
        content = b"".join(pieces)
        half = len(content) // 2
        super().write(descriptor, path, [content[:half]], offset)
        self._meet("write", path)
        super().write(descriptor, path, [content[half:]], offset + half)

    def truncate(self, descriptor: int, path: Path, size: int) -> None:
        self._meet("truncate", path)
        super().truncate(descriptor, path, size)

    def sync(self, descriptor: int, path: Path) -> None:
        self._meet("sync", path)
        super().sync(descriptor, path)

    def rename(self, source: Path, target: Path) -> None:
        self._meet("rename", target)
        super().rename(source, target)

    def link(self, source: Path, target: Path) -> bool:
        self._meet("link", target)
        return super().link(source, target)

    def remove(self, path: Path) -> bool:
        self._meet("remove", path)
        return super().remove(path)

    def add_folder(self, path: Path) -> None:
        self._meet("add_folder", path)
        super().add_folder(path)

    def sync_folder(self, path: Path) -> None:
        self._meet("sync_folder", path)
        super().sync_folder(path)


class _FaultyFile(apsw.VFSFile):
    def __init__(self, faults: Faults, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._faults = faults
        self._is_wal = bool(flags[0] & apsw.SQLITE_OPEN_WAL)
        super().__init__(_REAL, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        try:
            self._faults.meet("wal_write" if self._is_wal else "main_write")
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise apsw.FullError("database or disk is full") from error
            raise apsw.exception_for(apsw.SQLITE_IOERR_WRITE) from error
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        try:
            self._faults.meet("wal_sync" if self._is_wal else "main_sync")
        except OSError as error:
            raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC) from error
        super().xSync(flags)


class FaultyVfs(apsw.VFS):
    """SQLite's own VFS, until the plan says otherwise; what every database of the process is opened with."""

    def __init__(self, faults: Faults) -> None:
        """Follow `faults`."""
        self._faults = faults
        super().__init__("faulty", _REAL, makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        if path and not Path(path).name.startswith("logs.sqlite"):  # which is written at times of its own
            return _FaultyFile(self._faults, name, flags)
        return apsw.VFSFile(_REAL, name, flags)
