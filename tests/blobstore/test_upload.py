import asyncio
import contextlib
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.blobstore.cipher import E1
from appliance.blobstore.files import Files, failed
from appliance.blobstore.forms import PLAIN
from appliance.blobstore.scratch import scratch
from appliance.blobstore.sums import CHUNK, sums_of
from appliance.blobstore.upload import Uploads
from appliance.domain.names import Digest
from appliance.errors import DigestInvalid, StorageFull, StoreFailed, UploadBusy, UploadInvalid, UploadUnknown
from tests.blobstore.conftest import forms, session, stream

pytestmark = pytest.mark.anyio
PATIENCE_S = 60


class BrokenFiles(Files):
    """A disk on which the calls whose numbers are in `failing` go wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.failing: dict[str, set[int]] = {"write": set(), "sync": set(), "truncate": set()}
        self.calls = dict.fromkeys(self.failing, 0)
        self.held = threading.Event()  # a write waits for it
        self.held.set()
        self.writing = threading.Event()

    def _call(self, step: str, path: Path) -> None:
        self.calls[step] += 1
        if self.calls[step] in self.failing[step]:
            raise failed(step, path, OSError(5, "Input/output error"))

    def write(self, descriptor: int, path: Path, pieces: Sequence[bytes | memoryview], offset: int) -> None:
        self.writing.set()
        assert self.held.wait(PATIENCE_S)
        try:
            self._call("write", path)
        except StoreFailed:
            super().write(descriptor, path, pieces[:1], offset)  # as a disk that fills up: part of it is there
            raise
        super().write(descriptor, path, pieces, offset)

    def sync(self, descriptor: int, path: Path) -> None:
        self._call("sync", path)
        super().sync(descriptor, path)

    def truncate(self, descriptor: int, path: Path, size: int) -> None:
        self._call("truncate", path)
        super().truncate(descriptor, path, size)


@pytest.fixture
def files() -> BrokenFiles:
    return BrokenFiles()


@pytest.fixture
def broken(tmp_path: Path, files: BrokenFiles, executor: ThreadPoolExecutor) -> Uploads:
    """Sessions on the disk `files`."""
    return Uploads(tmp_path / "uploads", files, executor, 0)


def digest_of(content: bytes, algorithm: str = "sha256") -> Digest:
    return Digest(f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}")


def lying(uploads: Uploads) -> set[str]:
    return {name for name, _ in uploads.walk()}


@pytest.mark.parametrize("form", [PLAIN, E1])
@given(pieces=st.lists(st.binary(max_size=40).map(lambda seed: seed * 30_000), max_size=8), restart=st.integers(0, 8))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_cutting_of_a_blob_gives_the_same_digest_before_and_after_a_restart(
    tmp_path_factory: pytest.TempPathFactory,
    executor: ThreadPoolExecutor,
    form: str,
    pieces: list[bytes],
    restart: int,
) -> None:
    folder = tmp_path_factory.mktemp("data") / "uploads"
    known = forms(encrypts=form == E1)
    content = b"".join(pieces)

    upload = await Uploads(folder, Files(), executor, 0, known).create(session())
    await upload.receive(stream(pieces[:restart]))
    found = await Uploads(folder, Files(), executor, 0, known).find(upload.session.id)
    assert found is not None
    assert found.offset == len(b"".join(pieces[:restart]))
    for piece in pieces[restart:]:  # one request each
        await found.receive(stream([piece]))
    sealable = await found.finish(digest_of(content))

    assert (sealable.size, sealable.form) == (len(content), form)
    if form == PLAIN:
        assert sealable.sums == sums_of([content])
    assert known.open_whole(form, sealable.staged.read_bytes()) == content
    await found.cancel()
    await upload.cancel()


async def test_a_digest_of_the_other_algorithm_is_found_out_at_the_end(uploads: Uploads) -> None:
    upload = await uploads.create(session())
    await upload.receive(stream([b"content"]))

    sealable = await upload.finish(digest_of(b"content", "sha512"))

    assert sealable.digest.startswith("sha512:")
    await upload.cancel()


async def test_wrong_bytes_end_the_session(uploads: Uploads) -> None:
    upload = await uploads.create(session())
    await upload.receive(stream([b"content"]))

    with pytest.raises(DigestInvalid, match="7 bytes"):
        await upload.finish(digest_of(b"another"))

    assert lying(uploads) == set()
    assert await uploads.find(upload.session.id) is None


async def test_one_request_writes_at_a_time(uploads: Uploads) -> None:
    upload = await uploads.create(session())
    upload.claim()

    with pytest.raises(UploadBusy):
        upload.claim()
    upload.release()
    upload.claim()

    await upload.cancel()
    with pytest.raises(UploadUnknown):
        upload.claim()


async def test_what_came_before_the_client_left_stays(uploads: Uploads) -> None:
    upload = await uploads.create(session())

    async def leaving() -> AsyncIterator[bytes]:
        yield b"x" * (CHUNK + 5)
        yield b"y"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await upload.receive(leaving())

    assert upload.offset == CHUNK + 6
    await upload.cancel()


@pytest.mark.parametrize("number", [1, 2])
async def test_after_a_failed_write_the_length_of_the_file_is_the_offset(
    broken: Uploads, files: BrokenFiles, number: int
) -> None:
    upload = await broken.create(session())
    files.failing["write"] = {files.calls["write"] + number}
    pieces = [b"a" * CHUNK, b"b" * 10, b"c" * 10]

    with pytest.raises(StoreFailed):
        await upload.receive(stream(pieces))

    assert upload.offset == (number - 1) * CHUNK
    assert (broken.folder / upload.session.id).stat().st_size == upload.offset
    await upload.receive(stream([b"".join(pieces)[upload.offset :]]))
    assert (await upload.finish(digest_of(b"".join(pieces)))).size == CHUNK + 20
    await upload.cancel()


async def test_nothing_behind_the_end_is_sealed_when_cutting_failed_too(broken: Uploads, files: BrokenFiles) -> None:
    upload = await broken.create(session())
    await upload.receive(stream([b"good"]))
    files.failing["write"] = {files.calls["write"] + 1}
    files.failing["truncate"] = {1}
    with pytest.raises(StoreFailed):
        await upload.receive(stream([b"left behind"]))

    sealable = await upload.finish(digest_of(b"good"))

    assert sealable.staged.read_bytes() == b"good"
    await upload.cancel()


async def test_a_sync_that_fails_at_the_end_is_final(broken: Uploads, files: BrokenFiles) -> None:
    upload = await broken.create(session())
    await upload.receive(stream([b"content"]))
    files.failing["sync"] = {1}

    with pytest.raises(StoreFailed, match="sync"):
        await upload.finish(digest_of(b"content"))

    assert lying(broken) == set()
    assert await broken.find(upload.session.id) is None


async def test_a_sync_that_fails_on_the_way_is_final_though_the_next_one_succeeds(
    broken: Uploads, files: BrokenFiles
) -> None:
    content = b"z" * (50 * CHUNK)
    upload = await broken.create(session())
    files.failing["sync"] = {1}

    with pytest.raises(StoreFailed, match="sync"):  # noqa: PT012 - in which of the two it is found out does not matter
        await upload.receive(stream([content[start : start + CHUNK] for start in range(0, len(content), CHUNK)]))
        await upload.finish(digest_of(content))

    assert files.calls["sync"] >= 1
    assert lying(broken) == set()
    assert await broken.find(upload.session.id) is None


async def test_a_session_that_is_dropped_while_a_thread_writes_never_writes_into_another_file(
    broken: Uploads, files: BrokenFiles, tmp_path: Path
) -> None:
    upload = await broken.create(session())
    files.writing.clear()
    files.held.clear()
    receiving = asyncio.create_task(upload.receive(stream([b"x" * CHUNK] * 3)))
    await asyncio.get_running_loop().run_in_executor(None, files.writing.wait, PATIENCE_S)
    for _ in range(2):  # the client left, and the server stops
        receiving.cancel()
        await asyncio.sleep(0)
    with contextlib.suppress(asyncio.CancelledError):
        await receiving
    dropping = asyncio.create_task(upload.cancel())
    await asyncio.sleep(0)
    others = [os.open(tmp_path / f"other{number}", os.O_RDWR | os.O_CREAT) for number in range(3)]

    files.held.set()
    await dropping
    later = [os.open(tmp_path / f"later{number}", os.O_RDWR | os.O_CREAT) for number in range(3)]
    with pytest.raises(UploadUnknown):
        await upload.receive(stream([b"y" * 10]))

    assert [os.fstat(descriptor).st_size for descriptor in others + later] == [0] * 6
    for descriptor in others + later:
        os.close(descriptor)


async def test_what_a_request_that_was_cut_off_still_writes_is_in_the_hash_of_the_next(
    broken: Uploads, files: BrokenFiles
) -> None:
    upload = await broken.create(session())
    files.writing.clear()
    files.held.clear()
    receiving = asyncio.create_task(upload.receive(stream([b"x" * CHUNK])))
    await asyncio.get_running_loop().run_in_executor(None, files.writing.wait, PATIENCE_S)
    for _ in range(2):  # the client left, and the server stops
        receiving.cancel()
        await asyncio.sleep(0)
    with contextlib.suppress(asyncio.CancelledError):
        await receiving
    next_one = asyncio.create_task(upload.receive(stream([b"y" * 10])))
    await asyncio.sleep(0)

    files.held.set()
    await next_one

    content = b"x" * CHUNK + b"y" * 10
    sealable = await upload.finish(digest_of(content))
    assert sealable.staged.read_bytes() == content
    await upload.cancel()


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_hashing_and_writing_never_wait_for_each_other_in_vain(tmp_path: Path, algorithm: str) -> None:
    """Of sixteen uploads with two threads, or even one: what is waited for has always begun."""
    for threads in (1, 2):
        with ThreadPoolExecutor(threads) as few:
            uploads = Uploads(tmp_path / f"uploads{threads}", Files(), few, 0, forms(encrypts=True))
            contents = [bytes([number]) * (3 * CHUNK + number) for number in range(16)]
            made = [await uploads.create(session(number, algorithm)) for number in range(16)]
            await asyncio.gather(
                *(upload.receive(stream([content])) for upload, content in zip(made, contents, strict=True))
            )
            for upload, content in zip(made, contents, strict=True):
                assert (await upload.finish(digest_of(content, algorithm))).size == len(content)
                await upload.cancel()


async def test_dropping_many_sessions_at_once_never_waits_for_itself(
    tmp_path: Path, files: BrokenFiles, executor: ThreadPoolExecutor
) -> None:
    """Each has an early sync queued in the only worker thread there is."""
    del executor
    with ThreadPoolExecutor(max_workers=1) as one:
        uploads = Uploads(tmp_path / "uploads", files, one, 0)
        opened = [await uploads.create(session(number)) for number in range(3)]
        for upload in opened:
            await upload.receive(stream([b"x" * (17 * CHUNK)]))

        await asyncio.wait_for(asyncio.gather(*(upload.cancel() for upload in opened)), PATIENCE_S)

        assert lying(uploads) == set()


async def test_a_session_that_cannot_be_made_leaves_nothing(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    class Full(Files):
        def create(self, path: Path) -> int:
            if path.suffix != ".json":
                raise failed("create", path, OSError(28, "No space left on device"))
            return super().create(path)

    uploads = Uploads(tmp_path / "uploads", Full(), executor, 0)

    with pytest.raises(StorageFull):
        await uploads.create(session())

    assert lying(uploads) == set()


async def test_below_the_reserve_nothing_is_taken(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    uploads = Uploads(tmp_path / "uploads", Files(), executor, 1 << 62)

    with pytest.raises(StorageFull, match="min_free"):
        await uploads.create(session())

    assert lying(uploads) == set()


@pytest.mark.parametrize("left", ["", ".json"])
async def test_half_a_session_is_none(uploads: Uploads, executor: ThreadPoolExecutor, left: str) -> None:
    """A crash between the two files of a session, at its beginning or its end."""
    upload = await uploads.create(session())
    for suffix in {"", ".json"} - {left}:
        (uploads.folder / (upload.session.id + suffix)).unlink()

    restarted = Uploads(uploads.folder, Files(), executor, 0, uploads.forms)

    assert await restarted.find(upload.session.id) is None
    assert await restarted.reap(2e10) == 1
    assert lying(restarted) == set()
    await upload.cancel()


async def test_a_description_that_is_torn_is_no_session(uploads: Uploads, executor: ThreadPoolExecutor) -> None:
    upload = await uploads.create(session())
    (uploads.folder / f"{upload.session.id}.json").write_bytes(b'{"id": "000')

    assert await Uploads(uploads.folder, Files(), executor, 0, uploads.forms).find(upload.session.id) is None
    await upload.cancel()


async def test_reaping_takes_what_a_job_that_died_has_staged_and_leaves_what_one_works_with(uploads: Uploads) -> None:
    """However long the bytes of a staged file take to a bucket: the file does not change meanwhile."""
    (uploads.folder / "0badcafe.move").write_bytes(b"half a blob")
    async with scratch(uploads, "5badcafe.move") as staged:
        staged.write_bytes(b"a blob")
        for name in lying(uploads):
            os.utime(uploads.folder / name, (1000, 1000))

        assert await uploads.reap(2000.0) == 1

        assert lying(uploads) == {"5badcafe.move"}
    assert lying(uploads) == set()


async def test_reaping_takes_what_is_idle_and_leaves_what_is_written_to(uploads: Uploads) -> None:
    idle, busy, fresh = [await uploads.create(session(number)) for number in range(3)]
    busy.claim()
    for upload in (idle, busy):
        for suffix in ("", ".json"):
            os.utime(uploads.folder / (upload.session.id + suffix), (1000, 1000))

    assert await uploads.reap(2000.0) == 1

    assert {name.partition(".")[0] for name in lying(uploads)} == {busy.session.id, fresh.session.id}
    assert await uploads.find(idle.session.id) is None
    assert await uploads.find(busy.session.id) is busy
    await busy.receive(stream([b"goes on"]))
    assert busy.offset == 7
    await busy.cancel()
    await fresh.cancel()


async def test_a_closed_upload_takes_nothing_more_and_stays_as_it_is(
    uploads: Uploads, executor: ThreadPoolExecutor
) -> None:
    """The store failed at its seal: the client closes it again, in this process or after a restart."""
    content = b"content" * 20_000
    upload = await uploads.create(session())
    await upload.receive(stream([content]))
    first = await upload.finish(digest_of(content))
    lying_there = first.staged.read_bytes()

    with pytest.raises(UploadInvalid, match="closed"):
        await upload.receive(stream([b"more"]))
    again = await upload.finish(digest_of(content))
    reopened = await Uploads(uploads.folder, Files(), executor, 0, uploads.forms).find(upload.session.id)
    assert reopened is not None
    after = await reopened.finish(digest_of(content))

    assert (first, first.staged.read_bytes()) == (again, lying_there)
    assert (first, first.staged.read_bytes()) == (after, lying_there)
    with pytest.raises(DigestInvalid):
        await reopened.finish(digest_of(b"another"))
    upload.let_go()
