"""Assets under `/static/`: from memory, compressed once, each under a name with its digest and kept for ever."""

import functools
import gzip
import hashlib
from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.params import FromPath, HeaderParameter

from appliance import assets
from appliance.errors import PageUnknown

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_FOREVER = "public, max-age=31536000, immutable"


class Asset(msgspec.Struct, frozen=True):
    """One file: its name with the digest in it, its bytes, and the same compressed."""

    name: str
    media_type: str
    content: bytes
    compressed: bytes


@functools.cache
def url_of(name: str) -> str:
    """Return the address of the asset `name`. Raises FileNotFoundError."""
    return f"/static/{_load(name).name}"


@functools.cache
def _load(name: str) -> Asset:
    content = assets.read("web.static", name)
    stem, dot, suffix = name.rpartition(".")
    digest = hashlib.sha256(content).hexdigest()[:12]
    return Asset(f"{stem}.{digest}{dot}{suffix}", _TYPES[dot + suffix], content, gzip.compress(content, mtime=0))


@functools.cache
def _names() -> dict[str, str]:
    """Return the asset behind each name with a digest."""
    found = [name for suffix in _TYPES for name in assets.list_names("web.static", suffix)]
    return {_load(name).name: name for name in found}


Encodings = Annotated[str, HeaderParameter(name="Accept-Encoding")]


@get("/static/{name:str}", sync_to_thread=False)
def send_asset(name: FromPath[str], accepts: Encodings = "") -> Response[bytes]:
    """Send an asset; the name changes with its bytes, so nobody needs to ask twice."""
    known = _names().get(name)
    if known is None:
        raise PageUnknown(f"there is no asset {name[:100]!r}; load the page again")
    asset = _load(known)
    headers = {"Cache-Control": _FOREVER, "Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff"}
    if "gzip" not in accepts:
        return Response(asset.content, headers=headers, media_type=asset.media_type)
    return Response(asset.compressed, headers={**headers, "Content-Encoding": "gzip"}, media_type=asset.media_type)
