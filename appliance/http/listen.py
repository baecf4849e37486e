"""Sockets of our own, then the ASGI server's protocol class: one process, several doors.

A plain listener that trusts no proxy is the event loop's own, straight to the protocol. Where TLS or a PROXY header may
come, we accept ourselves and look at the first bytes while they are still in the kernel (`greeting.py`).
"""

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from uvicorn.config import Config
from uvicorn.server import ServerState

from appliance.errors import ConfigInvalid
from appliance.http.accept import Acceptor
from appliance.http.certificate import Certificate
from appliance.http.connection import Connection
from appliance.http.door import Door
from appliance.http.greeting import Greeting, Greets
from appliance.http.proxy import Network, TrustedProxies
from appliance.http.watch import Limits, Watch
from appliance.logs import Log

_BACKLOG = 2048
_LAST_S = 5.0  # seconds for requests whose connection was cut to notice
_SUN_PATH = 107  # bytes of a socket's path that the kernel takes (sys/un.h: 108 with the final NUL)


class Listening:
    """The sockets of one `open`: where they listen, and what accepts there."""

    def __init__(self, sockets: Sequence[socket.socket], door: Door) -> None:
        """Nothing accepts yet."""
        self.places = tuple((str(one.getsockname()[0]), int(one.getsockname()[1])) for one in sockets)
        self.door = door
        self.sockets = sockets
        self.servers: list[asyncio.Server | Acceptor] = []
        self.is_straight = False  # nobody looks at first bytes


class Listeners:
    """All listening sockets of the process, and their connections."""

    def __init__(
        self,
        app: Callable[..., Any],
        log: Log | None = None,
        limits: Limits | None = None,
        trusted: TrustedProxies | None = None,
    ) -> None:
        """Serve the ASGI application `app`. `trusted` may tell addresses by the PROXY protocol."""
        self._config = Config(
            app,
            log_config=None,
            log_level="critical",
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,  # its own reading of X-Forwarded-For trusts this machine unasked
        )
        self._config.load()
        self._log = log or Log()
        self._state = ServerState()
        self._watch = Watch(limits or Limits(), self._log)
        self._trusted = TrustedProxies() if trusted is None else trusted  # an empty one is filled later
        self._control: list[asyncio.Server] = []
        self._open: list[Listening] = []
        self._given: list[socket.socket] = []

    @property
    def limits(self) -> Limits:
        """What clients may take; set it to change it for all connections at once."""
        return self._watch.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._watch.limits = limits

    def connections(self) -> int:
        """Return how many connections are open."""
        return len(self._watch)

    async def open(
        self, host: str, port: int, door: Door, certificate: Certificate | None = None, *, allow_plain: bool = False
    ) -> Listening:
        """Listen on every address of `host` ("" for all of the machine), until `shut` or `close`.

        With a `certificate` it speaks TLS; with `allow_plain` plain HTTP on the same port too. Raises ConfigInvalid.
        """
        self._watch.start()
        name = host.removeprefix("[").removesuffix("]")
        try:
            listening = Listening(await self._bind(name, port), door)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConfigInvalid(f"cannot listen on {host}:{port}: {reason}; choose another with --listen") from error
        self._open.append(listening)
        if certificate is None and not self._trusted:
            await self._accept_straight(listening)
        else:
            self._accept_looking(listening, certificate, allow_plain=allow_plain)
        return listening

    def trust(self, networks: Iterable[Network]) -> None:
        """Believe these proxies from the next connection and request on."""
        self._trusted.replace(networks)
        for listening in self._open if self._trusted else ():
            if listening.is_straight:  # a PROXY header may come there now
                before, listening.sockets = listening.servers, [one.dup() for one in listening.sockets]
                for server in before:
                    server.close()  # who arrives meanwhile waits in the socket's own queue
                self._accept_looking(listening, None, allow_plain=True)

    def give(self, sockets: Sequence[socket.socket]) -> None:
        """Take over sockets that listen already: `open` uses those of its address instead of new ones."""
        self._given += sockets

    def refuse_rest(self) -> None:
        """Raise ConfigInvalid where a socket was given that no listener is for: it would accept and never answer."""
        for host, port, *_ in (one.getsockname() for one in self._given):
            raise ConfigInvalid(
                f"the service manager listens on {host} port {port} for scr, and no listener is called that;"
                " add it to [server] listen, or change its .socket unit"
            )

    def shut(self, listening: Listening) -> None:
        """Accept no more there; who is connected stays so."""
        self._open.remove(listening)
        for server in listening.servers:
            server.close()

    async def open_control(self, path: Path, door: Door) -> None:
        """Listen on the control socket `path` (0600). Raises ConfigInvalid."""
        self._watch.start()
        server = await asyncio.get_running_loop().create_unix_server(
            lambda: _Control(self._config, self._state, door, self._watch), sock=_bind_control(path)
        )
        self._control.append(server)

    async def close(self, grace_s: float) -> None:
        """Stop accepting; idle connections end at once, running transfers may take `grace_s` seconds."""
        for listening in tuple(self._open):
            self.shut(listening)
        for server in self._control:
            server.close()
        self._control.clear()
        for connection in self._watch.connections():
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._watch.empty()
        for connection in self._watch.connections():
            connection.abort()
        if tasks := list(self._state.tasks):  # they hear that the client is gone
            _, late = await asyncio.wait(tasks, timeout=_LAST_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=_LAST_S)
        self._watch.stop()

    async def _accept_straight(self, listening: Listening) -> None:
        """Let the event loop accept, straight to the protocol."""
        loop = asyncio.get_running_loop()
        listening.is_straight = True
        for bound in listening.sockets:
            server = await loop.create_server(
                lambda: Connection(self._config, self._state, listening.door, self._watch),
                sock=bound,
                backlog=_BACKLOG,
            )
            listening.servers.append(server)

    def _accept_looking(self, listening: Listening, certificate: Certificate | None, *, allow_plain: bool) -> None:
        """Accept by ourselves, and look at the first bytes."""
        greets = Greets(
            trusted=self._trusted,
            has_tls=certificate is not None,
            has_plain=certificate is None or allow_plain,
        )
        plain_door = msgspec.structs.replace(listening.door, is_tls=False, is_beside_tls=certificate is not None)
        tls_door = msgspec.structs.replace(listening.door, is_tls=True)

        async def arrive(arrived: socket.socket) -> bool:
            greeting = await self._greet(arrived, greets)
            if greeting is None:
                return False
            context = certificate.context if certificate is not None and greeting.is_tls else None
            await self._attach(arrived, greeting, tls_door if greeting.is_tls else plain_door, context)
            return True

        listening.is_straight = False
        acceptors = [Acceptor(bound, arrive, self._log) for bound in listening.sockets]
        listening.servers = [*acceptors]
        for acceptor in acceptors:
            acceptor.start()

    async def _bind(self, name: str, port: int) -> list[socket.socket]:
        """Return what was given for `name` and `port`, else a new socket for every address of it. Raises OSError."""
        places = await asyncio.get_running_loop().getaddrinfo(
            name or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        addresses = {(family, address[:2]) for family, _, _, _, address in places}
        found = [one for one in self._given if (one.family, one.getsockname()[:2]) in addresses]
        self._given = [one for one in self._given if one not in found]
        return found or _bind([(family, address) for family, _, _, _, address in dict.fromkeys(places)])

    async def _greet(self, arrived: socket.socket, greets: Greets) -> Greeting | None:
        """Look at the first bytes; None when the connection was refused and ended."""
        peer = str(arrived.getpeername()[0])
        with suppress(TimeoutError):
            async with asyncio.timeout(self._watch.limits.header_timeout_s):
                verdict = await greets.look(arrived)
                if isinstance(verdict, Greeting):
                    return verdict
                if verdict.name:
                    self._watch.complain(verdict.name, peer, cure=verdict.cure)
                await verdict.answer(arrived, self._watch.limits.linger_s)
        return None

    async def _attach(
        self, arrived: socket.socket, greeting: Greeting, door: Door, context: ssl.SSLContext | None
    ) -> None:
        """Give the connection to the protocol class, under TLS where it asked for it."""
        origin = greeting.origin
        peer = str(arrived.getpeername()[0])
        timeout = self._watch.limits.header_timeout_s if greeting.is_tls else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Connection(
                    self._config,
                    self._state,
                    door,
                    self._watch,
                    client=origin.client if origin else None,
                    server=origin.server if origin else None,
                ),
                arrived,
                ssl=context,
                ssl_handshake_timeout=timeout,
            )
        except ssl.SSLError as error:
            arrived.close()
            cure = "if the client does not know the certificate's authority, `scr trust` makes it known"
            self._watch.complain("tls.handshake_failed", peer, reason=error.reason or "unknown", cure=cure)
        except OSError:  # the client left
            arrived.close()


