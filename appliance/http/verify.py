"""Proves that somebody has a password or a secret key, and makes guessing slow.

Unknown and wrong look alike, in time too: both are answered no sooner than after `FLOOR_S`. A password is looked at
after its source's and its name's waiting time; a secret key at once, for nobody guesses 256 bits, and a wrong one waits
afterwards. So whoever has a key is never held up by somebody who tries to guess it.
"""

import asyncio
import contextlib
import functools
import hmac
import time
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from appliance.domain.accounts import Credential, KeyProof, Proof, is_access_key
from appliance.errors import ScrError, TooManyRequests, Unauthorized
from appliance.http.slowdown import Slowdown, source_of
from appliance.services.accounts import renew_hash
from appliance.services.credentials import hash_secret
from appliance.services.directory import Directory
from appliance.services.keys import hash_password, is_bcrypt, is_password
from appliance.services.stock import Stock

FLOOR_S = 0.3  # seconds; argon2id takes some 0.05, a bcrypt hash of another registry's file up to 0.3
_AT_ONCE = 2  # verifications of passwords; each takes 64 MiB and a core
_IN_LINE = 64  # sign-ins of one source that may wait; a farm of builders begins with some dozen at once
WRONG = "the user or the password is wrong; sign in again with docker login"
_NO_HASH = bytes(32)
T = TypeVar("T")


class Basic(msgspec.Struct, frozen=True):
    """Name and secret as a client sends them."""

    name: str
    secret: str


def parse_basic(authorization: bytes) -> Basic:
    """Return user and password of a Basic header. Raises Unauthorized. Spec: RFC 7617."""
    scheme, _, text = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        raise Unauthorized("this registry takes Basic and Bearer; sign in again with docker login")
    try:
        name, colon, secret = b64decode(text.strip(), validate=True).decode().partition(":")
    except ValueError as error:
        raise Unauthorized("the Authorization header is not well formed; sign in again with docker login") from error
    if not colon:
        raise Unauthorized("the Authorization header has no password; sign in again with docker login")
    return Basic(name, secret)


class Verifier:
    """Looks at passwords and secret keys; one a process, so that its memory of failures is."""

    def __init__(self, stock: Stock, directory: Directory, executor: Executor) -> None:
        """Look names up in `directory`; passwords are hashed in `executor`."""
        self._stock = stock
        self._directory = directory
        self._executor = executor
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._slowdown = Slowdown()
        self._lines: dict[str, tuple[asyncio.Lock, int]] = {}  # a source: one at a time, and how many are there

    async def prove(self, basic: Basic, address: str, known: Callable[[], Credential | None]) -> Credential:
        """Return the credential that `basic` is. `known` is asked once it is one's turn: another may have found out.

        Raises Unauthorized, unknown and wrong ones alike, and TooManyRequests for a source that asks more than can be
        looked at.
        """
        began = time.monotonic()
        source = source_of(address)
        if is_access_key(basic.name):
            key = self._directory.find_key(basic.name)
            if (credential := self._check_key(key, basic.secret)) is not None:
                self._slowdown.succeed(source)
                return credential
            await self._in_turn(source, lambda: self._fail(source, basic.name, began, waits=True))
            self._say(basic.name if key is not None else "", address)
            raise Unauthorized(WRONG)
        return await self._in_turn(source, lambda: self._check_password(basic, source, address, began, known))

    async def hash(self, password: str) -> str:
        """Return the hash of a new password; it waits for its turn, as verifications do."""
        async with self._turns:
            return await asyncio.get_running_loop().run_in_executor(self._executor, hash_password, password)

    async def refuse(self, address: str) -> None:
        """Let somebody wait whose refresh token is none: as long as for a wrong key. Raises TooManyRequests."""
        source = source_of(address)
        await self._in_turn(source, lambda: self._fail(source, "", time.monotonic(), waits=True))
        self._say("", address)

    def _check_key(self, key: KeyProof | None, secret: str) -> Credential | None:
        hashed = hash_secret(secret)
        is_now = hmac.compare_digest(hashed, key.secret_hash if key else _NO_HASH)
        is_earlier = hmac.compare_digest(hashed, (key.earlier_hash if key else None) or _NO_HASH)
        if key is None or not (is_now or is_earlier):
            return None
        credential = Credential(key.owner.principal, key.key, key.generation - (0 if is_now else 1))
        if self._directory.judge(credential, self._stock.clock()) is None:  # told to who has the secret only
            raise Unauthorized(
                f"access key {key.access_key} is disabled, has expired or got another secret; ask for one"
            )
        return credential

    async def _check_password(
        self, basic: Basic, source: str, address: str, began: float, known: Callable[[], Credential | None]
    ) -> Credential:
        if (found := known()) is not None:
            return found
        await asyncio.sleep(self._slowdown.wait_s(source, basic.name, time.monotonic()))
        self._directory.look()
        user = self._directory.find_user(basic.name)
        hashed = user.password_hash if user is not None and user.enabled else None
        check = functools.partial(is_password, hashed, basic.secret)
        async with self._turns:
            is_right = await asyncio.get_running_loop().run_in_executor(self._executor, check)
            if is_right and user is not None and not user.managed and is_bcrypt(hashed or ""):
                await self._renew(user, basic.secret)
        if user is None or not is_right:
            await self._fail(source, basic.name, began)
            self._say(basic.name if user is not None else "", address)
            raise Unauthorized(WRONG)
        self._slowdown.succeed(source)
        return Credential(user.principal, None, user.generation)

    async def _renew(self, user: Proof, password: str) -> None:
        """Keep the password of an imported user as argon2id from now on: it is known at this moment only."""
        renewed = await asyncio.get_running_loop().run_in_executor(self._executor, hash_password, password)
        with contextlib.suppress(ScrError):  # a full disk: next time
            await renew_hash(self._stock, user, renewed)

    async def _fail(self, source: str, name: str, began: float, *, waits: bool = False) -> None:
        """Count a failure, and let the answer wait as long as any other; with `waits` as long as the next try would."""
        now = time.monotonic()
        wait_s = self._slowdown.wait_s(source, name, now) if waits else 0.0
        self._slowdown.fail(source, name, now)
        await asyncio.sleep(max(wait_s, FLOOR_S - (now - began)))

    def _say(self, name: str, address: str) -> None:
        """Log a failure. A name that nobody has is not said: it may be a password in the wrong field."""
        self._stock.log.warn("login.failed", user=name or "(unknown)", address=address)

    async def _in_turn(self, source: str, work: Callable[[], Awaitable[T]]) -> T:
        with self._in_line(source) as line:
            async with line:
                return await work()

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
