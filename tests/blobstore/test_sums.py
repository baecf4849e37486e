import zlib

from hypothesis import given
from hypothesis import strategies as st

from appliance.blobstore.sums import CHUNK, Summer, chunk_count, is_whole, sums_of

PIECES = st.lists(st.binary(max_size=40).map(lambda seed: seed * 20_000), max_size=6)


@given(PIECES)
def test_any_cutting_of_a_blob_gives_the_same_sums(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    chunks = [content[start : start + CHUNK] for start in range(0, len(content), CHUNK)]

    assert sums_of(pieces) == b"".join(zlib.crc32(chunk).to_bytes(4) for chunk in chunks)
    assert len(sums_of(pieces)) == 4 * chunk_count(len(content))


@given(PIECES, PIECES)
def test_sums_can_be_asked_for_and_then_go_on(first: list[bytes], second: list[bytes]) -> None:
    summer = Summer()
    for piece in first:
        summer.update(piece)

    assert summer.finish() == sums_of(first)
    for piece in second:
        summer.update(piece)

    assert summer.finish() == sums_of(first + second)


def test_a_chunk_is_whole_only_with_its_own_sum() -> None:
    chunks = [b"a" * CHUNK, b"b" * 10]
    sums = sums_of(chunks)

    assert is_whole([chunks[0]], sums, 0)
    assert is_whole([chunks[0][:10], b"", chunks[0][10:]], sums, 0)  # whatever it came in
    assert is_whole([chunks[1]], sums, 1)
    assert not is_whole([chunks[1]], sums, 0)
    assert not is_whole([b"b" * 9], sums, 1)
    assert not is_whole([], sums, 2)  # there is no such chunk
