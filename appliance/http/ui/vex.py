"""OpenVEX documents of others: imported, listed, withdrawn."""

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath

from appliance.domain.foreign import brief
from appliance.http.api.app import MAX_BODY
from appliance.http.api.page import Page
from appliance.http.api.vex import DocumentOrder, DocumentShown, DocumentTaken
from appliance.http.ui.backend import Refused, within
from appliance.http.ui.forms import Form
from appliance.http.ui.lists import Asked
from appliance.http.ui.render import query
from appliance.http.ui.view import InView, View

_SORTS = ("document", "author", "issued", "where", "imported", "by")
_PLACES = ("image", "repository", "registry", "everywhere")
_PLURALS = {"image": "images", "repository": "repositories", "registry": "registries"}
_REASON = 200  # characters of why one is not taken
_TOLD = 3  # statements that are not taken, told on the page; the command tells all


class _Found(msgspec.Struct):
    id: str


class VexPages(Controller):
    """The page of documents."""

    path = "/accepted-findings/documents"

    @get()
    async def show(self, view: InView) -> Response[str]:
        """Show which documents count, and the form that imports one."""
        return await _page(view)

    @post(request_max_body_size=4 * MAX_BODY)
    async def take(self, view: InView) -> Response[str]:
        """Import a document."""
        form = await view.form()
        try:
            order = await _order(view, form)
            done = await view.api.make("POST", within("accepted-findings", "documents"), order, DocumentTaken)
        except Refused as error:
            form.refuse(error, ("document",))
            return await _page(view, form, error.status)
        registry = "*" if done.document.where == "everywhere" else ""
        return view.go(query("/accepted-findings/documents", registry=registry), _said(view, done))

    @post("/{document:str}/withdraw")
    async def withdraw(self, view: InView, document: FromPath[str]) -> Response[str]:
        """Let what it said count for nothing."""
        form = await view.form()
        await view.api.send("DELETE", within("accepted-findings", "documents", document))
        told = view.text("What the document said counts for nothing now.")
        return view.go(query("/accepted-findings/documents", registry=form.text("registry")), told)


async def _page(view: View, form: Form | None = None, status: int = 200) -> Response[str]:
    asked = Asked.of(view, sorts=_SORTS, default="-imported", filters=("registry",))
    told = asked.parameters()
    page = await view.api.get(within("accepted-findings", "documents"), Page[DocumentShown], **told)
    return view.page("pages/vex_documents.html", status=status, page=page, asked=asked, form=form)


async def _order(view: View, form: Form) -> DocumentOrder:
    """Return what the form asks for. Raises Refused with the mistakes in the form."""
    where = form.choice("where", _PLACES, "image")
    document = form.text("document")
    if not document:
        form.errors["document"] = view.text("Paste the document.")
    path = str(view.asking.site.name) if where == "registry" else form.text("place")
    found = ""
    if where != "everywhere" and not form.errors:
        page = await view.api.get(within(_PLURALS[where]), Page[_Found], path=path) if path else None
        if page is None or not page.items:
            form.errors["place"] = view.text("There is nothing of that path here.")
        else:
            found = page.items[0].id
    form.check()
    return DocumentOrder(document, **({where: found} if found else {}))


def _said(view: View, done: DocumentTaken) -> str:
    """Return what an import did."""
    if not done.is_new:
        return view.text("This version was imported before; nothing has changed.")
    said = [view.text("{} statements are accepted, {} count.").format(done.accepted, done.counting)]
    said += [f"{one.statement}: {brief(one.reason, _REASON)}" for one in done.untaken[:_TOLD]]
    if len(done.untaken) > _TOLD:
        said.append(view.text("{} more are not taken.").format(len(done.untaken) - _TOLD))
    return " ".join(said)
