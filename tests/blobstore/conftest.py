"""Stores to hold to the contract, and uploads, over a folder of the test's own."""

import hashlib
import itertools
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.blobstore.files import Files
from appliance.blobstore.local import LocalStore
from appliance.blobstore.store import BlobStore, FileSpan
from appliance.blobstore.sums import sums_of
from appliance.blobstore.upload import Session, Uploads
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest
from appliance.domain.registry import BlobId, StoredBlob

STORES = ("local",)  # every store there is; each has to pass the same suite


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=4) as workers:
        yield workers


class Bench:
    """A store, and the means to put bytes into it and to break them."""

    def __init__(self, folder: Path, store: BlobStore) -> None:
        self.folder = folder
        self.store = store
        self._numbers = itertools.count()

    async def seal(self, content: bytes, generation: str = "", algorithm: str = "sha256") -> StoredBlob:
        """Store `content` and return what its row would say."""
        number = next(self._numbers)
        staged = self.folder / f"staged{number}"
        staged.write_bytes(content)
        digest = Digest(f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}")
        blob = StoredBlob(
            BlobId(number), digest, generation or f"{number:08x}", "local", "plain", len(content), sums_of([content])
        )
        await self.store.seal(staged, digest, blob.generation)
        assert not staged.exists()
        return blob

    def path_of(self, blob: StoredBlob) -> Path:
        """Return where the bytes lie."""
        (found,) = (path for path in self.folder.rglob(f"*.{blob.generation}") if path.is_file())
        return found

    def flip(self, blob: StoredBlob, offset: int) -> None:
        """Change one bit."""
        with self.path_of(blob).open("r+b") as file:
            byte = os.pread(file.fileno(), 1, offset)
            os.pwrite(file.fileno(), bytes([byte[0] ^ 0x10]), offset)


@pytest.fixture(params=STORES)
def bench(request: pytest.FixtureRequest, tmp_path: Path, executor: ThreadPoolExecutor) -> Bench:
    """The store under test."""
    assert request.param == "local"
    return Bench(tmp_path, LocalStore(tmp_path, Files(), executor))


@pytest.fixture
def uploads(tmp_path: Path, executor: ThreadPoolExecutor) -> Uploads:
    """Upload sessions in an empty folder."""
    return Uploads(tmp_path / "uploads", Files(), executor, 0)


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


async def read_pieces(store: BlobStore, blob: StoredBlob, start: int = 0, end: int | None = None) -> bytes:
    """Return the same from spans of the file."""
    content = b""
    async for piece in store.pieces(blob, start, blob.size if end is None else end):
        if isinstance(piece, FileSpan):
            content += os.pread(piece.descriptor, piece.size, piece.offset)
        else:
            content += piece
    return content
