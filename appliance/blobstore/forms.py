"""The forms in which a blob's bytes lie in a store: as they came (`plain`), or encrypted (`e1`).

A form tells where in the file a chunk of content lies, and turns what is read there into that chunk or refuses it.
Nothing here reads: the stores do, each its own way.
"""

import hmac
import os
from collections.abc import Sequence
from typing import Protocol

from appliance.blobstore.cipher import (
    E1,
    HEADER,
    PIECE,
    SEALED,
    TAG,
    Content,
    FileCipher,
    content_size,
    file_size,
    piece_count,
)
from appliance.blobstore.keyring import Keyring
from appliance.blobstore.spare import Spare
from appliance.blobstore.sums import CHUNK, SUM, chunk_count, is_whole
from appliance.domain.names import Digest
from appliance.domain.registry import StoredBlob
from appliance.errors import BlobBroken, StoreFailed

PLAIN = "plain"
_PIECES = CHUNK // PIECE  # encrypted chunks in a chunk of content
_TOGETHER = 4  # of them read at once

SUFFIXES = {PLAIN: "", E1: f".{E1}"}  # behind the generation in a file's name


class Form(Protocol):
    """How one blob lies in its file."""

    start: int  # bytes before the first chunk

    def place(self, index: int) -> tuple[int, int]:
        """Return where chunk `index` of the content begins in the file, and how many bytes it takes there."""

    def open(self, raw: Sequence[Content], index: int) -> Sequence[Content]:
        """Return chunk `index` from what lies at its place, both in parts. Raises BlobBroken if that changed."""

    def read(self, descriptor: int, index: int, spare: Spare) -> Content:
        """Return chunk `index` from an open file, in memory that `spare` has. Raises BlobBroken, OSError."""

    def check_start(self, raw: Content) -> None:
        """Raise BlobBroken if what lies before the first chunk is not what was written."""


class Plain:
    """The content itself; the row's sums tell whether it changed."""

    start = 0
    __slots__ = ("_blob",)

    def __init__(self, blob: StoredBlob) -> None:
        self._blob = blob

    def place(self, index: int) -> tuple[int, int]:
        """Return offset and size of chunk `index`."""
        return index * CHUNK, min(CHUNK, self._blob.size - index * CHUNK)

    def open(self, raw: Sequence[Content], index: int) -> Sequence[Content]:
        """Return `raw` if its sum is the one in the row."""
        if sum(map(len, raw)) != self.place(index)[1] or not is_whole(raw, self._blob.sums, index):
            raise _changed(self._blob, index)
        return raw

    def read(self, descriptor: int, index: int, spare: Spare) -> Content:
        """Read chunk `index` and look whether its sum is the one in the row."""
        del spare  # bytes of their own cost no more: nothing is written before they are
        offset, size = self.place(index)
        content = os.pread(descriptor, size, offset)
        self.open([content], index)
        return content

    def check_start(self, raw: Content) -> None:
        """Nothing stands before the content."""


