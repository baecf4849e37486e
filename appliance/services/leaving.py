"""Explains what goes: every byte that collection will free, with the reason and when (`scr gc --dry-run`).

A page walks rows of four kinds one after another: what is condemned, links that no manifest needs, manifests that were
removed, and those of what was removed as a whole. A blob is listed once, with the last thing that keeps it.
"""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice

import msgspec

from appliance.blobstore.session import list_idle
from appliance.db import leaving
from appliance.db.database import Reader
from appliance.db.leaving import Gone, Keeper, Loose, Waiting
from appliance.domain.manifest import shape_of
from appliance.domain.moment import SECOND, Timestamp
from appliance.domain.names import Digest
from appliance.domain.registry import BlobId, ImageId
from appliance.errors import QueryInvalid
from appliance.services.stock import Rules, Stock

_LOOKED = 1000  # rows of a page at most, whatever comes of them: a page is bounded in time
_BATCH = 100  # rows read at once
_UPLOADS = 1000  # sessions that are listed: more lie there only after a flood
_SHORT = 19  # characters of a digest in a sentence: the algorithm and 12 digits

Place = tuple[int, ...]  # the source, and the key of the row in it that was looked at last


class Leaving(msgspec.Struct, frozen=True):
    """Bytes that go: of a blob, of the copy of a manifest in the store, or of an upload that nobody goes on with."""

    kind: str  # blob, manifest, upload
    name: str  # the digest, or the id of the upload
    path: str  # of the image it goes with; "" where no image has it any more
    size: int
    reason: str
    at: Timestamp  # when the next collection takes it
    is_due: bool


class Explained(msgspec.Struct, frozen=True):
    """One page; `next` is where the following one begins, "" on the last."""

    items: list[Leaving]
    next: str


async def explain(stock: Stock, cursor: str, limit: int) -> Explained:
    """Return what goes, from `cursor` on, about `limit` entries. Raises QueryInvalid for a cursor of another make."""
    place, now = _open(cursor), stock.clock()
    page = await stock.db.read(partial(_explain, rules=stock.rules, now=now, place=place, limit=limit))
    if page.next:
        return page
    idle = await asyncio.to_thread(_list_uploads, stock, now)
    return Explained([*page.items, *idle], "")


def _list_uploads(stock: Stock, now: Timestamp) -> list[Leaving]:
    """Return the sessions that lie there: each goes when nobody went on with it for `upload_expiry`."""
    found = []
    for idle in islice(list_idle(stock.uploads.folder), _UPLOADS):
        at = Timestamp(int(idle.changed * SECOND) + stock.rules.upload_expiry)
        why = "an upload that is not finished; by the job upload-expiry"
        found.append(Leaving("upload", idle.id, idle.path, idle.size, why, at, at <= now))
    return found


def _explain(reader: Reader, *, rules: Rules, now: Timestamp, place: Place, limit: int) -> Explained:
    page = _Page(reader, rules, now)
    sources: list[Callable[[Place], Iterator[Place]]] = [page.condemned, page.loose, page.removed, page.of_gone]
    looked = 0
    for number in range(place[0], len(sources)):
        key = place[1:] if number == place[0] else ()
        for after in sources[number](key):
            looked += 1
            if len(page.items) >= limit or looked >= _LOOKED:
                return Explained(page.items, _close((number, *after)))
    return Explained(page.items, "")


