"""Compressed layer bytes -> raw bytes, piece by piece: gzip, zstd, xz, bzip2 or plain, told by their first bytes.

No piece is larger than PIECE, whatever the compressed bytes promise, so memory stays flat before any bomb.
estargz is gzip of many members, zstd:chunked is zstd of many frames: both are read across their seams.
"""

import bz2
import lzma
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import zstandard
from isal import igzip_lib

from appliance.scan.limits import LimitReached, Limits, Unreadable

PIECE = 1 << 18  # bytes; larger ones are mapped anew by each step of their growth, and fill no cache
_FEED = 1 << 16  # compressed bytes handed over at a time

_SKIPPABLE = bytes([0x2A, 0x4D, 0x18])  # a zstd frame without content: its first byte is 0x50 to 0x5f (RFC 8878, 3.1.2)
# The stub of isal calls the class an instance.
_BROKEN: tuple[type[Exception], ...] = (igzip_lib.IsalError, lzma.LZMAError, OSError, EOFError)  # type: ignore[assignment]


class _Member(Protocol):
    """One gzip member, xz stream or bzip2 stream being inflated: the interface of `bz2.BZ2Decompressor`."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Source:
    """Compressed bytes in portions of at most the size asked for, counted."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        """Begin before the first chunk."""
        self._chunks = iter(chunks)
        self._chunk = b""
        self._at = 0  # what lies before it was read; the chunk itself is never cut: that would copy all the rest
        self.taken = 0

    def read(self, size: int) -> bytes:
        """Return 1 to `size` bytes, none at the end."""
        while self._at == len(self._chunk):
            found = next(self._chunks, None)
            if found is None:
                return b""
            self._chunk, self._at = found, 0
        portion = self._chunk[self._at : self._at + size]
        self._at += len(portion)
        self.taken += len(portion)
        return portion

    def peek(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer at the end, and leave them in place."""
        while len(self._chunk) - self._at < size:
            found = next(self._chunks, None)
            if found is None:
                break
            self._chunk, self._at = self._chunk[self._at :] + found, 0
        return self._chunk[self._at : self._at + size]


def inflate(chunks: Iterable[bytes], limits: Limits) -> Iterator[bytes]:
    """Yield the raw bytes of a layer in pieces of 1 to PIECE bytes.

    Raises LimitReached where they are too many, Unreadable where the compressed form is broken. All that was
    yielded before that is sound.
    """
    source = _Source(chunks)
    inflated = 0
    for piece in _pick(source, limits):
        inflated += len(piece)
        if inflated > limits.raw:
            raise LimitReached(f"the layer inflates to more than {limits.raw} bytes")
        if inflated > limits.ratio_from and inflated > source.taken * limits.ratio:
            raise LimitReached(f"the layer inflates to more than {limits.ratio} times its compressed size")
        yield piece


def _pick(source: _Source, limits: Limits) -> Iterator[bytes]:
    head = source.peek(6)
    if head.startswith(b"\x1f\x8b"):
        return _members(source, lambda: igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP), b"\x1f\x8b", "gzip")
    if head.startswith(b"\x28\xb5\x2f\xfd") or (head[1:4] == _SKIPPABLE and head[0] & 0xF0 == 0x50):
        return _zstd(source, limits)
    if head.startswith(b"\xfd7zXZ\0"):
        # Twice the window: the decoder's own tables need some megabytes beside the dictionary.
        return _members(source, lambda: lzma.LZMADecompressor(memlimit=2 * limits.window), b"\xfd7zXZ\0", "xz")
    if head.startswith(b"BZh"):
        return _members(source, bz2.BZ2Decompressor, b"BZh", "bzip2")
    return iter(lambda: source.read(PIECE), b"")


def _members(source: _Source, begin: Callable[[], _Member], magic: bytes, name: str) -> Iterator[bytes]:
    """Inflate one member after the other; what follows the last may be zeros only (RFC 1952, 2.2)."""
    data = source.read(_FEED)
    while data:
        member = begin()
        while True:
            try:
                piece = member.decompress(data, PIECE)
            except _BROKEN as error:
                raise Unreadable(f"the {name} form of the layer is broken: {error}") from error
            data = b""
            if piece:
                yield piece
            if member.eof:
                break
            if member.needs_input:
                data = source.read(_FEED)
                if not data:
                    raise Unreadable(f"the {name} form of the layer ends too early")
        data = _after(member.unused_data, source, magic)
        if data and not data.startswith(magic):
            raise Unreadable(f"other bytes follow the {name} form of the layer")


def _after(data: bytes, source: _Source, magic: bytes) -> bytes:
    """Return what follows a member, with enough bytes to know it; nothing where only zeros are left."""
    while True:
        if not data.startswith(magic[:1]):
            data = data.lstrip(b"\0")
        if len(data) >= len(magic):
            return data
        more = source.read(_FEED)
        if not more:
            return data
        data += more


def _zstd(source: _Source, limits: Limits) -> Iterator[bytes]:
    reader = zstandard.ZstdDecompressor(max_window_size=limits.window).stream_reader(
        source,  # type: ignore[arg-type]  # because only its read(size) is ever called
        read_size=_FEED,
        read_across_frames=True,
    )
    while True:
        try:
            piece = reader.read(PIECE)
        except zstandard.ZstdError as error:
            raise Unreadable(f"the zstd form of the layer is broken: {error}") from error
        if not piece:
            return
        yield piece
