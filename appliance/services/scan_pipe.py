"""The writing end of a pipe to a child: what is given is written from where it lies, and nothing is copied before.

A stream of asyncio copies what it is given, once more what the pipe had no room for, and moves that at every step.
"""

import asyncio
import contextlib
import fcntl
import os

_ROOM = 1 << 20  # bytes; the most that the system gives everybody: each 64 KiB, as by itself, is a round of the loop


class Pipe:
    """A pipe whose reading end a child is given, and whose writing end stays here."""

    def __init__(self) -> None:
        """Make it."""
        self.reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        with contextlib.suppress(OSError):  # the user has as much in pipes as the system lets it (pipe(7))
            fcntl.fcntl(self._writing, fcntl.F_SETPIPE_SZ, _ROOM)

    def give(self) -> None:
        """Let go of the reading end, once the child has it: with the child, the last reader is gone then."""
        if self.reading >= 0:
            os.close(self.reading)
            self.reading = -1

    async def write(self, *parts: bytes | memoryview) -> None:
        """Return once all of `parts` is in the pipe. Raises ConnectionError where nobody reads it."""
        left = [memoryview(part) for part in parts if len(part)]
        while left:
            if self._writing < 0:
                raise ConnectionError
            try:
                done = os.writev(self._writing, left)
            except BlockingIOError:
                await self._room()
                continue
            while left and done >= len(left[0]):
                done -= len(left.pop(0))
            if done:
                left[0] = left[0][done:]

    def close(self) -> None:
        """Close what is open."""
        self.give()
        if self._writing >= 0:
            os.close(self._writing)
            self._writing = -1

    async def _room(self) -> None:
        """Wait until the pipe takes more, or nobody reads it."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        descriptor = self._writing
        loop.add_writer(descriptor, _wake, ready)
        try:
            await ready
        finally:
            loop.remove_writer(descriptor)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
