"""Manifests as they were found: nine of ten requests ask for one that was just asked for."""

from appliance.db import manifests
from appliance.db.database import Database
from appliance.domain.names import Digest, Tag, is_digest, parse_digest, parse_tag
from appliance.domain.registry import FoundManifest, ImageId, ImageRef

MOST_BYTES = 16 << 20  # of manifests that are remembered
LARGEST = 256 << 10  # bytes; a larger one is rare, and would push all others out
_ENTRY = 1 << 10  # bytes that an entry takes besides the manifest
_Key = tuple[int, str, str]


class Remembered:
    """Forgets what is of an image at each commit that changed it, so it never says what the database would not.

    Other images stay: a push or a collection would else cost every pull its memory. Used on the loop only.
    """

    def __init__(self, db: Database) -> None:
        """Remember what is found in `db`."""
        self._db = db
        self._mark = db.changes.mark
        self._bytes = 0
        self._found: dict[_Key, FoundManifest] = {}
        self._of_image: dict[ImageId, list[_Key]] = {}

    def find(self, image: ImageRef, name: str, text: str) -> FoundManifest | None:
        """Return the live manifest that the reference `text` names in `image`, called `name` in the request, or None.

        Hot. Raises NameInvalid, DigestInvalid.
        """
        if self._db.changes.mark != self._mark:  # before the look-up: what a commit between them changes is older
            self._follow()
        key = image.registry, name, text
        known = self._found.get(key)
        if known is not None:
            return known
        reference: Tag | Digest = parse_digest(text) if is_digest(text) else parse_tag(text)
        found = manifests.find(self._db.reader, image, reference)
        if found is not None and len(found.body) <= LARGEST:
            self._keep(key, found)
        return found

    def _keep(self, key: _Key, found: FoundManifest) -> None:
        size = len(found.body) + _ENTRY
        if self._bytes + size > MOST_BYTES:
            self._forget_all()
        self._found[key] = found
        self._of_image.setdefault(found.image, []).append(key)
        self._bytes += size

    def _follow(self) -> None:
        """Forget what was found of images that have changed."""
        self._mark, changed = self._db.changes.since(self._mark)
        if changed is None:
            self._forget_all()
            return
        for image in changed:
            for key in self._of_image.pop(image, ()):
                self._bytes -= len(self._found.pop(key).body) + _ENTRY

    def _forget_all(self) -> None:
        self._found, self._of_image, self._bytes = {}, {}, 0
