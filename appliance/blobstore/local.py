"""A store in a local folder.

    <data>/blobs/sha256/4f/4f53cda1….9c1e22d0      a blob: <hex>.<generation>, encrypted: <hex>.<generation>.e1
    <data>/manifests/sha256/a1/a1b2….77aa01ff      the copy of a manifest, for `rebuild`
    <data>/quarantine/4f53cda1….9c1e22d0           bytes that are not what was sealed
    <data>/uploads/                                staging (upload.py); same file system, so a seal is a rename

Order of a seal: the staged file is synced, then renamed, then its folder is synced; only then may a row name it.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TypeVarTuple, Unpack

from appliance.blobstore.files import Files, failed
from appliance.blobstore.forms import PLAIN, SUFFIXES, Forms, size_in
from appliance.blobstore.names import BLOBS, MANIFESTS, QUARANTINE, lying_by_name, path_of
from appliance.blobstore.reading import BlobFile, Reading
from appliance.blobstore.salvage import salvage
from appliance.blobstore.store import Lying, Salvaged
from appliance.blobstore.sums import chunk_count
from appliance.domain.names import Digest
from appliance.domain.registry import StoredBlob
from appliance.errors import BlobBroken, StoreFailed

Arguments = TypeVarTuple("Arguments")


class LocalStore:
    """A BlobStore over one folder. Reads run in `executor`; a reader never blocks another."""

    driver = "local"

    def __init__(self, folder: Path, files: Files, executor: Executor, forms: Forms | None = None) -> None:
        """Serve the blobs of the data folder `folder`, which exists."""
        self.folder = folder
        self.forms = forms or Forms()
        self._files = files
        self._executor = executor
        self._reading = Reading(executor, self.forms, self._path)
        for part in (BLOBS, MANIFESTS, QUARANTINE):
            files.make_folder(folder / part)

    def path_of(self, digest: Digest, generation: str, kind: str = BLOBS, form: str = PLAIN) -> Path:
        """Return where a generation lies; built from parsed values only, so it is inside the folder."""
        return self.folder / path_of(digest, generation, kind, form)

    def chunks(self, blob: StoredBlob, start: int, end: int) -> AsyncGenerator[memoryview, None]:
        """Yield `start` to `end` of `blob` in checked chunks. Raises BlobBroken before it gives one that changed."""
        return self._reading.chunks(blob, start, end)

    async def fresh(self, blob: StoredBlob) -> AsyncGenerator[memoryview, None]:
        """Yield all of `blob` from the disk: the page cache is asked to forget it first, and afterwards."""
        loop = asyncio.get_running_loop()
        with BlobFile(self._path(blob), blob, self.forms) as file:
            file.forget()
            for index in range(chunk_count(blob.size)):
                content = await loop.run_in_executor(self._executor, file.read, index)
                yield memoryview(content)
            file.forget()

    async def seal(self, staged: Path, blob: StoredBlob) -> None:
        """Rename `staged` to its final name and sync the folder."""
        await self._run(self._seal, staged, self._path(blob))

    def _seal(self, staged: Path, target: Path) -> None:
        self._make_folders(target)
        self._files.rename(staged, target)
        self._files.sync_folder(target.parent)

    async def delete(self, digest: Digest, generation: str) -> None:
        """Delete one generation of a blob, wherever it lies."""
        await self._run(self._delete, digest, generation)

    def _delete(self, digest: Digest, generation: str) -> None:
        for path in self._names(digest, generation, BLOBS):
            self._files.remove(path)
            self._files.remove(self._aside(path))

    async def delete_all(self, kind: str, names: Sequence[tuple[Digest, str]]) -> list[StoreFailed | None]:
        """Delete generations one after the other, all in one thread: handing over each took longer than deleting it."""
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, lambda: [self._try_delete(kind, *name) for name in names]
        )

    def _try_delete(self, kind: str, digest: Digest, generation: str) -> StoreFailed | None:
        try:
            (self._drop if kind == "manifest" else self._delete)(digest, generation)
        except StoreFailed as error:
            return error
        return None

    async def keep_manifest(self, digest: Digest, generation: str, body: bytes) -> None:
        """Store a copy of a manifest."""
        await self._run(self._keep, digest, generation, body)

    def _make_folders(self, path: Path) -> None:
        """Make `<kind>/<algorithm>/<two hex>` for the file `path`."""
        self._files.make_folder(path.parent.parent)
        self._files.make_folder(path.parent)

    def _keep(self, digest: Digest, generation: str, body: bytes) -> None:
        path = self.path_of(digest, generation, MANIFESTS, self.forms.new)
        self._make_folders(path)
        self._files.write_whole(path, self.forms.seal_whole(digest, body))

    async def drop_manifest(self, digest: Digest, generation: str) -> None:
        """Delete the copy of a manifest."""
        await self._run(self._drop, digest, generation)

    def _drop(self, digest: Digest, generation: str) -> None:
        for path in self._names(digest, generation, MANIFESTS):
            self._files.remove(path)

    def walk_blobs(self) -> Iterator[Lying]:
        """Yield every blob that lies in the folder."""
        return self._walk(BLOBS)

    def walk_manifests(self) -> Iterator[Lying]:
        """Yield every copy of a manifest."""
        return self._walk(MANIFESTS)

    def walk_quarantine(self) -> Iterator[Lying]:
        """Yield every broken generation that was put aside."""
        for entry in sorted((self.folder / QUARANTINE).iterdir()):
            algorithm = "sha512" if len(entry.name.partition(".")[0]) == 128 else "sha256"
            if found := _lying(entry, algorithm):
                yield found

    def read_manifest(self, digest: Digest, generation: str) -> bytes:
        """Return the bytes of a copy."""
        form, path = next(
            (
                (form, path)
                for form, path in zip(SUFFIXES, self._names(digest, generation, MANIFESTS), strict=True)
                if path.exists()
            ),
            (PLAIN, self.path_of(digest, generation, MANIFESTS)),
        )
        try:
            return self.forms.open_whole(form, path.read_bytes())
        except OSError as error:
            raise failed("read", path, error) from error

    def find_size(self, blob: StoredBlob) -> int | None:
        """Return how much content the file of `blob` holds."""
        try:
            return size_in(blob.form, self._path(blob).stat().st_size)
        except FileNotFoundError:
            return None

    async def copy_out(self, blob: StoredBlob, target: Path) -> bool:
        """Link or copy the file of `blob` to `target`."""
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, self._copy_out, self._path(blob), target
        )

    def _copy_out(self, source: Path, target: Path) -> bool:
        if self._files.link(source, target):
            return True
        if not source.exists():
            raise BlobBroken(f"the bytes of {source.name} are gone from the store")
        self._files.copy(source, target)
        return False

    def salvage(self, one: Lying) -> Salvaged:
        """Read a generation that no row describes."""
        path = self.path_of(one.digest, one.generation, BLOBS, one.form)
        try:
            with path.open("rb", buffering=0) as file:
                return salvage(one, self.forms, file.read)
        except OSError as error:
            raise failed("read", path, error) from error

    async def quarantine(self, blob: StoredBlob) -> None:
        """Move the file of a broken generation aside."""
        source = self._path(blob)
        if source.exists():
            await self._run(self._files.rename, source, self._aside(source))

    async def sweep(self, before: float) -> int:
        """Nothing is ever half here: what an upload leaves lies in `uploads/`."""
        del before
        return 0

    def free_bytes(self) -> int:
        """Return the bytes an unprivileged process may still write."""
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize

    def size_bytes(self) -> int:
        """Return the size of the file system."""
        disk = os.statvfs(self.folder)
        return disk.f_blocks * disk.f_frsize

    def _path(self, blob: StoredBlob) -> Path:
        return self.path_of(blob.digest, blob.generation, BLOBS, blob.form)

    def _names(self, digest: Digest, generation: str, kind: str) -> list[Path]:
        """Return the names that a generation may have: who deletes need not know its form."""
        return [self.path_of(digest, generation, kind, form) for form in SUFFIXES]

    def _aside(self, path: Path) -> Path:
        """Return where a broken generation is put; its row, or its condemnation, owns it there too."""
        return self.folder / QUARANTINE / path.name

    def _walk(self, kind: str) -> Iterator[Lying]:
        for part in sorted((self.folder / kind).glob("*/*")):
            for entry in sorted(part.iterdir()) if part.is_dir() else ():
                if found := _lying(entry, part.parent.name):
                    yield found

    async def _run(self, function: Callable[[Unpack[Arguments]], object], *arguments: *Arguments) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)


def _lying(path: Path, algorithm: str) -> Lying | None:
    """Return what the file `path` is by its name; None when it is not ours, or was deleted meanwhile."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return lying_by_name(path.name, algorithm, status.st_size, status.st_ctime, LocalStore.driver)
