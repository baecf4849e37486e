"""Every change of the data folder's files goes through here, one named step at a time.

So a test can record the steps and replay any prefix of them (power loss), or make the n-th one fail (full disk,
broken disk), without a line in the code that is tested. All calls block: they run in worker threads.
"""

import contextlib
import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from appliance.errors import ScrError, StorageFull, StoreFailed

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_UNLINKABLE = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS})
_PIECE = 1 << 20  # bytes read at once
_MAX_PIECES = 512  # buffers a writev; the kernel's limit is IOV_MAX, 1024


class Files:
    """The real thing. Errors of the disk come out as StorageFull or StoreFailed, with the step and the path."""

    def __init__(self) -> None:
        self._made: set[Path] = set()  # folders whose names are durable

    def create(self, path: Path) -> int:
        """Create the file `path` (it must not exist) and return its descriptor, open for reading and writing."""
        return self._open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)

    def open(self, path: Path) -> int:
        """Open the existing file `path` for reading and writing."""
        return self._open(path, os.O_RDWR)

    def write(self, descriptor: int, path: Path, pieces: Sequence[bytes | memoryview], offset: int) -> None:
        """Write all of `pieces` one after another from `offset` (bytes)."""
        rest = [memoryview(piece) for piece in pieces if len(piece)]
        try:
            while rest:
                written = os.pwritev(descriptor, rest[:_MAX_PIECES], offset)
                offset += written
                while rest and written >= len(rest[0]):
                    written -= len(rest.pop(0))
                if written:
                    rest[0] = rest[0][written:]
        except OSError as error:
            raise failed("write", path, error) from error

    def truncate(self, descriptor: int, path: Path, size: int) -> None:
        """Cut the file to `size` bytes."""
        try:
            os.ftruncate(descriptor, size)
        except OSError as error:
            raise failed("truncate", path, error) from error

    def sync(self, descriptor: int, path: Path) -> None:
        """Return once the content of the file is on stable storage. A failure is final for that file."""
        try:
            os.fdatasync(descriptor)
        except OSError as error:
            raise failed("sync", path, error) from error

    def rename(self, source: Path, target: Path) -> None:
        """Give the file `source` the name `target`, on the same file system."""
        try:
            source.rename(target)
        except OSError as error:
            raise failed("rename", target, error) from error

    def link(self, source: Path, target: Path) -> bool:
        """Give the file `source` the further name `target`. False: there is no such file, or it cannot be linked there.

        Other file systems, and those without links, are such places.
        """
        try:
            os.link(source, target, follow_symlinks=False)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno in _UNLINKABLE:
                return False
            raise failed("link", target, error) from error
        return True

    def copy(self, source: Path, target: Path) -> None:
        """Copy the file `source` to the new file `target`; whole and durable, but for its name, once this returns."""
        staged = target.with_name(target.name + ".part")
        self.remove(staged)
        try:
            with source.open("rb", buffering=0) as reader:
                self._copy(reader, staged)
        except OSError as error:
            raise failed("read", source, error) from error
        self.rename(staged, target)

    def _copy(self, reader: IO[bytes], staged: Path) -> None:
        descriptor, offset = self.create(staged), 0
        try:
            while piece := reader.read(_PIECE):
                self.write(descriptor, staged, [piece], offset)
                offset += len(piece)
            self.sync(descriptor, staged)
        finally:
            os.close(descriptor)

    def remove(self, path: Path) -> bool:
        """Remove the file `path`. False: it was not there."""
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise failed("remove", path, error) from error
        return True

    def make_folder(self, path: Path) -> None:
        """Create the folder `path` (0700) and its parents where they are missing; durable once it returns.

        That somebody made it is not enough: its name may not be durable yet, after a crash or in another thread. So
        the first call for a folder always syncs its parent, and only then it counts as made.
        """
        if path in self._made and path.is_dir():
            return
        if not path.parent.is_dir():
            self.make_folder(path.parent)
        self.add_folder(path)
        self.sync_folder(path.parent)
        self._made.add(path)

    def add_folder(self, path: Path) -> None:
        """Create the folder `path` (0700) in its parent; that it is there already is no error."""
        try:
            path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise failed("make folder", path, error) from error

    def sync_folder(self, path: Path) -> None:
        """Return once the names in the folder `path` are on stable storage."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise failed("sync folder", path, error) from error

    def write_whole(self, path: Path, content: bytes) -> None:
        """Write a small file so that it is there whole or not at all, and durable once this returns."""
        staged = path.with_name(path.name + ".part")
        with contextlib.suppress(ScrError):  # what a crash left; if it stays, `create` says so
            self.remove(staged)
        try:
            descriptor = self.create(staged)
            try:
                self.write(descriptor, staged, [content], 0)
                self.sync(descriptor, staged)
            finally:
                os.close(descriptor)
            self.rename(staged, path)
        except ScrError:
            with contextlib.suppress(ScrError):
                self.remove(staged)
            raise
        self.sync_folder(path.parent)

    def _open(self, path: Path, flags: int) -> int:
        try:
            return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise failed("open", path, error) from error


def failed(step: str, path: Path, error: OSError) -> StoreFailed | StorageFull:
    """Return the error of ours for the failed `step` on `path`; the path's last part is enough for a log."""
    if error.errno in _FULL:
        return StorageFull(f"the disk is full ({step} {path.name}); delete images or raise the disk's size")
    reason = os.strerror(error.errno) if error.errno else str(error)
    return StoreFailed(f"the store failed: {step} {path.name}: {reason}; see the host's disk and its log")
