"""Reads blobs that no row describes: what is left after the database is lost."""

import hashlib
from collections.abc import Callable, Iterator

from appliance.blobstore.cipher import HEADER, PIECE, SEALED, TAG, WHOLE, FileCipher, Header, piece_count
from appliance.blobstore.forms import PLAIN, Forms
from appliance.blobstore.store import Lying, Salvaged
from appliance.blobstore.sums import CHUNK, Summer
from appliance.domain.names import algorithm_of, hex_of
from appliance.errors import BlobBroken

_PIECES = CHUNK // PIECE


def salvage(one: Lying, forms: Forms, read: Callable[[int], bytes]) -> Salvaged:
    """Read a generation whole (blocking); `read` gives the next bytes of its file, b"" at its end.

    Raises StoreFailed where an encrypted one cannot be opened for want of its key.
    """
    state = hashlib.new(algorithm_of(one.digest))
    size = 0
    try:
        sums, pieces = _open_plain(read) if one.form == PLAIN else _open_encrypted(one, forms, read)
        for piece in pieces:
            state.update(piece)
            size += len(piece)
    except BlobBroken:
        return Salvaged(size, b"", is_whole=False)
    return Salvaged(size, sums(), state.hexdigest() == hex_of(one.digest))


def _open_plain(read: Callable[[int], bytes]) -> tuple[Callable[[], bytes], Iterator[bytes]]:
    summer = Summer()

    def pieces() -> Iterator[bytes]:
        while piece := read(CHUNK):
            summer.update(piece)
            yield piece

    return summer.finish, pieces()


def _open_encrypted(
    one: Lying, forms: Forms, read: Callable[[int], bytes]
) -> tuple[Callable[[], bytes], Iterator[bytearray]]:
    exactly = _Exactly(read)
    header, cipher, found = _open_header(forms, exactly)
    if found.digest != one.digest:
        raise BlobBroken(f"the file of {one.digest} is another's")
    return lambda: header, _open_pieces(exactly, cipher, found)


def open_file(forms: Forms, read: Callable[[int], bytes]) -> Iterator[bytearray]:
    """Yield the content of an encrypted file that is no blob (blocking).

    Raises BlobBroken where it changed, at its end where it is not what its header says; StoreFailed without its key.
    """
    exactly = _Exactly(read)
    _, cipher, found = _open_header(forms, exactly)
    state = hashlib.new(algorithm_of(found.digest))
    for piece in _open_pieces(exactly, cipher, found):
        state.update(piece)
        yield piece
    if state.hexdigest() != hex_of(found.digest):
        raise BlobBroken("an encrypted file is not what its header says")


def _open_header(forms: Forms, exactly: "_Exactly") -> tuple[bytes, FileCipher, Header]:
    header = exactly.take(HEADER)
    cipher = forms.ring().of(header)
    found = cipher.check(header)
    if found.magic != WHOLE:
        raise BlobBroken("an encrypted file was never finished")
    return header, cipher, found


def _open_pieces(exactly: "_Exactly", cipher: FileCipher, header: Header) -> Iterator[bytearray]:
    for first in range(0, piece_count(header.size), _PIECES):
        left = header.size - first * PIECE
        sealed = exactly.take(min(_PIECES * SEALED, left + TAG * piece_count(left)))
        yield cipher.open_range([sealed], header.size, first)
    if exactly.take(1):
        raise BlobBroken("an encrypted file is longer than it says")


class _Exactly:
    """Gives as many bytes as are asked for, whatever pieces they come in; fewer at the end only."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._rest = b""

    def take(self, size: int) -> bytes:
        while len(self._rest) < size and (piece := self._read(size - len(self._rest))):
            self._rest += piece
        found, self._rest = self._rest[:size], self._rest[size:]
        return found
