"""What a collection purges: looked up and parsed by a reader, then taken in a short transaction.

The body of a manifest's row never changes and no row's number is given twice, so what a reader found out about it holds
for as long as the row is there. Whether it still has to go is asked again in the transaction: a push or an undo may
have brought it back in between.
"""

from collections.abc import Sequence

import msgspec

from appliance.db import blobs, images, manifests, purges, tags
from appliance.db.database import Reader, Transaction
from appliance.db.purges import Doomed
from appliance.domain.manifest import parse_manifest
from appliance.domain.moment import Timestamp
from appliance.domain.names import algorithm_of
from appliance.domain.registry import ImageId, ManifestId
from appliance.errors import ManifestInvalid

Since = tuple[Timestamp, int]  # when an image was removed, and its row: where a walk over them stands
BEGIN: Since = (Timestamp(-1), 0)


class Emptying(msgspec.Struct, frozen=True):
    """An image that has to go, with manifests of it; `is_whole` when there are no more."""

    image: ImageId
    since: Since
    manifests: tuple[Doomed, ...]
    is_whole: bool


class Purged(msgspec.Struct, frozen=True):
    """What one transaction has taken: manifests, and where the next one goes on."""

    manifests: int
    since: Since


def find_removed(reader: Reader, before: Timestamp, limit: int) -> list[Doomed]:
    """Return up to `limit` manifests that were removed at or before `before`."""
    with reader.snapshot():
        return _load(reader, manifests.list_removed(reader, before, limit))


def find_images(reader: Reader, since: Since, before: Timestamp, limit: int) -> list[Emptying]:
    """Return images removed at or before `before`, behind `since`, with up to `limit` manifests of theirs in all."""
    found = []
    room = limit
    with reader.snapshot():
        for at, image in images.list_removed_after(reader, since, before, limit):
            rows = manifests.list_of_image(reader, image, room + 1)
            is_whole = len(rows) <= room
            found.append(Emptying(image, (at, image), tuple(_load(reader, rows[:room])), is_whole))
            room -= len(rows)
            if room <= 0:
                break
    return found


def purge_removed(tx: Transaction, doomed: list[Doomed], before: Timestamp, now: Timestamp) -> int:
    """Delete those of `doomed` that still have to go, with their needs; return how many."""
    return _purge(tx, doomed, before, now)


def purge_images(
    tx: Transaction, since: Since, emptying: list[Emptying], before: Timestamp, now: Timestamp, limit: int
) -> Purged:
    """Take from the images of `emptying` that still have to go what they have: up to `limit` tags, manifests and links.

    Nothing is taken whole however large it is: an image with very many tags holds nobody up either.
    """
    gone, room = 0, limit
    for one in emptying:
        if images.begin_purge(tx, one.image, before):  # else somebody has restored it
            room -= tags.drop_of_image(tx, one.image, now, room)
            doomed = one.manifests[:room]
            gone += _purge(tx, doomed, None, now)
            room -= len(doomed)
            if room > 0 and one.is_whole:
                room -= blobs.check_image(tx, one.image, now, room)
            if room <= 0 or not one.is_whole:
                break
        since = one.since
    return Purged(gone, since)


def _load(reader: Reader, rows: list[ManifestId]) -> list[Doomed]:
    return [one for row in rows if (one := _look(reader, row)) is not None]


def _look(reader: Reader, row: ManifestId) -> Doomed | None:
    loaded = manifests.load(reader, row)
    if loaded is None:
        return None
    image, digest, _, media_type, body = loaded
    try:
        needs = manifests.needs_of(parse_manifest(body, media_type, algorithm_of(digest)))
    except ManifestInvalid:  # an older program took what this one would refuse: look its needs up the long way
        needs = manifests.recorded_needs(reader, image, row)
    return Doomed(row, image, tuple(needs))


def _purge(tx: Transaction, doomed: Sequence[Doomed], before: Timestamp | None, now: Timestamp) -> int:
    """Delete manifests with their needs and tags; return how many were still to go."""
    going = purges.list_going(tx, [one.row for one in doomed], before)
    found = [one for one in doomed if one.row in going]
    for one in found:
        for name, _ in tags.of_manifest(tx, one.row) if going[one.row] else ():
            tags.remove(tx, one.image, name, "collection", now, "image deleted")
    purges.delete_manifests(tx, found, now)
    return len(found)
