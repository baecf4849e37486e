"""The service manager that started us, if one did: readiness, watchdog, sockets it listened on before us.

Protocol: sd_notify(3) and sd_listen_fds(3): datagrams to $NOTIFY_SOCKET, descriptors from 3 on for $LISTEN_PID.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Self

from appliance.errors import ConfigInvalid

_FIRST = 3  # SD_LISTEN_FDS_START
_MOST = 64  # sockets that are taken over; a number beyond that is somebody's mistake
_SHORTEST_S = 0.05  # between two signs of life


class ServiceManager:
    """What systemd, or another that speaks its protocol, is told and asked."""

    def __init__(self, address: str = "", watchdog_s: float = 0, sockets: tuple[socket.socket, ...] = ()) -> None:
        """Notify `address` ("" for nobody); it expects a sign of life every `watchdog_s` seconds (0: never)."""
        self._address = address
        self._watchdog_s = watchdog_s
        self.sockets = sockets

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Self:
        """Return the one that `environment` names; children are not to inherit its variables. Raises ConfigInvalid."""
        address = environment.pop("NOTIFY_SOCKET", "")
        period, whose = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        is_watched = period.isdigit() and whose in ("", str(os.getpid()))
        count, receiver = environment.pop("LISTEN_FDS", ""), environment.pop("LISTEN_PID", "")
        environment.pop("LISTEN_FDNAMES", None)
        sockets = _take_over(int(count)) if count.isdigit() and receiver == str(os.getpid()) else ()
        return cls(address, int(period) / 1e6 if is_watched else 0, sockets)

    def say_ready(self, what: str) -> None:
        """Say that it serves; `what` is shown by `systemctl status`."""
        self._say(f"READY=1\nSTATUS={' '.join(what.split())}")  # a line end would begin another statement

    def say_reloading(self) -> None:
        """Say that it reads its configuration again; `say_ready` follows."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def say_stopping(self) -> None:
        """Say that it ends."""
        self._say("STOPPING=1\nSTATUS=finishing transfers")

    async def show_life(self, look: Callable[[], Awaitable[object]]) -> None:
        """Give a sign of life as often as is expected, each after `look` has returned: whoever hangs is restarted."""
        if not self._watchdog_s:
            return
        while True:
            with contextlib.suppress(Exception):  # no sign then; the manager decides
                async with asyncio.timeout(self._watchdog_s):
                    await look()
                    self._say("WATCHDOG=1")
            await asyncio.sleep(max(self._watchdog_s / 3, _SHORTEST_S))

    def _say(self, text: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
            way.sendto(text.encode(), address)


def _take_over(count: int) -> tuple[socket.socket, ...]:
    """Return the listening sockets that were handed over. Raises ConfigInvalid."""
    found = []
    for descriptor in range(_FIRST, _FIRST + min(count, _MOST)):
        try:
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - the name of the function says what
            one = socket.socket(fileno=descriptor)
        except OSError as error:
            raise ConfigInvalid(
                f"the service manager handed over descriptor {descriptor}, which is no socket; see its .socket unit"
            ) from error
        if one.family not in (socket.AF_INET, socket.AF_INET6) or one.type != socket.SOCK_STREAM:
            raise ConfigInvalid(
                f"the service manager handed over a socket that is not TCP ({one.family.name}); see its .socket unit"
            )
        one.setblocking(False)  # noqa: FBT003 - as above
        found.append(one)
    return tuple(found)
