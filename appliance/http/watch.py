"""Looks after the connections once a tick: one timer for all of them, so that a request arms and cancels none.

A connection says what it waits for (`Connection.waits_for`) and how many bytes have moved; what does not move for the
time allowed is ended. Times are exact to a tick only, which is enough against slow clients and costs the hot path
nothing (docs/decisions/0003).
"""

import asyncio
import enum
import math
from typing import Protocol

import msgspec

from appliance.logs import Log

_TICK_S = 1.0  # seconds; shorter only where a timeout is shorter than four of them
_HUSH_S = 60.0  # seconds in which the same complaint about the same peer is made once
_HUSHED = 1000  # complaints remembered; past that all are forgotten


class Limits(msgspec.Struct, frozen=True):
    """What a client may take, in time and bytes. Replaced whole when the configuration changes."""

    header_timeout_s: float = 20.0  # from the first byte of a request to the end of its headers
    idle_timeout_s: float = 75.0  # between requests; longer than most clients keep an idle connection
    min_rate: int = 1024  # bytes a second, judged over `header_timeout_s`, both ways
    head_bytes: int = 64 << 10  # request line and headers
    target_bytes: int = 16 << 10  # request target; a PUT of a manifest with 100 tags has 13 KiB
    drain_bytes: int = 1 << 20  # of a body nobody wants, read so that the client gets to the answer
    linger_s: float = 2.0  # how long a connection is read after its last answer


class Wait(enum.Enum):
    """What a connection waits for."""

    SERVER = "server"  # for us: no limit
    HEAD = "head"  # for the rest of a request's head: `header_timeout_s` in all
    IDLE = "idle"  # for another request: `idle_timeout_s` in all
    BODY = "body"  # for the client to send: `min_rate`
    ROOM = "room"  # for the client to read: `min_rate`
    END = "end"  # for the client to close: `linger_s` in all


class Watched(Protocol):
    """What the watch needs of a connection."""

    def waits_for(self) -> Wait:
        """Return what it waits for."""

    def moved(self, wait: Wait) -> int:
        """Return the bytes that have moved so far in the direction of `wait`."""

    def expire(self, wait: Wait) -> None:
        """End it: the client did not do in time what `wait` says."""

    def shutdown(self) -> None:
        """End it as soon as nothing is under way."""

    def abort(self) -> None:
        """End it at once."""


class _Mark(msgspec.Struct):
    """When a connection began to wait for something, and what had moved by then."""

    wait: Wait
    moved: int
    since: float


class Watch:
    """All connections of the process, their limits, and the one timer."""

    def __init__(self, limits: Limits, log: Log) -> None:
        """Begin without connections; `start` begins to look."""
        self.limits = limits
        self.log = log
        self._marks: dict[Watched, _Mark] = {}
        self._hushed: dict[tuple[str, str], float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._empty: list[asyncio.Future[None]] = []

    def __len__(self) -> int:
        """Return the number of connections."""
        return len(self._marks)

    def enter(self, connection: Watched) -> None:
        """Look after a new connection."""
        self._marks[connection] = _Mark(Wait.HEAD, 0, asyncio.get_running_loop().time())

    def leave(self, connection: Watched) -> None:
        """Forget a connection that ended."""
        self._marks.pop(connection, None)
        if not self._marks:
            for waiter in self._empty:
                if not waiter.done():
                    waiter.set_result(None)
            self._empty.clear()

    def connections(self) -> list[Watched]:
        """Return all connections."""
        return list(self._marks)

    async def empty(self) -> None:
        """Return once no connection is left."""
        if self._marks:
            waiter = asyncio.get_running_loop().create_future()
            self._empty.append(waiter)
            await waiter

    def start(self) -> None:
        """Begin to look; twice does no harm."""
        if self._timer is None:
            self._later()

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def complain(self, name: str, peer: str, **fields: str) -> None:
        """Log a warning about `peer`, once a minute for the same name and peer: a scanner must not fill the log."""
        now = asyncio.get_running_loop().time()
        if self._hushed.get((name, peer), now) > now:
            return
        if len(self._hushed) >= _HUSHED:
            self._hushed.clear()
        self._hushed[name, peer] = now + _HUSH_S
        self.log.warn(name, peer=peer, **fields)

    def _later(self) -> None:
        limits = self.limits
        wait = min(_TICK_S, limits.header_timeout_s / 4, limits.idle_timeout_s / 4, limits.linger_s / 4)
        self._timer = asyncio.get_running_loop().call_later(max(wait, 0.01), self._tick)

    def _tick(self) -> None:
        self._later()  # first, so that no error below stops the watch
        now = asyncio.get_running_loop().time()
        for connection, mark in list(self._marks.items()):
            self._look(connection, mark, now)

    def _look(self, connection: Watched, mark: _Mark, now: float) -> None:
        wait = connection.waits_for()
        moved = connection.moved(wait)
        if wait is not mark.wait:
            mark.wait, mark.moved, mark.since = wait, moved, now
            return
        limits = self.limits
        if wait is Wait.BODY or wait is Wait.ROOM:
            allowed, enough = limits.header_timeout_s, limits.min_rate * limits.header_timeout_s
            is_well = moved - mark.moved >= enough
            if is_well and now - mark.since >= allowed:
                mark.moved, mark.since = moved, now
        else:
            allowed = self._allowed(wait)
            is_well = moved != mark.moved  # another request came and went between two looks
            if is_well:
                mark.moved, mark.since = moved, now
        if not is_well and now - mark.since >= allowed:
            connection.expire(wait)

    def _allowed(self, wait: Wait) -> float:
        if wait is Wait.HEAD:
            return self.limits.header_timeout_s
        if wait is Wait.IDLE:
            return self.limits.idle_timeout_s
        return self.limits.linger_s if wait is Wait.END else math.inf
