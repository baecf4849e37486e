"""Verify: compare the store with the database, and mend what can be mended without a guess.

It may run while the registry serves: whatever looks wrong is looked at again before it is said, for a push or a
collection may have come in between. It goes prefix by prefix, so that it never holds more than a few of the names.
"""

import asyncio
from collections.abc import Iterable, Iterator
from functools import partial

import msgspec

from appliance.blobstore.forms import sums_size
from appliance.blobstore.store import Lying
from appliance.db import blobs, integrity, manifests, usage_check
from appliance.db.database import Reader
from appliance.db.integrity import StoredManifest
from appliance.domain.manifest import carries_itself, digest_of, parse_manifest
from appliance.domain.moment import SECOND
from appliance.domain.names import Digest, algorithm_of, to_bytes
from appliance.domain.registry import BlobId, ManifestId, StoredBlob
from appliance.errors import BlobBroken, ManifestInvalid, ScrError, StoreFailed
from appliance.services import scrub
from appliance.services.course import UNFOLLOWED, Course
from appliance.services.stock import Stock

LISTED = 1000  # faults that are listed one by one
_PAGE = 200  # rows read at once


class Fault(msgspec.Struct, frozen=True, rename="camel"):
    """Something that is not as it should be."""

    kind: str  # database, usage, blob-missing, blob-size, blob-broken, blob-stray, manifest-broken, copy-...
    subject: str
    detail: str
    is_repaired: bool = False


class Verified(msgspec.Struct, frozen=True, rename="camel"):
    """What was looked at, and what was found: `faults` in all, the first of them listed."""

    blobs: int
    bytes: int  # read, where the bytes were read
    manifests: int
    faults: int
    repaired: int
    listed: tuple[Fault, ...]


class _Findings:
    """Counts, and the faults found so far."""

    def __init__(self) -> None:
        self.blobs = self.bytes = self.manifests = self.faults = self.repaired = 0
        self.listed: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Write down a fault."""
        self.faults += 1
        self.repaired += fault.is_repaired
        if len(self.listed) < LISTED:
            self.listed.append(fault)

    def finish(self) -> Verified:
        """Return all of it."""
        return Verified(self.blobs, self.bytes, self.manifests, self.faults, self.repaired, tuple(self.listed))


class CheckOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to check: `deep` reads and hashes every byte, `repair` mends what is safe to mend."""

    deep: bool = False
    repair: bool = False


async def verify(stock: Stock, *, deep: bool = False, repair: bool = False, course: Course = UNFOLLOWED) -> Verified:
    """Check everything once. `deep` reads and hashes every byte.

    With `repair`: the copy of a manifest is written again from the database, files that nothing owns are deleted, and a
    blob whose bytes are gone or broken is quarantined, so that the next push heals it. What needs a guess is only told.
    """
    found = _Findings()
    for line in await stock.db.read(lambda reader: integrity.list_faults(reader, deep=deep)):
        found.add(Fault("database", "scr.sqlite", f"{line}; stop scr, then: scr rebuild"))
    await _check_needs(stock, found)
    await _check_usage(stock, found, repair=repair)
    groups = _by_prefix(stock.store.walk_blobs())
    while (group := await asyncio.to_thread(next, groups, None)) is not None:
        await _compare_blobs(stock, found, *group, repair=repair)
        course.check()
    groups = _by_prefix(stock.store.walk_manifests())
    while (group := await asyncio.to_thread(next, groups, None)) is not None:
        await _compare_manifests(stock, found, *group, deep=deep, repair=repair)
        course.check()
    if deep:
        await _read_all(stock, found, course, repair=repair)
    return found.finish()


def _by_prefix(lying: Iterable[Lying]) -> Iterator[tuple[bytes, dict[tuple[Digest, str], Lying]]]:
    """Yield every two-byte beginning of a stored digest, in order, with what lies under it (blocking)."""
    waiting = iter(lying)
    one = next(waiting, None)
    for number in range(0x100, 0x300):  # the byte of the algorithm is 1 or 2
        prefix = number.to_bytes(2)
        group = {}
        while one is not None and to_bytes(one.digest)[:2] == prefix:
            group[one.digest, one.generation] = one
            one = next(waiting, None)
        yield prefix, group


def _next(prefix: bytes) -> bytes:
    return (int.from_bytes(prefix) + 1).to_bytes(2)


async def _compare_blobs(
    stock: Stock, found: _Findings, prefix: bytes, lying: dict[tuple[Digest, str], Lying], *, repair: bool
) -> None:
    for blob, is_quarantined in await stock.db.read(lambda reader: integrity.list_blobs(reader, prefix, _next(prefix))):
        one = lying.pop((blob.digest, blob.generation), None)
        if is_quarantined:
            found.add(Fault("blob-quarantined", blob.digest, "its bytes were broken; push its images again"))
            continue
        found.blobs += 1
        kind, reason = "", ""
        if one is None:
            if await _is_there(stock, blob):
                continue
            kind, reason = "blob-missing", "its bytes are gone from the store"
        elif one.size != blob.size:
            kind, reason = "blob-size", f"{one.size} bytes lie there, and {blob.size} were stored"
        elif len(blob.sums) != sums_size(blob.form, blob.size):
            kind, reason = "blob-sums", "its row has sums of another size"
        if kind:
            await _tell_broken(stock, found, blob, kind, reason, repair=repair)
    await _tell_strays(stock, found, "blob", lying.values(), repair=repair)


