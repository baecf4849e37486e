"""`/api/v1/settings`: the configuration in force, where each value comes from, and what waits for a restart."""

from litestar import get

from appliance.domain.access import Action
from appliance.http.api.asking import InAsking, InRunning
from appliance.http.api.viewing import everywhere
from appliance.http.running import Configuration


@get("/api/v1/settings", sync_to_thread=False, tags=["settings"])
def show_settings(running: InRunning, asking: InAsking) -> Configuration:
    """Show every key of scr.toml with the value in force; it is changed in the file, on the host."""
    everywhere(asking).check(Action.VIEW_REGISTRY)
    return running.configuration()
