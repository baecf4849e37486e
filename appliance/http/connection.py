"""One connection: the ASGI server's protocol class, made strict about framing and patient only within limits.

What llhttp lets through and another parser may read otherwise is refused here. An answer always reaches a client that
still sends: the connection is half closed and read for a moment before it ends (`finish`), for a socket closed with
unread bytes makes the kernel reset it and throw the answer away.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from appliance.http.exchange import HIGH_WATER, Exchange
from appliance.http.framing import Refused, check_head, length_of, target_of
from appliance.http.greeting import PLAIN_CURE, USE_HTTP
from appliance.http.proxy import SIGNATURE
from appliance.http.socket_facts import acknowledged, in_flight, reset
from appliance.http.watch import Wait, Watch

Address = tuple[str, int]

MAX_PIPELINED = 32  # requests waiting for the answer to an earlier one; no client of a registry sends two
TLS_PIECE = 32 << 10  # bytes; two records. A MiB at once takes 8 % more processor time, docs/decisions/0003
TLS_HELLO = b"\x16\x03"  # how a TLS client begins (RFC 8446, 5.1)
_FRAMING = (b"content-length", b"transfer-encoding")


class Connection(HttpToolsProtocol):
    """One connection of a client. Puts the door it came through, and its transport, where the front finds them."""

    cycle: Exchange  # the newest request

    def __init__(
        self,
        config: Config,
        state: ServerState,
        door: object,
        watch: Watch,
        *,
        client: Address | None = None,
        server: Address | None = None,
    ) -> None:
        """Serve the application of `config`. `client` and `server`: addresses that a PROXY header told."""
        super().__init__(config, state, {"door": door, "transport": None})
        self.parser.set_dangerous_leniencies(lenient_data_after_close=False)
        self._watch = watch
        self._told = client, server
        self._tcp = False
        self._active: Exchange | None = None  # the request that is being answered
        self._queue: deque[Exchange] = deque()
        self._is_head = True  # the parser expects a request or is in its head
        self._is_ending = False
        self._is_replay = False  # the parser reads the framing of a request a second time
        self._refusal: Refused | None = None
        self._segment = 0  # bytes of the last read
        self._silent = 0  # bytes since the last piece of a body or end of a request
        self._taken = 0  # bytes read in all
        self._unwanted = 0  # bytes of a body that came after the answer
        self._answered = 0

    # what the transport tells

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        """Begin."""
        super().connection_made(transport)
        self.app_state["transport"] = transport
        self.client, self.server = self._told[0] or self.client, self._told[1] or self.server
        self._tcp = self.client is not None
        self._watch.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request under way, and forget the connection."""
        del exc
        self._watch.leave(self)
        self.connections.discard(self)
        self._queue.clear()
        self._is_ending = True
        if self._active is not None:
            self._active.leave()
        self.flow.resume_writing()
        self.parser = None  # type: ignore[assignment]  # as in the base class: no data comes any more

    def eof_received(self) -> bool:  # type: ignore[override]  # the base class closes always
        """Close, unless an answer is under way that the client may still read."""
        if self._is_ending or self._active is None or self.cycle.more_body or self.scheme == "https":
            return False
        self.cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        """Parse what came. Hot: once a read, whatever it holds."""
        self._taken += len(data)
        if self._is_ending:
            return
        if self._silent > self._watch.limits.head_bytes:
            self._refuse(Refused(431, "the headers are longer than this registry reads"))
            return
        self._segment = len(data)
        self._silent += self._segment
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            self._ignore_upgrade(data[stop.args[0] :])
        except httptools.HttpParserError as error:
            self._misread(data, error)

    # what the parser tells

    def on_message_begin(self) -> None:
        """Begin a request."""
        if not self._is_replay:
            super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header. A trailer is dropped: it comes behind the checks, so it must not count as a header."""
        if self._is_head:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Judge the head, then begin the request or let it wait for the one before."""
        if self._is_replay:
            self._is_replay = False
            return
        self._is_head = False
        limits = self._watch.limits
        scope, headers, parser = self.scope, self.headers, self.parser
        if len(self.url) > limits.target_bytes:
            raise Refused(414, f"the address is longer than {limits.target_bytes} bytes")
        if self._silent > limits.head_bytes and length_of(headers) > limits.head_bytes:
            raise Refused(431, f"the headers are longer than {limits.head_bytes} bytes")
        if len(self._queue) >= MAX_PIPELINED:
            raise Refused(400, f"more than {MAX_PIPELINED} requests wait for an answer; send one after the other")
        fields = dict(headers)
        version = parser.get_http_version()
        check_head(version, headers, fields)
        scope["method"] = parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["raw_path"], _, scope["query_string"] = target_of(self.url, fields).partition(b"?")
        path = scope["raw_path"].decode("ascii")
        scope["path"] = unquote(path) if "%" in path else path
        scope["scr.headers"] = fields  # type: ignore[typeddict-unknown-key]
        exchange = Exchange(
            self._watch.log,
            self.cut,
            is_long=int(fields.get(b"content-length", b"0")) > limits.drain_bytes,
            scope=scope,
            transport=self,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=[],
            message_event=_NO_EVENT,
            expect_100_continue=b"expect" in fields and version == "1.1",
            keep_alive=version == "1.1" and parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        self.cycle = exchange
        if self._active is None:
            self._begin(exchange)
            return
        self.flow.pause_reading()
        self._queue.append(exchange)

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of the body, or drop it when the answer is out."""
        self._silent = 0
        exchange = self.cycle
        if not exchange.response_complete:
            exchange.take(body)
            if exchange.buffered > HIGH_WATER:
                self.flow.pause_reading()
            return
        self._unwanted += len(body)
        if self._unwanted > self._watch.limits.drain_bytes:
            self.finish()

    def on_message_complete(self) -> None:
        """End the body."""
        self._silent = 0
        self._is_head = True
        self.cycle.end_body()

    # what the exchange tells; it writes to the connection as to a transport

    def write(self, data: bytes | memoryview) -> None:
        """Send `data`; under TLS in pieces."""
        if len(data) <= TLS_PIECE or self.scheme == "http":
            self.transport.write(data)
            return
        view = memoryview(data)
        for at in range(0, len(view), TLS_PIECE):
            self.transport.write(view[at : at + TLS_PIECE])

    def writelines(self, pieces: list[bytes | memoryview]) -> None:
        """Send `pieces`."""
        self.transport.writelines(pieces)

    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self._is_ending or self.transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as in asyncio
        """Return a fact of the transport."""
        return self.transport.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """Return the bytes that wait to be sent."""
        return self.transport.get_write_buffer_size()

    def close(self) -> None:
        """End the connection after an answer."""
        self.finish()

    def cut(self) -> None:
        """End the connection within an answer: what was written is sent, and the client sees that it is too short."""
        self._is_ending = True
        self.transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        self._is_ending = True
        self.transport.abort()

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        self._answered += 1
        self._unwanted = 0
        self._active = None
        if self._is_ending or self.transport.is_closing():
            return
        if self._queue:
            self._begin(self._queue.popleft())
        else:
            self.flow.resume_reading()

    def finish(self) -> None:
        """End the connection so that the client gets what was written, though it may still be sending."""
        if self._is_ending or self.transport.is_closing():
            return
        self._is_ending = True
        newest = self._newest()
        is_read = self._refusal is None and not self._queue and (newest is None or not newest.more_body)
        self._queue.clear()
        if is_read:
            self.transport.close()
            return
        self.flow.resume_reading()  # what comes is dropped; the watch ends it after `linger_s`
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def shutdown(self) -> None:
        """End it as soon as nothing is under way."""
        if self._active is None:
            self.finish()
        else:
            self.cycle.keep_alive = False

    # what the watch asks

    def waits_for(self) -> Wait:
        """Return what the connection waits for."""
        if self.flow.write_paused or self.transport.get_write_buffer_size():
            return Wait.ROOM
        if self._is_ending or self.transport.is_closing():
            return Wait.END
        active, newest = self._active, self._newest()
        if active is None:
            if newest is not None and newest.more_body:
                return Wait.BODY
            return Wait.HEAD if self._silent or not self._answered else Wait.IDLE
        if newest is active and active.more_body:
            is_ours = self.flow.read_paused or active.waiting_for_100_continue
            return Wait.SERVER if is_ours else Wait.BODY
        return Wait.ROOM if self._tcp and in_flight(self.transport) else Wait.SERVER

    def moved(self, wait: Wait) -> int:
        """Return the bytes that moved in the direction of `wait`, or how many requests were answered."""
        if wait is Wait.BODY:
            return self._taken
        if wait is Wait.ROOM:
            return acknowledged(self.transport) if self._tcp else -self.transport.get_write_buffer_size()
        return self._answered

    def expire(self, wait: Wait) -> None:
        """End the connection of a client that was too slow."""
        if wait is Wait.BODY or (wait is Wait.HEAD and self._silent):
            self._refuse(Refused(408, "the request came too slowly"))
        elif wait is Wait.ROOM:
            self._watch.complain("client.too_slow", self._peer, cure="it took no bytes of an answer; it may ask again")
            reset(self.transport)
            self.abort()
        elif self.transport.is_closing() or self._is_ending:
            self.abort()
        else:
            self.finish()

    # our own steps

    def _newest(self) -> Exchange | None:
        """Return the newest request; None before the first one (the base class begins so)."""
        return self.cycle

    def _begin(self, exchange: Exchange) -> None:
        self._active = exchange
        task = self.loop.create_task(exchange.run_asgi(self.app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Read on as if nobody had asked for h2c or a websocket (RFC 9110, 7.8); the parser has stopped for it."""
        framing = [b"%b: %b\r\n" % field for field in self.headers if field[0] in _FRAMING]
        self.cycle.more_body = True
        self._is_head = False
        self._is_replay = True
        self.parser = httptools.HttpRequestParser(self)
        try:
            self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n%b" % (b"".join(framing), rest))
        except httptools.HttpParserError as error:
            self._misread(rest, error)

    def _misread(self, data: bytes, error: Exception) -> None:
        """Answer what the parser, or a check of ours within it, could not take."""
        refusal = error.__context__
        if isinstance(refusal, Refused):
            self._refuse(refusal)
        elif self._taken == len(data) and data.startswith(SIGNATURE):
            cure = "add the address to trusted_proxies if it is your proxy"
            self._watch.complain("proxy.untrusted", self._peer, cure=cure)
            self.abort()
        elif self._taken == len(data) and data.startswith(TLS_HELLO):
            self._watch.complain("tls.on_plain_port", self._peer, cure=PLAIN_CURE)
            # in HTTP, as other servers answer: clients tell from it that plain HTTP is spoken here, and try that
            self._refuse(Refused(400, USE_HTTP))
        else:
            self._refuse(Refused(400, f"this is not well-formed HTTP/1.1: {error}"))

    @property
    def _peer(self) -> str:
        return self.client[0] if self.client else ""

    def _refuse(self, refusal: Refused) -> None:
        """Refuse what is coming in. Requests that were understood before it are answered first."""
        self._refusal = refusal
        newest = self._newest()
        if newest is not None and newest.more_body:
            if newest in self._queue:
                self._queue.remove(newest)
            elif newest.response_complete:
                self.finish()
                return
            elif newest.response_started:
                self.cut()
                return
            else:
                newest.leave()
                self._active = None
        if self._active is not None:
            (self._queue[-1] if self._queue else self._active).keep_alive = False
            self.flow.pause_reading()
            return
        self.transport.write(refusal.answer(getattr(self, "url", b"")))
        self.finish()


class _NeverSet:
    """Stands where the base class keeps an event; our exchange waits for a future instead."""

    set: Callable[[], None] = staticmethod(lambda: None)


_NO_EVENT: Any = _NeverSet()
