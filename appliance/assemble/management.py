"""Console, management API and health: made a moment after the start, or with the first request for them.

Making them reads every handler and takes as long as all the rest of the start, and no push or pull waits for them. So
the registry serves first.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from appliance.http.explain import Explainer
from appliance.http.front import AsgiApp
from appliance.http.meter import Meter
from appliance.http.noting import Noting
from appliance.http.running import Running
from appliance.logs import Log
from appliance.services.stock import Stock

_QUIET_S = 1.0  # seconds after the start that belong to whoever waited for the registry


class Management:
    """The ASGI application that is not there yet: the first who asks waits for it, and all others with them."""

    def __init__(self, make: Callable[[], AsgiApp]) -> None:
        """Make the application by `make`, once, in a thread."""
        self._make = make
        self._app: AsgiApp | None = None
        self._making: asyncio.Future[AsgiApp] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's own loosely typed parts
        """Serve one request."""
        app = self._app or await self._wait()
        await app(scope, receive, send)

    def warm_up(self) -> None:
        """Make it soon, unless somebody asks before."""
        asyncio.get_running_loop().call_later(_QUIET_S, self._begin)

    async def _wait(self) -> AsgiApp:
        making = self._begin()
        try:
            self._app = await asyncio.shield(making)  # who leaves does not stop it for the others
        finally:
            if making.done() and self._app is None:  # no memory, no descriptor left: the next one tries again
                self._making = None
        return self._app

    def _begin(self) -> "asyncio.Future[AsgiApp]":
        if self._making is None:
            self._making = asyncio.get_running_loop().run_in_executor(None, self._make)
        return self._making


def make_management(
    stock: Stock, running: Running, noting: Noting, meter: Meter, explainer: Explainer, log: Log
) -> AsgiApp:
    """Return console and API over `stock`."""
    from appliance.http.api.app import make_app  # noqa: PLC0415 - the framework and all handlers: half of the start
    from appliance.http.ui.pages import make_console  # noqa: PLC0415 - the same

    return make_console(make_app(stock, running, noting, meter, explainer), noting, log)
