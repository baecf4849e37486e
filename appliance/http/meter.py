"""How many requests of each route there were, how long they took, how they ended, and the bytes of their bodies."""

from collections.abc import Awaitable, Callable, Iterable
from time import perf_counter
from typing import Any

from appliance.http.v2.call import Message, Receive, Send
from appliance.metrics import RECEIVED, REQUEST_SECONDS, REQUESTS, SENT, Family, Histogram, Sample

_PARTS = frozenset({"api", "health", "metrics", "token", "why"})
_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"})
_NONE = "none"  # status of a request whose client left before it was answered


Source = Callable[[], Awaitable[Iterable[Family]]]


class _Series:
    __slots__ = ("histogram", "received", "sent", "statuses")

    def __init__(self) -> None:
        self.histogram = Histogram()
        self.received = self.sent = 0
        self.statuses = [0] * 6  # by class; 0: no answer


class Meter:
    """One for the process; `observe` is called once a request."""

    def __init__(self) -> None:
        """Begin with none."""
        self.sources: list[Source] = []  # of what others measure, asked whenever somebody looks
        self._series: dict[tuple[str, str], _Series] = {}

    def observe(self, route: tuple[str, str], status: int, seconds: float, received: int, sent: int) -> None:
        """Count one request. Hot. `route` is what kind of address was asked, of a closed set, and the method.

        `status` 0: the client left before there was one.
        """
        series = self._series.get(route)
        if series is None:
            kind, method = route
            series = self._series.setdefault((kind, method if method in _METHODS else "other"), _Series())
        series.histogram.observe(seconds)
        series.statuses[status // 100] += 1
        series.received += received
        series.sent += sent

    def families(self) -> Iterable[Family]:
        """Yield what was counted since the start."""
        known = sorted(((kind or "base", method), one) for (kind, method), one in self._series.items())
        yield Family(REQUESTS, [sample for (route, method), one in known for sample in _statuses(route, method, one)])
        yield Family(REQUEST_SECONDS, histograms={labels: one.histogram for labels, one in known})
        for metric, field in ((RECEIVED, "received"), (SENT, "sent")):
            totals: dict[str, int] = {}
            for (route, _), one in known:
                totals[route] = totals.get(route, 0) + getattr(one, field)
            yield Family(metric, [Sample(size, (route,)) for route, size in totals.items()])


def _statuses(route: str, method: str, series: _Series) -> Iterable[Sample]:
    for kind, count in enumerate(series.statuses):
        if count:
            yield Sample(count, (route, method, f"{kind}xx" if kind else _NONE))


class Measured:
    """An ASGI application whose requests are counted; the first part of their path is the route."""

    def __init__(self, app: Callable[[Any, Any, Any], Awaitable[None]], meter: Meter) -> None:
        """Serve with `app`."""
        self._app = app
        self._meter = meter

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        began, status, sent = perf_counter(), 0, 0

        async def send_on(message: Message) -> None:
            nonlocal status, sent
            status = message.get("status", status)
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        finally:
            first = scope["path"][1:].partition("/")[0]
            route = first if first in _PARTS else "console"
            size = scope["scr.headers"].get(b"content-length", b"0")
            self._meter.observe((route, scope["method"]), status, perf_counter() - began, int(size), sent)
