"""Orders about vulnerability data: import this, remove that; who asked is written down, and a job does it."""

import asyncio
from contextlib import closing
from functools import partial
from pathlib import Path

import msgspec

from appliance.db import activity, blobs, jobs, manifests, registries
from appliance.db.activity import About
from appliance.db.database import Reader, Transaction
from appliance.domain.access import PrincipalKind
from appliance.domain.admission import Caller, Grant
from appliance.domain.job import Job
from appliance.domain.names import (
    Digest,
    ImagePath,
    RegistryName,
    Tag,
    parse_digest,
    parse_image_path,
    parse_tag,
)
from appliance.domain.registry import FoundManifest, ImageRef, StoredBlob
from appliance.domain.vulnerability import Verified
from appliance.errors import (
    AccessDenied,
    BlobUnknown,
    Conflict,
    FeedUnknown,
    ManifestUnknown,
    QueryInvalid,
    RegistryUnknown,
)
from appliance.services import feed_source, rematch
from appliance.services.course import Course
from appliance.services.feed_fetch import HERE, FeedAddress, Fetcher
from appliance.services.feed_import import Imported, check_name, import_feed
from appliance.services.feed_source import Input
from appliance.services.stock import Stock
from appliance.services.vulndb import Source

IMPORT, FETCH = "vulndb.import", "vulndb.fetch"  # kinds of jobs
_LONGEST = 1024  # characters of a path


class ImportOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What to import: a file or folder of the host by `path`, or an artifact of a registry here by `image`."""

    path: str = ""
    image: str = ""  # <repository>/<image>:<tag> or @<digest>
    registry: str = ""  # of the image
    name: str = ""  # what the source is called; "" for the name of its form
    sha256: str = ""  # what the file has to be, in hex


async def order_import(stock: Stock, caller: Caller, order: ImportOrder, grant: Grant | None) -> Job:
    """Let an import run soon; return its job, or the same that waits already. `grant` is to pull `order.image`.

    Raises QueryInvalid, FeedInvalid for a name, AccessDenied for a path of somebody who is not on the host, Conflict.
    """
    if bool(order.path) == bool(order.image):
        raise QueryInvalid("say what to import: either a path of the host or an image of a registry here")
    if order.path:
        _check_path(caller, order.path)
    elif grant is None:
        raise AccessDenied("nobody was admitted to pull the image")
    if order.name:
        check_name(order.name)
    if order.sha256 and (len(order.sha256) != 64 or not all(one in "0123456789abcdef" for one in order.sha256)):
        raise QueryInvalid("sha256 has to be 64 hex digits in lower case")
    wanted = {name: value for name, value in msgspec.to_builtins(order).items() if value}

    def record(tx: Transaction) -> Job:
        number = jobs.enqueue(tx, IMPORT, order.path or order.image, wanted, stock.clock(), by=str(caller.principal))
        job = jobs.find_by_id(tx, number)
        if job is None or msgspec.json.decode(job.detail) != wanted:
            raise Conflict("an import of the same that was ordered in another way waits already; see: scr job list")
        activity.record(
            tx, "vulndb.import_ordered", caller, About(subject=f"job:{job.public_id}"), wanted, stock.clock()
        )
        return job

    return await stock.db.write(record)


async def run_import(stock: Stock, order: ImportOrder, job: str, course: Course) -> Imported:
    """Do what was ordered, and let every image be matched again.

    Raises what `import_feed` does, and Unknown where the image is gone.
    """
    find = partial(_find_path, stock, order) if order.path else partial(_find_image, stock, order)
    done = await import_feed(stock, stock.vulndb, find, order.name, job, course)
    await stock.db.write(partial(rematch.ask, stock=stock))  # also by a second attempt, whose data are there already
    return done


async def order_fetch(stock: Stock, caller: Caller, name: str) -> list[Job]:
    """Let the source of `scr.toml` of that name be fetched soon, "" for each; return the jobs.

    Raises FeedUnknown where none of that name, or none at all, is configured.
    """
    feeds = [one for one in stock.rules.feeds if name in ("", one.name)]
    if not feeds:
        raise _not_configured(name)

    def record(tx: Transaction) -> list[Job]:
        by = str(caller.principal)
        numbers = [jobs.enqueue(tx, FETCH, one.name, {}, stock.clock(), by=by) for one in feeds]
        detail = {"sources": [one.name for one in feeds]}
        activity.record(tx, "vulndb.fetch_ordered", caller, About(subject="vulndb"), detail, stock.clock())
        return [job for number in numbers if (job := jobs.find_by_id(tx, number)) is not None]

    return await stock.db.write(record)


async def spread_fetch(stock: Stock) -> int:
    """Let each configured source be fetched soon; return how many there are."""
    feeds = stock.rules.feeds
    await stock.db.write(
        lambda tx: [jobs.enqueue(tx, FETCH, one.name, {}, stock.clock(), by="scheduler") for one in feeds]
    )
    return len(feeds)


async def run_fetch(stock: Stock, name: str, job: str, course: Course) -> Imported:
    """Fetch a configured source and import it. Raises FeedUnknown, StoreDown, and what `run_import` does."""
    feed = next((one for one in stock.rules.feeds if one.name == name), None)
    if feed is None:
        raise _not_configured(name)
    if feed.scheme == HERE:
        registry, _, image = feed.address.removeprefix(f"{HERE}://").partition("/")
        return await run_import(stock, ImportOrder(image=image, registry=registry, name=name), job, course)
    done = await import_feed(stock, stock.vulndb, partial(_fetch, stock, feed, course), name, job, course)
    await stock.db.write(partial(rematch.ask, stock=stock))
    return done


async def _fetch(stock: Stock, feed: FeedAddress, course: Course, folder: Path) -> Input | None:
    known = next((one for one in stock.vulndb.sources if (one.name, one.origin) == (feed.name, feed.address)), None)
    loop = asyncio.get_running_loop()

    def go_on(done: int, total: int) -> None:
        course.check()
        loop.call_soon_threadsafe(course.progress, done, total)

    def run() -> Input | None:
        with closing(Fetcher(feed, go_on)) as fetcher:
            return fetcher.fetch(folder, known.input if known else "", known.mark if known else "")

    course.say(f"fetching {feed.address}")
    return await loop.run_in_executor(stock.uploads.executor, run)


def _not_configured(name: str) -> FeedUnknown:
    what = f"no [[vulndb_source]] is called {name[:80]!r}" if name else "there is no [[vulndb_source]]"
    return FeedUnknown(f"{what} in scr.toml, and scr fetches from nowhere else; add one, or import a file")


async def remove(stock: Stock, caller: Caller, name: str) -> Source:
    """Let the source `name` count no more. Raises FeedUnknown, StoreFailed."""
    removed = await asyncio.get_running_loop().run_in_executor(stock.uploads.executor, stock.vulndb.remove, name)
    detail = {"form": removed.form, "origin": removed.origin, "advisories": removed.advisories}
    about = About(subject=f"vulndb:{name}")

    def record(tx: Transaction) -> None:
        activity.record(tx, "vulndb.removed", caller, about, detail, stock.clock())
        rematch.ask(tx, stock)

    await stock.db.write(record)
    stock.log.info("vulndb.removed", source=name)
    return removed


def parse_reference(text: str) -> tuple[ImagePath, Tag | Digest]:
    """Return image and reference of `pay/api:1` or `pay/api@sha256:...`. Raises NameInvalid, TagInvalid, ..."""
    bare, at, digest = text.partition("@")
    if at:
        return parse_image_path(bare), parse_digest(digest)
    bare, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        raise QueryInvalid(f"{text[:80]!r} names no tag; write <repository>/<image>:<tag>")
    return parse_image_path(bare), parse_tag(tag)


def _check_path(caller: Caller, path: str) -> None:
    """Refuse a path of the host that the caller may not name. Raises AccessDenied, QueryInvalid."""
    if caller.principal.kind is not PrincipalKind.OPERATOR:
        raise AccessDenied(
            "a file of the host can be named on the host only: run scr vulndb import there, or push it as an artifact"
            " and import that"
        )
    if not Path(path).is_absolute() or "\0" in path or len(path) > _LONGEST:
        raise QueryInvalid("path has to be an absolute path of the host")


async def _find_path(stock: Stock, order: ImportOrder, folder: Path) -> Input:
    return await asyncio.get_running_loop().run_in_executor(
        stock.uploads.executor, feed_source.open_path, Path(order.path), folder, order.sha256
    )


async def _find_image(stock: Stock, order: ImportOrder, folder: Path) -> Input:
    """Copy the layer of the artifact out of the store, every chunk of it checked."""
    found, blob = await stock.db.read(partial(_find_layer, order=order))
    target, loop = folder / "input", asyncio.get_running_loop()
    with await loop.run_in_executor(stock.uploads.executor, target.open, "xb") as file:
        async for chunk in stock.store.chunks(blob, 0, blob.size):
            await loop.run_in_executor(stock.uploads.executor, file.write, chunk)
    origin = f"{order.registry}/{order.image} ({found.digest})"
    return Input(target, order.image, origin, "", order.sha256, verified=Verified.DIGEST)


def _find_layer(reader: Reader, *, order: ImportOrder) -> tuple[FoundManifest, StoredBlob]:
    registry = registries.find(reader, RegistryName(order.registry))
    if registry is None:
        raise RegistryUnknown(f"there is no registry {order.registry!r}; see: scr registry list")
    path, reference = parse_reference(order.image)
    image = ImageRef(registry.id, path)
    manifest = manifests.find(reader, image, reference)
    if manifest is None:
        raise ManifestUnknown(f"{path} has no {reference}; see its tag list, or push it")
    layer = feed_source.layer_of(manifest.body, order.image)
    blob = blobs.find(reader, image, layer.digest)
    if blob is None:
        raise BlobUnknown(f"{path} has no {layer.digest}, which {reference} names; push it again")
    return manifest, blob.stored
