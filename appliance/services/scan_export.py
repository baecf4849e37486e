"""Results of a scan in the forms of others, and a bill of materials kept beside its image as a referrer."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import msgspec

from appliance import __version__
from appliance.domain.admission import Grant
from appliance.domain.names import Digest
from appliance.scan.exports import FORMS, Form
from appliance.scan.exports.told import Row, Told, moment_text
from appliance.services import push, quota
from appliance.services.push import ManifestPut
from appliance.services.scan_shown import View
from appliance.services.stock import Stock

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_EMPTY = "application/vnd.oci.empty.v1+json"
_NOTHING = b"{}"


def form_of(name: str) -> Form:
    """Return the form of that name: json, csv, sarif, cyclonedx, spdx or openvex."""
    return FORMS[name]


def tell(view: View, name: str) -> Told:
    """Return a scan as an image shows it; `name` is what the image is called from outside."""
    rows = tuple(
        Row(one.finding, one.excluded.value if one.excluded else "", one.acceptance.reason if one.acceptance else "")
        for one in view.findings
    )
    return Told(name, view.scan.digest, view.scan.report, rows, __version__)


async def export(stock: Stock, form: Form, told: Told) -> bytes:
    """Return `told` in `form`; a large image takes some tenths of a second, so a worker writes it."""
    return await asyncio.get_running_loop().run_in_executor(stock.uploads.executor, form.write, told)


async def attach(stock: Stock, grant: Grant, form: Form, told: Told, subject: msgspec.Raw) -> Digest:
    """Keep the bill of materials as a referrer of the image; return its digest. `subject` is the image's descriptor.

    The same scan gives the same digest, so that it is kept once. Raises what a push raises.
    """
    body = await export(stock, form, told)
    config = await _keep(stock, grant, _NOTHING)
    layer = await _keep(stock, grant, body)
    name = f"{told.name.rpartition('/')[2]}.{form.ending}"
    manifest = msgspec.json.encode(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "artifactType": form.media_type,
            "config": {"mediaType": _EMPTY, "digest": config, "size": len(_NOTHING), "data": "e30="},
            "layers": [
                {
                    "mediaType": form.media_type,
                    "digest": layer,
                    "size": len(body),
                    "annotations": {"org.opencontainers.image.title": name},
                }
            ],
            "subject": subject,
            "annotations": {"org.opencontainers.image.created": moment_text(told.report.matched_at)},
        }
    )
    placed = await push.put_manifest(stock, grant, ManifestPut(manifest, _MANIFEST, None, ()), stock.clock())
    return placed.manifest.digest


async def _keep(stock: Stock, grant: Grant, body: bytes) -> Digest:
    """Push one blob into the image of `grant`; return its digest."""
    digest = Digest(f"sha256:{hashlib.sha256(body).hexdigest()}")
    upload = await push.start_upload(stock, grant, "sha256", stock.clock(), len(body))
    upload.claim()
    try:
        await upload.receive(quota.watch(stock, upload, _pieces(body)), closes=True)
        await push.finish_upload(stock, grant, upload, digest, stock.clock())
    except BaseException:
        await upload.cancel()
        raise
    return digest


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    yield body
