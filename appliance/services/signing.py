"""Tokens: `scr1.<signing key>.<payload>.<HMAC-SHA256>`, and the keys that sign them.

    <data>/keys/tokens      one line a key, the newest first: id, made at (milliseconds), 32 bytes in hexadecimal

One form, one algorithm, nothing in a token chooses either. The newest key signs; those before it verify until the last
token they signed has ended, so that a rotation logs nobody out.
"""

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

import msgspec

from appliance.blobstore.files import Files
from appliance.domain.access import KeyId, PrincipalId
from appliance.domain.accounts import Credential
from appliance.domain.moment import DAY, HOUR, MINUTE, Timestamp
from appliance.domain.registry import RegistryId
from appliance.domain.scope import Scopes, parse_scopes
from appliance.errors import ConfigInvalid, TokenInvalid
from appliance.logs import Log

LIFE = 15 * MINUTE
ROTATION = 30 * DAY  # between two signing keys
_SKEW = MINUTE  # how far ahead of our clock a token may lie: it was made by this clock before it was set
_KEPT = HOUR  # how long a key verifies after the one that followed it
_FILE_BYTES = 64 << 10
_LINE = re.compile(r"([a-z0-9]{8}) ([0-9]{1,15}) ([0-9a-f]{64})")
_FORM = re.compile(rb"scr1\.([a-z0-9]{8})\.([A-Za-z0-9_-]{1,49152})\.([A-Za-z0-9_-]{43})")
_WRONG = "the token is not one of this registry, or it has ended; sign in again"


class Claims(msgspec.Struct, frozen=True):
    """What a token says: for whom (None: anybody), at which registry, for what, until when."""

    credential: Credential | None
    registry: RegistryId
    scopes: Scopes
    until: Timestamp


class _Payload(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    principal: int  # 0: anybody
    key: int  # 0: by password
    generation: int
    registry: int
    until: int
    scopes: str


class SigningKey(msgspec.Struct, frozen=True):
    """A key: its id is in every token it signs."""

    id: str
    made_at: Timestamp
    secret: bytes


_DECODER = msgspec.json.Decoder(_Payload)


class Signer:
    """Signs and verifies with the keys of one file. The file is read at the start and written here only."""

    def __init__(self, path: Path, files: Files, log: Log, now: Timestamp) -> None:
        """Read the keys at `path`, or make the first one. Blocks. Raises ConfigInvalid, StorageFull, StoreFailed."""
        self._path = path
        self._files = files
        self._log = log
        self.keys = self._read()
        if not self.keys:
            self.rotate(now)

    def sign(self, claims: Claims) -> str:
        """Return a token that says `claims`."""
        credential = claims.credential
        payload = _Payload(
            0 if credential is None else credential.principal,
            0 if credential is None or credential.key is None else credential.key,
            0 if credential is None else credential.generation,
            claims.registry,
            claims.until,
            str(claims.scopes),
        )
        key = self.keys[0]
        text = f"scr1.{key.id}.{_encode(msgspec.json.encode(payload))}"
        return f"{text}.{_encode(_digest(key, text.encode()))}"

    def verify(self, token: bytes, now: Timestamp) -> Claims:
        """Return what a token says. Raises TokenInvalid, alike for all that is wrong with it."""
        found = _FORM.fullmatch(token)
        key = next((one for one in self.keys if found is not None and one.id.encode() == found[1]), None)
        if found is None or key is None:
            raise TokenInvalid(_WRONG)
        if not hmac.compare_digest(_encode(_digest(key, token[: found.start(3) - 1])).encode(), found[3]):
            raise TokenInvalid(_WRONG)
        payload = _DECODER.decode(urlsafe_b64decode(found[2] + b"=" * (-len(found[2]) % 4)))
        if not now < payload.until <= now + LIFE + _SKEW:
            raise TokenInvalid(_WRONG)
        return _claims(payload)

    def rotate(self, now: Timestamp) -> None:
        """Sign with a new key from now on; forget those that can have no token any more. Blocks."""
        new = SigningKey(secrets.token_hex(4), now, secrets.token_bytes(32))
        followed = [now, *(key.made_at for key in self.keys)]  # when each of the others was followed
        kept = [key for key, at in zip(self.keys, followed, strict=False) if now < at + _KEPT]
        keys = (new, *kept)
        text = "".join(f"{key.id} {key.made_at} {key.secret.hex()}\n" for key in keys)
        self._files.write_whole(self._path, text.encode())
        self.keys = keys

    def is_due(self, now: Timestamp) -> bool:
        """Whether the newest key is old enough to be followed, or was made by a clock that was ahead."""
        return not 0 <= now - self.keys[0].made_at < ROTATION

    def _read(self) -> tuple[SigningKey, ...]:
        try:
            with self._path.open("rb") as file:
                text = file.read(_FILE_BYTES).decode("ascii", "replace")
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise ConfigInvalid(
                f"{self._path} cannot be read: {error.strerror}; give it to the user scr runs as"
            ) from error
        found = [_LINE.fullmatch(line) for line in text.splitlines()]
        if not found or None in found:
            self._log.warn(
                "keys.replaced", file=str(self._path), cure="none needed: clients fetch new tokens; see the host's disk"
            )
            return ()
        return tuple(SigningKey(one[1], Timestamp(int(one[2])), bytes.fromhex(one[3])) for one in found if one)


def _claims(payload: _Payload) -> Claims:
    credential = None
    if payload.principal:
        key = KeyId(payload.key) if payload.key else None
        credential = Credential(PrincipalId(payload.principal), key, payload.generation)
    scopes = parse_scopes([payload.scopes])
    return Claims(credential, RegistryId(payload.registry), scopes, Timestamp(payload.until))


def _digest(key: SigningKey, text: bytes) -> bytes:
    return hmac.digest(key.secret, text, hashlib.sha256)


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
