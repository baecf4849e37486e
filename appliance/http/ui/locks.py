"""Locking and unlocking the tags of what is selected in the list: shown first, then done."""

from litestar import Controller, Response, post
from litestar.params import FromPath

from appliance.http.api.locks import LockOrder, LockReport
from appliance.http.ui.backend import within
from appliance.http.ui.images import find_image
from appliance.http.ui.tags import chosen
from appliance.http.ui.view import InView, View


class LockPages(Controller):
    """The pages of locks of tags."""

    path = "/images/{image_id:str}"

    @post("/lock-tags/preview")
    async def preview_lock(self, view: InView, image_id: FromPath[str]) -> Response[str]:
        """Show which tags would be locked."""
        return await _preview(view, image_id, locked=True)

    @post("/unlock-tags/preview")
    async def preview_unlock(self, view: InView, image_id: FromPath[str]) -> Response[str]:
        """Show which tags would be unlocked."""
        return await _preview(view, image_id, locked=False)

    @post("/lock-tags")
    async def lock(self, view: InView, image_id: FromPath[str]) -> Response[str]:
        """Lock every tag of the digests that are named."""
        return await _set(view, image_id, locked=True)

    @post("/unlock-tags")
    async def unlock(self, view: InView, image_id: FromPath[str]) -> Response[str]:
        """Unlock them."""
        return await _set(view, image_id, locked=False)


async def _preview(view: View, image_id: str, *, locked: bool) -> Response[str]:
    digests = chosen(await view.form())
    if not digests:
        return view.go(f"/images/{image_id}/tags")
    image, _ = await find_image(view, image_id)
    order = LockOrder(tuple(digests), locked, dry_run=True)
    report = await view.api.make("POST", within("images", image_id, "manifests", "locks"), order, LockReport)
    told = {"image": image, "report": report, "locked": locked, "digests": digests}
    return view.page("pages/image_tags_lock.html", status=200, **told)


async def _set(view: View, image_id: str, *, locked: bool) -> Response[str]:
    digests = chosen(await view.form())
    order = LockOrder(tuple(digests), locked)
    report = await view.api.make("POST", within("images", image_id, "manifests", "locks"), order, LockReport)
    told = view.text("{} tags were locked.") if locked else view.text("{} tags were unlocked.")
    return view.go(f"/images/{image_id}/tags", told.format(report.tags))