class Encrypted:
    """The form `e1`; the row's sums are the file's header."""

    start = HEADER
    __slots__ = ("_blob", "_cipher")

    def __init__(self, blob: StoredBlob, cipher: FileCipher) -> None:
        self._blob = blob
        self._cipher = cipher

    def place(self, index: int) -> tuple[int, int]:
        """Return offset and size of the encrypted chunks that make up chunk `index`."""
        offset = HEADER + index * _PIECES * SEALED
        return offset, min(_PIECES * SEALED, file_size(self._blob.size) - offset)

    def open(self, raw: Sequence[Content], index: int) -> Sequence[Content]:
        """Return chunk `index`, decrypted."""
        if sum(map(len, raw)) != self.place(index)[1]:
            raise _changed(self._blob, index)
        try:
            return [self._cipher.open_range(raw, self._blob.size, index * _PIECES)]
        except BlobBroken as error:
            raise _changed(self._blob, index) from error

    def read(self, descriptor: int, index: int, spare: Spare) -> Content:
        """Read and decrypt chunk `index`, 256 KiB at a time.

        What was read is then still in the processor's cache: a mebibyte at once took an eighth longer, and several
        times as long on a busy machine; 64 KiB at a time took a twentieth longer.
        """
        size = self._blob.size
        first, last = index * _PIECES, piece_count(size) - 1
        content = spare.take(min(CHUNK, size - index * CHUNK))
        buffer = spare.take(_TOGETHER * SEALED)
        into, sealed = memoryview(content), memoryview(buffer)
        (offset, left), found = self.place(index), 0
        try:
            for number in range(-(-len(content) // PIECE)):
                at = number % _TOGETHER * SEALED
                if not at:
                    found = os.preadv(descriptor, [sealed[:left]], offset)
                    offset, left = offset + found, left - found
                piece, part = first + number, into[number * PIECE : (number + 1) * PIECE]
                self._cipher.open(sealed[at : min(at + len(part) + TAG, found)], piece, part, is_last=piece == last)
        except BlobBroken as error:
            raise _changed(self._blob, index) from error
        spare.give_back(buffer)
        return content

    def check_start(self, raw: Content) -> None:
        """Compare the header with the row's."""
        if not hmac.compare_digest(bytes(raw), self._blob.sums):
            raise BlobBroken(f"the header of {self._blob.digest} is not what was stored")


class Forms:
    """Knows every form; with a keyring, the encrypted one too. `new` is the form that new files get."""

    def __init__(self, keyring: Keyring | None = None, *, encrypts: bool = False) -> None:
        """Open files with `keyring`; `encrypts` says whether new ones are sealed with it."""
        self.keyring = keyring
        self.new = E1 if encrypts else PLAIN

    def of(self, blob: StoredBlob) -> Form:
        """Return how `blob` lies. Raises StoreFailed without the key, BlobBroken for a row that cannot be."""
        if blob.form == PLAIN:
            return Plain(blob)
        if blob.form != E1:
            raise StoreFailed(
                f"{blob.digest} is stored in the form {blob.form[:20]!r}; a newer scr wrote it: run that one"
            )
        found = Encrypted(blob, self.ring().of(blob.sums))
        if len(blob.sums) != HEADER:
            raise BlobBroken(f"the row of {blob.digest} has no header of its file")
        return found

    def seal_whole(self, digest: Digest, content: bytes) -> bytes:
        """Return the file of a small content in the form of new files."""
        if self.new == PLAIN:
            return content
        cipher = self.ring().new()
        found = bytearray(file_size(len(content)))
        found[:HEADER] = cipher.header(digest, len(content))
        at, last = HEADER, piece_count(len(content)) - 1
        for index in range(last + 1):
            piece = content[index * PIECE : (index + 1) * PIECE]
            cipher.seal(piece, index, memoryview(found)[at:], is_last=index == last)
            at += SEALED
        return bytes(found)

    def open_whole(self, form: str, raw: bytes) -> bytes:
        """Return the content of a small file. Raises BlobBroken, StoreFailed."""
        if form == PLAIN:
            return raw
        cipher = self.ring().of(raw)
        found = cipher.check(raw)
        if len(raw) != file_size(found.size):
            raise BlobBroken(f"the file of {found.digest} was cut")
        return bytes(cipher.open_range([memoryview(raw)[HEADER:]], found.size, 0))

    def ring(self) -> Keyring:
        """Return the keyring. Raises StoreFailed where there is none."""
        if self.keyring is None:
            raise StoreFailed("a blob is encrypted and scr has no master key; set one of the keys of [storage.key]")
        return self.keyring


def size_in(form: str, size: int) -> int:
    """Return how much content a file of `size` bytes in `form` holds."""
    return content_size(size) if form == E1 else size


def size_of(form: str, size: int) -> int:
    """Return the size of a file in `form` that holds `size` bytes of content."""
    return file_size(size) if form == E1 else size


def sums_size(form: str, size: int) -> int:
    """Return how many bytes of sums the row of a blob has."""
    return HEADER if form == E1 else SUM * chunk_count(size)


def form_of(suffix: str) -> str | None:
    """Return the form that stands behind a generation in a file's name; None for no form of ours."""
    return next((form for form, known in SUFFIXES.items() if known == suffix), None)


def _changed(blob: StoredBlob, index: int) -> BlobBroken:
    return BlobBroken(f"chunk {index} of {blob.digest} is not what was stored")
