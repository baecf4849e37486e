"""How often and how long the object store is asked again, and how much may be in memory on its way there at once."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from appliance.errors import BlobUnknown, StoreDown, StoreRefused

T = TypeVar("T")

_FIRST_S = 0.1  # before the second attempt; doubled before each one after
_LONGEST_S = 5.0
_ATTEMPTS = 3  # that hang, before it is given up
_SLOWEST = 256 << 10  # bytes a second of a line that is still worth waiting for


class Patience:
    """Asks again after a failure, later each time, until the deadline; while the store is down, once only."""

    def __init__(self, deadline_s: float) -> None:
        """Give up after `deadline_s` seconds in which nothing was got."""
        self.deadline_s = deadline_s
        self.fault = ""  # why the store is down, as far as is known

    @property
    def attempt_s(self) -> float:
        """Seconds that one attempt may take: what hangs must leave time for another."""
        return self.deadline_s / _ATTEMPTS

    async def ask(self, attempt: Callable[[], Awaitable[T]], size: int = 0) -> T:
        """Return what `attempt` does, made as often as it takes; `size` bytes are on their way in it.

        It raises StoreDown for what may go well next time; anything else ends the asking.
        """
        loop = asyncio.get_running_loop()
        sending_s = size / _SLOWEST
        ends = loop.time() + self.deadline_s + sending_s
        pause = _FIRST_S
        while True:
            try:
                async with asyncio.timeout_at(min(ends, loop.time() + self.attempt_s + sending_s)):
                    found = await attempt()
            except StoreDown as error:
                fault = error
            except BlobUnknown:
                self.fault = ""  # it answered
                raise
            except TimeoutError:
                fault = StoreDown("the object store does not answer in time; it will be asked again")
            else:
                self.fault = ""
                return found
            pause_s = pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, keeps no secret
            if self.fault or loop.time() + pause_s >= ends or isinstance(fault, StoreRefused):
                self.fault = fault.message
                raise fault
            await asyncio.sleep(pause_s)
            pause = min(2 * pause, _LONGEST_S)


class Budget:
    """Bytes that may be in memory on their way to or from the object store, for the whole process. First come first."""

    def __init__(self, size: int) -> None:
        """Let `size` bytes be taken at once."""
        self._size = size
        self._free = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def take(self, size: int) -> AsyncIterator[None]:
        """Hold `size` bytes (all there are, if it is more) for the time of the block; wait until they are free."""
        wanted = min(size, self._size)
        await self._acquire(wanted)
        try:
            yield
        finally:
            self._free += wanted
            self._serve()

    async def _acquire(self, wanted: int) -> None:
        if not self._waiting and wanted <= self._free:
            self._free -= wanted
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it came just now, and nobody is there to give it back
                self._free += wanted
            else:
                self._waiting.remove((wanted, turn))
            self._serve()
            raise

    def _serve(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            wanted, turn = self._waiting.popleft()
            if not turn.cancelled():
                self._free -= wanted
                turn.set_result(None)
