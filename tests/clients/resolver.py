"""Host names without a DNS: a proxy on the loopback that takes every `CONNECT name:port` to that port of this machine.

Clients speak TLS through it to the server itself: names in the handshake and in the Host header are the real ones.
"""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_PATIENCE_S = 60


class Resolver:
    """The proxy; `url` is what clients are told as their HTTPS proxy."""

    def __init__(self) -> None:
        """Listen; connections are taken within a `with` block."""
        self._bound = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self.url = f"http://127.0.0.1:{self._bound.getsockname()[1]}"
        self.names: set[str] = set()  # that were asked for

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._bound.shutdown(socket.SHUT_RDWR)
        self._bound.close()
        self._thread.join(_PATIENCE_S)

    def _accept(self) -> None:
        with suppress(OSError):  # closed: that is the end
            while True:
                client, _ = self._bound.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            client.settimeout(_PATIENCE_S)
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(65536)
                if not piece:
                    return
                head += piece
            name, _, port = head.split(b" ")[1].decode().rpartition(":")
            self.names.add(name)
            with socket.create_connection(("127.0.0.1", int(port)), _PATIENCE_S) as server:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=_copy, args=(server, client), daemon=True)
                back.start()
                _copy(client, server)
                back.join(_PATIENCE_S)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
