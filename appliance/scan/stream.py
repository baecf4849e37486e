"""The raw bytes of a layer as one stream that goes forward only, hashed as it passes."""

import hashlib
from collections.abc import Iterable, Iterator

from appliance.scan.limits import Shortcoming


class Stream:
    """Reads, in order, any number of bytes from pieces of any length.

    `offset` counts the bytes handed out or skipped. The digest covers every piece that was pulled, so it is the
    layer's diff_id once `drain` has returned.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        """Begin before the first piece."""
        self._pieces = iter(pieces)
        self._piece = b""
        self._at = 0
        self._before = 0  # bytes in the pieces before this one
        self._hash = hashlib.sha256()
        self._is_broken = False

    @property
    def offset(self) -> int:
        """Return how many bytes lie behind."""
        return self._before + self._at

    @property
    def pulled(self) -> int:
        """Return how many bytes were inflated so far."""
        return self._before + len(self._piece)

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end."""
        end = self._at + size
        if end <= len(self._piece):  # nearly always: a piece holds hundreds of headers and small files
            taken = self._piece[self._at : end]
            self._at = end
            return taken
        return b"".join(self.portions(size))

    def portions(self, size: int) -> Iterator[bytes]:
        """Yield the next `size` bytes as they come, fewer only at the end."""
        while size > 0:
            if self._at == len(self._piece) and not self._pull():
                return
            portion = self._piece[self._at : self._at + size]
            self._at += len(portion)
            size -= len(portion)
            yield portion

    def skip(self, size: int) -> int:
        """Pass over `size` bytes; return how many there were."""
        left = size
        while left > 0:
            if self._at == len(self._piece) and not self._pull():
                break
            step = min(left, len(self._piece) - self._at)
            self._at += step
            left -= step
        return size - left

    def drain(self) -> str | None:
        """Pull all that is left and return the hex SHA-256 of the whole stream; None if it broke off before.

        Raises what the pieces raise.
        """
        if self._is_broken:
            return None
        while self._pull():
            self._at = len(self._piece)
        return self._hash.hexdigest()

    def _pull(self) -> bool:
        try:
            piece = next(self._pieces, None)
        except Shortcoming:
            self._is_broken = True
            raise
        if piece is None:
            return False
        self._hash.update(piece)
        self._before += len(self._piece)
        self._piece = piece
        self._at = 0
        return True
