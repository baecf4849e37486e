"""Encryption at rest, the form `e1`: AES-256-GCM in chunks of 64 KiB behind a header of 128 bytes.

    0    4  magic "SCRB"; "SCRU" while the file still grows
    4    1  version: 1
    5    1  cipher: 1, AES-256-GCM
    6    1  algorithm of the digest: 1 sha256, 2 sha512
    7    1  0
    8    4  id of the data key
    12  16  random id of the file
    28   4  size of a chunk of content
    32   8  size of the content
    40  64  digest of the content, then zeros
    104 24  HMAC-SHA256 over the 104 bytes before, its first 24
    128     chunks: each its content encrypted, then the tag of 16 bytes; at least one, for a file of no content too

Numbers are big endian. Each file has keys of its own, derived from the data key and the file's id, so the number of the
chunk can be the nonce. A chunk's associated data are file, number and whether it is the last one: no chunk can be
swapped, moved, left out or taken for the end without being seen. The header is written last; the blob's row holds a
copy of it, so a file cannot be put in the place of another either.
"""

import hmac
import secrets
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from appliance.domain.names import Digest, from_bytes, to_bytes
from appliance.errors import BlobBroken

E1 = "e1"  # the form's name: in rows, and behind file names
PIECE = 64 << 10  # bytes of content in one encrypted chunk: a range of a few bytes decrypts no more
TAG = 16
SEALED = PIECE + TAG  # bytes of a whole chunk in the file
HEADER = 128
GROWING, WHOLE = b"SCRU", b"SCRB"

_LAYOUT = struct.Struct(">4sBBBxI16sIQ64s")
_PROOF = HEADER - _LAYOUT.size  # bytes of the HMAC
_KEY = 32  # bytes of every key
_NONCE = 12

TAIL = _NONCE + TAG  # bytes that the end of a growing file is longer than its content
Content = bytes | bytearray | memoryview


class Header(msgspec.Struct, frozen=True):
    """What stands before the chunks. While a file grows its digest is nobody's yet."""

    magic: bytes
    key_id: int
    file_id: bytes
    size: int
    digest: Digest

    def encode(self, proof: Callable[[bytes], bytes]) -> bytes:
        """Return the 128 bytes; `proof` makes the HMAC."""
        digest = to_bytes(self.digest)
        text = _LAYOUT.pack(self.magic, 1, 1, digest[0], self.key_id, self.file_id, PIECE, self.size, digest[1:])
        return text + proof(text)


def decode_header(content: Content) -> Header:
    """Return what `content` says; only FileCipher.check tells whether it is true. Raises BlobBroken."""
    if len(content) < HEADER:
        raise BlobBroken("an encrypted file is shorter than its header")
    magic, version, cipher, algorithm, key_id, file_id, piece, size, digest = _LAYOUT.unpack_from(content)
    if magic not in (GROWING, WHOLE) or (version, cipher, piece) != (1, 1, PIECE) or algorithm not in (1, 2):
        raise BlobBroken("a file that should be encrypted has no header of ours")
    return Header(magic, key_id, file_id, size, from_bytes(bytes([algorithm]) + digest[: 32 if algorithm == 1 else 64]))


