"""Images: list, show, edit, delete."""

from litestar import Controller, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from appliance.http.api.activity import Activity
from appliance.http.api.images import EVERY, Image, ImageChange, ImageInFull
from appliance.http.api.manifests import CommandOfEndpoint
from appliance.http.api.page import Page
from appliance.http.api.repositories import RepositoryView
from appliance.http.api.tags import TagOfImage
from appliance.http.ui import policies
from appliance.http.ui.backend import Refused, within
from appliance.http.ui.forms import Form
from appliance.http.ui.home import first_push
from appliance.http.ui.lists import ACTIVITY_SORTS, Asked
from appliance.http.ui.picker import find_registry, go_to_remembered, host_of, pick, remember
from appliance.http.ui.render import query
from appliance.http.ui.view import InView, View

_MOST_TAGS = 50
_SORTS = ("path", "pushed", "pulls", "created")
_SECTIONS = ("description", "lock", "resource-tags", *policies.SECTIONS)


class ImagePages(Controller):
    """The pages of images."""

    path = "/images"

    @get()
    async def list(self, view: InView) -> Response[str]:
        """Show the images of a registry, of one repository or all."""
        if (elsewhere := _go_to_registry(view)) is not None:
            return elsewhere
        if (there := go_to_remembered(view, "/images")) is not None:
            return there
        asked = Asked.of(view, sorts=_SORTS, default="path", filters=("registry", "repository", "resourceTag"))
        picked = await pick(view, asked, with_repository=True)
        page = await view.api.get("/api/v1/images", Page[Image], **asked.parameters())
        of = picked.repository or "hello"
        host = host_of(view, picked.found)
        commands = first_push(host, is_tls=view.is_tls, repository=of) if host else []
        told = {"page": page, "asked": asked, "picked": picked, "commands": commands}
        return remember(view, picked, view.page("pages/images.html", status=200, every=EVERY, **told))

    @get("/{image_id:str}")
    async def show(self, view: InView, image_id: FromPath[str]) -> Response[str]:
        """Show one image."""
        return await _show(view, image_id)

    @post("/{image_id:str}/edit/{section:str}")
    async def edit(self, view: InView, image_id: FromPath[str], section: FromPath[str]) -> Response[str]:
        """Change its description, its lock, its resource tags, or one section of its policy."""
        form = await view.form()
        if section not in _SECTIONS:
            raise NotFoundException
        order = _edit(form, section)
        try:
            form.check()
            await view.api.send("PATCH", within("images", image_id), order, if_match=form.text("etag"))
        except Refused as error:
            form.refuse(error)
            return await _show(view, image_id, form=form, section=section, status=error.status)
        return view.go(f"/images/{image_id}", policies.done(section, view.text))

    @get("/{image_id:str}/activity")
    async def show_activity(self, view: InView, image_id: FromPath[str]) -> Response[str]:
        """Show what was done to it and in it."""
        image, _ = await find_image(view, image_id)
        asked = Asked.of(view, sorts=ACTIVITY_SORTS, default="-at", filters=("kind", "principal"))
        page = await view.api.get(within("images", image_id, "activity"), Page[Activity], **asked.parameters())
        return view.page("pages/image_activity.html", image=image, page=page, asked=asked)

    @get("/{image_id:str}/delete")
    async def ask_delete(self, view: InView, image_id: FromPath[str]) -> Response[str]:
        """Show what deleting it means."""
        image, _ = await find_image(view, image_id)
        return view.page("pages/image_delete.html", image=image, form=None)

    @post("/{image_id:str}/delete")
    async def delete(self, view: InView, image_id: FromPath[str]) -> Response[str]:
        """Delete it, its path typed."""
        form = await view.form()
        image, _ = await find_image(view, image_id)
        try:
            _check_typed(view, form, image)
            await view.api.send("DELETE", within("images", image_id))
        except Refused as error:
            form.refuse(error)
            return view.page("pages/image_delete.html", status=error.status, image=image, form=form)
        there = query("/images", registry=image.registry, repository=image.path.partition("/")[0])
        undo = query("/deletions", registry=image.registry, path=image.path)
        return view.go(there, view.text("Image {} was deleted.").format(image.path), undo)


async def find_image(view: View, image_id: str) -> tuple[ImageInFull, str]:
    """Return the image and its revision. Raises Refused."""
    return await view.api.find(within("images", image_id), ImageInFull)


def _go_to_registry(view: View) -> Response[str] | None:
    """Return the redirect where another registry was picked: the repository beside it was of the one before."""
    told = view.request.query_params
    if not told.get("of") or told["of"] == told.get("registry", ""):
        return None
    return view.go(query("/images", registry=told.get("registry", "")[:100], name=told.get("name", "")[:255]))


def _check_typed(view: View, form: Form, image: ImageInFull) -> None:
    if form.text("confirm") != image.path:
        raise Refused(400, "", view.text("Type its whole path, as it stands there: {}").format(image.path))


async def _show(
    view: View, image_id: str, *, form: Form | None = None, section: str = "", status: int = 200
) -> Response[str]:
    image, etag = await find_image(view, image_id)
    return view.page(
        "pages/image.html",
        status=status,
        image=image,
        etag=etag,
        registry=await find_registry(view, image.registry),
        repository=await _find_repository(view, image),
        told=policies.tell(image.policy, view.text),
        template_told=policies.tell(image.template, view.text),
        commands=await _pull_commands(view, image_id),
        tags=_typed_tags(form, section) or list(image.resource_tags.items()),
        form=form,
        section=section,
    )


async def _find_repository(view: View, image: ImageInFull) -> RepositoryView | None:
    path = image.path.partition("/")[0]
    try:
        page = await view.api.get("/api/v1/repositories", Page[RepositoryView], registry=image.registry, path=path)
    except Refused:  # only the image may be viewed, not the repository
        return None
    return next(iter(page.items), None)


async def _pull_commands(view: View, image_id: str) -> list[CommandOfEndpoint]:
    """Return the commands that pull the tag that was pushed last."""
    tags = await view.api.get(within("images", image_id, "tags"), Page[TagOfImage], sort="-pushed", limit=1)
    if not tags.items:
        return []
    newest = tags.items[0]
    path = within("images", image_id, "manifests", newest.digest, "commands")
    return (await view.api.get(path, Page[CommandOfEndpoint], tag=newest.name)).items


def _typed_tags(form: Form | None, section: str) -> list[tuple[str, str]]:
    return form.pairs("key", "value", _MOST_TAGS) if form is not None and section == "resource-tags" else []


def _edit(form: Form, section: str) -> ImageChange:
    """Return what one of the forms of the page asks for."""
    if section == "description":
        return ImageChange(description=form.text("description"))
    if section == "lock":
        return ImageChange(locked=form.switch("locked"))
    if section == "resource-tags":
        return ImageChange(resource_tags=dict(form.pairs("key", "value", _MOST_TAGS)))
    return ImageChange(policy=policies.read_section(form, section))
