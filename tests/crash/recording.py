"""Records every change of files, the store's and SQLite's, in one order: what a power loss is then cut out of."""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import apsw
import msgspec

from appliance.blobstore.files import Files

Result = TypeVar("Result")
_SYNCS_FOLDER = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL


class Create(msgspec.Struct, frozen=True):
    """A new empty file got the name `path`."""

    path: Path


class Write(msgspec.Struct, frozen=True):
    """Bytes were written at `offset`."""

    path: Path
    offset: int
    data: bytes


class Truncate(msgspec.Struct, frozen=True):
    """A file was cut or grown to `size` bytes."""

    path: Path
    size: int


class Sync(msgspec.Struct, frozen=True):
    """The content of a file was synced."""

    path: Path


class Rename(msgspec.Struct, frozen=True):
    """A file got another name."""

    path: Path
    target: Path


class Remove(msgspec.Struct, frozen=True):
    """A name was taken away."""

    path: Path


class AddFolder(msgspec.Struct, frozen=True):
    """A folder was made."""

    path: Path


class SyncFolder(msgspec.Struct, frozen=True):
    """The names in a folder were synced."""

    path: Path


Step = Create | Write | Truncate | Sync | Rename | Remove | AddFolder | SyncFolder


class Log:
    """The steps so far, in the order in which they happened. Paths are relative to `root`."""

    def __init__(self, root: Path) -> None:
        """Record what happens below `root`."""
        self.root = root
        self.steps: list[Step] = []
        self._lock = threading.RLock()

    def relative(self, path: Path | str) -> Path:
        """Return `path` as steps name it."""
        return Path(path).relative_to(self.root)

    def run(self, change: Callable[[], Result], *steps: Step) -> Result:
        """Make `change` and record it as `steps`, so that no other change comes between."""
        with self._lock:
            result = change()
            self.steps += steps
        return result


class RecordingFiles(Files):
    """The real thing, recorded."""

    def __init__(self, log: Log) -> None:
        """Record into `log`."""
        super().__init__()
        self._log = log

    def create(self, path: Path) -> int:
        return self._log.run(lambda: Files.create(self, path), Create(self._log.relative(path)))

    def write(self, descriptor: int, path: Path, pieces: Sequence[bytes | memoryview], offset: int) -> None:
        step = Write(self._log.relative(path), offset, b"".join(pieces))
        self._log.run(lambda: Files.write(self, descriptor, path, pieces, offset), step)

    def truncate(self, descriptor: int, path: Path, size: int) -> None:
        self._log.run(lambda: Files.truncate(self, descriptor, path, size), Truncate(self._log.relative(path), size))

    def sync(self, descriptor: int, path: Path) -> None:
        self._log.run(lambda: Files.sync(self, descriptor, path), Sync(self._log.relative(path)))

    def rename(self, source: Path, target: Path) -> None:
        step = Rename(self._log.relative(source), self._log.relative(target))
        self._log.run(lambda: Files.rename(self, source, target), step)

    def remove(self, path: Path) -> bool:
        steps = [Remove(self._log.relative(path))] if path.exists() else []
        return self._log.run(lambda: Files.remove(self, path), *steps)

    def add_folder(self, path: Path) -> None:
        steps = [] if path.is_dir() else [AddFolder(self._log.relative(path))]
        self._log.run(lambda: Files.add_folder(self, path), *steps)

    def sync_folder(self, path: Path) -> None:
        self._log.run(lambda: Files.sync_folder(self, path), SyncFolder(self._log.relative(path)))


class _RecordingFile(apsw.VFSFile):
    def __init__(self, log: Log, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name or "")
        self._log = log
        self._path = log.relative(path)
        # SQLite's unix VFS syncs the folder with the first sync of a journal or log it may have created
        self._syncs_folder = bool(flags[0] & _SYNCS_FOLDER and flags[0] & apsw.SQLITE_OPEN_CREATE)
        steps = [] if path.exists() else [Create(self._path)]
        log.run(lambda: apsw.VFSFile.__init__(self, "", name, flags), *steps)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        step = Write(self._path, offset, bytes(data))
        self._log.run(lambda: apsw.VFSFile.xWrite(self, data, offset), step)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's name
        self._log.run(lambda: apsw.VFSFile.xTruncate(self, newsize), Truncate(self._path, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        steps: list[Step] = [Sync(self._path)]
        if self._syncs_folder:
            steps.append(SyncFolder(self._path.parent))
            self._syncs_folder = False
        self._log.run(lambda: apsw.VFSFile.xSync(self, flags), *steps)


class RecordingVfs(apsw.VFS):
    """SQLite's own VFS, recorded. It is registered under `name` until `unregister`."""

    def __init__(self, name: str, log: Log) -> None:
        """Record into `log`."""
        self.name = name
        self._log = log
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        return _RecordingFile(self._log, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802 - SQLite's name and form
        steps: list[Step] = [Remove(self._log.relative(filename))] if os.path.exists(filename) else []  # noqa: PTH110
        if syncdir:
            steps.append(SyncFolder(self._log.relative(filename).parent))
        self._log.run(lambda: apsw.VFS.xDelete(self, filename, syncdir), *steps)
