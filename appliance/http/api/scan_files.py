"""`/api/v1/images/<id>/manifests/<digest>/scan/files|layers|file`: the files of an image and of its layers."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated
from urllib.parse import quote

import msgspec
from litestar import get
from litestar.di import Provide
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from appliance.domain.access import Action
from appliance.domain.layer import FileEntry
from appliance.domain.names import parse_digest
from appliance.http.api.asking import InAsking, InRunning, InStock
from appliance.http.api.images import find_image
from appliance.http.api.page import Cursor, Limit, Page
from appliance.http.api.scans import InView, list_rows, provide_view
from appliance.services import layer_file
from appliance.services.file_tree import Leaf, Tree

_HERE = "/api/v1/images/{image_id:str}/manifests/{digest:str}/scan"
_VIEW = {"view": Provide(provide_view)}
Folder = Annotated[str, QueryParameter(max_length=4096, description="path of a folder; the root without one")]
OfLayer = Annotated[str, QueryParameter(max_length=200, description="digest of a layer; the whole image without one")]
OfFile = Annotated[str, QueryParameter(min_length=1, max_length=4096, description="path of a file")]
Most = Annotated[int | None, QueryParameter(ge=1, description="only so many bytes of its beginning")]


class FileShown(msgspec.Struct, frozen=True, rename="camel"):
    """A name in a folder. `change` is what its layer did: added, changed, removed, or "" for a folder in passing."""

    path: str
    kind: str
    size: int
    mode: str  # octal; "" where the layer does not say
    sha256: str
    target: str  # of a link
    layer: str
    change: str
    is_hidden: bool  # by a layer above


class LayerShown(msgspec.Struct, frozen=True):
    """A layer in numbers. `size` is bytes unpacked; `wasted` of files that layers above replace or remove."""

    digest: str
    files: int
    size: int
    wasted: int


@get(f"{_HERE}/files", dependencies=_VIEW, tags=["scans"])
async def list_files(
    running: InRunning, view: InView, folder: Folder = "", layer: OfLayer = "", cursor: Cursor = "", limit: Limit = 100
) -> Page[FileShown]:
    """List what lies in a folder of an image, or of one of its layers with what that layer removed."""
    only = parse_digest(layer) if layer else None
    layers = view.scan.layers
    leaves = await running.scanner().file.read(lambda reader: Tree(reader, layers).list_folder(folder.strip("/"), only))
    return await list_rows(leaves, _show, cursor, limit)


@get(f"{_HERE}/layers", dependencies=_VIEW, tags=["scans"])
async def list_layers(running: InRunning, view: InView) -> Page[LayerShown]:
    """List the layers of an image, the lowest first, with their files, sizes and wasted bytes."""
    layers = view.scan.layers
    sums = await running.scanner().file.read(lambda reader: Tree(reader, layers).sums())
    return Page([LayerShown(one.digest, one.files, one.size, one.wasted) for one in sums], None)


@get(f"{_HERE}/file", dependencies=_VIEW, tags=["scans"])
async def read_file(
    stock: InStock,
    running: InRunning,
    asking: InAsking,
    view: InView,
    image_id: FromPath[str],
    path: OfFile,
    layer: OfLayer = "",
    most: Most = None,
) -> Stream:
    """Send the content of one file of an image, or of one of its layers. Who may pull the image may read its files."""
    find_image(stock, asking, image_id, Action.PULL)
    only, wanted, layers = parse_digest(layer) if layer else None, path.strip("/"), view.scan.layers
    scanner = running.scanner()
    place = await scanner.file.read(lambda reader: layer_file.find_file(reader, layers, wanted, only))
    size = place.size if most is None else min(most, place.size)
    pieces = layer_file.read_file(stock, scanner, place, size)
    first = await anext(pieces)  # what fails at once is an answer of its own
    name = quote(wanted.rpartition("/")[2], safe="")
    return Stream(
        _chain(first, pieces),
        media_type="application/octet-stream",
        headers={
            "Content-Length": str(size),
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "X-Content-Type-Options": "nosniff",
            "X-Scr-File-Size": str(place.size),
        },
    )


SCAN_FILES = (list_files, list_layers, read_file)


async def _chain(first: bytes, pieces: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    async with aclosing(pieces):
        yield first
        async for piece in pieces:
            yield piece


def _show(leaf: Leaf) -> FileShown:
    entry = leaf.entry
    return FileShown(
        path=entry.path,
        kind=entry.kind.value,
        size=entry.size,
        mode=mode_of(entry),
        sha256=entry.sha256.hex(),
        target=entry.target,
        layer=leaf.layer,
        change=leaf.change,
        is_hidden=leaf.is_hidden,
    )


def mode_of(entry: FileEntry) -> str:
    """Return the mode of a file as the API shows it: octal, "" where its layer does not say."""
    return "" if entry.mode < 0 else f"{entry.mode:04o}"
