"""One digest of an image: all that is told of it, what refers to it, and the manifest itself."""

from collections.abc import Callable

from litestar import Response, get
from litestar.params import FromPath

from appliance.domain.names import is_digest
from appliance.http.api.manifests import ManifestInFull, Referrer
from appliance.http.api.page import Page
from appliance.http.ui.backend import Refused, within
from appliance.http.ui.images import find_image
from appliance.http.ui.json_tree import fold
from appliance.http.ui.render import segment
from appliance.http.ui.view import InView


@get("/images/{image_id:str}/manifests/{digest:str}")
async def show_manifest(view: InView, image_id: FromPath[str], digest: FromPath[str]) -> Response[str]:
    """Show a digest, seen through one of its tags where the address names one."""
    image, _ = await find_image(view, image_id)
    here = within("images", image_id, "manifests", digest)
    manifest = await view.api.get(here, ManifestInFull)
    tag = view.request.query_params.get("tag", "")
    try:
        content = (await view.api.ask("GET", f"{here}/content")).body
    except Refused:  # it was deleted meanwhile
        content = b""
    return view.page(
        "pages/manifest.html",
        image=image,
        manifest=manifest,
        tag=tag if any(one.name == tag for one in manifest.tags) else "",
        referrers=(await view.api.get(f"{here}/referrers", Page[Referrer])).items,
        raw=fold(content, _links_of(image_id, manifest)),
    )


def _links_of(image_id: str, manifest: ManifestInFull) -> Callable[[str], str]:
    """Return what tells where a text of the manifest leads: to the page of a digest, or to its line on this one."""
    on_page = {one.digest for one in (*manifest.layers, *([manifest.config] if manifest.config else ()))}
    here = {one.digest for one in manifest.platforms if one.is_here} | ({manifest.subject} - {None})

    def link(text: str) -> str:
        if not is_digest(text):
            return ""
        if text in here:
            return f"/images/{image_id}/manifests/{segment(text)}"
        return f"#{text}" if text in on_page else ""

    return link
