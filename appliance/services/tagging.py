"""Tags by hand: add, rename, move or put back, lock and unlock. Pushes move them in push.py."""

from collections.abc import Sequence

from appliance.db import activity, deletions, manifests, tags
from appliance.db.activity import About, Detail
from appliance.db.database import Transaction
from appliance.domain.admission import Grant
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, Tag, is_signature
from appliance.domain.registry import ImageId, ManifestId
from appliance.domain.revision import ANY, Expected
from appliance.errors import Conflict, ManifestUnknown
from appliance.services import guard
from appliance.services.delete import begin_deletion, find_image
from appliance.services.stock import Stock


async def point_tag(
    stock: Stock, grant: Grant, tag: Tag, digest: Digest, now: Timestamp, expected: Expected = ANY
) -> None:
    """Make `tag` name the manifest `digest`, which the image has: a new tag, or one moved or put back.

    `expected` is about the tag's `seq`, 0 for none. Raises ManifestUnknown, NameUnknown, TagLocked, Stale.
    """

    def record(tx: Transaction) -> None:
        image = find_image(tx, grant)
        row = _find_manifest(tx, grant, image, digest)
        before = tags.find_row(tx, image, tag)
        expected.check(before.seq if before else 0, f"tag {tag}")
        if not guard.must_move(tx, image, tag, row):
            return
        detail: Detail = {"tag": tag, "digest": digest, "before": before.digest if before else ""}
        seq = _record(tx, "tag.moved" if before else "tag.created", grant, image, detail, now)
        guard.point(tx, image, tag, row, seq, str(grant.principal), now)

    await stock.db.write(record)


async def edit_tags(
    stock: Stock, grant: Grant, digest: Digest, add: Sequence[Tag], remove: Sequence[Tag], now: Timestamp
) -> None:
    """Give the manifest `digest` the tags `add` and take `remove` from it, all of it or nothing: to rename is both.

    Raises Conflict where a name to add is another manifest's, ManifestUnknown, NameUnknown, TagLocked.
    """

    def record(tx: Transaction) -> None:
        image = find_image(tx, grant)
        row = _find_manifest(tx, grant, image, digest)
        added = [tag for tag in dict.fromkeys(add) if _is_free(tx, image, tag, row)]
        removed = [tag for tag in dict.fromkeys(remove) if tag not in add]
        for tag in removed:
            found = tags.find(tx, image, tag)
            if found is None or found[0] != row:
                raise ManifestUnknown(f"{digest} has no tag {tag}")
            guard.drop_tag(tx, image, tag, str(grant.principal), now, "renamed" if added else "deleted")
        if not (added or removed):
            return
        if removed and (deletion := begin_deletion(tx, stock, grant, image, "tag", now)) is not None:
            deletions.add(tx, deletion, [(tag, digest) for tag in removed], [])
        detail: Detail = {"digest": digest, "added": [*added], "removed": [*removed]}
        seq = _record(tx, "manifest.tagged", grant, image, detail, now)
        for tag in added:
            guard.point(tx, image, tag, row, seq, str(grant.principal), now)

    await stock.db.write(record)


async def lock_tag(stock: Stock, grant: Grant, tag: Tag, now: Timestamp, *, locked: bool) -> None:
    """Lock `tag`, or unlock it.

    Raises Conflict for a tag that no lock holds and while the repository is locked, ManifestUnknown, NameUnknown.
    """

    def record(tx: Transaction) -> None:
        image = find_image(tx, grant)
        found = tags.find(tx, image, tag)
        if found is None:
            raise ManifestUnknown(f"{grant.path} has no tag {tag}")
        if is_signature(tag):
            raise Conflict(f"tag {tag} holds a signature, which clients overwrite: no lock holds it")
        guard.check_controls(tx, image)
        if found[1] != locked:
            tags.set_locked(tx, image, tag, locked=locked)
            _record(tx, "tag.locked" if locked else "tag.unlocked", grant, image, {"tag": tag}, now)

    await stock.db.write(record)


def _is_free(tx: Transaction, image: ImageId, tag: Tag, row: ManifestId) -> bool:
    """Whether `tag` can be given; False: `row` has it. Raises Conflict where another manifest has it."""
    found = tags.find(tx, image, tag)
    if found is not None and found[0] != row:
        raise Conflict(f"tag {tag} names another manifest; move it, or choose another name")
    return found is None


def _find_manifest(tx: Transaction, grant: Grant, image: ImageId, digest: Digest) -> ManifestId:
    found = manifests.find_in(tx, image, digest)
    if found is None or found[1]:
        raise ManifestUnknown(f"{grant.path} has no manifest {digest}; if it was deleted, undo that first")
    return found[0]


def _record(tx: Transaction, kind: str, grant: Grant, image: ImageId, detail: Detail, now: Timestamp) -> int:
    return activity.record(tx, kind, grant.caller, About(registry=grant.image.registry, image=image), detail, now)
