"""Data keys, wrapped by a master key: `<data>/keys/keyring`, with a copy in the object store.

Files are encrypted with data keys, and only these are encrypted with the master key. So a new master key means a new
keyring of some hundred bytes, and no blob is touched. While the master key changes, each data key is wrapped by both:
whichever of the two the next start is given opens the ring.
"""

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Iterable

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from appliance.blobstore.cipher import FileCipher, decode_header
from appliance.domain.moment import Timestamp
from appliance.errors import ConfigInvalid, StoreFailed

NAME = "keyring"  # of the file in `keys/`, and of its copy
_KEY = 32  # bytes of every key
_HEX = re.compile(r"[0-9a-fA-F]{64}")


class Wrap(msgspec.Struct, frozen=True, rename="camel"):
    """A data key as one master key encrypts it; `master` tells which."""

    master: str
    nonce: bytes
    sealed: bytes


class DataKey(msgspec.Struct, frozen=True, rename="camel"):
    """A data key, wrapped."""

    id: int
    made_at: Timestamp
    wraps: tuple[Wrap, ...]


class Ring(msgspec.Struct, frozen=True, rename="camel"):
    """The file. `active` is the key that new files are encrypted with."""

    active: int
    keys: tuple[DataKey, ...]
    version: int = 1


_DECODER = msgspec.json.Decoder(Ring)


def parse_master(text: str) -> bytes:
    """Return the master key that `text` is: 32 bytes in 64 hexadecimal digits or in base64. Raises ConfigInvalid."""
    text = text.strip()
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != _KEY:
        raise ConfigInvalid("the master key is not 32 bytes in hexadecimal or base64; make one with: scr storage key")
    return found


def mark_of(master: bytes) -> str:
    """Return what tells a master key from others and nothing else about it."""
    return hmac.digest(master, b"scr master key", "sha256")[:8].hex()


class Keyring:
    """The data keys, opened."""

    def __init__(self, ring: Ring, master: bytes) -> None:
        """Open `ring`. Raises ConfigInvalid where `master` is not one of its master keys."""
        self.ring = ring
        self._keys = {key.id: _unwrap(key, master) for key in ring.keys}
        self.master = mark_of(master)

    @classmethod
    def make(cls, master: bytes, now: Timestamp) -> "Keyring":
        """Return a new ring with one data key."""
        return cls(Ring(0, ()), master).with_new_key(master, now)

    @classmethod
    def decode(cls, content: bytes, master: bytes) -> "Keyring":
        """Open what `encode` gave. Raises ConfigInvalid."""
        try:
            return cls(_DECODER.decode(content), master)
        except msgspec.DecodeError as error:
            raise ConfigInvalid(f"the keyring cannot be read: {error}; put its copy in its place") from error

    def encode(self) -> bytes:
        """Return the content of the file: it tells nothing without the master key."""
        return msgspec.json.format(msgspec.json.encode(self.ring)) + b"\n"

    def new(self) -> FileCipher:
        """Return the cipher of a new file."""
        return FileCipher(self._keys[self.ring.active], self.ring.active)

    def of(self, header: bytes | bytearray | memoryview) -> FileCipher:
        """Return the cipher of the file with that header. Raises BlobBroken, and StoreFailed without its key."""
        found = decode_header(header)
        key = self._keys.get(found.key_id)
        if key is None:
            raise StoreFailed(
                f"the data key {found.key_id:08x} is not in the keyring; put its newest copy in its place"
            )
        return FileCipher(key, found.key_id, found.file_id)

    def with_new_key(self, master: bytes, now: Timestamp) -> "Keyring":
        """Return the ring with a new data key for new files. `master` is one of its master keys."""
        number = 0
        while not number or number in self._keys:
            number = int.from_bytes(secrets.token_bytes(4))
        made = DataKey(number, now, (_wrap(secrets.token_bytes(_KEY), number, master),))
        return Keyring(Ring(number, (*self.ring.keys, made)), master)

    def with_master(self, new: bytes, master: bytes) -> "Keyring":
        """Return the ring wrapped by `new` besides `master`, which stays good until `settled`."""
        keep = {mark_of(master)}
        return Keyring(self._wrapped(new, keep), new)

    def settled(self, master: bytes) -> "Keyring":
        """Return the ring wrapped by `master` alone: it was used, so the change to it is over."""
        return Keyring(self._wrapped(master, ()), master)

    @property
    def is_settled(self) -> bool:
        """Whether one master key opens it, and no other."""
        return all(len(key.wraps) == 1 for key in self.ring.keys)

    @property
    def is_newest(self) -> bool:
        """Whether it was opened with the master key that came last."""
        return all(key.wraps[-1].master == self.master for key in self.ring.keys)

    def _wrapped(self, master: bytes, keep: Iterable[str]) -> Ring:
        kept = set(keep) - {mark_of(master)}
        keys = tuple(
            msgspec.structs.replace(
                key,
                wraps=(
                    *(wrap for wrap in key.wraps if wrap.master in kept),
                    _wrap(self._keys[key.id], key.id, master),
                ),
            )
            for key in self.ring.keys
        )
        return msgspec.structs.replace(self.ring, keys=keys)


def _wrap(key: bytes, number: int, master: bytes) -> Wrap:
    nonce = secrets.token_bytes(12)
    return Wrap(mark_of(master), nonce, AESGCM(master).encrypt(nonce, key, _about(number)))


def _unwrap(key: DataKey, master: bytes) -> bytes:
    mark = mark_of(master)
    wrap = next((one for one in key.wraps if one.master == mark), None)
    if wrap is None:
        known = ", ".join(one.master for one in key.wraps)
        raise ConfigInvalid(f"the master key {mark} does not open the keyring; {known} does: give scr that one")
    try:
        return AESGCM(master).decrypt(wrap.nonce, wrap.sealed, _about(key.id))
    except (InvalidTag, ValueError) as error:
        raise ConfigInvalid("the keyring was changed; put its copy in its place") from error


def _about(number: int) -> bytes:
    return b"scr data key" + number.to_bytes(4)
