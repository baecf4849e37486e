"""Taking things away: at once for readers, for good when the recycle time ends (collect.py).

What one act took away is written down as one deletion: undo.py brings it back together until then.
"""

from collections.abc import Sequence

import msgspec

from appliance.db import activity, blobs, deletions, images, manifests, repositories, tags
from appliance.db.activity import About, Detail
from appliance.db.database import Reader, Transaction
from appliance.db.deletions import DeletionId, Taken
from appliance.domain.admission import Grant
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, RepositoryName, Tag
from appliance.domain.registry import ImageId, ManifestId
from appliance.errors import BlobNeeded, BlobUnknown, Conflict, ManifestUnknown, NameUnknown
from appliance.services import deletion, guard
from appliance.services.arrange import check_unmanaged, find_live
from appliance.services.stock import Stock, new_public_id


class Refused(msgspec.Struct, frozen=True):
    """A digest that cannot be deleted, and why."""

    digest: Digest
    reason: str


async def delete_tag(stock: Stock, grant: Grant, tag: Tag, now: Timestamp) -> None:
    """Take `tag` away; its manifest stays, by digest. Raises ManifestUnknown, TagLocked. Spec: end-9."""

    def record(tx: Transaction) -> None:
        image = find_image(tx, grant)
        digest = tags.digest_of(tx, image, tag)
        if digest is None:
            raise ManifestUnknown(f"{grant.path} has no tag {tag}")
        guard.drop_tag(tx, image, tag, str(grant.principal), now, "deleted")
        deletion = begin_deletion(tx, stock, grant, image, "tag", now)
        if deletion is not None:
            deletions.add(tx, deletion, [(tag, digest)], [])
        _record(tx, "tag.deleted", grant, image, {"tag": tag, "digest": digest}, now)

    await stock.db.write(record)


async def delete_manifest(stock: Stock, grant: Grant, digest: Digest, now: Timestamp) -> None:
    """Take the manifest and all its tags away. Its referrers stay.

    Raises ManifestUnknown, TagLocked. Spec: end-9.
    """

    def record(tx: Transaction) -> None:
        image = find_image(tx, grant)
        found = _live(tx, image, digest)
        if found is None:
            raise ManifestUnknown(f"{grant.path} has no manifest {digest}")
        deletion = begin_deletion(tx, stock, grant, image, "manifest", now)
        drop_manifest(tx, grant, image, found, digest, deletion, now)

    await stock.db.write(record)


class Deleted(msgspec.Struct, frozen=True):
    """What was refused of several, and by which id the others can come back; "" where they cannot."""

    refused: list[Refused]
    undo: str


async def delete_manifests(
    stock: Stock, grant: Grant, digests: Sequence[Digest], now: Timestamp, *, skip_refused: bool = False
) -> Deleted:
    """Take several manifests away together; without `skip_refused` all of them or none.

    Raises Conflict where one is refused: then none has gone. Raises NameUnknown.
    """

    def record(tx: Transaction) -> Deleted:
        image = find_image(tx, grant)
        refused = list_refused(tx, grant, image, digests)
        if refused and not skip_refused:
            first = refused[0]
            raise Conflict(
                f"nothing was deleted: {len(refused)} of {len(digests)} digests are refused, {first.digest} among them"
                f" ({first.reason}); leave them out"
            )
        out = {one.digest for one in refused}
        going = [digest for digest in dict.fromkeys(digests) if digest not in out]
        deletion = begin_deletion(tx, stock, grant, image, "manifest", now) if going else None
        for digest in going:
            found = _live(tx, image, digest)
            if found is not None:
                drop_manifest(tx, grant, image, found, digest, deletion, now)
        return Deleted(refused, "" if deletion is None else deletions.public_id_of(tx, deletion))

    return await stock.db.write(record)


def list_refused(reader: Reader, grant: Grant, image: ImageId, digests: Sequence[Digest]) -> list[Refused]:
    """Return those of `digests` that are not there or held by a lock."""
    refused = []
    for digest in dict.fromkeys(digests):
        found = _live(reader, image, digest)
        if found is None:
            refused.append(Refused(digest, f"{grant.path} has no such manifest"))
        elif held := guard.find_hold(reader, image, found):
            refused.append(Refused(digest, held))
    return refused


