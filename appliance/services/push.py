"""Taking things in: upload sessions, mounts, manifests.

Bytes are synced before they are named, named before the database commits, committed before the client hears 201.
A crash in between leaves garbage, never a hole.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from appliance.blobstore.session import Session
from appliance.blobstore.upload import Upload
from appliance.db import activity, blobs, images, manifests, repositories
from appliance.db.activity import About, Detail
from appliance.db.database import Transaction
from appliance.db.images import Standing
from appliance.db.repositories import Made
from appliance.db.scan_targets import Target
from appliance.domain import image_policy
from appliance.domain.admission import Grant
from appliance.domain.image_policy import ImagePolicy
from appliance.domain.manifest import Manifest, carries_itself, parse_manifest
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, Tag, algorithm_of, parse_image_path
from appliance.domain.registry import BlobId, ImageId, ImageRef, StoredBlob
from appliance.errors import (
    DigestInvalid,
    ManifestBlobUnknown,
    ScrError,
    StoreDown,
    StoreFailed,
    UploadUnknown,
)
from appliance.services import guard, pull_limit, quota, scan_orders
from appliance.services.arrange import check_claim, claim_repository
from appliance.services.stock import Rules, Stock, new_generation, new_public_id

PARSE_INLINE = 256 << 10  # bytes; a larger manifest is parsed in a worker thread


async def start_upload(stock: Stock, grant: Grant, algorithm: str, now: Timestamp, size: int = 0) -> Upload:
    """Begin an upload session bound to the image and the principal.

    `algorithm` is what the digest will be made with ("sha256" or "sha512"), `size` how many bytes will come, where that
    is known. Raises RepositoryAbsent, QuotaExceeded, StorageFull.
    Spec: distribution-spec 1.1.1, "Pushing blobs" (end-4a, end-4c).
    """
    _check_repository(stock, grant.image)
    await quota.check_start(stock, grant.image.registry, size)
    session = Session(str(uuid.uuid4()), grant.image.registry, str(grant.path), str(grant.principal), algorithm, now)
    return await stock.uploads.create(session)


async def find_upload(stock: Stock, grant: Grant, session_id: str) -> Upload:
    """Return the session, if it is this principal's for this image.

    Raises UploadUnknown for anything else: an id alone gives nobody anything. Spec: end-5, end-6, end-13, end-14.
    """
    try:
        canonical = str(uuid.UUID(session_id))
    except ValueError:
        canonical = ""
    upload = await stock.uploads.find(session_id) if canonical == session_id else None
    wanted = (grant.image.registry, str(grant.path), str(grant.principal))
    if upload is None or (upload.session.registry, upload.session.path, upload.session.principal) != wanted:
        raise UploadUnknown("no such upload; it was finished, cancelled or has expired: begin a new one")
    return upload


async def finish_upload(stock: Stock, grant: Grant, upload: Upload, digest: Digest, now: Timestamp) -> StoredBlob:
    """Verify and keep the bytes of `upload` under `digest`, and let the image use them.

    Raises DigestInvalid (the session is gone then), QuotaExceeded, StorageFull, StoreFailed. Spec: end-4b, end-6.
    """
    sealable = await upload.finish(digest)
    generation = new_generation()
    stock.sealing.add(generation)
    sealed = StoredBlob(BlobId(0), digest, generation, stock.store.driver, sealable.form, sealable.size, sealable.sums)
    is_kept = False
    try:
        try:
            await stock.store.seal(sealable.staged, sealed)
        except ScrError as error:
            is_kept = isinstance(error, StoreDown)  # the bytes are here and whole: the client may close it again
            await _drop_spare(stock, stock.store.delete, digest, generation)
            raise

        def record(tx: Transaction) -> StoredBlob:
            image = claim_image(tx, stock.rules, grant, now)
            blob = blobs.claim(tx, sealed, now)
            before = quota.kept_bytes(tx, grant.image.registry)
            blobs.link(tx, image, blob.id, now, Timestamp(now + stock.rules.grace))
            quota.check_kept(tx, grant.image.registry, before)
            return blob

        try:
            blob = await stock.db.write(record)
        except StoreFailed:  # the row may be on the disk after all, and come back with the next start: bytes stay
            raise
        except Exception:  # not when cancelled: the writer may still commit, and stray bytes are swept later
            await _drop_spare(stock, stock.store.delete, digest, generation)
            raise
        if blob.generation != generation:  # somebody else's bytes of the same digest were there first
            await _drop_spare(stock, stock.store.delete, digest, generation)
    finally:
        stock.sealing.discard(generation)
        if not is_kept:
            with contextlib.suppress(ScrError):  # what became of the push is decided; idle sessions are reaped
                await upload.cancel()
    return blob


async def _drop_spare(
    stock: Stock, drop: Callable[[Digest, str], Awaitable[None]], digest: Digest, generation: str
) -> None:
    """Delete bytes that got no row; where that fails the sweep takes them later, and the push is none the worse."""
    try:
        await drop(digest, generation)
    except ScrError as error:
        stock.log.warn("store.spare_left", digest=digest, reason=error.message)


async def mount_blob(
    stock: Stock,
    grant: Grant,
    digest: Digest,
    sources: Callable[[list[str]], Iterable[ImageRef]],
    named: ImageRef | None,
    now: Timestamp,
) -> bool:
    """Let the image use a blob that another image of the registry holds; False: the client must upload it.

    `named` is the image of `from`, already checked for pull; without it, `sources` filters the holders down to those
    the caller may pull from. The answer for a blob that exists elsewhere and one that exists nowhere is the same, and
    so is that for one which only manifests need that a pull limit refuses.
    Spec: distribution-spec 1.1.1, "Mounting a blob from another repository" (end-11).
    """
    reader = stock.db.reader
    candidates = (
        [named] if named is not None else list(sources(blobs.holders(reader, grant.image.registry, digest, 100)))
    )
    candidates = [source for source in candidates if blobs.find(reader, source, digest)]
    candidates = [source for source in candidates if not await _is_blocked(stock, source, digest)]
    if not candidates:
        return False

    def record(tx: Transaction) -> bool:
        found = next((one for source in candidates if (one := blobs.find(tx, source, digest))), None)
        if found is None:
            return False
        image = claim_image(tx, stock.rules, grant, now)
        blobs.link(tx, image, found.stored.id, now, Timestamp(now + stock.rules.grace))
        return True

    return await stock.db.write(record)


async def _is_blocked(stock: Stock, source: ImageRef, digest: Digest) -> bool:
    """Whether a pull limit keeps the blob from whoever may only pull from `source`."""
    image = images.find_limited(stock.db.reader, source)
    return image is not None and await stock.db.read(
        lambda reader: pull_limit.blocks_mount(reader, image, digest),
    )


class ManifestPut(msgspec.Struct, frozen=True):
    """A PUT of a manifest: the bytes, what they are said to be, and the names they get."""

    body: bytes
    content_type: str
    digest: Digest | None  # what the client says it is, where it pushes by digest
    tags: tuple[Tag, ...]


class Placed(msgspec.Struct, frozen=True):
    """What became of a PUT: what the answer's headers say."""

    manifest: Manifest
    warnings: tuple[str, ...]


