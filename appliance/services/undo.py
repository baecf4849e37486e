"""Undo of a deletion, until collection takes what it took away: all of it comes back together.

A name that was given away meanwhile stays with its new holder, and the answer says so. Large deletions come back in
slices, each one transaction; an undo that a crash ended is asked for again and goes on.
"""

import functools

import msgspec

from appliance.db import activity, blobs, deletions, images, manifests, repositories, tags
from appliance.db.activity import About
from appliance.db.database import Reader, Transaction
from appliance.db.deletions import Deletion
from appliance.domain.admission import Caller
from appliance.domain.manifest import parse_manifest
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, RepositoryName, Tag, algorithm_of
from appliance.domain.registry import ImageId, ManifestId
from appliance.errors import Conflict, ManifestInvalid
from appliance.services import guard
from appliance.services.deletion import REPOSITORY, call_off
from appliance.services.stock import Stock

SLICE = 100  # manifests or tags in one transaction


class Left(msgspec.Struct, frozen=True):
    """Something that did not come back, and why."""

    name: str  # a tag, or a digest
    reason: str


class Undone(msgspec.Struct, frozen=True):
    """What came back, by number, and what did not."""

    manifests: int
    tags: int
    left: tuple[Left, ...] = ()


async def undo(stock: Stock, caller: Caller, deletion: Deletion, now: Timestamp) -> Undone:
    """Bring back what `deletion` took away.

    Raises Conflict where its name is taken again, where what it was in is deleted itself, or where collection has
    begun with it.
    """
    if deletion.kind in ("image", "repository"):
        restore = _restore_image if deletion.kind == "image" else _restore_repository
        return await stock.db.write(lambda tx: restore(tx, caller, deletion, now))
    manifests_back = tags_back = 0
    left: list[Left] = []
    while rows := await stock.db.read(lambda reader: deletions.list_manifests(reader, deletion.id, SLICE)):
        bodies = await stock.db.read(functools.partial(_load, rows=rows))
        restore_slice = functools.partial(_restore_manifests, deletion=deletion, rows=rows, needs=bodies)
        done = await stock.db.write(functools.partial(restore_slice, caller=caller, now=now))
        manifests_back += done.manifests
        left += done.left
    is_done = False
    while not is_done:
        done, is_done = await stock.db.write(
            functools.partial(_restore_tags, caller=caller, deletion=deletion, now=now)
        )
        tags_back += done.tags
        left += done.left
    return Undone(manifests_back, tags_back, tuple(left))


def _restore_image(tx: Transaction, caller: Caller, deletion: Deletion, now: Timestamp) -> Undone:
    image = deletion.image
    removal = None if image is None else images.find_removal(tx, image)
    if image is None or removal is None or removal.is_purging:
        raise Conflict(f"image {deletion.path} cannot come back: its recycle time is over, and its data are going")
    if removal.is_repository_removed:
        raise Conflict(f"image {deletion.path} cannot come back: its repository was deleted too; undo that first")
    if removal.is_name_taken:
        raise Conflict(f"image {deletion.path} cannot come back: there is a new one of that name; delete it first")
    images.restore(tx, image)
    count = images.count_content(tx, image)
    _close(tx, caller, deletion, count, now)
    return Undone(*count)


def _restore_repository(tx: Transaction, caller: Caller, deletion: Deletion, now: Timestamp) -> Undone:
    name = RepositoryName(deletion.path)
    if not repositories.is_restorable(tx, deletion.repository):
        raise Conflict(f"repository {name} cannot come back: its recycle time is over, and its data are going")
    if repositories.find(tx, deletion.registry, name) is not None:
        raise Conflict(f"repository {name} cannot come back: there is a new one of that name; delete it first")
    repositories.restore(tx, deletion.repository)
    if (back := repositories.get(tx, deletion.repository)) is not None:
        call_off(tx, REPOSITORY, back.public_id, now)
    _close(tx, caller, deletion, (0, 0), now)
    return Undone(0, 0)


def _load(reader: Reader, rows: list[ManifestId]) -> dict[ManifestId, list[Digest]]:
    """Return which blobs and children each of `rows` needs, those that are gone left out."""
    found = {}
    for row in rows:
        if (loaded := manifests.load(reader, row)) is not None:
            image, digest, _, media_type, body = loaded
            try:
                needs = manifests.needs_of(parse_manifest(body, media_type, algorithm_of(digest)))
            except ManifestInvalid:  # an older program took what this one would refuse
                needs = manifests.recorded_needs(reader, image, row)
            found[row] = [part for part, kind in needs if kind != manifests.SUBJECT]
    return found


def _restore_manifests(
    tx: Transaction,
    deletion: Deletion,
    rows: list[ManifestId],
    needs: dict[ManifestId, list[Digest]],
    caller: Caller,
    now: Timestamp,
) -> Undone:
    image = _check_image(tx, deletion)
    back = 0
    for row in rows:
        if row in needs and manifests.is_removed(tx, row):
            manifests.revive(tx, row)
            blobs.revive(tx, image, needs[row])
            back += 1
    if back:  # each slice says so: who has planned with what was there looks again
        _record(tx, caller, deletion, [], back, now)
    deletions.settle_manifests(tx, deletion.id, rows)
    gone = len([row for row in rows if row not in needs])
    left = (Left(f"{gone} manifests", "their recycle time is over, and their bytes are gone"),) if gone else ()
    return Undone(back, 0, left)


def _restore_tags(tx: Transaction, caller: Caller, deletion: Deletion, now: Timestamp) -> tuple[Undone, bool]:
    """Point the next tags at what they named; the second value says whether that was all."""
    image = _check_image(tx, deletion)
    found = deletions.list_tags(tx, deletion.id, SLICE)
    free: list[tuple[Tag, ManifestId]] = []
    left = []
    for tag, digest in found:
        row = manifests.find_in(tx, image, digest)
        if row is None or row[1]:
            left.append(Left(tag, f"{digest} is not there any more"))
        elif (current := tags.find(tx, image, tag)) is None:
            free.append((tag, row[0]))
        elif current[0] != row[0]:
            left.append(Left(tag, "it names another manifest by now"))
    deletions.settle_tags(tx, deletion.id, [tag for tag, _ in found])
    is_done = len(found) < SLICE
    if free:
        seq = _record(tx, caller, deletion, [tag for tag, _ in free], 0, now)
        for tag, manifest in free:
            guard.point(tx, image, tag, manifest, seq, str(caller.principal), now)
    if is_done:
        deletions.close(tx, deletion.id, SLICE)
    return Undone(0, len(free), tuple(left)), is_done


def _check_image(tx: Transaction, deletion: Deletion) -> ImageId:
    if deletion.image is None or not images.is_live(tx, deletion.image):
        raise Conflict(f"the image {deletion.path} was deleted since; undo that first")
    return deletion.image


def _close(tx: Transaction, caller: Caller, deletion: Deletion, count: tuple[int, int], now: Timestamp) -> None:
    deletions.close(tx, deletion.id, SLICE)
    _record(tx, caller, deletion, [], count[0], now)


def _record(
    tx: Transaction, caller: Caller, deletion: Deletion, names: list[Tag], manifests_back: int, now: Timestamp
) -> int:
    about = About(deletion.registry, deletion.repository if deletion.image is None else 0, deletion.image or 0)
    detail: activity.Detail = {
        "deletion": deletion.public_id,
        "of": deletion.kind,
        "path": deletion.path,
        "tags": [*names],
        "manifests": manifests_back,
    }
    return activity.record(tx, "deletion.undone", caller, about, detail, now)
