"""What is one pull, and one push: an image of several platforms comes as an index and a child of it, and counts once.

A manifest that is fetched within a minute after an index that lists it, by the same principal from the same image, is
no pull of its own. A push goes the other way round: children come first, by digest alone. So a manifest that is pushed
without a tag waits a minute for an index (or a tag) by the same principal; only then it is a push of its own.

All of it is in memory, by a clock that nobody sets, and bounded: whoever makes more noise is counted a little too high.
"""

from collections.abc import Callable

from appliance.db import manifests
from appliance.db.database import Reader
from appliance.domain.access import Principal
from appliance.domain.manifest import Manifest
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest
from appliance.domain.registry import FoundManifest, ImageId, ImageRef, ManifestId, RegistryId

MINUTE_S = 60.0
_Pusher = tuple[ImageRef, Principal]
_INDEXES = 64  # that one principal fetched of one image lately
_KNOWN = 10_000  # pairs of image and principal, of pulls and of pushes each
_CHILDREN = 100_000


class Fetched:
    """Indexes that were fetched within the last minute, by image and principal."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` counts seconds steadily."""
        self._clock = clock
        self.indexes: dict[tuple[ImageId, Principal], dict[ManifestId, float]] = {}  # empty: nothing to ask for

    def remember(self, principal: Principal, index: FoundManifest) -> None:
        """Note that `principal` fetched `index`."""
        key = index.image, principal
        found = self.indexes.get(key)
        if found is None:
            if len(self.indexes) >= _KNOWN:
                del self.indexes[next(iter(self.indexes))]
            found = self.indexes[key] = {}
        found.pop(index.id, None)
        if len(found) >= _INDEXES:
            del found[next(iter(found))]
        found[index.id] = self._clock()

    def is_child(self, reader: Reader, principal: Principal, manifest: FoundManifest) -> bool:
        """Whether an index that `principal` fetched within the last minute lists `manifest`. A point read, at most."""
        found = self.indexes.get((manifest.image, principal))
        if found is None:
            return False
        since = self._clock() - MINUTE_S
        recent = [index for index, at in found.items() if at >= since and index != manifest.id]
        return bool(recent) and manifests.is_listed(reader, manifest.image, manifest.digest, recent)

    def sweep(self) -> None:
        """Forget what is longer ago."""
        since = self._clock() - MINUTE_S
        self.indexes = {key: found for key, found in self.indexes.items() if max(found.values()) >= since}


class Pushed:
    """Manifests that were pushed within the last minute and may yet turn out to be children of an index."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` counts seconds steadily."""
        self._clock = clock
        self._waiting: dict[_Pusher, dict[Digest, tuple[float, Timestamp]]] = {}
        self._children: dict[tuple[_Pusher, Digest], float] = {}  # of indexes that came before them
        self._due: list[tuple[RegistryId, Timestamp]] = []

    def add(self, image: ImageRef, principal: Principal, manifest: Manifest, now: Timestamp, *, tagged: bool) -> None:
        """Note that `principal` pushed `manifest` to `image`, under a tag or by digest alone."""
        pusher = image, principal
        waiting = self._waiting.pop(pusher, {})
        waiting.pop(manifest.digest, None)  # pushed again
        for child in manifest.children:
            waiting.pop(Digest(child.digest), None)
            self._children[pusher, Digest(child.digest)] = self._clock()
        if self._children.get((pusher, manifest.digest), -MINUTE_S) < self._clock() - MINUTE_S:
            if tagged:
                self._due.append((image.registry, now))
            else:
                waiting[manifest.digest] = self._clock(), now
        if waiting:
            self._waiting[pusher] = waiting
        self._bound()

    def take(self) -> list[tuple[RegistryId, Timestamp]]:
        """Return registry and time of each that is known to be a push by now, once."""
        due, self._due = self._due, []
        return due

    def sweep(self, *, everything: bool = False) -> None:
        """Take for a push what has waited a minute for an index, or `everything`; forget older children."""
        since = self._clock() - MINUTE_S
        for pusher, waiting in list(self._waiting.items()):
            for digest, (at, pushed_at) in list(waiting.items()):
                if everything or at < since:
                    del waiting[digest]
                    self._due.append((pusher[0].registry, pushed_at))
            if not waiting:
                del self._waiting[pusher]
        self._children = {child: at for child, at in self._children.items() if at >= since}

    def _bound(self) -> None:
        if len(self._waiting) > _KNOWN:
            pusher = next(iter(self._waiting))
            self._due += [(pusher[0].registry, at) for _, at in self._waiting.pop(pusher).values()]
        if len(self._children) > _CHILDREN:
            self._children.clear()
