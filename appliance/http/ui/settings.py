"""Settings: the configuration in force, where each value comes from, and what waits for a restart."""

from collections.abc import Iterable

from litestar import Response, get

from appliance.http.running import Configuration, SettingShown
from appliance.http.ui.view import InView

SOURCES = ("default", "file", "environment", "option")


@get("/settings")
async def show_settings(view: InView) -> Response[str]:
    """Show every key, by its section; the page's address says which of them."""
    found = await view.api.get("/api/v1/settings", Configuration)
    told = view.request.query_params
    name, source = told.get("name", "")[:255], told.get("source", "")
    source = source if source in SOURCES else ""
    items = [one for one in found.items if name.lower() in one.key and source in {"", one.source}]
    waiting = [one for one in found.items if one.waiting is not None]
    values = {"name": name, "source": source, "fault": found.fault}
    return view.page("pages/settings.html", status=200, sections=_by_section(items), waiting=waiting, **values)


def _by_section(items: Iterable[SettingShown]) -> dict[str, list[SettingShown]]:
    """Return `items` by their section, as the file has it: `storage.s3`, `user[0]`."""
    found: dict[str, list[SettingShown]] = {}
    for one in items:
        found.setdefault(one.key.rpartition(".")[0], []).append(one)
    return found
