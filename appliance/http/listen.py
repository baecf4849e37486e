"""Sockets of our own, then the ASGI server's protocol class: one process, several doors."""

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from appliance.errors import ConfigInvalid
from appliance.http.front import Door

_KEEP_ALIVE_S = 75  # seconds; longer than the idle time of the connection pools of Go clients' proxies
_BACKLOG = 2048


class Connection(HttpToolsProtocol):
    """One connection. Puts the door it came through, and its transport, where the front finds them."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        """Begin."""
        super().connection_made(transport)
        self.app_state["transport"] = transport


class Listeners:
    """All listening sockets of the process."""

    def __init__(self, app: Callable[..., Any]) -> None:
        """Serve the ASGI application `app`."""
        self._config = Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            lifespan="off",
        )
        self._config.load()
        self._state = ServerState()
        self._servers: list[asyncio.Server] = []

    async def open(self, host: str, port: int, door: Door) -> list[tuple[str, int]]:
        """Listen on every address of `host`; return address and port of each. Raises ConfigInvalid."""
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(self._factory(door), host, port, backlog=_BACKLOG)
        except OSError as error:
            raise ConfigInvalid(
                f"cannot listen on {host}:{port}: {error.strerror}; choose another with --listen"
            ) from error
        self._servers.append(server)
        return [one.getsockname()[:2] for one in server.sockets]

    async def open_control(self, path: Path, door: Door) -> None:
        """Listen on the control socket `path` (0600)."""
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            server = await asyncio.get_running_loop().create_unix_server(self._control_factory(door), str(path))
        finally:
            os.umask(before)
        self._servers.append(server)

    def _factory(self, door: Door) -> Callable[[], Connection]:
        return lambda: Connection(self._config, self._state, {"door": door, "transport": None})

    def _control_factory(self, door: Door) -> Callable[[], asyncio.Protocol]:
        return lambda: _Control(self._config, self._state, {"door": door, "transport": None})

    async def close(self, grace_s: float) -> None:
        """Stop accepting, let running requests finish for up to `grace_s` seconds, then end what is left."""
        for server in self._servers:
            server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        tasks = list(self._state.tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_s)
            for task in late:
                task.cancel()
        for connection in list(self._state.connections):
            connection.transport.close()


class _Control(Connection):
    """A connection of the operator's door: the peer's uid must be the server's or root."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        """Begin, or hang up on anybody else."""
        peer: socket.socket = transport.get_extra_info("socket")
        _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid not in (0, os.geteuid()):
            transport.abort()
            return
        super().connection_made(transport)
