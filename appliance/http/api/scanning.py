"""`/api/v1/.../scans`: orders of scans, of manifests of an image, of a repository, of a registry."""

from typing import Annotated

import msgspec
from litestar import post
from litestar.params import FromPath, JSONBody

from appliance.db import manifests
from appliance.domain.access import Action
from appliance.domain.admission import Grant
from appliance.domain.names import Digest, parse_digest, parse_tag
from appliance.errors import AccessDenied, ManifestUnknown, QueryInvalid
from appliance.http.api import jobs
from appliance.http.api.asking import Asking, InAsking, InBooks, InStock
from appliance.http.api.images import find_image
from appliance.http.api.jobs import JobShown
from appliance.http.api.registries import find_registry
from appliance.http.api.repositories import find_repository
from appliance.metrics import Counter
from appliance.services import scan_orders
from appliance.services.books import Books
from appliance.services.stock import Stock

MOST = 50  # manifests of one order: manual 2.3


class ScanOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which manifests of an image to scan: by digest, by tag, or both; 50 together at most."""

    digests: Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST)] = ()
    tags: Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST)] = ()


class RefusedScan(msgspec.Struct, frozen=True):
    """What is not scanned, and why."""

    digest: str
    reason: str


class ScansOrdered(msgspec.Struct, frozen=True):
    """Which manifests wait for their scan: of an index its platforms."""

    digests: tuple[str, ...]
    jobs: tuple[str, ...]
    refused: tuple[RefusedScan, ...]


_NOTHING = ScanOrder()


@post("/api/v1/images/{image_id:str}/scans", status_code=202, tags=["scans"])
async def order_scans(
    stock: InStock,
    books: InBooks,
    asking: InAsking,
    image_id: FromPath[str],
    data: JSONBody[ScanOrder] = _NOTHING,
) -> ScansOrdered:
    """Let up to 50 manifests of an image be scanned soon; of an index each platform that is here."""
    grant = _admitted(stock, books, asking, image_id)
    digests = [*map(parse_digest, data.digests), *[_digest_of(stock, grant, tag) for tag in data.tags]]
    if not digests or len(digests) > MOST:
        raise QueryInvalid(f"name between 1 and {MOST} manifests to scan, by digest or by tag")
    ordered = await scan_orders.order_manifests(stock, grant, list(dict.fromkeys(digests)), stock.clock())
    _deny(books, grant, len(ordered.refused))
    return ScansOrdered(
        ordered.digests, ordered.jobs, tuple(RefusedScan(one.digest, one.reason) for one in ordered.refused)
    )


@post("/api/v1/repositories/{repository_id:str}/scans", status_code=202, tags=["scans"])
async def order_repository_scans(stock: InStock, asking: InAsking, repository_id: FromPath[str]) -> JobShown:
    """Let all manifests of a repository be scanned; answer the job that orders it."""
    found, grant = find_repository(stock, asking, repository_id, Action.SCAN)
    ordered = await scan_orders.order_wide(stock, grant.caller, found.registry, found.name, stock.clock())
    return jobs.show(ordered)


@post("/api/v1/registries/{registry_id:str}/scans", status_code=202, tags=["scans"])
async def order_registry_scans(stock: InStock, asking: InAsking, registry_id: FromPath[str]) -> JobShown:
    """Let all manifests of a registry be scanned; answer the job that orders it."""
    found = find_registry(stock, asking, registry_id, Action.SCAN)
    ordered = await scan_orders.order_wide(stock, asking.caller, found.id, None, stock.clock())
    return jobs.show(ordered)


SCAN_ORDERS = (order_scans, order_repository_scans, order_registry_scans)


def _admitted(stock: Stock, books: Books, asking: Asking, image_id: str) -> Grant:
    """Return the grant to scan the image; a denied one is counted. Raises NameUnknown, AccessDenied."""
    viewing = find_image(stock, asking, image_id, Action.VIEW_REPOSITORY)
    try:
        return find_image(stock, asking, image_id, Action.SCAN)
    except AccessDenied:
        _deny(books, viewing, 1)
        raise


def _deny(books: Books, grant: Grant, count: int) -> None:
    if count:
        books.tally.count(grant.image.registry, Counter.SCANS_DENIED, books.clock(), count)


def _digest_of(stock: Stock, grant: Grant, text: str) -> Digest:
    found = manifests.find(stock.db.reader, grant.image, parse_tag(text))
    if found is None:
        raise ManifestUnknown(f"{grant.path} has no tag {text[:128]}")
    return found.digest
