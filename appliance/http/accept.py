"""Accepting by ourselves: each new socket goes to a coroutine, and a shortage of descriptors stops nobody for long."""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable

from appliance.logs import Log

_AT_ONCE = 64  # sockets taken before the loop goes on with other things
_REST_S = 0.5  # seconds without accepting when descriptors or memory ran out: ready at once again, it would spin
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor:
    """Takes connections from a listening socket."""

    def __init__(self, bound: socket.socket, arrive: Callable[[socket.socket], Awaitable[bool]], log: Log) -> None:
        """Hand each socket to `arrive`, which says whether it gave it away; what is not is closed."""
        self._bound = bound
        self._arrive = arrive
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._rest: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to accept."""
        self._rest = None
        self._loop.add_reader(self._bound.fileno(), self._accept)

    def close(self) -> None:
        """Accept no more; who is still being looked at is let go."""
        if self._rest is not None:
            self._rest.cancel()
        self._loop.remove_reader(self._bound.fileno())
        self._bound.close()
        for task in self._tasks:
            task.cancel()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                arrived, _ = self._bound.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:  # the client left before we came to it
                continue
            except OSError as error:
                if error.errno not in _SHORTAGES:
                    raise
                self._pause(error)
                return
            arrived.setblocking(False)  # noqa: FBT003 - the name of the method says what is switched
            task = self._loop.create_task(self._look(arrived))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _look(self, arrived: socket.socket) -> None:
        is_given = False
        try:
            is_given = await self._arrive(arrived)
        except OSError:  # the client left
            return
        finally:
            if not is_given:
                arrived.close()

    def _pause(self, error: OSError) -> None:
        self._log.error(
            "listen.exhausted", reason=error.strerror or str(error), cure="raise the limit of open files (LimitNOFILE)"
        )
        self._loop.remove_reader(self._bound.fileno())
        self._rest = self._loop.call_later(_REST_S, self.start)