class _Control(Connection):
    """A connection of the operator's door: the peer's uid must be the server's or root."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        """Begin, or hang up on anybody else."""
        super().connection_made(transport)
        peer: socket.socket = transport.get_extra_info("socket")
        _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid not in (0, os.geteuid()):
            self._watch.complain("control.refused", f"uid {uid}", cure="run scr as the server's user, or as root")
            self.abort()


def _bind(places: Sequence[tuple[int, Any]]) -> list[socket.socket]:
    """Return a socket that listens for each family and address. Raises OSError."""
    bound: list[socket.socket] = []
    try:
        for family, address in places:
            one = socket.socket(family, socket.SOCK_STREAM)
            bound.append(one)
            one.setblocking(False)  # noqa: FBT003 - the name of the method says what is switched
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(address)
            one.listen(_BACKLOG)
    except OSError:
        for one in bound:
            one.close()
        raise
    return bound


def _bind_control(path: Path) -> socket.socket:
    """Return the control socket, bound. A path too long for the kernel is reached through its folder's descriptor."""
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    bound.setblocking(False)  # noqa: FBT003 - as above
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    before = os.umask(0o177)
    try:
        is_long = len(os.fsencode(path)) > _SUN_PATH
        bound.bind(f"/proc/self/fd/{folder}/{path.name}" if is_long else str(path))
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise ConfigInvalid(f"cannot listen on {path}: {error.strerror or error}; choose another --data-dir") from error
    finally:
        os.umask(before)
        os.close(folder)
    return bound
