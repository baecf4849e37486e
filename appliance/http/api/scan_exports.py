"""`/api/v1/images/<id>/manifests/<digest>/scan/export` and `/sbom`: results in the forms of others."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from litestar import Response, get, post
from litestar.di import Provide
from litestar.params import FromPath, JSONBody, QueryParameter

from appliance.db import manifests
from appliance.domain.access import Action
from appliance.domain.names import parse_digest
from appliance.errors import ManifestUnknown
from appliance.http.api.asking import InAsking, InRunning, InStock
from appliance.http.api.images import find_image
from appliance.http.api.scans import InView, provide_view
from appliance.http.running import Running
from appliance.services import scan_export

InForm = Annotated[
    Literal["json", "csv", "sarif", "cyclonedx", "spdx", "openvex"],
    QueryParameter(name="form", description="which form the results are told in"),
]
_SCAN = "/api/v1/images/{image_id:str}/manifests/{digest:str}/scan"
_VIEW = {"view": Provide(provide_view)}


class SbomOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which bill of materials to keep beside the image."""

    form: Literal["cyclonedx", "spdx"] = "cyclonedx"


class SbomKept(msgspec.Struct, frozen=True, rename="camel"):
    """The referrer that was made, or was there already."""

    digest: str
    artifact_type: str


@get(f"{_SCAN}/export", dependencies=_VIEW, tags=["scans"])
async def export_scan(
    stock: InStock,
    running: InRunning,
    asking: InAsking,
    view: InView,
    image_id: FromPath[str],
    digest: FromPath[str],
    form: InForm = "json",
) -> Response[bytes]:
    """Tell the results of a scan as JSON, CSV, SARIF 2.1.0, CycloneDX 1.6, SPDX 2.3 or OpenVEX 0.2.0."""
    path = find_image(stock, asking, image_id, Action.VIEW_REPOSITORY).path
    written = scan_export.form_of(form)
    told = scan_export.tell(view, _name(running, str(path)))
    name = f"{str(path).replace('/', '-')}-{digest.partition(':')[2][:12]}.{written.ending}"
    return Response(
        await scan_export.export(stock, written, told),
        media_type=written.media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"},
    )


@post(f"{_SCAN}/sbom", dependencies=_VIEW, status_code=201, tags=["scans"])
async def keep_sbom(
    stock: InStock,
    running: InRunning,
    asking: InAsking,
    view: InView,
    image_id: FromPath[str],
    digest: FromPath[str],
    data: JSONBody[SbomOrder],
) -> SbomKept:
    """Keep the bill of materials as a referrer of the image, where `oras discover` and scanners find it."""
    grant = find_image(stock, asking, image_id, Action.PUSH)
    found = manifests.find(stock.db.reader, grant.image, parse_digest(digest))
    if found is None:
        raise ManifestUnknown(f"{grant.path} has no manifest {digest[:80]}")
    subject = msgspec.Raw(
        msgspec.json.encode({"mediaType": found.media_type, "digest": found.digest, "size": len(found.body)})
    )
    form, told = scan_export.form_of(data.form), scan_export.tell(view, _name(running, str(grant.path)))
    return SbomKept(await scan_export.attach(stock, grant, form, told, subject), form.media_type)


def _name(running: Running, path: str) -> str:
    """Return what an image is called from outside."""
    url = running.public_url() or next(iter(running.listeners()), "")
    host = urlsplit(url).netloc
    return f"{host}/{path}" if host else path


SCAN_EXPORTS = (export_scan, keep_sbom)
