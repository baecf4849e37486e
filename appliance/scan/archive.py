"""Zip archives in memory, entry by entry: own reader, because what asks for it is hostile.

The directory is walked lazily, sizes are believed only as far as the bytes go, and everything that is inflated, nested
archives included, is paid from one budget. Spec: PKWARE APPNOTE 6.3.9.
"""

import struct
from collections.abc import Iterator

import msgspec
from isal import isal_zlib

from appliance.scan.limits import LimitReached, Unreadable

_END = b"PK\x05\x06"
_END64 = b"PK\x06\x06"
_END64_LOCATOR = b"PK\x06\x07"
_CENTRAL = b"PK\x01\x02"
_LOCAL = b"PK\x03\x04"
_COMMENT = 0xFFFF  # bytes; the longest comment that can follow the end record
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 1
_FREE = 16 << 20  # bytes that any archive may inflate to
_RATIO = 20  # and for larger ones, times their own size: class files and nested archives inflate two or three times
_ENTRIES = 500_000  # of an archive with all that is nested in it


class Budget:
    """What an archive and all archives nested in it may cost together."""

    def __init__(self, size: int) -> None:
        """Allow for an outermost archive of `size` bytes."""
        self._inflated = max(_FREE, _RATIO * size)
        self._entries = _ENTRIES

    @property
    def left(self) -> int:
        """Return how many bytes may still be inflated."""
        return max(0, self._inflated)

    def count(self) -> None:
        """Pay for one entry of a directory. Raises LimitReached."""
        self._entries -= 1
        if self._entries < 0:
            raise LimitReached(f"the archive has more than {_ENTRIES} entries")

    def pay(self, size: int) -> None:
        """Pay for `size` inflated bytes. Raises LimitReached."""
        self._inflated -= size
        if self._inflated < 0:
            raise LimitReached("the archive inflates to far more than its size")


class Entry(msgspec.Struct, frozen=True):
    """One file of an archive; `size` is what the directory claims, `packed` the bytes it takes."""

    name: str
    method: int
    is_encrypted: bool
    packed: int
    size: int
    offset: int


class Archive:
    """Reads a zip archive whose bytes are all there. Raises Unreadable and LimitReached."""

    def __init__(self, content: bytes, budget: Budget) -> None:
        """Find the directory of `content`."""
        self._content = content
        self._budget = budget
        self._directory, self._prefix = self._find()

    def _find(self) -> tuple[int, int]:
        """Return where the directory begins, and what offsets must be moved by: bytes may stand before the archive."""
        content = self._content
        end = content.rfind(_END, max(0, len(content) - _COMMENT - 22))
        if end < 0 or end + 22 > len(content):
            raise Unreadable("it is no zip archive, or is cut off")
        size, offset = struct.unpack_from("<II", content, end + 12)
        begins_before = end
        locator = end - 20
        if locator >= 0 and content[locator : locator + 4] == _END64_LOCATOR:
            (record,) = struct.unpack_from("<Q", content, locator + 8)
            if content[record : record + 4] != _END64:
                record = content.rfind(_END64, max(0, locator - _COMMENT), locator)  # bytes stand before the archive
            if record >= 0 and record + 56 <= locator:
                size, offset = struct.unpack_from("<QQ", content, record + 40)
                begins_before = record
        directory = begins_before - size
        if directory < 0 or offset > directory:
            raise Unreadable("the directory of the zip archive lies outside of it")
        return directory, directory - offset

    def entries(self) -> Iterator[Entry]:
        """Yield the files that the directory lists, as far as it is sound."""
        content, at = self._content, self._directory
        while content[at : at + 4] == _CENTRAL and at + 46 <= len(content):
            self._budget.count()
            flags, method = struct.unpack_from("<HH", content, at + 8)
            packed, size, name_size, extra_size, comment_size = struct.unpack_from("<IIHHH", content, at + 20)
            (offset,) = struct.unpack_from("<I", content, at + 42)
            name = content[at + 46 : at + 46 + name_size].decode(errors="backslashreplace")
            extra = content[at + 46 + name_size : at + 46 + name_size + extra_size]
            if 0xFFFFFFFF in (packed, size, offset):
                packed, size, offset = _wide(extra, packed, size, offset)
            at += 46 + name_size + extra_size + comment_size
            if not name.endswith("/"):
                yield Entry(name, method, bool(flags & _ENCRYPTED), packed, size, offset + self._prefix)

    def read(self, entry: Entry, most: int) -> bytes:
        """Return the content of `entry`, which may have `most` bytes."""
        content, at = self._content, entry.offset
        if entry.is_encrypted:
            raise Unreadable(f"{entry.name} is encrypted")
        if content[at : at + 4] != _LOCAL or at + 30 > len(content):
            raise Unreadable(f"{entry.name} is not where the directory of the zip archive says")
        name_size, extra_size = struct.unpack_from("<HH", content, at + 26)
        begin = at + 30 + name_size + extra_size
        packed = memoryview(content)[begin : begin + entry.packed]
        most = min(most, self._budget.left)
        if entry.method == _STORED:
            found = bytes(packed[: most + 1])
        elif entry.method == _DEFLATED:
            try:
                found = isal_zlib.decompressobj(-15).decompress(packed, most + 1)
            except isal_zlib.error as error:  # type: ignore[misc]  # because the stub calls the class an instance
                raise Unreadable(f"{entry.name} is broken: {error}") from error
        else:
            raise Unreadable(f"{entry.name} is compressed by method {entry.method}, which Java does not read either")
        self._budget.pay(len(found))
        if len(found) > most:
            raise LimitReached(f"{entry.name} inflates to more than {most} bytes")
        return found


def _wide(extra: bytes, packed: int, size: int, offset: int) -> tuple[int, int, int]:
    """Return the 64-bit values that stand in the extra field where the short ones are all ones (4.5.3)."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            field = extra[at + 4 : at + 4 + length]  # shorter where the directory lies
            values = [value for (value,) in struct.iter_unpack("<Q", field[: len(field) // 8 * 8])]
            if size == 0xFFFFFFFF and values:
                size = values.pop(0)
            if packed == 0xFFFFFFFF and values:
                packed = values.pop(0)
            if offset == 0xFFFFFFFF and values:
                offset = values.pop(0)
            break
        at += 4 + length
    return packed, size, offset
