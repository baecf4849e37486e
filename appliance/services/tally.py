"""Pulls: counted in memory, written every 10 s, so that a pull never waits for the writer.

A crash may lose the last 10 s of them (DESIGN 1), and nothing else.
"""

from appliance.db import images, manifests
from appliance.db.database import Database, Transaction
from appliance.domain.moment import Timestamp
from appliance.domain.registry import ImageId, ManifestId
from appliance.errors import ScrError

FLUSH_S = 10.0  # seconds between two flushes


class Pulls:
    """Pulls not yet written, by manifest."""

    def __init__(self) -> None:
        """Begin with none."""
        self._counts: dict[ManifestId, tuple[ImageId, int, Timestamp]] = {}

    def count(self, image: ImageId, manifest: ManifestId, now: Timestamp, pulls: int = 1) -> None:
        """Count `pulls` of `manifest`, the newest of them at `now`."""
        _, count, last = self._counts.get(manifest, (image, 0, now))
        self._counts[manifest] = (image, count + pulls, max(last, now))

    async def flush(self, db: Database) -> None:
        """Write what was counted. What cannot be written now (a full disk) is kept for the next time."""
        if not self._counts:
            return
        counts, self._counts = self._counts, {}

        def record(tx: Transaction) -> None:
            for manifest, (image, count, last) in counts.items():
                manifests.add_pulls(tx, manifest, count, last)
                images.add_pulls(tx, image, count, last)

        try:
            await db.write(record)
        except ScrError:
            for manifest, (image, count, last) in counts.items():
                self.count(image, manifest, last, count)
            raise
