"""What is in images: the files of an image and of its layers, two images compared, and which images hold something."""

from litestar import Controller, Response, get
from litestar.params import FromPath

from appliance.domain.manifest import Kind
from appliance.http.api.comparison import Comparison
from appliance.http.api.images import Image
from appliance.http.api.manifests import ManifestOfImage
from appliance.http.api.page import Page
from appliance.http.api.scan_files import FileShown, LayerShown
from appliance.http.api.scan_search import FileFoundIn, PackageFoundIn, VulnerabilityFoundIn
from appliance.http.ui import foreign_text
from appliance.http.ui.backend import Refused, address, within
from appliance.http.ui.images import find_image
from appliance.http.ui.lists import Asked
from appliance.http.ui.scans import find_head
from appliance.http.ui.view import InView, View

_SHOWN = 256 << 10  # bytes of a file that its page shows
_CHOICES = 100  # digests that the form of a comparison offers
KINDS = ("packages", "vulnerabilities", "files")


class FilePages(Controller):
    """The pages of the files of a digest."""

    path = "/images/{image_id:str}/manifests/{digest:str}"

    @get("/files")
    async def browse(self, view: InView, image_id: FromPath[str], digest: FromPath[str]) -> Response[str]:
        """Show what lies in one folder of the whole image, or of one of its layers."""
        head = await find_head(view, image_id, digest)
        if head.get("scan") is None:
            return view.page("pages/scan_none.html", status=200, **head)
        asked = Asked.of(view, filters=("folder", "layer"))
        folder = view.request.query_params.get("folder", "")[:4096].strip("/")
        here = within("images", image_id, "manifests", digest, "scan")
        wish = {"folder": folder, "layer": asked.more.get("layer"), "limit": asked.size, "cursor": asked.cursor}
        page = await view.api.get(f"{here}/files", Page[FileShown], **wish)
        layers = (await view.api.get(f"{here}/layers", Page[LayerShown])).items
        told = {"page": page, "asked": asked, "folder": folder, "layers": layers}
        return view.page("pages/scan_files.html", status=200, **told, **head)

    @get("/files/view")
    async def show(self, view: InView, image_id: FromPath[str], digest: FromPath[str]) -> Response[str]:
        """Show the beginning of one file as text, or as hexadecimal."""
        head = await find_head(view, image_id, digest)
        told = view.request.query_params
        wanted = {"path": told.get("path", "")[:4096].strip("/"), "layer": told.get("layer", "")[:200]}
        here = within("images", image_id, "manifests", digest, "scan", "file")
        reply = await view.api.ask("GET", address(here, most=_SHOWN, **wanted))
        size = int(reply.headers["x-scr-file-size"])
        more = {
            "file": wanted["path"],
            "layer": wanted["layer"],
            "shown": foreign_text.show(reply.body, size),
            "size": size,
            "whole": address(here, **wanted),
        }
        return view.page("pages/scan_file.html", status=200, **more, **head)

    @get("/compare")
    async def compare(self, view: InView, image_id: FromPath[str], digest: FromPath[str]) -> Response[str]:
        """Show how this digest differs from another one, of this image or of another that the viewer may see."""
        head = await find_head(view, image_id, digest)
        if head.get("scan") is None:
            return view.page("pages/scan_none.html", status=200, **head)
        told = view.request.query_params
        before, other = told.get("with", "")[:200], told.get("image", "")[:500].strip()
        found, error, status, of = None, "", 200, image_id
        try:
            of = await _image_id(view, image_id, other) if other else image_id
            if before:
                path = within("images", image_id, "manifests", digest, "scan", "comparison", before)
                found = await view.api.get(path, Comparison, image="" if of == image_id else of)
        except Refused as refused:
            error, status = refused.detail, refused.status
        choices = await _choices(view, of)
        more = {"before": before, "other": other, "of": of, "found": found, "error": error, "choices": choices}
        return view.page("pages/scan_compare.html", status=status, **more, **head)


@get("/search/contents")
async def search_contents(view: InView) -> Response[str]:
    """Show which images have a package, a vulnerability or a file, of those that the viewer may see."""
    asked = Asked.of(view, filters=("version",))
    what = view.request.query_params.get("what", "")
    what = what if what in KINDS else KINDS[0]
    text = view.request.query_params.get("q", "").strip()[:4096]
    limits = {"limit": asked.size, "cursor": asked.cursor}
    packages = vulnerabilities = files = None
    if text and what == "packages":
        path, version = within("search", "packages"), asked.more.get("version", "")
        packages = await view.api.get(path, Page[PackageFoundIn], name=text[:300], version=version, **limits)
    elif text and what == "vulnerabilities":
        path = within("search", "vulnerabilities")
        vulnerabilities = await view.api.get(path, Page[VulnerabilityFoundIn], id=text[:100], **limits)
    elif text:
        files = await view.api.get(within("search", "files"), Page[FileFoundIn], q=text, **limits)
    told = {"packages": packages, "vulnerabilities": vulnerabilities, "files": files}
    return view.page("pages/search_contents.html", status=200, what=what, text=text, asked=asked, **told)


async def _image_id(view: View, image_id: str, path: str) -> str:
    """Return the id of another image, by its path in the registry of the image `image_id`. Raises Refused."""
    image, _ = await find_image(view, image_id)
    page = await view.api.get("/api/v1/images", Page[Image], registry=image.registry, path=path)
    if not page.items:
        raise Refused(404, "name-unknown", f"there is no image {path} that you may see")
    return page.items[0].id


async def _choices(view: View, image_id: str) -> list[ManifestOfImage]:
    """Return the newest digests with tags of an image: what it can be compared with."""
    path = within("images", image_id, "manifests")
    page = await view.api.get(path, Page[ManifestOfImage], tagged=True, sort="-pushed", limit=_CHOICES)
    return [one for one in page.items if one.scan is not None and one.kind is not Kind.INDEX]