async def _compare_manifests(
    stock: Stock,
    found: _Findings,
    prefix: bytes,
    lying: dict[tuple[Digest, str], Lying],
    *,
    deep: bool,
    repair: bool,
) -> None:
    for row in await stock.db.read(lambda reader: integrity.list_manifests(reader, prefix, _next(prefix))):
        found.manifests += 1
        one = lying.pop((row.digest, row.generation), None)
        loaded = await stock.db.read(partial(manifests.load, manifest=row.id))
        if loaded is None:  # purged meanwhile
            continue
        body = loaded[4]
        if digest_of(body, algorithm_of(row.digest)) != row.digest:
            found.add(Fault("manifest-broken", row.digest, "its bytes in the database changed; push it again"))
            continue
        is_same = one is not None and one.size == row.size
        if deep or not is_same:
            is_same = await asyncio.to_thread(_is_copy, stock, row, body)
        has_copy = partial(manifests.has_copy, digest=row.digest, generation=row.generation)
        if is_same or not await stock.db.read(has_copy):  # it was moved or purged meanwhile
            continue
        if repair:
            await stock.store.keep_manifest(row.digest, row.generation, body)
        reason = "its copy in the store is gone" if one is None else "its copy in the store has other bytes"
        found.add(Fault("copy-missing" if one is None else "copy-broken", row.digest, reason, repair))
    await _tell_strays(stock, found, "manifest", lying.values(), repair=repair)


def _is_copy(stock: Stock, row: StoredManifest, body: bytes) -> bool:
    try:
        return stock.store.read_manifest(row.digest, row.generation) == body
    except ScrError:
        return False


async def _check_usage(stock: Stock, found: _Findings, *, repair: bool) -> None:
    """Tell what is kept of registries, repositories and images, and is not what their rows add up to."""
    wrong = await stock.db.read(usage_check.list_wrong)
    if wrong and repair:
        await stock.db.write(usage_check.recount)
    for subject in wrong:
        found.add(Fault("usage", subject, "its use is counted wrongly", repair))


async def _check_needs(stock: Stock, found: _Findings) -> None:
    """Tell of live manifests that need blobs their image cannot read, unless they may."""
    if stock.rules.sparse_images:
        return
    after = ManifestId(0)
    while page := await stock.db.read(partial(integrity.list_unmet, after=after, limit=_PAGE)):
        for row in page:
            for fault in await stock.db.read(partial(_holes, row=row)):
                found.add(fault)
        after = page[-1]


def _holes(reader: Reader, row: ManifestId) -> list[Fault]:
    """Return the blobs that the manifest `row` cannot do without and its image cannot read."""
    loaded = manifests.load(reader, row)
    path = integrity.path_of(reader, row)
    if loaded is None or path is None:
        return []
    image, digest, _, media_type, body = loaded
    try:
        manifest = parse_manifest(body, media_type, algorithm_of(digest))
    except ManifestInvalid as error:
        return [Fault("manifest-broken", digest, f"{path} has it, and it cannot be read: {error.message}")]
    needed = [Digest(part.digest) for part in manifest.blobs if not carries_itself(part)]
    return [
        Fault("manifest-blob", blob, f"{path}@{digest} needs it, and the image cannot read it; push it again")
        for blob in blobs.missing(reader, image, needed)
    ]


async def _read_all(stock: Stock, found: _Findings, course: Course, *, repair: bool) -> None:
    last, total = BlobId(0), await stock.db.read(blobs.readable_bytes)
    while page := await stock.db.read(partial(blobs.list_after, last=last, limit=_PAGE)):
        for blob in page:
            found.bytes += blob.size
            try:
                await scrub.look_at(stock, blob, 0)
            except BlobBroken as error:
                await _tell_broken(stock, found, blob, "blob-broken", error.message, repair=repair)
            except StoreFailed as error:  # it may be whole: nothing is put aside for a disk that merely failed
                found.add(Fault("blob-unread", blob.digest, error.message))
            course.progress(found.bytes, max(total, found.bytes))
            course.check()
        last = page[-1].id


async def _tell_broken(
    stock: Stock, found: _Findings, blob: StoredBlob, kind: str, reason: str, *, repair: bool
) -> None:
    """Tell of a broken blob, unless its row is another by now or the same was told already."""
    row = await stock.db.read(lambda reader: blobs.find_stored(reader, blob.digest))
    if row is None or row.generation != blob.generation or any(one.subject == blob.digest for one in found.listed):
        return
    if repair:
        await scrub.quarantine(stock, blob, reason)
    cure = "it is in quarantine now: push its images again" if repair else "push its images again"
    found.add(Fault(kind, blob.digest, f"{reason}; {cure}"))  # put aside is not mended: its images cannot be pulled


async def _is_there(stock: Stock, blob: StoredBlob) -> bool:
    try:
        async for _ in stock.store.chunks(blob, 0, min(blob.size, 1)):
            break
    except ScrError:
        return False
    return True


async def _tell_strays(stock: Stock, found: _Findings, kind: str, lying: Iterable[Lying], *, repair: bool) -> None:
    """Tell of files that no row owns and that are too old to be on their way."""
    before = (stock.clock() - stock.rules.grace) / SECOND
    for one in lying:
        if one.written >= before or one.generation in stock.sealing:
            continue
        is_owned = partial(blobs.is_owned, kind=kind, digest=one.digest, generation=one.generation)
        # asked in the writer too, behind every row on its way: a push whose client has left still gets its row
        if await stock.db.read(is_owned) or await stock.db.write(is_owned):
            continue
        if repair:
            await (stock.store.delete if kind == "blob" else stock.store.drop_manifest)(one.digest, one.generation)
        found.add(Fault(f"{kind}-stray", one.digest, f"{one.size} bytes lie there that nothing owns", repair))
