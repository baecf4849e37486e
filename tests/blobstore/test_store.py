"""What every BlobStore promises."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.blobstore.reading import SMALL
from appliance.blobstore.store import Lying
from appliance.blobstore.sums import CHUNK
from appliance.domain.names import parse_digest
from appliance.domain.registry import StoredBlob
from appliance.errors import BlobBroken
from tests.blobstore.conftest import Bench, read

pytestmark = pytest.mark.anyio
LARGE = bytes(range(256)) * (3 * CHUNK // 256) + b"the last, short chunk"
SIZES = [0, 1, SMALL, SMALL + 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, len(LARGE)]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("size", SIZES)
async def test_what_was_sealed_is_read_byte_for_byte(bench: Bench, size: int, algorithm: str) -> None:
    blob = await bench.seal(LARGE[:size], algorithm=algorithm)

    assert await read(bench.store, blob) == LARGE[:size]


@given(span=st.tuples(st.integers(0, len(LARGE)), st.integers(0, len(LARGE))).map(sorted))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_range_is_the_same_bytes(bench: Bench, span: list[int]) -> None:
    blob = await bench.seal(LARGE)

    assert await read(bench.store, blob, *span) == LARGE[span[0] : span[1]]


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("where", ["first", "last"])
async def test_a_chunk_that_changed_is_never_given(bench: Bench, index: int, where: str) -> None:
    blob = await bench.seal(LARGE)
    end = min((index + 1) * CHUNK, blob.size)
    bench.flip(blob, index * CHUNK if where == "first" else end - 1)

    assert await given_before_the_error(bench, blob) == LARGE[: index * CHUNK]
    assert await given_one_by_one(bench, blob) == LARGE[: index * CHUNK]
    with pytest.raises(BlobBroken):  # a range inside of it
        await read(bench.store, blob, index * CHUNK + 1, index * CHUNK + 2)


async def given_before_the_error(bench: Bench, blob: StoredBlob) -> bytes:
    found = b""
    try:
        async for chunk in bench.store.chunks(blob, 0, blob.size):
            found += chunk
    except BlobBroken:
        return found
    raise AssertionError("a broken blob was given whole")


async def given_one_by_one(bench: Bench, blob: StoredBlob) -> bytes:
    """Read one chunk after another by ranges, up to the one that is refused."""
    found, start = b"", 0
    while True:
        try:
            found += await read(bench.store, blob, start, min(start + CHUNK, blob.size))
        except BlobBroken:
            return found
        start += CHUNK


@pytest.mark.parametrize("left", [0, 1, CHUNK, CHUNK + 1, len(LARGE) - 1])
async def test_a_blob_that_was_cut_short_is_broken_from_there(bench: Bench, left: int) -> None:
    blob = await bench.seal(LARGE)
    bench.cut(blob, left)

    assert await given_before_the_error(bench, blob) == LARGE[: left // CHUNK * CHUNK]


async def test_small_blobs_are_checked_too(bench: Bench) -> None:
    blob = await bench.seal(b"small")
    bench.flip(blob, 2)

    with pytest.raises(BlobBroken, match="is not what was stored"):
        await read(bench.store, blob)


async def test_bytes_that_are_gone_are_a_broken_blob(bench: Bench) -> None:
    blob = await bench.seal(LARGE)
    bench.shelf.remove(bench.name_of(blob))

    with pytest.raises(BlobBroken, match="are gone"):
        await read(bench.store, blob)


async def test_reading_nothing_touches_nothing(bench: Bench) -> None:
    blob = await bench.seal(b"gone at once")
    bench.shelf.remove(bench.name_of(blob))

    assert await read(bench.store, blob, 3, 3) == b""


async def test_a_delete_takes_exactly_its_generation(bench: Bench) -> None:
    first = await bench.seal(b"twice", "aaaaaaaa")
    second = await bench.seal(b"twice", "bbbbbbbb")

    await bench.store.delete(first.digest, first.generation)
    await bench.store.delete(first.digest, first.generation)  # a crash may have come between delete and commit

    assert await read(bench.store, second) == b"twice"
    assert [lying.generation for lying in bench.store.walk_blobs()] == ["bbbbbbbb"]


async def test_walking_finds_every_generation_and_nothing_else(bench: Bench) -> None:
    blobs = [await bench.seal(b"x" * size, algorithm=name) for size in (1, 2, 3) for name in ("sha256", "sha512")]
    await bench.store.keep_manifest(blobs[0].digest, "cccccccc", b"{}")
    bench.shelf.put("blobs/lost+found/x", b"")
    bench.shelf.put("blobs/sha256/README", b"put here by a person")
    bench.shelf.put(bench.name_of(blobs[0]).rpartition("/")[0] + "/notes.txt", b"so is this")
    bench.shelf.put(bench.name_of(blobs[0]) + ".e2", b"and this a newer program wrote")

    found = list(bench.store.walk_blobs())

    assert sorted((one.digest, one.generation, one.size) for one in found) == sorted(
        (blob.digest, blob.generation, blob.size) for blob in blobs
    )


async def test_copies_of_manifests_are_kept_and_dropped(bench: Bench) -> None:
    digest = parse_digest("sha256:" + "ab" * 32)
    await bench.store.keep_manifest(digest, "aaaaaaaa", b'{"a": 1}')

    assert bench.store.read_manifest(digest, "aaaaaaaa") == b'{"a": 1}'
    assert [(one.digest, one.size) for one in bench.store.walk_manifests()] == [(digest, 8)]
    assert list(bench.store.walk_blobs()) == []  # never reachable as a blob

    await bench.store.drop_manifest(digest, "aaaaaaaa")
    await bench.store.drop_manifest(digest, "aaaaaaaa")

    assert list(bench.store.walk_manifests()) == []


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_quarantined_generation_is_put_aside_until_it_is_deleted(bench: Bench, algorithm: str) -> None:
    broken = await bench.seal(b"broken", "aaaaaaaa", algorithm)

    await bench.store.quarantine(broken)
    await bench.store.quarantine(broken)
    healed = await bench.seal(b"broken", "bbbbbbbb", algorithm)

    aside = list(bench.store.walk_quarantine())
    assert [(one.digest, one.generation, one.size) for one in aside] == [(broken.digest, "aaaaaaaa", 6)]
    assert [one.generation for one in bench.store.walk_blobs()] == ["bbbbbbbb"]
    assert bench.shelf.get(bench.name_of(broken)) is None
    assert bench.shelf.get("quarantine/" + bench.name_of(broken).rpartition("/")[2]) is not None
    await bench.store.delete(broken.digest, broken.generation)
    assert list[Lying](bench.store.walk_quarantine()) == []
    assert await read(bench.store, healed) == b"broken"


async def test_a_store_finds_what_another_process_left(bench: Bench) -> None:
    blob = await bench.seal(LARGE)

    assert await read(bench.make(), blob) == LARGE


async def test_a_reader_that_leaves_early_closes_the_file(bench: Bench) -> None:
    blob = await bench.seal(LARGE)

    chunks = bench.store.chunks(blob, 0, blob.size)
    assert LARGE.startswith(await anext(chunks))
    await chunks.aclose()

    assert not any(blob.generation in path for path in open_files())


def open_files() -> set[str]:
    """Return what this process has open."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            found.add(str(entry.readlink()))
    return found


async def test_free_bytes_is_what_the_disk_says(bench: Bench) -> None:
    free = bench.store.free_bytes()

    assert free is None or free > 0
