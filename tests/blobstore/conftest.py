"""Stores to hold to the contract, and uploads, over a folder of the test's own."""

import hashlib
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import obstore
import pytest
from obstore.store import S3Store as Client

from appliance.blobstore.cipher import E1
from appliance.blobstore.files import Files
from appliance.blobstore.forms import PLAIN, Forms
from appliance.blobstore.keyring import Keyring
from appliance.blobstore.local import LocalStore
from appliance.blobstore.names import BLOBS, path_of
from appliance.blobstore.patience import Budget
from appliance.blobstore.s3 import S3Store
from appliance.blobstore.session import Session
from appliance.blobstore.staging import stage
from appliance.blobstore.store import BlobStore
from appliance.blobstore.upload import Uploads
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest
from appliance.domain.registry import BlobId, StoredBlob
from tests.make.object_store import ObjectStore

STORES = ("folder", "folder-encrypted", "s3", "s3-encrypted")  # every store there is; each has to pass the same suite
ENCRYPTED = tuple(name for name in STORES if name.endswith("-encrypted"))
MASTER = bytes(range(32))


def forms(*, encrypts: bool) -> Forms:
    """Return forms with a keyring of the test's own; both forms can be read."""
    return Forms(Keyring.make(MASTER, Timestamp(0)), encrypts=encrypts)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=4) as workers:
        yield workers


class Shelf(Protocol):
    """What lies behind a store, as somebody sees and changes it who has the disk or the bucket."""

    def get(self, name: str) -> bytes | None:
        """Return a file's content."""

    def put(self, name: str, content: bytes) -> None:
        """Write a file."""

    def remove(self, name: str) -> None:
        """Remove a file."""


class Folder:
    """A Shelf: the data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, name: str) -> bytes | None:
        path = self.folder / name
        return path.read_bytes() if path.is_file() else None

    def put(self, name: str, content: bytes) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(content)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink()


class Bench:
    """A store, and the means to put bytes into it and to break them."""

    def __init__(self, folder: Path, make: Callable[[], BlobStore], shelf: Shelf, forms: Forms) -> None:
        self.folder = folder
        self.make = make  # as another process would: over the same bytes
        self.store = make()
        self.shelf = shelf
        self.forms = forms
        self._numbers = itertools.count()

    async def seal(self, content: bytes, generation: str = "", algorithm: str = "sha256") -> StoredBlob:
        """Store `content` and return what its row would say."""
        number = next(self._numbers)
        staged = self.folder / f"staged{number}"
        digest = Digest(f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}")
        sums = write_staged(staged, content, digest, self.forms)
        blob = StoredBlob(
            BlobId(number),
            digest,
            generation or f"{number:08x}",
            self.store.driver,
            self.forms.new,
            len(content),
            sums,
        )
        await self.store.seal(staged, blob)
        assert not staged.exists()
        return blob

    def name_of(self, blob: StoredBlob) -> str:
        """Return where the bytes lie."""
        return path_of(blob.digest, blob.generation, BLOBS, blob.form)

    def content(self, blob: StoredBlob) -> bytes:
        """Return the bytes as they lie there."""
        found = self.shelf.get(self.name_of(blob))
        assert found is not None, "nothing lies there"
        return found

    def flip(self, blob: StoredBlob, offset: int) -> None:
        """Change one bit of the byte that holds the content's byte `offset`."""
        self.flip_raw(blob, offset if blob.form == PLAIN else place_in_file(offset))

    def flip_raw(self, blob: StoredBlob, offset: int) -> None:
        """Change one bit of the byte `offset` of the file."""
        content = bytearray(self.content(blob))
        content[offset] ^= 0x10
        self.shelf.put(self.name_of(blob), bytes(content))

    def cut(self, blob: StoredBlob, size: int) -> None:
        """Leave the file as long as one with `size` bytes of content would be, without its end."""
        raw = size if blob.form == PLAIN else place_in_file(size)
        self.shelf.put(self.name_of(blob), self.content(blob)[:raw])


def place_in_file(offset: int) -> int:
    """Return where the byte `offset` of the content lies in an encrypted file."""
    return 128 + offset // 65536 * 65552 + offset % 65536


def write_staged(path: Path, content: bytes, digest: Digest, forms: Forms) -> bytes:
    """Write `content` as an upload leaves it; return the sums of its row."""
    staging = stage(Files(), path, forms)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        staging.write(descriptor, [content])
        return staging.finish(descriptor, digest)
    finally:
        os.close(descriptor)


class Objects:
    """A Shelf: the objects below a prefix of a bucket."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def get(self, name: str) -> bytes | None:
        try:
            return bytes(obstore.get(self.client, name).bytes())
        except FileNotFoundError:
            return None

    def put(self, name: str, content: bytes) -> None:
        obstore.put(self.client, name, content)

    def remove(self, name: str) -> None:
        obstore.delete(self.client, name)


class Notes:
    """A Journal that a test can look into."""

    def __init__(self) -> None:
        self.begun: dict[str, str] = {}
        self.ended: list[str] = []

    async def begin(self, key: str, upload: str) -> None:
        self.begun[upload] = key

    async def end(self, upload: str) -> None:
        self.ended.append(upload)


_PREFIXES = itertools.count()


def s3_bench(
    store: ObjectStore, folder: Path, executor: Executor, known: Forms, endpoint: str = "", deadline_s: float = 20.0
) -> tuple[Bench, list[S3Store]]:
    """Return a bench of a prefix of its own, perhaps behind a proxy at `endpoint`, and the stores to close."""
    prefix = f"store{next(_PREFIXES)}/"
    bucket = store.bucket(prefix, endpoint=endpoint, deadline_s=deadline_s)
    made: list[S3Store] = []

    def make() -> S3Store:
        made.append(S3Store(bucket, known, executor, Budget(64 << 20), Notes()))
        return made[-1]

    return Bench(folder, make, Objects(store.client(prefix)), known), made


@pytest.fixture(params=STORES)
def bench(request: pytest.FixtureRequest, tmp_path: Path, executor: ThreadPoolExecutor) -> Iterator[Bench]:
    """The store under test."""
    known = forms(encrypts=request.param.endswith("-encrypted"))
    if request.param.startswith("folder"):
        yield Bench(tmp_path, lambda: LocalStore(tmp_path, Files(), executor, known), Folder(tmp_path), known)
        return
    made, stores = s3_bench(request.getfixturevalue("object_store"), tmp_path, executor, known)
    yield made
    for store in stores:
        store.close()


@pytest.fixture(params=[PLAIN, E1])
def uploads(request: pytest.FixtureRequest, tmp_path: Path, executor: ThreadPoolExecutor) -> Uploads:
    """Upload sessions in an empty folder."""
    return Uploads(tmp_path / "uploads", Files(), executor, 0, forms(encrypts=request.param == E1))


def session(number: int = 1, algorithm: str = "sha256") -> Session:
    """Return a session nobody else has."""
    return Session(f"00000000-0000-4000-8000-{number:012}", 1, "pay/api", "local:local", algorithm, Timestamp(0))


async def stream(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    """Yield `pieces` as they come from a socket."""
    for piece in pieces:
        yield piece


async def read(store: BlobStore, blob: StoredBlob, start: int = 0, end: int | None = None) -> bytes:
    """Return the bytes `start` to `end` as the store yields them."""
    chunks = [bytes(chunk) async for chunk in store.chunks(blob, start, blob.size if end is None else end)]
    return b"".join(chunks)
