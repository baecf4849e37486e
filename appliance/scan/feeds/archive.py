"""A zip archive of JSON files -> the files, with bounds on what a hostile archive may cost."""

import io
import mmap
import struct
import zipfile
import zlib
from collections.abc import Iterator

from appliance.errors import FeedInvalid
from appliance.scan.feeds.bbolt import Data

_LARGEST = 64 << 20  # bytes of one file; the largest records list every version of the Linux kernel in some 10 MB
_TOTAL = 64 << 30  # bytes of all files together; all records of all ecosystems have some 10 GB
_MOST = 5_000_000  # files
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_FAULTS = (  # what zipfile lets through when the bytes are not what they seem
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


class _Mapped(io.RawIOBase):
    """A memory map as the file that zipfile wants."""

    def __init__(self, data: mmap.mmap) -> None:
        self._view = memoryview(data)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._view)}[whence]
        if start + offset < 0:
            raise OSError("a position before the start")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # io hands over a memoryview
        piece = self._view[self._position : self._position + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def close(self) -> None:
        self._view.release()
        super().close()


def read_json_files(data: Data) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each `.json` file of a zip archive. Raises FeedInvalid."""
    file: io.RawIOBase | io.BytesIO = io.BytesIO(data) if isinstance(data, bytes) else _Mapped(data)
    try:
        with file, zipfile.ZipFile(file) as archive:
            yield from _read(archive)
    except _FAULTS as error:
        raise FeedInvalid(f"the archive of advisories cannot be read: {error}") from error


def _read(archive: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    entries = [entry for entry in archive.infolist() if entry.filename.endswith(".json")]
    if len(entries) > _MOST:
        raise FeedInvalid(f"the archive has {len(entries)} files; at most {_MOST} are read")
    left = _TOTAL
    for entry in entries:
        left -= entry.file_size
        if entry.file_size > _LARGEST or left < 0:
            raise FeedInvalid(f"{entry.filename[:80]!r} is too large for a file of advisories")
        if entry.compress_type not in _METHODS:
            raise FeedInvalid(
                f"{entry.filename[:80]!r} is packed by method {entry.compress_type}; only deflate is read"
            )
        with archive.open(entry) as member:
            body = member.read(_LARGEST + 1)
        if len(body) != entry.file_size:
            raise FeedInvalid(f"{entry.filename[:80]!r} is not as long as the archive says")
        yield entry.filename, body