class _CopyNeeded(Exception):
    """The manifest that was there a moment ago is gone: its copy in the store must be written after all."""


async def put_manifest(stock: Stock, grant: Grant, put: ManifestPut, now: Timestamp) -> Placed:
    """Store a manifest and move its tags; return once all of it is durable.

    The blobs were sealed before (finish_upload), so one transaction makes manifest, needs and tags appear together or
    not at all. Raises ManifestInvalid, DigestInvalid, ManifestBlobUnknown, TagLocked, QuotaExceeded, RepositoryAbsent.
    Spec: distribution-spec 1.1.1, "Pushing Manifests" (end-7a, end-7b).
    """
    algorithm = algorithm_of(put.digest) if put.digest else "sha256"
    if len(put.body) > PARSE_INLINE:
        manifest = await asyncio.to_thread(parse_manifest, put.body, put.content_type, algorithm)
    else:
        manifest = parse_manifest(put.body, put.content_type, algorithm)
    if put.digest and manifest.digest != put.digest:
        raise DigestInvalid(f"the body has the digest {manifest.digest}, and the URL says {put.digest}")
    _check_repository(stock, grant.image)
    is_known = manifests.find(stock.db.reader, grant.image, manifest.digest) is not None
    while True:
        try:
            return await _put(stock, grant, put, manifest, "" if is_known else new_generation(), now)
        except _CopyNeeded:
            is_known = False


class _Recorded(msgspec.Struct, frozen=True):
    """What the transaction of a PUT found: what may stay missing, and whether the manifest is new to the image."""

    lost_blobs: list[Digest]
    lost_children: list[Digest]
    is_new: bool


async def _put(
    stock: Stock, grant: Grant, put: ManifestPut, manifest: Manifest, generation: str, now: Timestamp
) -> Placed:
    """Keep the copy (unless `generation` is empty) and record the manifest."""
    stock.sealing.add(generation)
    try:
        if generation:
            try:
                await stock.store.keep_manifest(manifest.digest, generation, manifest.body)
            except ScrError:
                await _drop_spare(stock, stock.store.drop_manifest, manifest.digest, generation)
                raise
        try:
            recorded = await stock.db.write(
                lambda tx: _record_manifest(tx, stock.rules, grant, put.tags, manifest, generation, now),
            )
        except StoreFailed:  # as above: the row may come back
            raise
        except Exception:  # not when cancelled: the writer may still commit, and a stray copy is swept later
            if generation:
                await _drop_spare(stock, stock.store.drop_manifest, manifest.digest, generation)
            raise
        if generation and not recorded.is_new:
            await _drop_spare(stock, stock.store.drop_manifest, manifest.digest, generation)
    finally:
        stock.sealing.discard(generation)
    return Placed(manifest, _warnings(recorded.lost_blobs, recorded.lost_children))


