"""Writes an OCI image layout as folder or archive: under another name until all of it is there, checked and synced."""

import contextlib
import gzip
import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self, cast

import msgspec

from appliance.domain.manifest import OCI_INDEX, Descriptor
from appliance.domain.names import Digest, algorithm_of, hex_of
from appliance.errors import LayoutInvalid
from appliance.services.layout_source import member_of

_MARK = b'{"imageLayoutVersion":"1.0.0"}'
_ARCHIVES = (".tar", ".tar.gz", ".tgz")
_LEVEL = 1  # of gzip: layers are compressed already, the rest is small


class Writer(Protocol):
    """Takes the files of a layout one after another; used as a context, which finishes or drops the whole."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the layout its name, or remove all of it after an error."""

    def add(self, name: str, size: int, content: Iterable[bytes]) -> None:
        """Write the file `name` of `size` bytes."""


def open_writer(path: Path) -> Writer:
    """Return a writer for `path`: an archive where the name ends in .tar, .tar.gz or .tgz, else a folder.

    Raises LayoutInvalid where `path` is there already.
    """
    if path.exists() or path.is_symlink():
        raise LayoutInvalid(f"{path} is there already; remove it, or choose another name")
    if not path.parent.is_dir():
        raise LayoutInvalid(f"the folder {path.parent} is not there; make it first")
    return _ArchiveWriter(path) if path.name.endswith(_ARCHIVES) else _FolderWriter(path)


def add_index(writer: Writer, entries: list[Descriptor]) -> None:
    """Write what makes a folder a layout: oci-layout, and index.json that lists `entries`."""
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [_plain(entry) for entry in entries]}
    body = msgspec.json.encode(index)
    writer.add("oci-layout", len(_MARK), [_MARK])
    writer.add("index.json", len(body), [body])


def add_blob(writer: Writer, digest: Digest, size: int, content: Iterable[bytes]) -> None:
    """Write the content `digest`. Raises LayoutInvalid unless `content` is that."""
    writer.add(member_of(digest), size, _checked(digest, size, content))


def _checked(digest: Digest, size: int, content: Iterable[bytes]) -> Iterator[bytes]:
    state = hashlib.new(algorithm_of(digest))
    count = 0
    for piece in content:
        state.update(piece)
        count += len(piece)
        yield piece
    if count != size:
        raise LayoutInvalid(f"{digest} ended after {count} of {size} bytes; try again")
    if state.hexdigest() != hex_of(digest):
        raise LayoutInvalid(f"{digest} arrived with other bytes; try again, then run: scr scrub")


def _plain(entry: Descriptor) -> dict[str, object]:
    fields = {
        "mediaType": entry.media_type,
        "digest": entry.digest,
        "size": entry.size,
        "artifactType": entry.artifact_type,
        "annotations": entry.annotations,
    }
    return {name: value for name, value in fields.items() if value not in ("", None)}


class _FolderWriter:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._staged = path.with_name(path.name + ".part")

    def __enter__(self) -> Self:
        shutil.rmtree(self._staged, ignore_errors=True)  # of a run that was killed
        self._staged.mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            shutil.rmtree(self._staged, ignore_errors=True)
            return
        for folder, _, _ in os.walk(self._staged):
            _sync(Path(folder))
        self._staged.rename(self._path)
        _sync(self._path.parent)

    def add(self, name: str, size: int, content: Iterable[bytes]) -> None:
        del size  # a file needs no word of it before
        path = self._staged / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.writelines(content)
            file.flush()
            os.fsync(file.fileno())


class _ArchiveWriter:
    """The same members always make the same archive: no times, no owners."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._staged = path.with_name(path.name + ".part")
        self._is_compressed = not path.name.endswith(".tar")

    def __enter__(self) -> Self:
        self._file = self._staged.open("wb")
        out: IO[bytes] = self._file
        self._gzip: gzip.GzipFile | None = None
        if self._is_compressed:
            self._gzip = gzip.GzipFile(fileobj=self._file, mode="wb", compresslevel=_LEVEL, mtime=0, filename="")
            out = cast("IO[bytes]", self._gzip)
        self._tar = tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            with contextlib.suppress(OSError):  # a full disk refuses the end of an archive that nobody will read
                self._tar.close()
                if self._gzip is not None:
                    self._gzip.close()
                self._file.close()
            self._staged.unlink(missing_ok=True)
            return
        self._tar.close()
        if self._gzip is not None:
            self._gzip.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._staged.rename(self._path)
        _sync(self._path.parent)

    def add(self, name: str, size: int, content: Iterable[bytes]) -> None:
        member = tarfile.TarInfo(name)
        member.size = size
        with io.BufferedReader(_Joined(iter(content))) as stream:
            self._tar.addfile(member, cast("IO[bytes]", stream))
            if stream.read(1):  # asking past the end is also what lets `content` check itself
                raise LayoutInvalid(f"{name} has more than {size} bytes; try again")


class _Joined(io.RawIOBase):
    """Pieces as a file to read from: what tarfile takes."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]  # what BufferedReader hands over
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
