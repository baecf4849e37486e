"""Repositories: list, make, show, edit, delete, restore."""

from litestar import Controller, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from appliance.http.api.activity import Activity
from appliance.http.api.defaults import Defaults
from appliance.http.api.page import Page
from appliance.http.api.repositories import RepositoryEdit, RepositoryOrder, RepositoryView
from appliance.http.ui import policies
from appliance.http.ui.backend import Refused, address, within
from appliance.http.ui.forms import Form
from appliance.http.ui.home import first_push
from appliance.http.ui.lists import ACTIVITY_SORTS, Asked
from appliance.http.ui.picker import find_registry, go_to_remembered, host_of, list_registries, pick, remember
from appliance.http.ui.render import query
from appliance.http.ui.view import InView, View, own_path

_MOST_TAGS = 50


class RepositoryPages(Controller):
    """The pages of repositories."""

    path = "/repositories"

    @get()
    async def list(self, view: InView) -> Response[str]:
        """Show the repositories of one registry."""
        if (there := go_to_remembered(view, "/repositories")) is not None:
            return there
        filters = ("registry", "resourceTag", "removed")
        asked = Asked.of(view, sorts=("name", "created", "modified"), default="name", filters=filters)
        picked = await pick(view, asked)
        page = await view.api.get("/api/v1/repositories", Page[RepositoryView], **asked.parameters())
        return remember(view, picked, view.page("pages/repositories.html", page=page, asked=asked, picked=picked))

    @get("/new")
    async def ask_new(self, view: InView) -> Response[str]:
        """Show the empty form."""
        registry = view.request.query_params.get("registry", "")[:100] or str(view.asking.site.name)
        back = own_path(view.request.query_params.get("back", ""))
        return await _show_new(view, RepositoryOrder(name="", registry=registry), back if back != "/" else "")

    @post()
    async def create(self, view: InView) -> Response[str]:
        """Make a repository, or show the form again: with what is wrong, or with a new summary."""
        form = await view.form()
        order = _order(form)
        back = own_path(form.text("back")) if form.text("back") else ""
        if form.switch("preview"):
            return await _show_new(view, order, back, form)
        try:
            form.check()
            made = await view.api.make("POST", "/api/v1/repositories", order, RepositoryView)
        except Refused as error:
            form.refuse(error, ("registry", "name"))
            return await _show_new(view, order, back, form, error.status)
        there = query(back, registry=made.registry, repository=made.name) if back else f"/repositories/{made.id}"
        return view.go(there, view.text("Repository {} was created.").format(made.name))

    @get("/{repository_id:str}")
    async def show(self, view: InView, repository_id: FromPath[str]) -> Response[str]:
        """Show one repository."""
        return await _show(view, repository_id)

    @get("/{repository_id:str}/tags")
    async def show_tags(self, view: InView, repository_id: FromPath[str]) -> Response[str]:
        """Show its resource tags."""
        repository, etag = await _find(view, repository_id)
        tags = list(repository.resource_tags.items())
        return view.page("pages/repository_tags.html", repository=repository, etag=etag, tags=tags, form=None)

    @post("/{repository_id:str}/tags")
    async def edit_tags(self, view: InView, repository_id: FromPath[str]) -> Response[str]:
        """Replace its resource tags."""
        form = await view.form()
        tags = form.pairs("key", "value", _MOST_TAGS)
        try:
            await _send_edit(view, form, repository_id, RepositoryEdit(resource_tags=dict(tags)))
        except Refused as error:
            form.refuse(error)
            repository, etag = await _find(view, repository_id)
            told = {"repository": repository, "etag": etag, "tags": tags, "form": form}
            return view.page("pages/repository_tags.html", status=error.status, **told)
        return view.go(f"/repositories/{repository_id}/tags", view.text("The tags were changed."))

    @get("/{repository_id:str}/activity")
    async def show_activity(self, view: InView, repository_id: FromPath[str]) -> Response[str]:
        """Show what was done to it and in it."""
        repository, _ = await _find(view, repository_id)
        asked = Asked.of(view, sorts=ACTIVITY_SORTS, default="-at", filters=("kind", "principal"))
        path = within("repositories", repository_id, "activity")
        page = await view.api.get(path, Page[Activity], **asked.parameters())
        return view.page("pages/repository_activity.html", repository=repository, page=page, asked=asked)

    @get("/{repository_id:str}/delete")
    async def ask_delete(self, view: InView, repository_id: FromPath[str]) -> Response[str]:
        """Show what deleting it means."""
        repository, _ = await _find(view, repository_id)
        return view.page("pages/repository_delete.html", repository=repository, form=None)

    @post("/{repository_id:str}/delete")
    async def delete(self, view: InView, repository_id: FromPath[str]) -> Response[str]:
        """Delete it, its name typed."""
        form = await view.form()
        repository, _ = await _find(view, repository_id)
        path = address(within("repositories", repository_id), confirm=form.text("confirm"))
        try:
            await view.api.send("DELETE", path)
        except Refused as error:
            form.refuse(error)
            return view.page("pages/repository_delete.html", status=error.status, repository=repository, form=form)
        there = query("/repositories", registry=repository.registry)
        undo = query("/deletions", registry=repository.registry, path=repository.name)
        return view.go(there, view.text("Repository {} was deleted.").format(repository.name), undo)

    @post("/{repository_id:str}/restore")
    async def restore(self, view: InView, repository_id: FromPath[str]) -> Response[str]:
        """Give a deleted one back."""
        await view.form()
        await view.api.send("POST", within("repositories", repository_id, "restoration"))
        return view.go(f"/repositories/{repository_id}", view.text("The repository is back."))

    @post("/{repository_id:str}/edit/{section:str}")
    async def edit(self, view: InView, repository_id: FromPath[str], section: FromPath[str]) -> Response[str]:
        """Change its description, its lock, or one section of the policy."""
        form = await view.form()
        if section not in ("description", "lock", *policies.SECTIONS):
            raise NotFoundException
        order = _edit(form, section)
        try:
            form.check()
            await _send_edit(view, form, repository_id, order)
        except Refused as error:
            form.refuse(error)
            return await _show(view, repository_id, form=form, section=section, status=error.status)
        return view.go(f"/repositories/{repository_id}", policies.done(section, view.text))


