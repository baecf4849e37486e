"""The data folder: one process holds it, and its format says which program may.

<data>/format        the layout's number; an older program refuses a newer one
<data>/lock          held (flock) by the one process that serves
<data>/control.sock  the operator's door
<data>/scr.sqlite    the metadata
<data>/ballast       64 MiB given up when even a delete finds no room
<data>/blobs/ manifests/ quarantine/ uploads/     the store and its staging (blobstore/)
<data>/tls/ keys/ allowlists/ backups/ cache/     certificates, key rings, address lists, snapshots, what can be lost
<data>/lib/          compiled modules that the packaged program carries (program.settle)
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from appliance.blobstore.files import Files
from appliance.errors import ConfigInvalid, FolderBusy, ScrError

FORMAT = 1
FOLDERS = ("tls", "keys", "allowlists", "backups", "cache")
_LONGEST = 64  # bytes of the files `format` and `lock` that are read


class DataFolder:
    """The folder of one serving process, locked until `close` or the end of the process."""

    def __init__(self, path: Path, files: Files) -> None:
        """Make what is missing, lock it, check its format.

        Raises FolderBusy, ConfigInvalid for a folder that cannot be used, StoreFailed, StorageFull.
        """
        self.path = path
        self._files = files
        try:
            files.make_folder(path)
            self._lock = self._take_lock()
        except OSError as error:
            raise ConfigInvalid(
                f"the data folder {path} cannot be used: {error.strerror}; choose another --data-dir"
            ) from error
        except ScrError as error:
            if isinstance(error, FolderBusy):
                raise
            raise ConfigInvalid(f"the data folder {path} cannot be made: {error.message}") from error
        try:
            self._check_format()
            for name in FOLDERS:
                files.make_folder(path / name)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def free_bytes(self) -> int:
        """Return the bytes an unprivileged process may still write."""
        disk = os.statvfs(self.path)
        return disk.f_bavail * disk.f_frsize

    def size_bytes(self) -> int:
        """Return the size of the file system."""
        disk = os.statvfs(self.path)
        return disk.f_blocks * disk.f_frsize

    def lay_ballast(self, size: int, spare: int) -> bool:
        """Lay out the ballast of `size` bytes, if it is not there and `spare` bytes stay free beside it (blocking).

        Returns whether it was laid out now.
        """
        path = self.path / "ballast"
        if path.exists() or self.free_bytes() < size + spare:
            return False
        staged = path.with_name("ballast.part")
        self._files.remove(staged)
        descriptor = self._files.create(staged)
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError:  # the room went meanwhile, or the file system cannot promise any
            self._files.remove(staged)
            return False
        finally:
            os.close(descriptor)
        self._files.rename(staged, path)
        return True

    def _take_lock(self) -> int:
        """Return the descriptor that holds the lock. Raises FolderBusy, OSError."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, _LONGEST, 0).decode(errors="replace").strip()
            os.close(descriptor)
            who = f"another scr (process {holder})" if holder.isdigit() else "another scr"
            raise FolderBusy(f"{who} serves {self.path}; stop it first, or choose another --data-dir") from error
        except OSError:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return descriptor

    def _check_format(self) -> None:
        path = self.path / "format"
        try:
            with path.open("rb") as file:
                text = file.read(_LONGEST).strip()
        except FileNotFoundError:
            self._files.write_whole(path, b"%d\n" % FORMAT)
            return
        if not text.isdigit():
            raise ConfigInvalid(f"{path} holds no number; point [storage] data_dir at a folder of scr's own")
        if int(text) > FORMAT:
            raise ConfigInvalid(
                f"the data folder {self.path} has format {int(text)}, and this scr knows {FORMAT}:"
                " it was written by a newer scr; run that one"
            )
