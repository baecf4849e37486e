"""Locks: the one place through which every change of what a person can lock goes, whichever door it came by.

Push, API, command line and retention move and take away tags, manifests, images, repositories and registries only by
the functions here, in the transaction of the change; nothing else in `services` calls the queries behind them (a test
reads that). Collection takes only what was taken away here before.

A lock on a tag, its image or its repository holds what is there; a new tag and a new image may always come. Tags under
which cosign keeps signatures are not held: it overwrites them.
"""

from appliance.db import images, manifests, registries, repositories, tags
from appliance.db.database import Reader, Transaction
from appliance.domain.moment import Timestamp
from appliance.domain.names import Tag, is_signature
from appliance.domain.registry import ImageId, ManifestId, RegistryId, RepositoryId
from appliance.errors import Conflict, TagLocked


def must_move(tx: Transaction, image: ImageId, tag: Tag, manifest: ManifestId) -> bool:
    """Whether `tag` has to be moved to name `manifest`; False: it does already. Raises TagLocked."""
    current = tags.find(tx, image, tag)
    if current is None:
        return True
    if current[0] == manifest:
        return False  # a retry of what was acknowledged
    if held := find_tag_hold(tx, image, tag, is_locked=current[1]):
        raise TagLocked(f"tag {tag} cannot be moved: {held} is locked; unlock it, or push another tag")
    return True


def point(tx: Transaction, image: ImageId, tag: Tag, manifest: ManifestId, seq: int, by: str, now: Timestamp) -> None:
    """Make `tag` name `manifest`; what it named before goes to the history. Raises TagLocked."""
    if must_move(tx, image, tag, manifest):
        tags.point(tx, image, tag, manifest, seq, by, now)


def drop_tag(tx: Transaction, image: ImageId, tag: Tag, by: str, now: Timestamp, reason: str) -> None:
    """Take `tag` away, if it is there. Raises TagLocked."""
    found = tags.find(tx, image, tag)
    if found is None:
        return
    if held := find_tag_hold(tx, image, tag, is_locked=found[1]):
        raise TagLocked(f"tag {tag} cannot be deleted: {held} is locked; unlock it first")
    tags.remove(tx, image, tag, by, now, reason)


def drop_manifest(
    tx: Transaction, image: ImageId, manifest: ManifestId, by: str, now: Timestamp, reason: str
) -> list[Tag]:
    """Take `manifest` and its tags away; return the tags. Raises TagLocked."""
    if held := find_hold(tx, image, manifest):
        raise TagLocked(f"the manifest cannot be deleted: {held}; unlock it first")
    names = [name for name, _ in tags.of_manifest(tx, manifest)]
    for name in names:
        tags.remove(tx, image, name, by, now, reason)
    manifests.remove(tx, manifest, now)
    return names


def drop_image(tx: Transaction, image: ImageId, since: Timestamp) -> None:
    """Take the image with all that is in it away, as of `since`. Raises TagLocked."""
    held = images.find_lock(tx, image)
    if held is None and (locked := tags.any_locked(tx, image)):
        held = f"its tag {locked}"
    if held:
        raise TagLocked(f"the image cannot be deleted: {held} is locked; unlock it first")
    images.remove(tx, image, since)


def drop_repository(tx: Transaction, repository: RepositoryId, since: Timestamp) -> None:
    """Take the repository with all its images away, as of `since`. Raises TagLocked."""
    if held := repositories.find_lock(tx, repository):
        raise TagLocked(f"the repository cannot be deleted: {held} is locked; unlock it first")
    repositories.remove(tx, repository, since)


def drop_registry(tx: Transaction, registry: RegistryId, since: Timestamp, *, purging: bool) -> None:
    """Take the registry with all that is in it away, as of `since`. Raises TagLocked."""
    if held := registries.find_lock(tx, registry):
        raise TagLocked(f"the registry cannot be deleted: {held} is locked; unlock it first")
    registries.remove(tx, registry, since, purging=purging)


def check_controls(reader: Reader, image: ImageId) -> None:
    """Raise Conflict while the repository is locked: its lock stands for those of its images and their tags."""
    held = images.find_lock(reader, image)
    if held is not None and held.startswith("repository "):
        raise Conflict(f"{held} is locked: its images and tags cannot be locked or unlocked one by one until it is not")


def find_hold(reader: Reader, image: ImageId, manifest: ManifestId) -> str | None:
    """Return which lock keeps `manifest`, as a clause ("tag 1 is locked"), or None.

    A locked tag holds what it names and, where that is an index, all that the index lists.
    """
    if held := images.find_lock(reader, image):
        return f"{held} is locked"
    if tags.any_locked(reader, image) is None:  # nearly always: no way up through the indexes then
        return None
    for name, is_own in tags.locked_above(reader, image, manifest):
        if not is_signature(name):
            return f"tag {name} is locked" if is_own else f"tag {name} is locked, and its index lists this manifest"
    return None


def find_tag_hold(reader: Reader, image: ImageId, tag: Tag, *, is_locked: bool) -> str | None:
    """Return what holds `tag` in words ("it", "image pay/api"), or None."""
    if is_signature(tag):
        return None
    return images.find_lock(reader, image) or ("it" if is_locked else None)
