"""Encrypted files: nothing that was changed, moved, cut or swapped in them is ever given."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.blobstore.cipher import HEADER, PIECE, SEALED, TAG, file_size
from appliance.blobstore.sums import CHUNK
from appliance.domain.registry import StoredBlob
from appliance.errors import BlobBroken
from tests.blobstore.conftest import ENCRYPTED, Bench, read

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("bench", ENCRYPTED, indirect=True)]
CONTENT = bytes(range(251)) * (2 * CHUNK // 251) + b"the end"
PIECES = -(-len(CONTENT) // PIECE)


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * CHUNK])
async def test_nothing_of_the_content_can_be_read_in_the_file(bench: Bench, size: int) -> None:
    content = (b"findable" * (size // 8 + 1))[:size]
    blob = await bench.seal(content)

    lying = bench.content(blob)

    assert len(lying) == file_size(size)
    assert size < 8 or b"findable" not in lying
    assert await read(bench.store, blob) == content


async def test_the_same_content_lies_differently_each_time(bench: Bench) -> None:
    first, second = await bench.seal(CONTENT), await bench.seal(CONTENT)

    ours, theirs = bench.content(first), bench.content(second)

    assert not any(ours[at : at + 16] == theirs[at : at + 16] for at in range(HEADER, len(ours) - 16, 4096))


def flipped(at: int) -> Callable[[bytes], bytes]:
    """Return what changes one bit of the byte `at`."""
    return lambda raw: raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def piece(raw: bytes, index: int) -> bytes:
    return raw[HEADER + index * SEALED : HEADER + (index + 1) * SEALED]


def swapped(raw: bytes) -> bytes:
    return raw[:HEADER] + piece(raw, 1) + piece(raw, 0) + raw[HEADER + 2 * SEALED :]


TAMPERINGS: dict[str, Callable[[bytes], bytes]] = {
    **{f"header byte {at}": flipped(at) for at in (0, 4, 5, 6, 7, 8, 12, 27, 28, 32, 39, 40, 71, 103, 104, 127)},
    "first byte of a chunk": flipped(HEADER),
    "last byte of a chunk": flipped(HEADER + PIECE - 1),
    "first byte of a tag": flipped(HEADER + PIECE),
    "last byte of a tag": flipped(HEADER + SEALED - 1),
    "a byte in the middle": flipped(HEADER + 17 * SEALED + 5),
    "the very last byte": lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]),
    "two chunks swapped": swapped,
    "a chunk twice": lambda raw: raw[:HEADER] + piece(raw, 0) + piece(raw, 0) + raw[HEADER + 2 * SEALED :],
    "a chunk left out": lambda raw: raw[: HEADER + SEALED] + raw[HEADER + 2 * SEALED :],
    "the last chunk gone": lambda raw: raw[: HEADER + (PIECES - 1) * SEALED],
    "one byte gone": lambda raw: raw[:-1],
    "a tag gone": lambda raw: raw[:-TAG],
    "everything but the header gone": lambda raw: raw[:HEADER],
    "half a header": lambda raw: raw[: HEADER // 2],
    "nothing left": lambda _: b"",
}


@pytest.mark.parametrize("name", TAMPERINGS)
async def test_whatever_is_changed_is_seen_and_not_given(bench: Bench, name: str) -> None:
    blob = await bench.seal(CONTENT)
    raw = bench.content(blob)
    bench.shelf.put(bench.name_of(blob), TAMPERINGS[name](raw))

    given_so_far = await before_the_error(bench, blob)

    assert CONTENT.startswith(given_so_far)
    with pytest.raises(BlobBroken):
        async for _ in bench.store.fresh(blob):
            pass


async def test_what_stands_behind_the_end_is_never_given(bench: Bench) -> None:
    blob = await bench.seal(CONTENT)
    raw = bench.content(blob)
    bench.shelf.put(bench.name_of(blob), raw + raw[-SEALED:])

    assert await read(bench.store, blob) == CONTENT
    assert bench.store.find_size(blob) != blob.size  # which verify tells


async def test_another_file_of_the_same_content_is_no_substitute(bench: Bench) -> None:
    blob, other = await bench.seal(CONTENT), await bench.seal(CONTENT)
    bench.shelf.put(bench.name_of(blob), bench.content(other))

    assert await before_the_error(bench, blob) == b""


async def test_a_chunk_of_another_file_is_no_substitute(bench: Bench) -> None:
    blob, other = await bench.seal(CONTENT), await bench.seal(CONTENT)
    ours, theirs = bench.content(blob), bench.content(other)
    bench.shelf.put(bench.name_of(blob), ours[: HEADER + 20 * SEALED] + theirs[HEADER + 20 * SEALED :])

    assert await before_the_error(bench, blob) == CONTENT[:CHUNK]


async def test_salvage_knows_a_whole_file_from_a_changed_one(bench: Bench) -> None:
    whole, changed = await bench.seal(CONTENT), await bench.seal(CONTENT)
    bench.flip_raw(changed, HEADER + 5 * SEALED)

    found = {one.generation: bench.store.salvage(one) for one in bench.store.walk_blobs()}

    assert found[whole.generation].is_whole
    assert (found[whole.generation].size, found[whole.generation].sums) == (len(CONTENT), whole.sums)
    assert not found[changed.generation].is_whole


@given(span=st.tuples(st.integers(0, 5 * PIECE), st.integers(0, 5 * PIECE)).map(sorted), size=st.integers(0, 5 * PIECE))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_range_of_a_file_of_any_size_is_right(bench: Bench, span: list[int], size: int) -> None:
    blob = await bench.seal(CONTENT[:size])
    start, end = min(span[0], size), min(span[1], size)

    assert await read(bench.store, blob, start, end) == CONTENT[start:end]


async def before_the_error(bench: Bench, blob: StoredBlob) -> bytes:
    found = b""
    try:
        async for chunk in bench.store.chunks(blob, 0, blob.size):
            found += chunk
    except BlobBroken:
        return found
    raise AssertionError("a changed file was given whole")
