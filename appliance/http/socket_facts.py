"""What the kernel knows of a TCP connection: how much the peer took, how much is on its way; and how to end it."""

import asyncio
import contextlib
import os
import socket
import struct

_SIZE = 168  # bytes of `struct tcp_info` up to tcpi_notsent_bytes and what follows it (linux/tcp.h)
_UNACKED = struct.Struct("=I")  # tcpi_unacked, in segments
_ACKED = struct.Struct("=Q")  # tcpi_bytes_acked
_UNACKED_AT, _ACKED_AT, _NOT_SENT_AT = 24, 120, 144


def acknowledged(transport: asyncio.BaseTransport) -> int:
    """Return the bytes that the peer has acknowledged since the connection began; 0 when the kernel does not say."""
    facts = _facts(transport)
    return int(_ACKED.unpack_from(facts, _ACKED_AT)[0]) if len(facts) >= _ACKED_AT + _ACKED.size else 0


def in_flight(transport: asyncio.BaseTransport) -> bool:
    """Whether bytes wait in the kernel, sent and not acknowledged, or not yet sent."""
    facts = _facts(transport)
    if len(facts) < _NOT_SENT_AT + 4:
        return False
    return bool(_UNACKED.unpack_from(facts, _UNACKED_AT)[0] or _UNACKED.unpack_from(facts, _NOT_SENT_AT)[0])


def reset(transport: asyncio.BaseTransport) -> None:
    """Throw away what the kernel holds for a peer that does not read; it would keep megabytes of it for minutes.

    Wakes whoever waits to send on the same socket. The transport has still to be ended.
    """
    peer = transport.get_extra_info("socket")
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(peer.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        same.shutdown(socket.SHUT_RDWR)


def _facts(transport: asyncio.BaseTransport) -> bytes:
    peer = transport.get_extra_info("socket")
    try:
        return bytes(peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)) if peer is not None else b""
    except OSError:  # gone
        return b""
