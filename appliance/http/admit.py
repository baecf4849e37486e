"""Who calls: the control socket, a user by Basic, or in open mode whoever sits at this machine."""

import asyncio
import hashlib
import secrets
import time
from base64 import b64decode
from concurrent.futures import Executor

import argon2
import msgspec

from appliance.domain.access import BUILT_IN, AccessPolicy, Principal, PrincipalKind
from appliance.domain.admission import FULL_ACCESS, Arrival, Caller, admit_open
from appliance.errors import Unauthorized

CACHE_S = 60.0  # seconds a verified password is remembered; argon2id costs some 50 ms each time (DESIGN 4)
_CACHE_ENTRIES = 1000
_AT_ONCE = 2  # verifications; each takes 64 MiB and a core
_HASHER = argon2.PasswordHasher()
_NOBODY = _HASHER.hash(secrets.token_hex(16))  # verified for unknown users too, so that both answers take as long


class User(msgspec.Struct, frozen=True):
    """A user of `scr.toml`: argon2id hash of the password, and the names of built-in policies."""

    name: str
    password_hash: str
    policies: tuple[str, ...]


class Doorkeeper:
    """Tells who calls. Replaced whole when the users change, so that nothing old is remembered."""

    def __init__(self, users: tuple[User, ...], executor: Executor, *, is_open: bool) -> None:
        """Know `users`; with `is_open` (no user, no trusted proxy) serve this machine without asking."""
        self.is_open = is_open
        self._users = {user.name: user for user in users}
        self._executor = executor
        self._key = secrets.token_bytes(32)
        self._cache: dict[bytes, tuple[Caller, float]] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def know(self, arrival: Arrival, authorization: bytes) -> Caller:
        """Return the caller of a request with this Authorization header (b"" for none).

        Raises Unauthorized for missing or wrong credentials, Denied in open mode for what may come from elsewhere.
        """
        if not authorization:
            if self.is_open:
                return admit_open(arrival)
            raise Unauthorized("sign in first: docker login with a user and password of this registry")
        if self.is_open:
            admit_open(arrival)  # a refusal for its place comes first
        key = hashlib.blake2b(authorization + b"\0" + arrival.peer.encode(), key=self._key, digest_size=16).digest()
        remembered = self._cache.get(key)
        if remembered is not None and remembered[1] > time.monotonic():
            return remembered[0]
        name, password = _basic(authorization)
        user = self._users.get(name)
        async with self._turns:
            is_right = await asyncio.get_running_loop().run_in_executor(
                self._executor,
                _verify,
                user.password_hash if user else _NOBODY,
                password,
            )
        if user is None or not is_right:
            raise Unauthorized("the user or the password is wrong; sign in again with docker login")
        caller = Caller(Principal(PrincipalKind.USER, user.name), _policies(user), arrival.peer)
        if len(self._cache) >= _CACHE_ENTRIES:
            self._cache.clear()
        self._cache[key] = caller, time.monotonic() + CACHE_S
        return caller


OPERATOR = Caller(Principal(PrincipalKind.OPERATOR, "control socket"), FULL_ACCESS, "local")


def hash_password(password: str) -> str:
    """Return the argon2id hash that `scr.toml` keeps of a password."""
    return _HASHER.hash(password)


def _policies(user: User) -> tuple[AccessPolicy, ...]:
    return tuple(BUILT_IN[name] for name in user.policies)


def _basic(authorization: bytes) -> tuple[str, str]:
    """Return user and password of a Basic header. Raises Unauthorized. Spec: RFC 7617."""
    scheme, _, text = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        raise Unauthorized("this registry takes user and password (Basic); sign in again with docker login")
    try:
        name, colon, password = b64decode(text.strip(), validate=True).decode().partition(":")
    except ValueError as error:
        raise Unauthorized("the Authorization header is not well formed; sign in again with docker login") from error
    if not colon:
        raise Unauthorized("the Authorization header has no password; sign in again with docker login")
    return name, password


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False
