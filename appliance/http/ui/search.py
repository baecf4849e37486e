"""The search box: everything that is called so, of what the viewer may see."""

import msgspec
from litestar import Response, get

from appliance.domain.accounts import is_access_key
from appliance.http.api.page import Page
from appliance.http.api.search import Found, Kind
from appliance.http.ui.backend import Refused, within
from appliance.http.ui.view import InView, View

_MOST = 20


class Named(msgspec.Struct, rename="camel"):
    """What a list of accounts shows here."""

    name: str
    id: str = ""
    access_key: str = ""
    owner: str = ""


ACCOUNTS = ("users", "groups", "roles", "policies", "access-keys")


@get("/search")
async def find(view: InView) -> Response[str]:
    """Show what was found, by its kind."""
    text = view.request.query_params.get("q", "").strip()[:300]
    if not text:
        return view.page("pages/search.html", text="", found={}, accounts={})
    page = await view.api.get("/api/v1/search", Page[Found], q=text)
    found = {kind.value: [one for one in page.items if one.kind is kind] for kind in Kind}
    accounts = {kind: await _accounts(view, kind, text) for kind in ACCOUNTS}
    return view.page("pages/search.html", text=text, found=found, accounts=accounts)


async def _accounts(view: View, kind: str, text: str) -> list[Named]:
    """Return who or what of that kind is called so; nobody for a viewer who may see none."""
    try:
        if kind == "access-keys" and is_access_key(text):
            return [await view.api.get(within(kind, text), Named)]
        page = await view.api.get(within(kind), Page[Named], name=text[:255], limit=_MOST)
    except Refused as error:
        if error.status not in {403, 404}:
            raise
        return []
    return page.items