async def delete_blob(stock: Stock, grant: Grant, digest: Digest, now: Timestamp) -> None:
    """Take away the image's right to the blob. Raises BlobUnknown, BlobNeeded. Spec: end-10."""

    def record(tx: Transaction) -> None:
        found = blobs.find(tx, grant.image, digest)
        if found is None:
            raise BlobUnknown(f"{grant.path} has no blob {digest}")
        if holder := blobs.needed_by(tx, found.image, digest):
            raise BlobNeeded(f"manifest {holder} needs this blob; delete the manifest first")
        blobs.unlink(tx, found.image, found.stored.id, now, Timestamp(now + stock.rules.recycle))

    await stock.db.write(record)


async def delete_image(stock: Stock, grant: Grant, now: Timestamp, *, purge: bool = False) -> None:
    """Take the whole image away. `purge` frees its bytes at the next collection instead of after the recycle time.

    Raises NameUnknown, TagLocked.
    """

    def record(tx: Transaction) -> None:
        image = find_image(tx, grant)
        guard.drop_image(tx, image, _since(stock, now, purge=purge))
        begin_deletion(tx, stock, grant, image, "image", now, purge=purge)
        _record(tx, "image.deleted", grant, image, {"path": str(grant.path)}, now)

    await stock.db.write(record)


async def delete_repository(
    stock: Stock, grant: Grant, name: RepositoryName, now: Timestamp, *, purge: bool = False
) -> None:
    """Take the repository and all its images away. Raises NameUnknown, TagLocked."""

    def record(tx: Transaction) -> None:
        registry = grant.image.registry
        repository = repositories.find(tx, registry, name)
        if repository is None:
            raise NameUnknown(f"there is no repository {name!r}")
        found = find_live(tx, repository)
        check_unmanaged(stock, found)
        count = repositories.count_images(tx, repository)
        since = _since(stock, now, purge=purge)
        guard.drop_repository(tx, repository, since)
        due = Timestamp(since + stock.rules.recycle)
        deletion.order(tx, deletion.REPOSITORY, found.public_id, due, now, by=str(grant.principal))
        if not purge and stock.rules.recycle:
            taken = Taken("repository", registry, repository, None, name)
            deletions.insert(tx, new_public_id(), taken, str(grant.principal), now)
        about = About(registry=registry, repository=repository)
        activity.record(tx, "repository.deleted", grant.caller, about, {"name": name, "images": count}, now)

    await stock.db.write(record)


def find_image(reader: Reader, grant: Grant) -> ImageId:
    """Return the image of `grant`. Raises NameUnknown."""
    image = images.find(reader, grant.image)
    if image is None:
        raise NameUnknown(f"there is no image {grant.path}")
    return image


def begin_deletion(
    tx: Transaction, stock: Stock, grant: Grant, image: ImageId, kind: str, now: Timestamp, *, purge: bool = False
) -> DeletionId | None:
    """Begin the record that undo needs; None where there will be nothing to bring back."""
    if purge or not stock.rules.recycle:
        return None
    taken = Taken(kind, grant.image.registry, images.find_seat(tx, image).repository, image, str(grant.path))
    return deletions.insert(tx, new_public_id(), taken, str(grant.principal), now)


def drop_manifest(
    tx: Transaction,
    grant: Grant,
    image: ImageId,
    manifest: ManifestId,
    digest: Digest,
    deletion: DeletionId | None,
    now: Timestamp,
) -> None:
    """Take one manifest with its tags away, and write it down. Raises TagLocked."""
    gone = guard.drop_manifest(tx, image, manifest, str(grant.principal), now, "manifest deleted")
    if deletion is not None:
        deletions.add(tx, deletion, [(tag, digest) for tag in gone], [manifest])
    _record(tx, "manifest.deleted", grant, image, {"digest": digest, "tags": [*gone]}, now)


def _live(reader: Reader, image: ImageId, digest: Digest) -> ManifestId | None:
    found = manifests.find_in(reader, image, digest)
    return None if found is None or found[1] else found[0]


def _since(stock: Stock, now: Timestamp, *, purge: bool) -> Timestamp:
    """Return the time of removal to write down: for a purge one whose recycle time is over already."""
    return Timestamp(now - stock.rules.recycle) if purge else now


def _record(tx: Transaction, kind: str, grant: Grant, image: ImageId, detail: Detail, now: Timestamp) -> None:
    activity.record(tx, kind, grant.caller, About(registry=grant.image.registry, image=image), detail, now)
