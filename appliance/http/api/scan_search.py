"""`/api/v1/search/packages|vulnerabilities|files`: which images have it, of those that the asker may see."""

import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Annotated, TypeVar

import msgspec
from litestar import get
from litestar.params import QueryParameter

from appliance.db import hiding, manifest_places, scan_search
from appliance.db.hiding import Place
from appliance.db.manifest_places import ManifestPlace
from appliance.db.scan_search import FileHit, FlawHit, PackageHit
from appliance.domain.access import Action
from appliance.domain.names import Digest, parse_image_path
from appliance.domain.vulnerability import Severity
from appliance.http.api.asking import Asking, InAsking, InRunning, InStock
from appliance.http.api.page import Cursor, Limit, Page, collect_page
from appliance.services.stock import Stock

Hit = TypeVar("Hit", PackageHit, FlawHit, FileHit)
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_RANKS = {severity.rank: severity.value for severity in Severity}
Name = Annotated[str, QueryParameter(max_length=300, description="the name of a package, or its beginning and a *")]
Version = Annotated[str, QueryParameter(max_length=300, description="only this version, as it is written")]
Id = Annotated[str, QueryParameter(name="id", max_length=100, description="as CVE-2026-1234, or its beginning and a *")]
Where = Annotated[
    str,
    QueryParameter(
        max_length=4096,
        description="a path (`/etc/passwd`, `/etc/ssl/*`), the name of a file (`openssl.cnf`, `log4j*`, `*ssl*`), or"
        " the SHA-256 of its content",
    ),
]


class ImageHit(msgspec.Struct, frozen=True, rename="camel"):
    """An image that has it: by which digest, and the tags of that.

    `isHidden`, of files only: a layer above has removed or replaced it, so that a container does not see it; whoever
    pulls the image has it all the same.
    """

    registry: str
    id: str
    path: str
    digest: str
    tags: tuple[str, ...]
    is_hidden: bool = False


class PackageFoundIn(msgspec.Struct, frozen=True):
    """A package, and the images that have it. The name is in lower case."""

    name: str
    version: str
    ecosystem: str
    images: tuple[ImageHit, ...]


class VulnerabilityFoundIn(msgspec.Struct, frozen=True):
    """A vulnerability with its worst severity, and the images that have it."""

    vulnerability: str
    severity: str
    images: tuple[ImageHit, ...]


class FileFoundIn(msgspec.Struct, frozen=True):
    """A file of a layer, and the images that the layer is of, those first in which it can be seen."""

    path: str
    size: int
    mode: int
    sha256: str
    layer: str
    images: tuple[ImageHit, ...]


@get("/api/v1/search/packages", tags=["search"])
async def find_packages(
    stock: InStock,
    running: InRunning,
    asking: InAsking,
    name: Name = "",
    version: Version = "",
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[PackageFoundIn]:
    """List the images that have a package, of those the asker may see."""
    if not name:
        return Page([], None)
    file = running.scanner().file

    async def fetch(last: str, count: int) -> list[PackageHit]:
        find = partial(scan_search.find_packages, name=name, version=version, last=last, limit=count)
        return await file.read(find)

    found, then = await _visible(stock, asking, fetch, cursor, limit)
    return Page([PackageFoundIn(hit.name, hit.version, hit.ecosystem, images) for hit, images in found], then)


@get("/api/v1/search/vulnerabilities", tags=["search"])
async def find_vulnerabilities(
    stock: InStock, running: InRunning, asking: InAsking, text: Id = "", cursor: Cursor = "", limit: Limit = 100
) -> Page[VulnerabilityFoundIn]:
    """List the images that have a vulnerability, of those the asker may see; whether it counts there is not asked."""
    if not text:
        return Page([], None)
    file = running.scanner().file

    async def fetch(last: str, count: int) -> list[FlawHit]:
        return await file.read(partial(scan_search.find_flaws, vulnerability=text, last=last, limit=count))

    found, then = await _visible(stock, asking, fetch, cursor, limit)
    return Page([VulnerabilityFoundIn(hit.vulnerability, _RANKS[hit.rank], images) for hit, images in found], then)


@get("/api/v1/search/files", tags=["search"])
async def find_files(
    stock: InStock, running: InRunning, asking: InAsking, q: Where = "", cursor: Cursor = "", limit: Limit = 100
) -> Page[FileFoundIn]:
    """List the images that have a file, by path, by name or by content, of those the asker may see.

    Removed and replaced files are listed, too, and marked: they lie in the image's layers.
    """
    if not q:
        return Page([], None)
    file = running.scanner().file
    content = _SHA256.fullmatch(q)

    async def fetch(last: str, count: int) -> list[FileHit]:
        if content is not None:
            digest = bytes.fromhex(content[1])
            return await file.read(partial(scan_search.find_content, sha256=digest, last=last, limit=count))
        return await file.read(partial(scan_search.find_files, text=q, last=last, limit=count))

    found, then = await _visible(stock, asking, fetch, cursor, limit)
    places = {_place(hit, one) for hit, images in found for one in images}
    hidden = await file.read(partial(hiding.find_hidden, places=places))
    return Page([_show_file(hit, images, hidden) for hit, images in found], then)


def _place(hit: FileHit, image: ImageHit) -> Place:
    return Place(Digest(image.digest), hit.layer, hit.path, hit.is_folder)


def _show_file(hit: FileHit, images: Sequence[ImageHit], hidden: Collection[Place]) -> FileFoundIn:
    told = [msgspec.structs.replace(one, is_hidden=_place(hit, one) in hidden) for one in images]
    told.sort(key=lambda one: one.is_hidden)
    return FileFoundIn(hit.path, hit.size, hit.mode, hit.sha256, hit.layer, tuple(told))


SEARCHES = (find_packages, find_vulnerabilities, find_files)


async def _visible(
    stock: Stock, asking: Asking, fetch: Callable[[str, int], Awaitable[list[Hit]]], cursor: str, limit: int
) -> tuple[list[tuple[Hit, tuple[ImageHit, ...]]], str | None]:
    """Return a page of hits with the images that the asker may see; a hit without any is none."""

    async def fetch_placed(last: str, count: int) -> list[tuple[Hit, tuple[ImageHit, ...]]]:
        hits = await fetch(last, count)
        digests = [digest for hit in hits for digest in _manifests(hit)]
        places = await stock.db.read(lambda reader: manifest_places.list_places(reader, digests))
        seen = _seen(asking, places)
        return [(hit, tuple(one for digest in _manifests(hit) for one in seen.get(digest, ()))) for hit in hits]

    page = await collect_page(fetch_placed, lambda pair: pair[0].key, lambda pair: bool(pair[1]), cursor, limit)
    return page.items, page.next


def _manifests(hit: PackageHit | FlawHit | FileHit) -> Sequence[Digest]:
    return hit.manifests if isinstance(hit, FileHit) else (hit.manifest,)


def _seen(asking: Asking, places: Sequence[ManifestPlace]) -> dict[Digest, list[ImageHit]]:
    """Return the places that the asker may see, by digest."""
    found: dict[Digest, list[ImageHit]] = {}
    for one in places:
        there = asking.at(one.registry, one.registry_name)
        if there.may(parse_image_path(one.path), Action.VIEW_REPOSITORY):
            hit = ImageHit(one.registry_name, one.image, one.path, one.digest, one.tags)
            found.setdefault(one.digest, []).append(hit)
    return found
