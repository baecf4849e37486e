"""Deletions: what was deleted and can still come back, of whole images and repositories too; put back by a button."""

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from appliance.domain.access import Action
from appliance.http.api.deletions import DeletionView, UndoneView
from appliance.http.api.page import Page
from appliance.http.ui.backend import Refused, within
from appliance.http.ui.forms import Form
from appliance.http.ui.lists import Asked
from appliance.http.ui.picking import list_registries
from appliance.http.ui.render import query
from appliance.http.ui.view import InView, View

_SORTS = ("path", "kind", "deleted", "by")
_TOLD = 3  # of what stayed away; the rest is a number


class DeletionPages(Controller):
    """The pages of deletions."""

    path = "/deletions"

    @get()
    async def list(self, view: InView) -> Response[str]:
        """Show what was deleted in a registry, a repository or an image, the newest first."""
        return await _show(view)

    @post("/{deletion_id:str}/undo")
    async def undo(self, view: InView, deletion_id: FromPath[str]) -> Response[str]:
        """Put back all that one act deleted; what stands in the way is said above the list."""
        form = await view.form()
        there = query("/deletions", registry=form.text("registry"), path=form.text("path"))
        try:
            done = await view.api.make("POST", within("deletions", deletion_id, "undo"), None, UndoneView)
        except Refused as error:
            if error.status != 409:
                raise
            form.refuse(error)
            return await _show(view, form)
        return view.go(there, _tell(view, done))


async def _show(view: View, form: Form | None = None) -> Response[str]:
    asked = Asked.of(view, sorts=_SORTS, default="-deleted", filters=("registry", "path"))
    page = await view.api.get("/api/v1/deletions", Page[DeletionView], **asked.parameters())
    registry = asked.more.get("registry") or str(view.asking.site.name)
    rights = {one.id: view.may_in(registry, one.path, _right(one)) for one in page.items}
    names = await list_registries(view)
    told = {"registry": registry, "registries": names, "rights": rights, "form": form}
    return view.page("pages/deletions.html", status=409 if form else 200, page=page, asked=asked, **told)


def _right(one: DeletionView) -> str:
    """Return the right that putting it back takes."""
    return (Action.MANAGE_REPOSITORY if one.kind == "repository" else Action.DELETE).value


def _tell(view: View, done: UndoneView) -> str:
    """Return what came back, and what did not and why."""
    told = view.text("It is back.")
    if done.manifests or done.tags:
        told = view.text("{} digests and {} tags are back.").format(done.manifests, done.tags)
    if done.left:
        reasons = "; ".join(f"{one.name}: {view.say(one.reason)}" for one in done.left[:_TOLD])
        told += " " + view.text("{} stayed away: {}").format(len(done.left), reasons)
    return told
