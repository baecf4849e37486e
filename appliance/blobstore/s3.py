"""A store in a bucket of an object store.

    <prefix>blobs/sha256/4f/4f53cda1….9c1e22d0.e1     as in a folder, see local.py
    <prefix>manifests/…  <prefix>quarantine/…
    <prefix>keys/keyring                              the copy of the keyring
    <prefix>backups/<name>                            snapshots of the database

A seal copies the staged file to its final key and returns once the store has it whole.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TypeVar

from appliance.blobstore.bucket import Bucket, Wallet
from appliance.blobstore.cache import Cache
from appliance.blobstore.cipher import Content
from appliance.blobstore.fetching import Fetched, Fetching
from appliance.blobstore.files import Files, failed
from appliance.blobstore.forms import SUFFIXES, Forms, size_in
from appliance.blobstore.multipart import Multipart
from appliance.blobstore.names import BLOBS, MANIFESTS, QUARANTINE, lying_by_name, path_of
from appliance.blobstore.objects import Found, Objects
from appliance.blobstore.parts import Journal, Parts, open_file, read_into_pages
from appliance.blobstore.patience import Budget, Patience
from appliance.blobstore.reading import CACHE_BYTES, ChunkCache
from appliance.blobstore.salvage import salvage
from appliance.blobstore.store import Lying, Salvaged
from appliance.blobstore.sums import CHUNK
from appliance.domain.names import Digest
from appliance.domain.registry import StoredBlob
from appliance.errors import BlobUnknown, StoreFailed

T = TypeVar("T")

SINGLE = 16 << 20  # bytes; a file up to that size is stored by one request
_PROBE = "keys/keyring"  # what is asked for to learn whether the store answers: it need not be there
_PROBE_S = 2.0
_THREADS = 8  # connections of uploads in parts


class S3Store:
    """A BlobStore over one bucket."""

    driver = "s3"

    def __init__(
        self,
        bucket: Bucket,
        forms: Forms,
        executor: Executor,
        budget: Budget,
        journal: Journal,
        cache: Cache | None = None,
    ) -> None:
        """Serve the blobs below the prefix of `bucket`. Raises StoreDown where its settings cannot be used."""
        self.bucket = bucket
        self.forms = forms
        self.cache = cache
        self.patience = Patience(bucket.deadline_s)
        self.wallet = Wallet(bucket.login)
        self.objects = Objects(bucket, self.wallet, self.patience)
        self._executor = executor
        self._budget = budget
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="s3")
        self.multipart = Multipart(bucket, self.wallet, _THREADS, self.patience.attempt_s)
        self.parts = Parts(self.multipart, self.patience, budget, journal, self._threads)
        self._memory = ChunkCache(CACHE_BYTES)

    def close(self) -> None:
        """Give up its threads and connections."""
        self._threads.shutdown(cancel_futures=True)
        self.multipart.close()

    async def follow(self) -> None:
        """Fill the cache with what is read, for ever."""
        if self.cache is not None:
            await self.cache.follow(self.whole)

    async def find_fault(self) -> str:
        """Return why the store is down, as far as is known; while it is, it is asked again. Empty: it is well."""
        if self.patience.fault:
            with contextlib.suppress(BlobUnknown, StoreFailed, TimeoutError):
                async with asyncio.timeout(_PROBE_S):
                    await self.objects.size(_PROBE)
        return self.patience.fault

    async def chunks(self, blob: StoredBlob, start: int, end: int) -> AsyncGenerator[memoryview, None]:
        """Yield `start` to `end` of `blob` in checked chunks. Raises BlobBroken before it gives one that changed."""
        if start >= end:
            return
        first, last = start // CHUNK, (end - 1) // CHUNK
        key = (blob.generation, blob.digest, first)
        if first == last and (held := self._memory.get(key)) is not None:
            yield memoryview(held)[start - first * CHUNK : end - first * CHUNK]
            return
        if self.cache is not None:
            async with aclosing(self.cache.chunks(blob, start, end)) as cached:
                async for chunk in cached:
                    start += len(chunk)
                    yield chunk
            if start >= end:
                return
        async with aclosing(self._fetch(blob, start // CHUNK, last)) as fetched:
            async for one in fetched:
                content = one.content
                if first == last:  # a small blob, or a range inside one chunk: the next one is likely near it
                    content = [whole := b"".join(content)]
                    self._memory.put(key, whole)
                base = one.index * CHUNK
                for part in content:
                    if wanted := memoryview(part)[max(start - base, 0) : max(end - base, 0)]:
                        yield wanted
                    base += len(part)

    async def fresh(self, blob: StoredBlob) -> AsyncGenerator[memoryview, None]:
        """Yield all of `blob` from the store."""
        if blob.size:
            async with aclosing(self.whole(blob)) as chunks:
                async for chunk in chunks:
                    for part in chunk.content:
                        yield memoryview(part)

    def whole(self, blob: StoredBlob) -> AsyncGenerator[Fetched, None]:
        """Yield all chunks of `blob`."""
        return self._fetch(blob, 0, (blob.size - 1) // CHUNK)

    def _fetch(self, blob: StoredBlob, first: int, last: int) -> AsyncGenerator[Fetched, None]:
        return Fetching(self.objects, _key(blob), self.forms.of(blob)).chunks(blob, first, last)

    async def seal(self, staged: Path, blob: StoredBlob) -> None:
        """Copy `staged` to its final key; it is gone then."""
        await self.store_file(staged, _key(blob))
        if self.cache is not None:
            await self.cache.adopt(staged, blob)
        else:
            await self._run(_unlink, staged)

    async def store_file(self, path: Path, key: str) -> None:
        """Copy the file `path` to `key`, whole or not at all."""
        size = await self._run(_size_of, path)
        if size > SINGLE:
            await self.parts.upload(path, size, self.bucket.prefix + key, partial(self.objects.size, key))
            return
        async with self._budget.take(size):
            await self.objects.put(key, await self._run(_read, path, size))

    async def delete(self, digest: Digest, generation: str) -> None:
        """Delete one generation, wherever it lies."""
        await self.objects.delete(_all_keys("blob", digest, generation))
        await self._forget([(digest, generation)])

    async def delete_all(self, kind: str, names: Sequence[tuple[Digest, str]]) -> list[StoreFailed | None]:
        """Delete generations, in as few requests as the API allows."""
        keys = [key for name in names for key in _all_keys(kind, *name)]
        try:
            await self.objects.delete(keys)
        except StoreFailed as error:
            return [error] * len(names)
        await self._forget(names)
        return [None] * len(names)

    async def _forget(self, names: Sequence[tuple[Digest, str]]) -> None:
        if self.cache is not None:
            await self._run(self.cache.forget, [path_of(*name, BLOBS, form) for name in names for form in SUFFIXES])

    async def keep_manifest(self, digest: Digest, generation: str, body: bytes) -> None:
        """Store a copy of a manifest."""
        key = path_of(digest, generation, MANIFESTS, self.forms.new)
        await self.objects.put(key, self.forms.seal_whole(digest, body))

    async def drop_manifest(self, digest: Digest, generation: str) -> None:
        """Delete the copy of a manifest."""
        await self.objects.delete(_all_keys("manifest", digest, generation))

    def walk_blobs(self) -> Iterator[Lying]:
        """Yield every blob that lies in the bucket."""
        return self._walk(BLOBS)

    def walk_manifests(self) -> Iterator[Lying]:
        """Yield every copy of a manifest."""
        return self._walk(MANIFESTS)

    def walk_quarantine(self) -> Iterator[Lying]:
        """Yield every broken generation that was put aside."""
        for one in self.objects.walk_now(QUARANTINE):
            name = one.key.rpartition("/")[2]
            algorithm = "sha512" if len(name.partition(".")[0]) == 128 else "sha256"
            if found := lying_by_name(name, algorithm, one.size, one.written, self.driver):
                yield found

    def _walk(self, kind: str) -> Iterator[Lying]:
        for one in self.objects.walk_now(kind):
            if found := _lying(one):
                yield found

    def read_manifest(self, digest: Digest, generation: str) -> bytes:
        """Return the bytes of a copy."""
        for form in SUFFIXES:
            try:
                raw = b"".join(self.objects.get_now(path_of(digest, generation, MANIFESTS, form)))
            except BlobUnknown:
                continue
            return self.forms.open_whole(form, raw)
        raise StoreFailed(f"the object store has no copy of {digest}")

    def find_size(self, blob: StoredBlob) -> int | None:
        """Return how much content the object of `blob` holds."""
        found = self.objects.size_now(_key(blob))
        return None if found is None else size_in(blob.form, found)

    async def copy_out(self, blob: StoredBlob, target: Path) -> bool:
        """Fetch what lies under the key of `blob`, every chunk checked, into the file `target`."""
        files, staged = Files(), target.with_name(target.name + ".part")
        await self._run(files.remove, staged)
        descriptor = await self._run(files.create, staged)
        try:
            offset = await self._run(
                _write, files, descriptor, staged, [blob.sums] if self.forms.of(blob).start else [], 0
            )
            if blob.size:
                async with aclosing(self.whole(blob)) as chunks:
                    async for chunk in chunks:
                        offset = await self._run(_write, files, descriptor, staged, chunk.raw, offset)
            await self._run(files.sync, descriptor, staged)
        finally:
            os.close(descriptor)
        await self._run(files.rename, staged, target)
        return False

    def salvage(self, one: Lying) -> Salvaged:
        """Read a generation that no row describes."""
        pieces = self.objects.get_now(path_of(one.digest, one.generation, BLOBS, one.form))
        try:
            return salvage(one, self.forms, lambda _: next(pieces, b""))
        except BlobUnknown as error:
            raise StoreFailed(f"{one.digest} is gone from the object store") from error

    async def quarantine(self, blob: StoredBlob) -> None:
        """Move the object of a broken generation aside."""
        try:
            await self.objects.move(_key(blob), _aside(_key(blob)))
        except BlobUnknown:
            return

    async def sweep(self, before: float) -> int:
        """Abort uploads in parts that nobody goes on with."""
        return await self.parts.sweep(before)

    def free_bytes(self) -> None:
        """Nobody can say."""

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)


def _write(files: Files, descriptor: int, path: Path, parts: Sequence[Content], offset: int) -> int:
    files.write(descriptor, path, [memoryview(part) for part in parts], offset)
    return offset + sum(map(len, parts))


def _key(blob: StoredBlob) -> str:
    return path_of(blob.digest, blob.generation, BLOBS, blob.form)


def _aside(key: str) -> str:
    return f"{QUARANTINE}/{key.rpartition('/')[2]}"


def _all_keys(kind: str, digest: Digest, generation: str) -> list[str]:
    """Return every key that a generation may have: who deletes need not know its form, nor whether it is broken."""
    if kind == "manifest":
        return [path_of(digest, generation, MANIFESTS, form) for form in SUFFIXES]
    keys = [path_of(digest, generation, BLOBS, form) for form in SUFFIXES]
    return keys + [_aside(key) for key in keys]


def _lying(one: Found) -> Lying | None:
    parts = one.key.split("/")
    if len(parts) != 4:
        return None
    return lying_by_name(parts[-1], parts[1], one.size, one.written, S3Store.driver)


def _read(path: Path, size: int) -> memoryview:
    descriptor = open_file(path)
    try:
        return read_into_pages(descriptor, size, 0, path)
    finally:
        os.close(descriptor)


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise failed("look at", path, error) from error


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
