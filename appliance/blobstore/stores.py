"""Several stores as one: new blobs go to the first, each is read where its row says it lies.

So blobs can move from one store to another, or change their form, while everything serves.
"""

import heapq
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path

from appliance.blobstore.s3 import S3Store
from appliance.blobstore.store import BlobStore, Lying, Salvaged
from appliance.domain.names import Digest
from appliance.domain.registry import StoredBlob
from appliance.errors import StoreFailed


class Stores:
    """A BlobStore over several, each with a driver of its own."""

    def __init__(self, first: BlobStore, *others: BlobStore) -> None:
        """Take new things into `first`."""
        self.all = (first, *others)
        self.driver = first.driver
        self._by_driver = {store.driver: store for store in self.all}

    def of(self, driver: str) -> BlobStore:
        """Return the store of `driver`. Raises StoreFailed where it is not configured."""
        found = self._by_driver.get(driver)
        if found is None:
            raise StoreFailed(f"the blob lies in the store {driver}, which scr.toml does not name any more")
        return found

    def chunks(self, blob: StoredBlob, start: int, end: int) -> AsyncGenerator[memoryview, None]:
        """Yield checked chunks from where the blob lies."""
        return self.of(blob.driver).chunks(blob, start, end)

    def fresh(self, blob: StoredBlob) -> AsyncGenerator[memoryview, None]:
        """Yield all of the blob as its store has it now."""
        return self.of(blob.driver).fresh(blob)

    async def seal(self, staged: Path, blob: StoredBlob) -> None:
        """Keep a blob in the store that its driver says."""
        await self.of(blob.driver).seal(staged, blob)

    async def delete(self, digest: Digest, generation: str) -> None:
        """Delete a generation from every store: it lies in one of them at most, or is on its way between two."""
        for store in self.all:
            await store.delete(digest, generation)

    async def delete_all(self, kind: str, names: Sequence[tuple[Digest, str]]) -> list[StoreFailed | None]:
        """Delete generations from every store; they are gone when no store failed."""
        results = [await store.delete_all(kind, names) for store in self.all]
        return [next((one for one in failures if one is not None), None) for failures in zip(*results, strict=True)]

    async def keep_manifest(self, digest: Digest, generation: str, body: bytes) -> None:
        """Store a copy of a manifest in the first store."""
        await self.all[0].keep_manifest(digest, generation, body)

    async def drop_manifest(self, digest: Digest, generation: str) -> None:
        """Delete the copy of a manifest, wherever it lies."""
        for store in self.all:
            await store.drop_manifest(digest, generation)

    def walk_blobs(self) -> Iterator[Lying]:
        """Yield every blob of every store, in the order of their names."""
        return heapq.merge(*(store.walk_blobs() for store in self.all), key=_order)

    def walk_manifests(self) -> Iterator[Lying]:
        """Yield every copy of a manifest of every store, in the order of their names."""
        return heapq.merge(*(store.walk_manifests() for store in self.all), key=_order)

    def walk_quarantine(self) -> Iterator[Lying]:
        """Yield every broken generation of every store."""
        for store in self.all:
            yield from store.walk_quarantine()

    def read_manifest(self, digest: Digest, generation: str) -> bytes:
        """Return the bytes of a copy, from the first store that has it."""
        for store in self.all[:-1]:
            try:
                return store.read_manifest(digest, generation)
            except StoreFailed:
                continue
        return self.all[-1].read_manifest(digest, generation)

    def find_size(self, blob: StoredBlob) -> int | None:
        """Return how much content lies where the blob should."""
        return self.of(blob.driver).find_size(blob)

    async def copy_out(self, blob: StoredBlob, target: Path) -> bool:
        """Put the file of a blob at `target`, from where it lies."""
        return await self.of(blob.driver).copy_out(blob, target)

    def salvage(self, one: Lying) -> Salvaged:
        """Read a blob that no row describes."""
        return self.of(one.driver).salvage(one)

    async def sweep(self, before: float) -> int:
        """Drop what lies half stored in any of them."""
        return sum([await store.sweep(before) for store in self.all])

    async def quarantine(self, blob: StoredBlob) -> None:
        """Put a broken generation aside where it lies."""
        await self.of(blob.driver).quarantine(blob)

    def free_bytes(self) -> int | None:
        """Return how many bytes the first store may still take."""
        return self.all[0].free_bytes()


def bucket_of(store: BlobStore) -> S3Store | None:
    """Return the bucket that belongs to `store`, or None."""
    stores = store.all if isinstance(store, Stores) else (store,)
    return next((one for one in stores if isinstance(one, S3Store)), None)


def _order(one: Lying) -> tuple[Digest, str]:
    return one.digest, one.generation
