"""Every compressed form of a layer, its seams, and the bombs."""

import bz2
import gzip
import hashlib
import lzma
import os
import struct
import zlib
from collections.abc import Iterator

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from appliance.scan.inflate import PIECE, inflate
from appliance.scan.limits import LimitReached, Limits, Unreadable
from appliance.scan.stream import Stream
from tests.scan.outcome import outcome

RAW = b"".join(b"%d\n" % number for number in range(300_000))


def skippable(data: bytes) -> bytes:
    return struct.pack("<II", 0x184D2A50, len(data)) + data


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(data)


FORMS = {
    "gzip": gzip.compress(RAW, 1),
    "gzip of many members, as estargz": b"".join(
        gzip.compress(RAW[at : at + 99_999], 1) for at in range(0, len(RAW), 99_999)
    ),
    "gzip with zeros behind": gzip.compress(RAW, 1) + bytes(700),
    "zstd": zstd(RAW),
    "zstd of many frames, as zstd:chunked": skippable(b"first")
    + b"".join(zstd(RAW[at : at + 99_999]) for at in range(0, len(RAW), 99_999))
    + skippable(b"manifest of the chunks"),
    "xz": lzma.compress(RAW, preset=0),
    "bzip2": bz2.compress(RAW, 1),
    "plain": RAW,
}


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1009, 1 << 20])
def test_every_form_gives_the_same_bytes_however_it_comes(form: str, size: int) -> None:
    pieces = list(inflate(cut(FORMS[form], size), Limits()))

    assert b"".join(pieces) == RAW
    assert all(0 < len(piece) <= PIECE for piece in pieces)


def test_nothing_inflates_to_nothing() -> None:
    assert list(inflate([], Limits())) == []
    assert list(inflate([b"", gzip.compress(b""), b""], Limits())) == []


@pytest.mark.parametrize("form", ["gzip", "zstd", "xz", "bzip2"])
def test_a_bomb_ends_at_the_ratio(form: str) -> None:
    zeros = bytes(64 << 20)
    compress = {"gzip": gzip.compress, "zstd": zstd, "xz": lzma.compress, "bzip2": bz2.compress}
    bomb = compress[form](zeros)
    limits = Limits(ratio_from=8 << 20)
    stream = Stream(inflate([bomb], limits))

    with pytest.raises(LimitReached, match="200 times"):
        stream.skip(len(zeros))

    assert stream.pulled <= max(limits.ratio_from, limits.ratio * len(bomb)) < len(zeros)


def test_the_size_of_all_has_an_end_of_its_own() -> None:
    with pytest.raises(LimitReached, match="more than 1000000 bytes"):
        list(inflate([RAW], Limits(raw=1_000_000)))


def test_a_zstd_window_of_two_gigabytes_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=31)
    frame = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = frame.compress(b"small") + frame.flush()

    with pytest.raises(Unreadable, match="zstd"):
        list(inflate([data], Limits()))


def test_an_xz_dictionary_of_a_gigabyte_is_refused() -> None:
    # The size is one byte of the block header, under a checksum: an encoder would need the memory, a liar does not.
    block = bytearray(lzma.compress(b"small", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]))
    block[16] = 36
    block[20:24] = struct.pack("<I", zlib.crc32(block[12:20]))

    with pytest.raises(Unreadable, match="xz"):
        list(inflate([bytes(block)], Limits()))


@pytest.mark.parametrize("form", ["gzip", "xz", "bzip2"])
def test_a_form_that_is_cut_off_or_followed_by_other_bytes_is_told(form: str) -> None:
    with pytest.raises(Unreadable, match="too early"):
        list(inflate([FORMS[form][:-9]], Limits()))
    with pytest.raises(Unreadable, match="other bytes follow"):
        list(inflate([FORMS[form] + b"garbage"], Limits()))


def test_a_gzip_checksum_that_is_wrong_is_told() -> None:
    broken = bytearray(FORMS["gzip"])
    broken[-6] ^= 1

    with pytest.raises(Unreadable, match="gzip"):
        list(inflate([bytes(broken)], Limits()))


@given(
    st.sampled_from([b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh9", b"\x50\x2a\x4d\x18", b""]),
    st.binary(max_size=300),
)
def test_any_bytes_end_in_pieces_or_in_a_sentence(magic: bytes, rest: bytes) -> None:
    pieces = outcome(lambda: list(inflate([magic + rest], Limits())))

    assert pieces if isinstance(pieces, str) else all(pieces)


@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(0, 50), max_size=12))
def test_a_stream_gives_its_bytes_in_order_however_they_are_asked_for(pieces: list[bytes], sizes: list[int]) -> None:
    whole = b"".join(pieces)
    stream = Stream(piece for piece in pieces if piece)
    at = 0

    for turn, size in enumerate(sizes):
        expected = whole[at : at + size]
        if turn % 3 == 0:
            assert stream.take(size) == expected
        elif turn % 3 == 1:
            assert b"".join(stream.portions(size)) == expected
        else:
            assert stream.skip(size) == len(expected)
        at += len(expected)
        assert stream.offset == at


def test_a_stream_that_broke_off_has_no_digest() -> None:
    stream = Stream(inflate([FORMS["gzip"][:-9]], Limits()))

    with pytest.raises(Unreadable):
        stream.skip(1 << 30)

    assert stream.drain() is None


def test_the_digest_covers_what_was_never_asked_for() -> None:
    data = os.urandom(3 << 20)
    stream = Stream(cut(data, 1 << 18))
    stream.take(100)

    assert stream.drain() == hashlib.sha256(data).hexdigest()
