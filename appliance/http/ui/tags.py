"""The tags of an image: a row a digest; deletion with a preview, locks, and the history of a tag."""

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from appliance.http.api.deletions import UndoneView
from appliance.http.api.manifests import (
    MAX_DIGESTS,
    CommandOfEndpoint,
    DeletionOrder,
    DeletionReport,
    ManifestInFull,
    ManifestOfImage,
    TagsEdit,
)
from appliance.http.api.page import Page
from appliance.http.api.scanning import ScanOrder, ScansOrdered
from appliance.http.api.tags import Named, TagOfImage, TagTarget
from appliance.http.ui.backend import Refused, within
from appliance.http.ui.forms import Form
from appliance.http.ui.images import find_image
from appliance.http.ui.lists import Asked
from appliance.http.ui.render import query, segment
from appliance.http.ui.scans import told_of
from appliance.http.ui.view import InView, View
from appliance.http.ui.words import size_text

_SHOWN = {"tagged": True, "untagged": False, "all": None}
_NEW_NAMES = 3  # empty fields of the form for tags


class TagPages(Controller):
    """The pages of tags."""

    path = "/images/{image_id:str}"

    @get("/tags")
    async def list(self, view: InView, image_id: FromPath[str]) -> Response[str]:
        """Show a row for each digest: those with tags, unless others are asked for."""
        image, _ = await find_image(view, image_id)
        asked = Asked.of(view, sorts=("pushed", "tag"), default="-pushed", filters=("show",))
        shown = _SHOWN.get(asked.more.get("show", ""), True)
        wanted = {"name": asked.name, "sort": asked.sort, "limit": asked.size, "cursor": asked.cursor, "tagged": shown}
        page = await view.api.get(within("images", image_id, "manifests"), Page[ManifestOfImage], **wanted)
        undo = view.request.query_params.get("undo", "")[:40]
        return view.page("pages/image_tags.html", image=image, page=page, asked=asked, undo=undo, most=MAX_DIGESTS)

    @get("/delete-tags")
    async def ask_delete(self, view: InView, image_id: FromPath[str]) -> Response[str]:
        """Show what deleting one digest takes and frees."""
        return await _preview(view, image_id, [view.request.query_params.get("digest", "")[:200]])

    @post("/delete-tags/preview")
    async def preview(self, view: InView, image_id: FromPath[str]) -> Response[str]:
        """Show the same of the digests that are selected."""
        form = await view.form()
        return await _preview(view, image_id, form.texts("digest"))

    @post("/delete-tags")
    async def delete(self, view: InView, image_id: FromPath[str]) -> Response[str]:
        """Delete them, or those of them that can go."""
        form = await view.form()
        digests = form.texts("digest")
        order = DeletionOrder(tuple(digests), skip_refused=form.switch("skip_refused"))
        try:
            path = within("images", image_id, "manifests", "deletions")
            report = await view.api.make("POST", path, order, DeletionReport)
        except Refused as error:
            form.refuse(error)
            return await _preview(view, image_id, digests, form, error.status)
        told = view.text("{} were deleted; {} will be freed.").format(len(report.deleted), size_text(report.freed))
        return view.go(query(f"/images/{image_id}/tags", undo=report.undo), told)

    @post("/undo")
    async def undo(self, view: InView, image_id: FromPath[str]) -> Response[str]:
        """Bring back what one deletion took."""
        form = await view.form()
        done = await view.api.make("POST", within("deletions", form.text("deletion"), "undo"), None, UndoneView)
        told = view.text("{} digests and {} tags are back.").format(done.manifests, done.tags)
        return view.go(f"/images/{image_id}/tags", told)

    @post("/scan-tags")
    async def scan(self, view: InView, image_id: FromPath[str]) -> Response[str]:
        """Let what is selected be scanned soon."""
        order = ScanOrder(digests=tuple(chosen(await view.form())))
        done = await view.api.make("POST", within("images", image_id, "scans"), order, ScansOrdered)
        return view.go(f"/images/{image_id}/tags", told_of(view, done))

    @get("/manifests/{digest:str}/tags")
    async def ask_tags(self, view: InView, image_id: FromPath[str], digest: FromPath[str]) -> Response[str]:
        """Show the names of a digest in a form."""
        return await _show_names(view, image_id, digest)

    @post("/manifests/{digest:str}/tags")
    async def edit_tags(self, view: InView, image_id: FromPath[str], digest: FromPath[str]) -> Response[str]:
        """Give it other names."""
        form = await view.form()
        before, after = form.texts("was"), list(dict.fromkeys(form.texts("name")))
        added = tuple(name for name in after if name not in before)
        order = TagsEdit(add=added, remove=tuple(name for name in before if name not in after))
        try:
            await view.api.send("PATCH", within("images", image_id, "manifests", digest), order)
        except Refused as error:
            form.refuse(error)
            return await _show_names(view, image_id, digest, form, error.status)
        return view.go(f"/images/{image_id}/tags", view.text("The tags were changed."))

    @get("/manifests/{digest:str}/guide")
    async def show_guide(self, view: InView, image_id: FromPath[str], digest: FromPath[str]) -> Response[str]:
        """Show how each client pulls a digest, by its digest and by its first tag."""
        image, _ = await find_image(view, image_id)
        manifest = await view.api.get(within("images", image_id, "manifests", digest), ManifestInFull)
        path = within("images", image_id, "manifests", digest, "commands")
        tag = view.request.query_params.get("tag", "")[:128] or next((one.name for one in manifest.tags), "")
        by_tag = (await view.api.get(path, Page[CommandOfEndpoint], tag=tag)).items if tag else []
        by_digest = (await view.api.get(path, Page[CommandOfEndpoint])).items
        told = {"manifest": manifest, "tag": tag, "by_tag": by_tag, "by_digest": by_digest}
        return view.page("pages/tag_guide.html", status=200, image=image, **told)

    @get("/tag/{tag:str}")
    async def show_history(self, view: InView, image_id: FromPath[str], tag: FromPath[str]) -> Response[str]:
        """Show which digests a tag named."""
        image, _ = await find_image(view, image_id)
        asked = Asked.of(view)
        path = within("images", image_id, "tags", tag, "history")
        page = await view.api.get(path, Page[Named], limit=asked.size, cursor=asked.cursor)
        return view.page("pages/tag_history.html", image=image, tag=tag, page=page, asked=asked)

    @post("/tag/{tag:str}")
    async def put_back(self, view: InView, image_id: FromPath[str], tag: FromPath[str]) -> Response[str]:
        """Let a tag name again what it named."""
        form = await view.form()
        order = TagTarget(digest=form.text("digest"))
        await view.api.make("PUT", within("images", image_id, "tags", tag), order, TagOfImage)
        told = view.text("Tag {} names {} again.").format(tag, form.text("digest")[:19])
        return view.go(f"/images/{image_id}/tag/{segment(tag)}", told)


async def _preview(
    view: View, image_id: str, digests: list[str], form: Form | None = None, status: int = 200
) -> Response[str]:
    image, _ = await find_image(view, image_id)
    if not digests:
        return view.go(f"/images/{image_id}/tags")
    order = DeletionOrder(tuple(digests), dry_run=True)
    path = within("images", image_id, "manifests", "deletions")
    report = await view.api.make("POST", path, order, DeletionReport)
    return view.page(
        "pages/image_tags_delete.html", status=status, image=image, report=report, digests=digests, form=form
    )


def chosen(form: Form) -> list[str]:
    """Return the digests that a form names: the one of a row's own button, else those that are selected."""
    return [form.text("only")] if form.text("only") else form.texts("digest")


async def _show_names(
    view: View, image_id: str, digest: str, form: Form | None = None, status: int = 200
) -> Response[str]:
    image, _ = await find_image(view, image_id)
    manifest = await view.api.get(within("images", image_id, "manifests", digest), ManifestInFull)
    had = [one.name for one in manifest.tags]
    typed = form.texts("name") if form is not None else had
    names = typed + [""] * _NEW_NAMES
    told = {"manifest": manifest, "had": had, "names": names, "form": form}
    return view.page("pages/tag_names.html", status=status, image=image, **told)
