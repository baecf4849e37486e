"""Who calls: the control socket, a user by Basic, or in open mode whoever sits at this machine."""

import asyncio
import hashlib
import secrets
import time
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from appliance.domain.access import BUILT_IN, Principal, PrincipalKind
from appliance.domain.admission import FULL_ACCESS, Caller
from appliance.domain.rights import Rights
from appliance.errors import TooManyRequests, Unauthorized
from appliance.http.slowdown import Slowdown, source_of
from appliance.logs import Log
from appliance.services.keys import is_password

CACHE_S = 60.0  # seconds a verified password is remembered; argon2id costs some 50 ms each time (DESIGN 4)
_CACHE_ENTRIES = 1000
_AT_ONCE = 2  # verifications; each takes 64 MiB and a core
_IN_LINE = 64  # sign-ins of one source that may wait; a farm of builders begins with some dozen at once
Entry = TypeVar("Entry")
_WRONG = "the user or the password is wrong; sign in again with docker login"


class User(msgspec.Struct, frozen=True):
    """A user of `scr.toml`: argon2id hash of the password, and the names of built-in policies."""

    name: str
    password_hash: str
    policies: tuple[str, ...]


class Doorkeeper:
    """Tells who calls. Replaced whole when the users change, so that nothing old is remembered."""

    def __init__(self, users: tuple[User, ...], executor: Executor, *, is_open: bool, log: Log | None = None) -> None:
        """Know `users`; with `is_open` (no user, no trusted proxy) serve this machine without asking."""
        self.is_open = is_open
        self._users = {user.name: user for user in users}
        self._executor = executor
        self._log = log
        self._key = secrets.token_bytes(32)
        self._right: dict[bytes, tuple[Caller, float]] = {}
        self._wrong: dict[bytes, float] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._slowdown = Slowdown()
        self._lines: dict[str, tuple[asyncio.Lock, int]] = {}  # a source: one at a time, and how many are there

    async def know(self, authorization: bytes, address: str) -> Caller:
        """Return whom an Authorization header names, who calls from `address`.

        Raises Unauthorized for wrong credentials, unknown and wrong ones alike, TooManyRequests for a source that asks
        more than can be looked at.
        """
        key = hashlib.blake2b(authorization + b"\0" + address.encode(), key=self._key, digest_size=16).digest()
        if (caller := self._remembered(key)) is not None:
            return caller
        name, password = _basic(authorization)
        source = source_of(address)
        with self._in_line(source) as line:
            async with line:
                if (caller := self._remembered(key)) is not None:  # another one in the line was told apart already
                    return caller
                await asyncio.sleep(self._slowdown.wait_s(source, name, time.monotonic()))
                return await self._verify(key, name, password, source, address)

    async def _verify(self, key: bytes, name: str, password: str, source: str, address: str) -> Caller:
        user = self._users.get(name)
        known = user.password_hash if user else None
        async with self._turns:
            is_right = await asyncio.get_running_loop().run_in_executor(self._executor, is_password, known, password)
        now = time.monotonic()
        if user is None or not is_right:
            self._slowdown.fail(source, name, now)
            _keep(self._wrong, key, now + CACHE_S)
            if self._log is not None:  # a name nobody has may be a password in the wrong field
                self._log.warn("login.failed", user=user.name if user else "(unknown)", address=address)
            raise Unauthorized(_WRONG)
        self._slowdown.succeed(source)
        caller = Caller(Principal(PrincipalKind.USER, user.name), _rights(user), address)
        _keep(self._right, key, (caller, now + CACHE_S))
        return caller

    def _remembered(self, key: bytes) -> Caller | None:
        """Return the caller whom these credentials proved to be a while ago. Raises Unauthorized if they were wrong."""
        right = self._right.get(key)
        if right is not None and right[1] > time.monotonic():
            return right[0]
        if self._wrong.get(key, 0.0) > time.monotonic():
            raise Unauthorized(_WRONG)
        return None

    @contextmanager
    def _in_line(self, source: str) -> Iterator[asyncio.Lock]:
        """Stand in the source's line. Raises TooManyRequests when it is too long."""
        line, waiting = self._lines.get(source, (None, 0))
        if waiting >= _IN_LINE:
            raise TooManyRequests("too many sign-ins wait from your address; try again in a while")
        line = line or asyncio.Lock()
        self._lines[source] = line, waiting + 1
        try:
            yield line
        finally:
            waiting = self._lines[source][1] - 1
            if waiting:
                self._lines[source] = line, waiting
            else:
                del self._lines[source]


OPERATOR = Caller(Principal(PrincipalKind.OPERATOR, "control socket"), FULL_ACCESS, "local")


def _keep(known: dict[bytes, Entry], key: bytes, entry: Entry) -> None:
    if len(known) >= _CACHE_ENTRIES:
        known.clear()
    known[key] = entry


def _rights(user: User) -> Rights:
    return Rights(BUILT_IN[name] for name in user.policies)


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
