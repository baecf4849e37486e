"""One request as the application reads it, and the end of its answer when something went wrong."""

import asyncio
import secrets
from collections.abc import Callable, MutableMapping
from typing import Any

from appliance.http.cycle import Cycle
from appliance.http.v2.problems import body_of
from appliance.logs import Log

HIGH_WATER = 256 << 10  # bytes of a body held for the application before the client has to wait

Message = MutableMapping[str, Any]


class Exchange(Cycle):
    """A request whose body waits in pieces as they came, so that no byte is copied on its way to the application."""

    def __init__(self, log: Log, cut: Callable[[], None], *, is_long: bool, **facts: Any) -> None:  # noqa: ANN401 - the base's own
        """Begin. `is_long`: a body too long to be read when nobody wants it. `cut` ends the connection in an answer."""
        super().__init__(**facts)
        self.buffered = 0
        self._log = log
        self._cut = cut
        self._is_long = is_long
        self._pieces: list[bytes] = []
        self._is_told = False  # the application has the end of the body
        self._waiter: asyncio.Future[None] | None = None

    def take(self, piece: bytes) -> None:
        """Keep a piece of the body for the application."""
        self._pieces.append(piece)
        self.buffered += len(piece)
        self._wake()

    def end_body(self) -> None:
        """The body is whole."""
        self.more_body = False
        self._wake()

    def leave(self) -> None:
        """The client is gone: whoever reads or writes for it shall hear."""
        if not self.response_complete:
            self.disconnected = True
        self._wake()

    async def receive(self) -> Any:  # noqa: ANN401 - ASGI's own loosely typed messages
        """Return the next piece of the body, or that the client left or has its answer. Spec: ASGI, "HTTP"."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        while not (self.disconnected or self.response_complete):
            if self._pieces or not (self.more_body or self._is_told):
                return self._next()
            if self.more_body:
                self.flow.resume_reading()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return {"type": "http.disconnect"}

    def _next(self) -> Message:
        pieces, self._pieces = self._pieces, []
        self.buffered = 0
        self._is_told = not self.more_body
        if self.more_body:
            self.flow.resume_reading()
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _start(self, message: Any) -> None:  # noqa: ANN401
        # a client that still waits for "100 Continue" may send the body or not, so what follows cannot be told apart;
        # a long body that nobody reads is cheaper cut than read
        if self.more_body and (self.waiting_for_100_continue or self._is_long):
            self.keep_alive = False
        super()._start(message)

    async def run_asgi(self, app: Callable[..., Any]) -> None:
        """Run the application for this request; its errors end here, logged once under an id."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            self.transport.abort()
            raise
        except Exception as error:  # noqa: BLE001 - the last border below the doors
            await self._fail(error)
        else:
            if not (self.response_complete or self.disconnected):
                await self._fail(None)
        finally:
            self.on_response = _nothing  # the connection outlives it

    async def _fail(self, error: Exception | None) -> None:
        """Answer 500, or break off an answer that has begun: a short body, never a wrong one."""
        request = secrets.token_hex(8)
        if error is not None:
            self._log.error("request.failed", id=request, path=self.scope["path"], error=repr(error), at=_place(error))
        if self.response_complete or self.disconnected:
            return
        if self.response_started:
            self._cut()
            return
        body = body_of("UNKNOWN", f"scr failed on this request; its log has the reason under id {request}")
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def _place(error: Exception) -> str:
    """Return `file:line` of where `error` was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def _nothing() -> None:
    """Do nothing."""