def _record_manifest(
    tx: Transaction,
    rules: Rules,
    grant: Grant,
    wanted: tuple[Tag, ...],
    manifest: Manifest,
    generation: str,
    now: Timestamp,
) -> _Recorded:
    """Make manifest, needs and tags appear together.

    Raises ManifestBlobUnknown, TagLocked, QuotaExceeded, RepositoryAbsent.
    """
    by = str(grant.principal)
    image = claim_image(tx, rules, grant, now)
    lost_blobs, lost_children = _check_content(tx, rules, image, grant, manifest)
    found = manifests.find_in(tx, image, manifest.digest)
    if found is None:
        if not generation:
            raise _CopyNeeded
        before = quota.kept_bytes(tx, grant.image.registry)
        row, is_back = manifests.insert(tx, image, manifest, generation, by, now), True
        quota.check_kept(tx, grant.image.registry, before)
    else:
        row, is_back = found
        if is_back:
            manifests.revive(tx, row)
    if is_first := images.show(tx, image, now):
        quota.check_images(tx, grant.image.registry)
    if is_back:
        images.note_push(tx, image, now)
    moved = [tag for tag in dict.fromkeys(wanted) if guard.must_move(tx, image, tag, row)]
    if is_back or is_first or moved:
        about = About(registry=grant.image.registry, image=image)
        names: list[str] = [*moved]
        target = Target(row, manifest.digest)
        is_scanned = is_back and scan_orders.note_push(tx, image, target, manifest.body, now, by)
        scans = {"scans": 1} if is_scanned else {}
        detail: Detail = {"digest": manifest.digest, "tags": names, "path": str(grant.path), **scans}
        seq = activity.record(tx, "image.created" if is_first else "image.pushed", grant.caller, about, detail, now)
        for tag in moved:
            guard.point(tx, image, tag, row, seq, by, now)
    return _Recorded(lost_blobs, lost_children, is_new=found is None)


def _check_content(
    tx: Transaction, rules: Rules, image: ImageId, grant: Grant, manifest: Manifest
) -> tuple[list[Digest], list[Digest]]:
    """Return blobs and children that are not there and may be missing. Raises ManifestBlobUnknown for the others."""
    needed = [Digest(part.digest) for part in manifest.blobs if not carries_itself(part)]
    children = [Digest(part.digest) for part in manifest.children]
    blobs.revive(tx, image, [*needed, *children])  # deleted, but still owned: the push brings them back
    lost_blobs = blobs.missing(tx, image, needed)
    if lost_blobs and not rules.sparse_images:
        raise ManifestBlobUnknown(f"{lost_blobs[0]} is not in {grant.path}; push it before the manifest")
    lost_children = blobs.missing(tx, image, manifests.missing(tx, image, children))  # old build caches list blobs
    if lost_children and not rules.sparse_indexes:
        raise ManifestBlobUnknown(f"{lost_children[0]} is not in {grant.path}; push it before the index")
    return lost_blobs, lost_children


def _warnings(lost_blobs: list[Digest], lost_children: list[Digest]) -> tuple[str, ...]:
    warnings = []
    if lost_blobs:
        warnings.append(
            f"{len(lost_blobs)} blobs of this manifest are not here yet; pulls of it fail until they are pushed"
        )
    if lost_children:
        warnings.append(
            f"{len(lost_children)} manifests of this index are not here; pulls of those platforms answer 404"
        )
    return tuple(warnings)


def claim_image(tx: Transaction, rules: Rules, grant: Grant, now: Timestamp) -> ImageId:
    """Return the image of `grant`, made now (with its repository, where that is allowed) if it is not there.

    A new image is born with a copy of its repository's policy. Raises what `claim_repository` raises.
    """
    image = grant.image
    found = images.find(tx, image)
    if found is not None:
        return found
    repository = claim_repository(tx, rules, grant, now)
    policy = repository.settings.policy
    made = Made(new_public_id(), str(grant.principal), now, image_policy.to_json(policy))
    return images.insert(tx, image, repository.id, made, standing_of(policy, rules, now))


def standing_of(policy: ImagePolicy, rules: Rules, now: Timestamp) -> Standing:
    """Return what is asked of `policy` without reading it, as of its coming into force now."""
    retention_at = Timestamp(now + rules.retention_first) if policy.tag_deletion.is_on else None
    return Standing(policy.pull_limit.is_on, retention_at)


def _check_repository(stock: Stock, image: ImageRef) -> None:
    """Refuse early what `claim_image` would refuse after all bytes came."""
    if stock.rules.strict:
        parse_image_path(str(image.path), strict=True)
    if repositories.find(stock.db.reader, image.registry, image.path.repository) is None:
        check_claim(stock.db.reader, stock.rules, image)
