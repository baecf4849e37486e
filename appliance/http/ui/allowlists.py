"""Allowlists: which there are and how they are; an editor that checks each line before anything is saved."""

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from appliance.domain.endpoint import MANAGEMENT_LIST, read_list_name
from appliance.errors import PageUnknown
from appliance.http.api.allowlists import AllowlistOrder, AllowlistRow, AllowlistView
from appliance.http.api.page import Page
from appliance.http.api.registries import RegistryView
from appliance.http.ui.backend import Refused, within
from appliance.http.ui.forms import Form
from appliance.http.ui.view import InView, View

_SHUTS_OUT = "shuts-out"


class AllowlistPages(Controller):
    """The pages of allowlists."""

    path = "/allowlists"

    @get()
    async def list(self, view: InView) -> Response[str]:
        """Show the lists that decide about somebody or have a file."""
        page = await view.api.get("/api/v1/allowlists", Page[AllowlistRow])
        registries = await view.api.get("/api/v1/registries", Page[RegistryView], limit=1000)
        return view.page("pages/allowlists.html", page=page, registries=registries.items)

    @get("/{name:str}")
    async def show(self, view: InView, name: FromPath[str]) -> Response[str]:
        """Show one list, as its file has it, in the editor."""
        found, etag = await view.api.find(await _path_of(view, name), AllowlistView)
        return _editor(view, found, etag, found.text)

    @post("/{name:str}")
    async def save(self, view: InView, name: FromPath[str]) -> Response[str]:
        """Check the text, or save it; what would shut the viewer out is saved only when that is said to be meant."""
        form = await view.form()
        path = await _path_of(view, name)
        text = form.secret("text").replace("\r\n", "\n")
        if form.text("act") == "check":
            found = await view.api.make("POST", f"{path}/check", AllowlistOrder(text), AllowlistView)
            return _editor(view, found, form.text("etag"), text, is_checked=True)
        meant = "?shutOut=true" if form.switch("shut_out") else ""
        try:
            await view.api.send("PUT", path + meant, AllowlistOrder(text), if_match=form.text("etag"))
        except Refused as error:
            if error.status in {403, 404}:
                raise
            form.refuse(error)
            found = await view.api.make("POST", f"{path}/check", AllowlistOrder(text), AllowlistView)
            return _editor(view, found, form.text("etag"), text, form=form, refused=error)
        return view.go(f"/allowlists/{name}", view.text("The allowlist is in force."))


async def _path_of(view: View, name: str) -> str:
    """Return the list's path in the API; `local.private` or `management`. Raises PageUnknown."""
    wanted = read_list_name(name)
    if wanted == MANAGEMENT_LIST:
        return within("allowlists", name)
    if wanted is not None:
        page = await view.api.get("/api/v1/registries", Page[RegistryView], path=wanted.registry)
        if page.items:
            return within("registries", page.items[0].id, "allowlists", wanted.endpoint)
    raise PageUnknown(f"there is no allowlist {name[:80]!r}; see the list of them")


def _editor(
    view: View,
    found: AllowlistView,
    etag: str,
    text: str,
    *,
    form: Form | None = None,
    refused: Refused | None = None,
    is_checked: bool = False,
) -> Response[str]:
    notes = [(one.line, one.text, True) for one in found.mistakes] + [
        (one.line, one.text, False) for one in found.remarks
    ]
    return view.page(
        "pages/allowlist.html",
        status=refused.status if refused else 200,
        found=found,
        etag=etag,
        text=text,
        form=form,
        notes=sorted(notes),
        lines=text.split("\n"),
        is_checked=is_checked,
        asks_shut_out=refused is not None and refused.name == _SHUTS_OUT,
    )
