"""What a store of blobs can do, whatever it stands on: a local folder, an object store."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from appliance.domain.names import Digest
from appliance.domain.registry import StoredBlob
from appliance.errors import StoreFailed


class Lying(msgspec.Struct, frozen=True):
    """Something found in a store: a blob's or a manifest's generation, and when it was written (unix seconds).

    `size` is what its content has, if the file is whole.
    """

    digest: Digest
    generation: str
    size: int
    written: float
    form: str = "plain"
    driver: str = "local"  # of the store it lies in


class Salvaged(msgspec.Struct, frozen=True):
    """What lies there under a name: its size in bytes, what its row needs as sums, and whether it is what it says."""

    size: int
    sums: bytes
    is_whole: bool


class BlobStore(Protocol):
    """Bytes by digest and generation.

    Every name is written once and never changed: a seal makes a new generation, a delete takes exactly one. So no
    delete can meet a re-push. Errors are StoreFailed and StorageFull; bytes that changed are BlobBroken.
    """

    @property
    def driver(self) -> str:
        """The name that rows of blobs keep: which store holds them."""

    def chunks(self, blob: StoredBlob, start: int, end: int) -> AsyncGenerator[memoryview, None]:
        """Yield the bytes `start` (included) to `end` (excluded) of `blob`, each chunk checked before it is given."""

    def fresh(self, blob: StoredBlob) -> AsyncGenerator[memoryview, None]:
        """Yield all of `blob` in checked chunks as the store has it now, never from memory: for scrub."""

    async def seal(self, staged: Path, blob: StoredBlob) -> None:
        """Give the file `staged`, which has the form of `blob`, its name for ever; durable once this returns.

        `staged` is gone then. Where it fails, `staged` is as it was, unless the disk itself failed.
        """

    async def delete(self, digest: Digest, generation: str) -> None:
        """Delete one generation, quarantined or not; that it is gone already is no error."""

    async def delete_all(self, kind: str, names: Sequence[tuple[Digest, str]]) -> list[StoreFailed | None]:
        """Delete many generations, of blobs ("blob") or of copies ("manifest"); return why each is still there."""

    async def keep_manifest(self, digest: Digest, generation: str, body: bytes) -> None:
        """Store a copy of a manifest, for `rebuild`; durable once this returns."""

    async def drop_manifest(self, digest: Digest, generation: str) -> None:
        """Delete such a copy; that it is gone already is no error."""

    def walk_blobs(self) -> Iterator[Lying]:
        """Yield every blob that lies in the store (blocking: for a worker thread)."""

    def walk_manifests(self) -> Iterator[Lying]:
        """Yield every copy of a manifest (blocking: for a worker thread)."""

    def walk_quarantine(self) -> Iterator[Lying]:
        """Yield every broken generation that was put aside (blocking: for a worker thread)."""

    def read_manifest(self, digest: Digest, generation: str) -> bytes:
        """Return the bytes of a copy (blocking: for a worker thread)."""

    def find_size(self, blob: StoredBlob) -> int | None:
        """Return how much content lies under the name of `blob`, or None where nothing does (blocking)."""

    async def copy_out(self, blob: StoredBlob, target: Path) -> bool:
        """Put the file of `blob`, as it lies there, at `target`, as a link where it can be one (True), else copied.

        Its bytes are durable then, its name not yet. Raises BlobBroken where it is gone, StoreFailed, StorageFull.
        """

    def salvage(self, one: Lying) -> Salvaged:
        """Read a blob that no row describes (blocking). Raises StoreFailed."""

    async def sweep(self, before: float) -> int:
        """Drop what a crash left half stored and not written to since `before` (unix seconds); return how many."""

    async def quarantine(self, blob: StoredBlob) -> None:
        """Put the bytes of a broken generation aside, where nothing serves them and a person can look at them."""

    def free_bytes(self) -> int | None:
        """Return how many bytes may still be written, or None where the store has no such limit."""
