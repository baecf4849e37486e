"""The file of an upload that grows: plain, or encrypted as it comes, so that nothing readable ever lies on the disk.

An encrypted file has its final form from the start but for two things. The header is a provisional one that says how
much content there is. And up to one chunk of content is held back, for only the end tells which chunk is the last: it
is kept behind the whole chunks, sealed with a key of its own, whenever a request ends.
"""

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from appliance.blobstore.cipher import (
    E1,
    GROWING,
    HEADER,
    PIECE,
    SEALED,
    TAIL,
    FileCipher,
    Header,
    cut,
    file_size,
    piece_count,
)
from appliance.blobstore.files import Files
from appliance.blobstore.forms import PLAIN, Forms
from appliance.blobstore.keyring import Keyring
from appliance.blobstore.sums import CHUNK, Summer
from appliance.domain.names import Digest
from appliance.errors import BlobBroken, StoreFailed

_NOBODYS = Digest("sha256:" + "0" * 64)
_TOGETHER = 4  # encrypted chunks written at once


class _Memory(threading.local):
    """What a thread seals into, used again and again: each new page of memory costs more than sealing what fits in it.

    256 KiB: what was sealed is then still in the processor's cache when it is written.
    """

    def __init__(self) -> None:
        self.sealed = memoryview(bytearray(_TOGETHER * SEALED))


_memory = _Memory()


class Staging(Protocol):
    """Takes content in order. All of it blocks: it is called in worker threads, by one at a time."""

    form: str
    survives_failure: bool  # whether what was there before a failed write is as it was
    closed_as: Digest | None  # of a file that had its final form before a restart: nothing can be added to it

    def write(self, descriptor: int, pieces: Sequence[bytes]) -> None:
        """Append `pieces`. Raises StoreFailed, StorageFull."""

    def keep(self, descriptor: int) -> None:
        """Make the file hold all that was written, for a restart."""

    def reopen(self, descriptor: int) -> Iterator[bytes]:
        """Take up the file where it was left; yield its content. Raises BlobBroken where that cannot be told."""

    def content(self, descriptor: int) -> Iterator[bytes]:
        """Yield the content."""

    def finish(self, descriptor: int, digest: Digest) -> bytes:
        """Give the file its final form, not yet synced; return what its row needs as sums."""


class PlainStaging:
    """The content itself."""

    form = PLAIN
    survives_failure = True
    closed_as: Digest | None = None

    def __init__(self, files: Files, path: Path) -> None:
        self._files = files
        self._path = path
        self._summer = Summer()
        self._size = 0

    def write(self, descriptor: int, pieces: Sequence[bytes]) -> None:
        """Append `pieces`; after a failure the file is cut to where it was."""
        self._files.write(descriptor, self._path, pieces, self._size)
        for piece in pieces:
            self._summer.update(piece)
            self._size += len(piece)

    def keep(self, descriptor: int) -> None:
        """It holds everything already."""

    def reopen(self, descriptor: int) -> Iterator[bytes]:
        """Yield what lies in the file."""
        while piece := os.pread(descriptor, CHUNK, self._size):
            self._summer.update(piece)
            self._size += len(piece)
            yield piece

    def content(self, descriptor: int) -> Iterator[bytes]:
        """Yield what was written."""
        for offset in range(0, self._size, CHUNK):
            yield os.pread(descriptor, min(CHUNK, self._size - offset), offset)

    def finish(self, descriptor: int, digest: Digest) -> bytes:
        """Cut off what a failed write may have left."""
        del digest
        _cut(self._files, self._path, descriptor, self._size)
        return self._summer.finish()


