"""Manifests as they were found since the last commit: nine of ten requests ask for one that was just asked for."""

from appliance.db import manifests
from appliance.db.database import Database
from appliance.domain.names import Digest, Tag, is_digest, parse_digest, parse_tag
from appliance.domain.registry import FoundManifest, ImageRef

MOST_BYTES = 16 << 20  # of manifests that are remembered
LARGEST = 256 << 10  # bytes; a larger one is rare, and would push all others out
_ENTRY = 1 << 10  # bytes that an entry takes besides the manifest


class Remembered:
    """Forgets everything at each commit, so it never says what the database would not: used on the loop only."""

    def __init__(self, db: Database) -> None:
        """Remember what is found in `db`."""
        self._db = db
        self._epoch = -1
        self._bytes = 0
        self._found: dict[tuple[int, str, str], FoundManifest] = {}

    def find(self, image: ImageRef, name: str, text: str) -> FoundManifest | None:
        """Return the live manifest that the reference `text` names in `image`, called `name` in the request, or None.

        Hot. Raises NameInvalid, DigestInvalid.
        """
        epoch = self._db.epoch  # before the look-up: what a commit between them changes counts as older than it
        if epoch != self._epoch:
            self._forget(epoch)
        key = image.registry, name, text
        known = self._found.get(key)
        if known is not None:
            return known
        reference: Tag | Digest = parse_digest(text) if is_digest(text) else parse_tag(text)
        found = manifests.find(self._db.reader, image, reference)
        if found is not None and len(found.body) <= LARGEST:
            self._keep(key, found)
        return found

    def _keep(self, key: tuple[int, str, str], found: FoundManifest) -> None:
        size = len(found.body) + _ENTRY
        if self._bytes + size > MOST_BYTES:
            self._forget(self._epoch)
        self._found[key] = found
        self._bytes += size

    def _forget(self, epoch: int) -> None:
        self._found = {}
        self._epoch, self._bytes = epoch, 0
