"""Check sums of a blob's chunks: a CRC-32 for each started MiB, made when it is received, checked before it is sent."""

import struct
from collections.abc import Iterable

from isal.isal_zlib import crc32

CHUNK = 1 << 20  # bytes; the unit that is read, checked and sent
SUM = 4  # bytes of the sum of a chunk


class Summer:
    """Takes the bytes of a blob in pieces of any size and keeps the sums of its chunks."""

    def __init__(self) -> None:
        """Begin an empty blob."""
        self._sums: list[int] = []
        self._open = 0
        self._left = CHUNK

    def update(self, piece: bytes | memoryview) -> None:
        """Add `piece` to the end."""
        view = memoryview(piece)
        while view:
            part = view[: self._left]
            self._open = crc32(part, self._open)
            self._left -= len(part)
            view = view[len(part) :]
            if not self._left:
                self._close()

    def finish(self) -> bytes:
        """Return the sums, 4 bytes each, of all that was added so far; more may be added after."""
        sums = [*self._sums, self._open] if self._left < CHUNK else self._sums
        return struct.pack(f">{len(sums)}I", *sums)

    def _close(self) -> None:
        self._sums.append(self._open)
        self._open, self._left = 0, CHUNK


def sum_of(content: bytes | memoryview) -> bytes:
    """Return the CRC-32 of `content`, whatever its size."""
    return crc32(content).to_bytes(SUM)


def sums_of(pieces: Iterable[bytes]) -> bytes:
    """Return the sums of the content that `pieces` make up."""
    summer = Summer()
    for piece in pieces:
        summer.update(piece)
    return summer.finish()


def is_whole(chunk: Iterable[bytes | bytearray | memoryview], sums: bytes, index: int) -> bool:
    """Whether the parts of `chunk` make up the chunk number `index` that `sums` was made of."""
    wanted = sums[SUM * index : SUM * index + SUM]
    found = 0
    for part in chunk:
        found = crc32(part, found)
    return len(wanted) == SUM and found == int.from_bytes(wanted)


def chunk_count(size: int) -> int:
    """Return how many chunks a blob of `size` bytes has."""
    return -(-size // CHUNK)
