"""The Litestar application: `/api/v1`, `/health`."""

from litestar import Litestar, get
from litestar.openapi.config import OpenAPIConfig

from appliance.http.api.running import Running
from appliance.http.health import Health
from appliance.services.stock import Stock


@get("/health/live", sync_to_thread=False)
def live() -> Health:
    """Say that the process is there."""
    return Health("live", ())


@get("/health/ready", sync_to_thread=False)
def ready() -> Health:
    """Say whether it can serve."""
    return Health("ready", ())


def make_app(stock: Stock, running: Running) -> Litestar:
    """Return the application over `stock`."""
    del stock, running
    return Litestar([live, ready], openapi_config=OpenAPIConfig("scr", "1", path="/api/schema"))
