"""Which images' references name something else since the last commits: what is remembered of those is forgotten.

Triggers of the writer's connection tell, so no query can forget to; they see what a foreign key changes, too. What they
watch are the columns that `manifests.find` reads and that change: a test holds the two together.
"""

import threading
from collections import deque

import apsw

from appliance.domain.registry import ImageId

KEPT = 1000  # commits whose images are kept; who asks later forgets everything
_ANY = 0  # told instead of an image: any may have changed
_IS_THERE = "EXISTS (SELECT 1 FROM main.images WHERE id = OLD.image_id AND removed_at IS NULL)"  # else it was told then
_TRIGGERS = (
    ("tag_moved", "UPDATE OF manifest_id ON main.tags WHEN OLD.manifest_id <> NEW.manifest_id", "NEW.image_id"),
    ("tag_gone", f"DELETE ON main.tags WHEN {_IS_THERE}", "OLD.image_id"),
    ("manifest_removed", "UPDATE OF removed_at ON main.manifests", "NEW.image_id"),
    ("manifest_gone", f"DELETE ON main.manifests WHEN OLD.removed_at IS NULL AND {_IS_THERE}", "OLD.image_id"),
    ("image_removed", "UPDATE OF removed_at ON main.images", "NEW.id"),
    ("image_limited", "UPDATE OF limited ON main.images WHEN OLD.limited <> NEW.limited", "NEW.id"),
    ("image_gone", "DELETE ON main.images WHEN OLD.removed_at IS NULL", "OLD.id"),
    ("repository_removed", "UPDATE OF removed_at ON main.repositories", f"{_ANY}"),
    ("repository_gone", "DELETE ON main.repositories WHEN OLD.removed_at IS NULL", f"{_ANY}"),
)


class Changes:
    """Written by the writer, asked by any thread."""

    def __init__(self) -> None:
        """Begin with nothing changed."""
        self.mark = 0  # how many commits have changed something: hot, so read without the lock
        self._told: set[ImageId] = set()  # since the last commit; the writer's alone
        self._kept: deque[frozenset[ImageId]] = deque(maxlen=KEPT)
        self._lock = threading.Lock()

    def watch(self, writer: apsw.Connection) -> None:
        """Have `writer` tell what its statements change."""
        writer.create_scalar_function("image_changed", self.tell, 1)
        for name, when, image in _TRIGGERS:
            writer.execute(
                f"CREATE TEMP TRIGGER watch_{name} AFTER {when} BEGIN SELECT image_changed({image}); END",
            )

    def publish(self) -> None:
        """Let everybody know what was told, once it is committed.

        Never before: who forgets too early reads the old rows again, and keeps them.
        """
        if not self._told:
            return
        with self._lock:
            self._kept.append(frozenset(self._told))
            self.mark += 1
        self._told = set()

    def since(self, mark: int) -> tuple[int, frozenset[ImageId] | None]:
        """Return where the changes stand, and which images those behind `mark` were of; None for any of them."""
        with self._lock:
            behind = self.mark - mark
            if behind > len(self._kept):
                return self.mark, None
            kept = list(self._kept)
        found = frozenset[ImageId]().union(*kept[len(kept) - behind :])
        return mark + behind, None if _ANY in found else found

    def tell(self, *images: object) -> None:
        """Take down what a trigger says; what is rolled back, too: forgetting too much does no harm."""
        self._told.update(ImageId(image) for image in images if isinstance(image, int))
