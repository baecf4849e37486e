"""Registries: list, make, show, edit, delete, restore."""

from collections.abc import Mapping

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath

from appliance.domain.registry import EndpointType, EndpointUrls, Visibility
from appliance.http.api.activity import Activity
from appliance.http.api.page import Page
from appliance.http.api.registries import RegistryEdit, RegistryOrder, RegistryView
from appliance.http.api.registry_making import RegistryChecked, RegistryDraft
from appliance.http.api.repositories import RepositoryView
from appliance.http.ui.backend import Refused, within
from appliance.http.ui.forms import Form
from appliance.http.ui.lists import ACTIVITY_SORTS, Asked
from appliance.http.ui.render import query
from appliance.http.ui.view import InView, View, own_path

_GIB = 1 << 30
_MOST_GIB = 1 << 30
_MOST_IMAGES = 1_000_000_000
_MOST_TAGS = 50
_MOST_HELD = 10  # repositories that the page before a deletion names
_FIELDS = {  # of a draft, as the API and as the form names them
    "name": "name",
    "port": "port",
    "privateAllowlist": "private_allowlist",
    "publicAllowlist": "public_allowlist",
}


class RegistryPages(Controller):
    """The pages of registries."""

    path = "/registries"

    @get()
    async def list(self, view: InView) -> Response[str]:
        """Show the registries that the viewer may see."""
        asked = Asked.of(
            view, sorts=("name", "created", "modified"), default="name", filters=("resourceTag", "removed")
        )
        page = await view.api.get("/api/v1/registries", Page[RegistryView], **asked.parameters())
        return view.page("pages/registries.html", page=page, asked=asked)

    @get("/new")
    async def ask_new(self, view: InView) -> Response[str]:
        """Show the empty form."""
        back = own_path(view.request.query_params.get("back", ""))
        order = RegistryOrder(name="")
        urls = await _judge(view, Form({}), order)
        return view.page("pages/registry_new.html", form=None, order=order, tags=[], back=back, urls=urls)

    @post()
    async def create(self, view: InView) -> Response[str]:
        """Make a registry, or show the form again with what is wrong."""
        form = await view.form()
        order, back = _order(form), own_path(form.text("back"))
        if form.switch("preview"):
            urls = await _judge(view, form, order)
            tags = list(order.resource_tags.items())
            told = {"form": form, "order": order, "tags": tags, "back": back, "urls": urls}
            return view.page("pages/registry_new.html", status=200, **told)
        try:
            form.check()
            made = await view.api.make("POST", "/api/v1/registries", order, RegistryView)
        except Refused as error:
            urls = await _judge(view, form, order)
            if not form.errors:
                form.refuse(error, ("name", "port"))
            tags = list(order.resource_tags.items())
            told = {"form": form, "order": order, "tags": tags, "back": back, "urls": urls}
            return view.page("pages/registry_new.html", status=error.status, **told)
        there = f"/registries/{made.id}" if back == "/" else query(back, registry=made.name)
        return view.go(there, view.text("Registry {} was created.").format(made.name))

    @get("/{registry_id:str}")
    async def show(self, view: InView, registry_id: FromPath[str]) -> Response[str]:
        """Show one registry."""
        return await _show(view, registry_id)

    @get("/{registry_id:str}/tags")
    async def show_tags(self, view: InView, registry_id: FromPath[str]) -> Response[str]:
        """Show its resource tags."""
        registry, etag = await _find(view, registry_id)
        tags = list(registry.resource_tags.items())
        return view.page("pages/registry_tags.html", registry=registry, etag=etag, tags=tags, form=None)

    @get("/{registry_id:str}/activity")
    async def show_activity(self, view: InView, registry_id: FromPath[str]) -> Response[str]:
        """Show what was done to it."""
        registry, _ = await _find(view, registry_id)
        asked = Asked.of(view, sorts=ACTIVITY_SORTS, default="-at", filters=("kind", "principal"))
        path = within("registries", registry_id, "activity")
        page = await view.api.get(path, Page[Activity], **asked.parameters())
        return view.page("pages/registry_activity.html", registry=registry, page=page, asked=asked)

    @post("/{registry_id:str}")
    async def edit(self, view: InView, registry_id: FromPath[str]) -> Response[str]:
        """Change settings."""
        form = await view.form()
        order = _edit(form)
        try:
            form.check()
            await view.api.send("PATCH", within("registries", registry_id), order, if_match=form.text("etag"))
        except Refused as error:
            form.refuse(error, ("port",))
            return await _show(view, registry_id, form=form, status=error.status)
        return view.go(f"/registries/{registry_id}", view.text("The registry was changed."))

    @post("/{registry_id:str}/tags")
    async def edit_tags(self, view: InView, registry_id: FromPath[str]) -> Response[str]:
        """Replace its resource tags."""
        form = await view.form()
        order = RegistryEdit(resource_tags=dict(form.pairs("key", "value", _MOST_TAGS)))
        try:
            await view.api.send("PATCH", within("registries", registry_id), order, if_match=form.text("etag"))
        except Refused as error:
            form.refuse(error)
            registry, etag = await _find(view, registry_id)
            tags = form.pairs("key", "value", _MOST_TAGS)
            told = {"registry": registry, "etag": etag, "tags": tags, "form": form}
            return view.page("pages/registry_tags.html", status=error.status, **told)
        return view.go(f"/registries/{registry_id}/tags", view.text("The tags were changed."))

    @get("/{registry_id:str}/delete")
    async def ask_delete(self, view: InView, registry_id: FromPath[str]) -> Response[str]:
        """Show what deleting it means."""
        registry, _ = await _find(view, registry_id)
        return await _show_delete(view, registry)

    @post("/{registry_id:str}/delete")
    async def delete(self, view: InView, registry_id: FromPath[str]) -> Response[str]:
        """Delete it, its name typed."""
        form = await view.form()
        registry, _ = await _find(view, registry_id)
        asked = f"?confirm={form.text('confirm')}" if form.text("confirm").isalnum() else ""
        force = "&force=true" if asked and form.switch("force") else ""
        try:
            await view.api.send("DELETE", within("registries", registry_id) + asked + force)
        except Refused as error:
            form.refuse(error)
            return await _show_delete(view, registry, form, error.status)
        told = view.text("Registry {} is being deleted.").format(registry.name)
        return view.go("/registries", told, query("/registries", removed="true", name=registry.name))

    @post("/{registry_id:str}/restore")
    async def restore(self, view: InView, registry_id: FromPath[str]) -> Response[str]:
        """Give a deleted one back."""
        await view.form()
        await view.api.send("POST", within("registries", registry_id, "restoration"))
        return view.go(f"/registries/{registry_id}", view.text("The registry is back."))


