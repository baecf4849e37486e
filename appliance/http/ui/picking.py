"""What a page offers to pick from: the registries that the viewer may see."""

from appliance.http.api.page import Page
from appliance.http.api.registries import RegistryView
from appliance.http.ui.backend import Refused
from appliance.http.ui.view import View

_MOST = 1000


async def list_registries(view: View) -> list[str]:
    """Return their names in order; none for a viewer who may see none."""
    try:
        page = await view.api.get("/api/v1/registries", Page[RegistryView], limit=_MOST)
    except Refused as error:
        if error.status != 403:
            raise
        return []
    return [str(one.name) for one in page.items]
