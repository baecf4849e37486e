"""The Litestar application: `/api/v1`, `/health`."""

from litestar import Litestar, get
from litestar.openapi.config import OpenAPIConfig

from appliance.http.health import Health


@get("/health/live", sync_to_thread=False)
def live() -> Health:
    """Say that the process is there."""
    return Health("live", ())


@get("/health/ready", sync_to_thread=False)
def ready() -> Health:
    """Say whether it can serve."""
    return Health("ready", ())


def make_app() -> Litestar:
    """Return the application."""
    return Litestar([live, ready], openapi_config=OpenAPIConfig("scr", "1", path="/api/schema"))