async def _find(view: View, registry_id: str) -> tuple[RegistryView, str]:
    return await view.api.find(within("registries", registry_id), RegistryView)


async def _show(view: View, registry_id: str, *, form: Form | None = None, status: int = 200) -> Response[str]:
    registry, etag = await _find(view, registry_id)
    return view.page("pages/registry.html", status=status, registry=registry, etag=etag, form=form)


async def _show_delete(
    view: View, registry: RegistryView, form: Form | None = None, status: int = 200
) -> Response[str]:
    """Show what deleting it means: the first of the repositories that it holds, too."""
    path = "/api/v1/repositories"
    held: list[RepositoryView] = []
    if registry.removed_at is None:
        held = (await view.api.get(path, Page[RepositoryView], registry=registry.name, limit=_MOST_HELD)).items
    told = {"registry": registry, "held": held, "form": form}
    return view.page("pages/registry_delete.html", status=status, **told)


def _order(form: Form) -> RegistryOrder:
    tags = dict(form.pairs("key", "value", _MOST_TAGS))
    lists = {"privateAllowlist": _lines(form, "private_allowlist"), "publicAllowlist": _lines(form, "public_allowlist")}
    told = {"name": form.text("name"), "resourceTags": tags, **lists, **_settings(form)}
    return msgspec.convert(told, RegistryOrder)


def _lines(form: Form, field: str) -> str:
    """Return the lines of a list, the last one ended too; "" for none."""
    text = form.text(field).replace("\r\n", "\n")
    return f"{text}\n" if text else ""


async def _judge(view: View, form: Form, order: RegistryOrder) -> EndpointUrls | None:
    """Put what the API says of each field beside it; what is not typed yet is not judged.

    Returns how the registry would be called; None to whoever may not make it.
    """
    draft = RegistryDraft(order.name, order.endpoint, order.port, order.private_allowlist, order.public_allowlist)
    try:
        checked = await view.api.make("POST", "/api/v1/registries/checks", draft, RegistryChecked)
    except Refused as error:  # of the right to make one, for example
        form.refuse(error)
        return None
    for fault in checked.faults:
        form.errors.setdefault(_FIELDS[fault.field], fault.text)
    return checked.urls


def _edit(form: Form) -> RegistryEdit:
    return msgspec.convert(_settings(form), RegistryEdit)


def _settings(form: Form) -> Mapping[str, object]:
    """Return what both forms ask for, as the API names it."""
    quota = form.optional_number("quota_gib", 1, _MOST_GIB)
    return {
        "description": form.text("description"),
        "visibility": form.choice("visibility", [one.value for one in Visibility], "private"),
        "endpoint": form.choice("endpoint", [one.value for one in EndpointType], "private"),
        "privateAccessControl": form.switch("private_access_control"),
        "publicAccessControl": form.switch("public_access_control"),
        "logTraffic": form.switch("log_traffic"),
        "port": form.optional_number("port", 1, 65_535),
        "quotaBytes": None if quota is None else quota * _GIB,
        "quotaImages": form.optional_number("quota_images", 1, _MOST_IMAGES),
    }