class EncryptedStaging:
    """Encrypted chunks; the last of them waits in `_held` until it is known to be the last, or not to be."""

    form = E1
    # a chunk must never be sealed twice with other content under the same key, so after a failure nothing goes on
    survives_failure = False

    def __init__(self, files: Files, path: Path, keyring: Keyring) -> None:
        self._files = files
        self._path = path
        self._keyring = keyring
        self._cipher: FileCipher = keyring.new()
        self._held = b""
        self._index = 0  # of the chunk that begins with `_held`
        self.closed_as: Digest | None = None
        self._kept = -1  # the size of the content that the file held when it was kept last

    @property
    def _size(self) -> int:
        return self._index * PIECE + len(self._held)

    def write(self, descriptor: int, pieces: Sequence[bytes]) -> None:
        """Seal as many whole chunks as there are, but never the last one."""
        if self._kept < 0:
            self._write_header(descriptor, 0)
        chunks = cut([self._held, *pieces], PIECE)
        held = next(chunks, b"")
        sealed, filled = _memory.sealed, 0
        for chunk in chunks:
            filled += self._cipher.seal(held, self._index + filled // SEALED, sealed[filled:], is_last=False)
            held = chunk
            if filled == len(sealed):
                self._append(descriptor, sealed)
                filled = 0
        if filled:
            self._append(descriptor, sealed[:filled])
        self._held = bytes(held)

    def _append(self, descriptor: int, sealed: memoryview) -> None:
        self._files.write(descriptor, self._path, [sealed], HEADER + self._index * SEALED)
        self._index += len(sealed) // SEALED

    def keep(self, descriptor: int) -> None:
        """Write what is held back behind the chunks, then the provisional header that tells of it."""
        if self._kept == self._size:
            return
        if self._held:
            tail = self._cipher.seal_tail(self._held, self._index)
            self._files.write(descriptor, self._path, [tail], HEADER + self._index * SEALED)
        self._write_header(descriptor, self._size)

    def reopen(self, descriptor: int) -> Iterator[bytes]:
        """Yield the content: every whole chunk, and what was held back where nothing was written over it."""
        header = os.pread(descriptor, HEADER, 0)
        if not header:  # nothing ever came
            return
        self._cipher = self._keyring.of(header)
        found = self._cipher.check(header)
        if found.magic != GROWING:
            yield from self._reopen_closed(descriptor, found)
            return
        self._kept = found.size
        while (content := self._whole(descriptor, self._index)) is not None:
            yield content
            self._index += 1
        left = os.fstat(descriptor).st_size - HEADER - self._index * SEALED
        if self._size < found.size and left == found.size - self._size + TAIL:
            tail = os.pread(descriptor, left, HEADER + self._index * SEALED)
            self._held = self._cipher.open_tail(tail, self._index)
            yield self._held
        elif left:  # half a chunk: were it sealed again with other content, both could be read
            raise BlobBroken("the upload was cut off in the middle of a write")

    def _reopen_closed(self, descriptor: int, header: Header) -> Iterator[bytes]:
        """Yield the content of a file in its final form: the store failed, and will be asked again."""
        last = piece_count(header.size) - 1
        for self._index in range(last):
            if (content := self._whole(descriptor, self._index)) is None:
                raise BlobBroken("the upload was cut off after it was closed")
            yield content
        self._index = last
        held = bytearray(header.size - last * PIECE)
        sealed = os.pread(descriptor, SEALED, HEADER + last * SEALED)
        self._cipher.open(sealed, last, memoryview(held), is_last=True)
        self._held = bytes(held)
        self.closed_as = header.digest
        self._kept = header.size
        yield self._held

    def content(self, descriptor: int) -> Iterator[bytes]:
        """Yield the content, decrypted."""
        for index in range(self._index):
            yield self._whole(descriptor, index) or b""
        yield self._held

    def finish(self, descriptor: int, digest: Digest) -> bytes:
        """Seal the last chunk, then write the header."""
        sealed = memoryview(bytearray(SEALED))
        size = self._cipher.seal(self._held, self._index, sealed, is_last=True)
        self._files.write(descriptor, self._path, [sealed[:size]], HEADER + self._index * SEALED)
        _cut(self._files, self._path, descriptor, file_size(self._size))
        header = self._cipher.header(digest, self._size)
        self._files.write(descriptor, self._path, [header], 0)
        self._kept = self._size  # nothing must be written behind or before it any more
        return header

    def _write_header(self, descriptor: int, size: int) -> None:
        self._files.write(descriptor, self._path, [self._cipher.header(_NOBODYS, size, GROWING)], 0)
        self._kept = size

    def _whole(self, descriptor: int, index: int) -> bytes | None:
        """Return the content of the whole chunk `index`; None where none lies there."""
        content = bytearray(PIECE)
        try:
            sealed = os.pread(descriptor, SEALED, HEADER + index * SEALED)
            self._cipher.open(sealed, index, memoryview(content), is_last=False)
        except BlobBroken:
            return None
        return bytes(content)


def stage(files: Files, path: Path, forms: Forms) -> Staging:
    """Return how a new upload is written to `path`."""
    return PlainStaging(files, path) if forms.new == PLAIN else EncryptedStaging(files, path, forms.ring())


def restage(files: Files, path: Path, forms: Forms, form: str) -> Staging:
    """Return how an upload from before a restart is written to `path`, whatever new ones get. Raises StoreFailed."""
    if form not in (PLAIN, E1):
        raise StoreFailed(f"an upload in the form {form[:20]!r} cannot be taken up")
    return PlainStaging(files, path) if form == PLAIN else EncryptedStaging(files, path, forms.ring())


def _cut(files: Files, path: Path, descriptor: int, size: int) -> None:
    if os.fstat(descriptor).st_size != size:
        files.truncate(descriptor, path, size)