async def _find(view: View, repository_id: str) -> tuple[RepositoryView, str]:
    return await view.api.find(within("repositories", repository_id), RepositoryView)


async def _send_edit(view: View, form: Form, repository_id: str, order: RepositoryEdit) -> None:
    await view.api.send("PATCH", within("repositories", repository_id), order, if_match=form.text("etag"))


async def _show(
    view: View, repository_id: str, *, form: Form | None = None, section: str = "", status: int = 200
) -> Response[str]:
    repository, etag = await _find(view, repository_id)
    registry = await find_registry(view, repository.registry)
    host = host_of(view, registry)
    commands = first_push(host, is_tls=view.is_tls, repository=repository.name) if host else []
    return view.page(
        "pages/repository.html",
        status=status,
        repository=repository,
        registry=registry,
        etag=etag,
        told=policies.tell(repository.policy, view.text),
        commands=commands,
        form=form,
        section=section,
    )


async def _show_new(
    view: View, order: RepositoryOrder, back: str, form: Form | None = None, status: int = 200
) -> Response[str]:
    registries = await list_registries(view)
    defaults = await view.api.get("/api/v1/defaults", Defaults)
    policy = policies.preview(defaults.repository, order.policy)
    return view.page(
        "pages/repository_new.html",
        status=status,
        form=form,
        order=order,
        policy=policy,
        is_strict=defaults.strict,
        told=policies.tell(policy, view.text),
        names=[(one.name, one.name) for one in registries] or [(order.registry, order.registry)],
        registry=next((one for one in registries if one.name == order.registry), None),
        back=back,
        tags=list(order.resource_tags.items()),
    )


def _order(form: Form) -> RepositoryOrder:
    return RepositoryOrder(
        name=form.text("name"),
        registry=form.text("registry"),
        description=form.text("description"),
        locked=form.switch("locked"),
        policy=policies.read_policy(form),
        resource_tags=dict(form.pairs("key", "value", _MOST_TAGS)),
    )


def _edit(form: Form, section: str) -> RepositoryEdit:
    """Return what one of the forms of the page asks for."""
    if section == "description":
        return RepositoryEdit(description=form.text("description"))
    if section == "lock":
        return RepositoryEdit(locked=form.switch("locked"))
    return RepositoryEdit(policy=policies.read_section(form, section))
