"""What only the assembler knows of the running process, handed to the management API."""

from collections.abc import Awaitable, Callable

import msgspec
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from appliance.domain.moment import Timestamp
from appliance.domain.registry import EndpointUrls, Registry, StoreState
from appliance.http.health import Health


async def _is_well() -> StoreState:
    return StoreState.WELL


class Running(msgspec.Struct, frozen=True):
    """The process: since when, where it listens, how it is called from outside, and how it is.

    What can change while it runs is asked anew each time.
    """

    started: Timestamp
    listeners: Callable[[], tuple[str, ...]]  # URLs, e.g. "http://127.0.0.1:5000"
    public_url: Callable[[], str]  # "" where none is configured
    ready: Callable[[], Awaitable[Health]]  # the checks of /health/ready
    urls_of: Callable[[Registry], EndpointUrls] = lambda _: EndpointUrls()
    store_state: Callable[[], Awaitable[StoreState]] = _is_well
    under_way: set[str] = msgspec.field(default_factory=set)  # upkeep that somebody asked for and that still runs


InRunning = NamedDependency[SkipValidation[Running]]
