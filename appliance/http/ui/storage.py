"""Storage: what lies where, the bytes of each repository by what keeps them, collection, scrub, checks, snapshots."""

import asyncio

import msgspec
from litestar import Controller, Response, get

from appliance.http.api.jobs import JobShown
from appliance.http.api.leaving import LeavingShown
from appliance.http.api.page import Page
from appliance.http.api.snapshots import SnapshotShown
from appliance.http.api.status import Status
from appliance.http.api.storage import StorageShown
from appliance.http.api.storage_use import RepositoryUse
from appliance.http.ui.lists import Asked
from appliance.http.ui.picking import list_registries
from appliance.http.ui.view import InView, View

_KINDS = ("gc", "scrub", "check", "sweep", "measure")  # whose last reports the page shows
_SORTS = ("name", "live", "shared", "untagged", "unfinished", "leaving")


class StoragePages(Controller):
    """The pages of storage."""

    path = "/storage"

    @get()
    async def show(self, view: InView) -> Response[str]:
        """Show the stores, what a collection would free, and the repositories of a registry."""
        asked = Asked.of(view, sorts=_SORTS, default="name", filters=("registry",))
        use, storage, appliance, names, *last = await asyncio.gather(
            view.api.get("/api/v1/storage/repositories", Page[RepositoryUse], **asked.parameters()),
            view.api.get("/api/v1/storage", StorageShown),
            view.api.get("/api/v1/status", Status),
            list_registries(view),
            *(_last(view, kind) for kind in _KINDS),
        )
        here = asked.more.get("registry") or view.asking.site.name
        return view.page(
            "pages/storage.html",
            asked=msgspec.structs.replace(asked, more={"registry": here}),
            use=use,
            storage=storage,
            appliance=appliance,
            last=last,
            registries=names,
        )

    @get("/leaving")
    async def show_leaving(self, view: InView) -> Response[str]:
        """Show every byte that collection will free, with the reason and when."""
        asked = Asked.of(view)
        path = "/api/v1/collections/leaving"
        page = await view.api.get(path, Page[LeavingShown], limit=asked.size, cursor=asked.cursor)
        return view.page("pages/leaving.html", asked=asked, page=page)

    @get("/snapshots")
    async def show_snapshots(self, view: InView) -> Response[str]:
        """Show the snapshots of the database."""
        page = await view.api.get("/api/v1/snapshots", Page[SnapshotShown])
        return view.page("pages/snapshots.html", page=page)


async def _last(view: View, kind: str) -> tuple[str, JobShown | None]:
    """Return the newest job of `kind`, None for never."""
    page = await view.api.get("/api/v1/jobs", Page[JobShown], kind=kind, limit=1)
    return kind, page.items[0] if page.items else None