class _Page:
    """What was found so far. Each source yields the key of every row it has looked at."""

    def __init__(self, reader: Reader, rules: Rules, now: Timestamp) -> None:
        self.items: list[Leaving] = []
        self._reader = reader
        self._rules = rules
        self._now = now
        self._keepers: dict[BlobId, Keeper | None] = {}

    def condemned(self, key: Place) -> Iterator[Place]:
        """What nobody needs any more, and whose bytes are still there."""
        last = key[0] if key else 0
        while found := leaving.list_condemned(self._reader, last, _BATCH):
            for one in found:
                self._add_condemned(one)
                yield (one.id,)
            last = found[-1].id

    def _add_condemned(self, one: Waiting) -> None:
        why = "nothing needs it any more"
        if self._rules.restore_window:
            why += "; its bytes are kept for restore_window"
        self._add(one.kind, one.digest, "", one.size, why, one.condemned_at)

    def loose(self, key: Place) -> Iterator[Place]:
        """Links that no manifest of their image needs."""
        last = (key[0], key[1], key[2]) if len(key) == 3 else (0, 0, 0)
        while found := leaving.list_loose(self._reader, last, _BATCH):
            for one in found:
                self._add_loose(one)
                yield one.check_at, one.image, one.blob
            last = found[-1].check_at, found[-1].image, found[-1].blob

    def _add_loose(self, one: Loose) -> None:
        keeper = None if one.is_needed else self._keeper(one.blob, one.digest)
        if keeper is None or (keeper.image, keeper.manifest) != (one.image, 0):
            return
        why = f"deleted from {one.path}" if one.removed_at else f"pushed to {one.path}, and no manifest of it names it"
        self._add("blob", one.digest, one.path, one.size, why, Timestamp(keeper.until))

    def removed(self, key: Place) -> Iterator[Place]:
        """Manifests that were removed one by one."""
        last = (key[0], key[1]) if len(key) == 2 else (0, 0)
        while found := leaving.list_removed(self._reader, last, _BATCH):
            for one in found:
                self._add_manifest(one)
                yield one.since, one.id
            last = found[-1].since, found[-1].id

    def of_gone(self, key: Place) -> Iterator[Place]:
        """Manifests of images that were removed, themselves or with their repository or registry."""
        image, last = (key[0], key[1]) if len(key) == 2 else (0, 0)
        yield from self._of_image(ImageId(image), last)
        while images := leaving.list_gone_images(self._reader, image, _BATCH):
            for image in images:
                yield from self._of_image(image, 0)

    def _of_image(self, image: ImageId, last: int) -> Iterator[Place]:
        while found := leaving.list_of_image(self._reader, image, last, _BATCH):
            for one in found:
                self._add_manifest(one)
                yield image, one.id
            last = found[-1].id

    def _add_manifest(self, one: Gone) -> None:
        """Add the copy of a manifest, and the blobs that it is the last to need."""
        ends = Timestamp(one.since + self._rules.recycle)
        why = f"{one.what} deleted" if one.what == "manifest" else f"its {one.what} was deleted"
        self._add("manifest", one.digest, one.path, one.size, why, ends)
        shape = shape_of(one.body)
        for digest in dict.fromkeys((*shape.blobs, *shape.children)):
            stored = leaving.find_blob(self._reader, digest)
            keeper = self._keeper(stored[0], digest) if stored else None
            if stored and keeper and (keeper.image, keeper.manifest) == (one.image, one.id):
                reason = f"only {one.digest[:_SHORT]} needs it: {why}"
                self._add("blob", digest, one.path, stored[1], reason, Timestamp(keeper.until))

    def _keeper(self, blob: BlobId, digest: Digest) -> Keeper | None:
        if blob not in self._keepers:
            self._keepers[blob] = leaving.find_keeper(self._reader, blob, digest, self._rules.recycle)
        return self._keepers[blob]

    def _add(self, kind: str, digest: Digest, path: str, size: int, reason: str, ends: Timestamp) -> None:
        at = Timestamp(ends + self._rules.restore_window)
        self.items.append(Leaving(kind, digest, path, size, reason, at, at <= self._now))


def _close(place: Place) -> str:
    return ".".join(map(str, place))


def _open(cursor: str) -> Place:
    parts = cursor.split(".") if cursor else ["0"]
    if len(parts) > 4 or not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
        raise QueryInvalid("cursor is none of this list; take it from `next` of the page before")
    place = tuple(int(part) for part in parts)
    return place if place[0] < 4 else (4,)