def piece_count(size: int) -> int:
    """Return how many chunks a file with `size` bytes of content has."""
    return max(-(-size // PIECE), 1)


def file_size(size: int) -> int:
    """Return the size of the file that holds `size` bytes of content."""
    return HEADER + size + TAG * piece_count(size)


def content_size(size: int) -> int:
    """Return how much content a file of `size` bytes holds; 0 for what is no such file."""
    chunks = max(size - HEADER, 0)
    return max(chunks - TAG * -(-chunks // SEALED), 0)


class FileCipher:
    """Seals and opens the chunks of one file."""

    def __init__(self, data_key: bytes, key_id: int, file_id: bytes = b"") -> None:
        """Take the keys of the file `file_id`; without one the file is new."""
        self.key_id = key_id
        self.file_id = file_id or secrets.token_bytes(16)
        # one derivation: a key for the chunks, one for the header, one for the end of an upload that still grows
        keys = HKDF(hashes.SHA256(), 3 * _KEY, salt=None, info=b"scr e1 " + self.file_id).derive(data_key)
        self._chunks = AESGCM(keys[:_KEY])
        self._header = keys[_KEY : 2 * _KEY]
        self._tail = AESGCM(keys[2 * _KEY :])

    def header(self, digest: Digest, size: int, magic: bytes = WHOLE) -> bytes:
        """Return the header of the file."""
        return Header(magic, self.key_id, self.file_id, size, digest).encode(self._prove)

    def check(self, content: Content) -> Header:
        """Return the header in `content` if it was made with this file's key. Raises BlobBroken."""
        found = decode_header(content)
        proof = self._prove(bytes(content[: _LAYOUT.size]))
        if found.file_id != self.file_id or not hmac.compare_digest(proof, bytes(content[_LAYOUT.size : HEADER])):
            raise BlobBroken("the header of an encrypted file was changed")
        return found

    def seal(self, content: Content, index: int, into: memoryview, *, is_last: bool) -> int:
        """Encrypt chunk `index` into the beginning of `into`; return how many bytes that are."""
        about = self._about(index, is_last=is_last)
        return self._chunks.encrypt_into(_nonce(index), content, about, into[: len(content) + TAG])

    def open(self, sealed: Content, index: int, into: memoryview, *, is_last: bool) -> None:
        """Decrypt chunk `index` into `into`, which is as long as its content. Raises BlobBroken if it changed."""
        if len(sealed) != len(into) + TAG:
            raise BlobBroken(f"chunk {index} of an encrypted file was cut")
        try:
            self._chunks.decrypt_into(_nonce(index), sealed, self._about(index, is_last=is_last), into)
        except InvalidTag as error:
            raise BlobBroken(f"chunk {index} of an encrypted file is not what was stored") from error

    def open_range(self, sealed: Sequence[Content], size: int, first: int) -> bytearray:
        """Return the content of the chunks that `sealed` make up, from chunk `first` of a file with `size` bytes.

        Raises BlobBroken if one of them changed.
        """
        last = piece_count(size) - 1
        count = -(-sum(map(len, sealed)) // SEALED)
        content = bytearray(min(count * PIECE, size - first * PIECE))
        into = memoryview(content)
        for number, chunk in enumerate(cut(sealed, SEALED)):
            index = first + number
            self.open(chunk, index, into[number * PIECE : (number + 1) * PIECE], is_last=index == last)
        return content

    def seal_tail(self, content: Content, index: int) -> bytes:
        """Return the end of an upload that still grows: what chunk `index` begins with so far.

        It has a key of its own and a random nonce in front, for chunk `index` will be sealed when more has come.
        """
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._tail.encrypt(nonce, content, self._about(index, is_last=False))

    def open_tail(self, sealed: bytes, index: int) -> bytes:
        """Return what `seal_tail` was given. Raises BlobBroken."""
        try:
            return self._tail.decrypt(sealed[:_NONCE], sealed[_NONCE:], self._about(index, is_last=False))
        except (InvalidTag, ValueError) as error:
            raise BlobBroken("the end of an upload is not what was stored") from error

    def _about(self, index: int, *, is_last: bool) -> bytes:
        return self.file_id + index.to_bytes(8) + (b"\1" if is_last else b"\0")

    def _prove(self, text: bytes) -> bytes:
        return hmac.digest(self._header, text, "sha256")[:_PROOF]


def cut(parts: Iterable[Content], size: int) -> Iterator[Content]:
    """Yield what `parts` make up in pieces of `size` bytes and a rest; only what lies across two parts is copied."""
    held: list[memoryview] = []
    gathered = 0
    for part in parts:
        left = memoryview(part)
        while left:
            taken, left = left[: size - gathered], left[size - gathered :]
            held.append(taken)
            gathered += len(taken)
            if gathered == size:
                yield held[0] if len(held) == 1 else b"".join(held)
                held, gathered = [], 0
    if held:
        yield b"".join(held)


def _nonce(index: int) -> bytes:
    return index.to_bytes(_NONCE)
