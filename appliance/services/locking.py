"""Locks of many tags: all those of up to fifty digests, however many names each has; first only told, then done."""

import functools
from collections.abc import Sequence

import msgspec

from appliance.db import activity, manifests, tags
from appliance.db.activity import About, Detail
from appliance.db.database import Reader, Transaction
from appliance.domain.admission import Grant
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, Tag, is_signature
from appliance.domain.registry import ImageId
from appliance.errors import ManifestUnknown
from appliance.services import guard
from appliance.services.delete import find_image
from appliance.services.stock import Stock

SLICE = 500  # tags in one transaction


class LocksOfDigest(msgspec.Struct, frozen=True):
    """What locking the tags of a digest changes, or unlocking them."""

    digest: Digest
    tags: tuple[Tag, ...]  # whose lock changes
    already: int  # that are as they shall be
    exempt: tuple[Tag, ...]  # that no lock holds


def plan(reader: Reader, grant: Grant, digests: Sequence[Digest], *, locked: bool) -> list[LocksOfDigest]:
    """Return what locking or unlocking `digests` of the image changes.

    Raises NameUnknown, ManifestUnknown, and Conflict while the repository is locked.
    """
    with reader.snapshot():
        image = find_image(reader, grant)
        guard.check_controls(reader, image)
        return [_plan(reader, grant, image, digest, locked=locked) for digest in digests]


async def set_locks(
    stock: Stock, grant: Grant, digests: Sequence[Digest], now: Timestamp, *, locked: bool
) -> list[LocksOfDigest]:
    """Lock every tag of `digests`, or unlock it; return what changed. What `plan` raises comes before any change.

    A digest of thousands of tags takes several transactions: asked again, what was interrupted goes on.
    """
    planned = await stock.db.read(lambda reader: plan(reader, grant, digests, locked=locked))
    for one in planned:
        for start in range(0, len(one.tags), SLICE):
            names = one.tags[start : start + SLICE]
            set_slice = functools.partial(_set, grant=grant, digest=one.digest, names=names, now=now, locked=locked)
            await stock.db.write(set_slice)
    return planned


def _plan(reader: Reader, grant: Grant, image: ImageId, digest: Digest, *, locked: bool) -> LocksOfDigest:
    found = manifests.find_in(reader, image, digest)
    if found is None or found[1]:
        raise ManifestUnknown(f"{grant.path} has no manifest {digest}; if it was deleted, undo that first")
    named = tags.of_manifest(reader, found[0])
    exempt = tuple(tag for tag, _ in named if is_signature(tag))
    changing = tuple(tag for tag, is_locked in named if is_locked != locked and not is_signature(tag))
    return LocksOfDigest(digest, changing, len(named) - len(changing) - len(exempt), exempt)


def _set(tx: Transaction, grant: Grant, digest: Digest, names: Sequence[Tag], now: Timestamp, *, locked: bool) -> None:
    """Set the locks of `names`, as far as they still name `digest`."""
    image = find_image(tx, grant)
    guard.check_controls(tx, image)
    row = manifests.find_in(tx, image, digest)
    still = [tag for tag in names if row is not None and (found := tags.find(tx, image, tag)) and found[0] == row[0]]
    for tag in still:
        tags.set_locked(tx, image, tag, locked=locked)
    if still:
        detail: Detail = {"digest": digest, "tags": [*still]}
        about = About(registry=grant.image.registry, image=image)
        activity.record(tx, "tag.locked" if locked else "tag.unlocked", grant.caller, about, detail, now)
