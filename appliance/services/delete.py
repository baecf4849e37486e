"""Taking things away: at once for readers, for good when the recycle time ends (collect.py)."""

from appliance.db import activity, blobs, images, manifests, repositories, tags
from appliance.db.activity import About, Detail
from appliance.db.database import Transaction
from appliance.domain.admission import Grant
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, RepositoryName, Tag, is_signature
from appliance.domain.registry import ImageId, ManifestId
from appliance.errors import BlobNeeded, BlobUnknown, ManifestUnknown, NameUnknown, TagLocked
from appliance.services.stock import Stock


async def delete_tag(stock: Stock, grant: Grant, tag: Tag, now: Timestamp) -> None:
    """Take `tag` away; its manifest stays, by digest. Raises ManifestUnknown, TagLocked. Spec: end-9."""

    def record(tx: Transaction) -> None:
        image = _image(tx, grant)
        found = tags.find(tx, image, tag)
        if found is None:
            raise ManifestUnknown(f"{grant.path} has no tag {tag}")
        if not is_signature(tag) and (found[1] or images.is_locked(tx, image)):
            raise TagLocked(f"tag {tag} is locked; unlock it before deleting it")
        digest = tags.digest_of(tx, image, tag) or ""
        tags.remove(tx, image, tag, str(grant.principal), now, "deleted")
        _record(tx, "tag.deleted", grant, image, {"tag": tag, "digest": digest}, now)

    await stock.db.write(record)


async def delete_manifest(stock: Stock, grant: Grant, digest: Digest, now: Timestamp) -> None:
    """Take the manifest and all its tags away. Its referrers stay.

    Raises ManifestUnknown, TagLocked. Spec: end-9.
    """

    def record(tx: Transaction) -> None:
        image = _image(tx, grant)
        found = manifests.find_in(tx, image, digest)
        if found is None or found[1]:
            raise ManifestUnknown(f"{grant.path} has no manifest {digest}")
        gone = _drop_manifest(tx, image, found[0], str(grant.principal), now)
        _record(tx, "manifest.deleted", grant, image, {"digest": digest, "tags": [*gone]}, now)

    await stock.db.write(record)


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
        image = _image(tx, grant)
        _check_unlocked(tx, image)
        images.remove(tx, image, _since(stock, now, purge=purge))
        _record(tx, "image.deleted", grant, image, {"path": str(grant.path)}, now)

    await stock.db.write(record)


async def delete_repository(
    stock: Stock, grant: Grant, name: RepositoryName, now: Timestamp, *, purge: bool = False
) -> None:
    """Take the repository and all its images away. Raises NameUnknown, TagLocked."""

    def record(tx: Transaction) -> None:
        repository = repositories.find(tx, grant.image.registry, name)
        if repository is None:
            raise NameUnknown(f"there is no repository {name!r}")
        if held := repositories.find_lock(tx, repository):
            raise TagLocked(f"{held} is locked; unlock it before deleting the repository")
        repositories.remove(tx, repository, _since(stock, now, purge=purge))
        about = About(registry=grant.image.registry, repository=repository)
        activity.record(tx, "repository.deleted", grant.caller, about, {"name": name}, now)

    await stock.db.write(record)


def _drop_manifest(tx: Transaction, image: ImageId, manifest: ManifestId, by: str, now: Timestamp) -> list[Tag]:
    """Remove `manifest` and its tags; return the tags. Raises TagLocked."""
    names = tags.of_manifest(tx, manifest)
    if images.is_locked(tx, image):
        raise TagLocked("the image or its repository is locked; unlock it before deleting from it")
    for name, is_locked in names:
        if is_locked:
            raise TagLocked(f"tag {name} of this manifest is locked; unlock it before deleting the manifest")
    for name, _ in names:
        tags.remove(tx, image, name, by, now, "manifest deleted")
    manifests.remove(tx, manifest, now)
    return [name for name, _ in names]


def _check_unlocked(tx: Transaction, image: ImageId) -> None:
    if images.is_locked(tx, image):
        raise TagLocked("the image or its repository is locked; unlock it first")
    if locked := tags.any_locked(tx, image):
        raise TagLocked(f"tag {locked} is locked; unlock it first")


def _since(stock: Stock, now: Timestamp, *, purge: bool) -> Timestamp:
    """Return the time of removal to write down: for a purge one whose recycle time is over already."""
    return Timestamp(now - stock.rules.recycle) if purge else now


def _image(tx: Transaction, grant: Grant) -> ImageId:
    image = images.find(tx, grant.image)
    if image is None:
        raise NameUnknown(f"there is no image {grant.path}")
    return image


def _record(tx: Transaction, kind: str, grant: Grant, image: ImageId, detail: Detail, now: Timestamp) -> None:
    activity.record(tx, kind, grant.caller, About(registry=grant.image.registry, image=image), detail, now)
