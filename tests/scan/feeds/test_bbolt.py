"""The reader of bbolt files: what was written comes back, and no file, however broken, does more than fail."""

import mmap
import struct
from pathlib import Path
from typing import Union

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.errors import FeedInvalid
from appliance.scan.feeds.bbolt import Bucket, Reader
from tests.scan.bolt_file import PAGE, Tree, meta, write

Plain = dict[bytes, Union[bytes, "Plain"]]

SMALL = write({b"debian 12": {b"bash": {b"CVE-1": b"{}", b"CVE-2": b"{}"}}, b"note": b"x" * 5000})

_keys = st.binary(min_size=1, max_size=12)
_trees = st.recursive(
    st.dictionaries(_keys, st.binary(max_size=60), max_size=30),
    lambda inner: st.dictionaries(_keys, st.one_of(st.binary(max_size=6000), inner), max_size=8),
    max_leaves=12,
)


def _read(bucket: Bucket) -> Plain:
    return {key: _read(value) if isinstance(value, Bucket) else value for key, value in bucket}


def _walk(data: bytes) -> int:
    """Count all values of `data`, as an importer would look at them."""

    def count(bucket: Bucket, depth: int) -> int:
        return sum(count(value, depth + 1) if isinstance(value, Bucket) and depth < 4 else 1 for _key, value in bucket)

    return count(Reader(data).root, 0)


@settings(deadline=None)
@given(tree=_trees, fill=st.integers(2, 20))
def test_what_was_written_comes_back(tree: Tree, fill: int) -> None:
    assert _read(Reader(write(tree, fill)).root) == tree


def test_a_memory_map_is_read_like_bytes(tmp_path: Path) -> None:
    path = tmp_path / "trivy.db"
    path.write_bytes(SMALL)

    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert _read(Reader(mapped).root) == _read(Reader(SMALL).root)


def test_keys_come_in_their_order_over_many_pages() -> None:
    tree = {b"%06d" % number: b"x" for number in range(5_000)}

    assert [key for key, _value in Reader(write(tree)).root] == sorted(tree)


def test_the_newer_of_two_heads_counts() -> None:
    other = write({b"old": b"", b"new": b""})
    root = struct.unpack_from("<Q", other, 16 + 16)[0]
    newer_is_wrong = meta(0, root + 100, 9, 9) + other[PAGE:]
    newer_is_broken = bytearray(newer_is_wrong)
    newer_is_broken[40] ^= 1

    with pytest.raises(FeedInvalid, match="page"):
        _walk(newer_is_wrong)
    assert _walk(bytes(newer_is_broken)) == 2


@pytest.mark.parametrize("data", [b"", b"x", b"\0" * 100_000, SMALL[:79], b"SQLite format 3\0" * 9_000])
def test_what_is_no_bbolt_file_is_refused(data: bytes) -> None:
    with pytest.raises(FeedInvalid, match="no bbolt database"):
        Reader(data)


def _page(number: int, flags: int, count: int, body: bytes, overflow: int = 0) -> bytes:
    return (struct.pack("<QHHI", number, flags, count, overflow) + body).ljust(PAGE, b"\0")


def _file(*pages: bytes) -> bytes:
    count = 3 + len(pages)
    return meta(0, 3, count, 1) + meta(1, 3, count, 2) + _page(2, 0x10, 0, b"") + b"".join(pages)


def _branch(*children: int) -> bytes:
    return b"".join(struct.pack("<IIQ", 0, 0, child) for child in children)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (_file(_page(3, 1, 1, _branch(3))), "deeper|several trees"),
        (_file(_page(3, 1, 2, _branch(4, 4)), _page(4, 1, 2, _branch(3, 3))), "deeper|several trees"),
        (_file(_page(3, 1, 1, _branch(99))), "page 99"),
        (_file(_page(3, 1, 1, _branch(0))), "page 0"),
        (_file(_page(3, 1, 1, _branch(1 << 62))), "page 4611686018427387904"),
        (_file(_page(4, 2, 0, b"")), "says it is 4"),
        (_file(_page(3, 2, 0, b"", overflow=7)), "with 7 more"),
        (_file(_page(3, 0x10, 0, b"")), "neither branch nor leaf"),
        (_file(_page(3, 1, 0xFFFF, b"")), "longer than its page"),
        (_file(_page(3, 2, 0xFFFF, b"")), "longer than its page"),
        (_file(_page(3, 2, 1, struct.pack("<IIII", 0, 16, 5, 0xFFFFFFFF))), "outside its page"),
        (_file(_page(3, 2, 1, struct.pack("<IIII", 0, 0xFFFFFFFF, 1, 1))), "outside its page"),
        (_file(_page(3, 2, 2, struct.pack("<IIII", 0, 32, 0, 4000) * 2)), "outside its page"),
        (_file(_page(3, 2, 1, struct.pack("<IIII", 1, 16, 1, 3) + b"abcd")), "without a head"),
        (_file(_page(3, 2, 1, struct.pack("<IIII", 1, 16, 1, 16) + b"k" + b"\0" * 16)), "without a page"),
        (_file(_page(3, 2, 1, struct.pack("<IIII", 1, 16, 1, 32) + b"k" + b"\0" * 32)), "no leaf"),
    ],
)
def test_a_hostile_file_is_refused_with_its_fault(data: bytes, reason: str) -> None:
    with pytest.raises(FeedInvalid, match=reason):
        _walk(data)


def test_many_buckets_that_share_one_tree_are_not_read_over_and_over() -> None:
    buckets = 100
    table = b"".join(struct.pack("<IIII", 1, (buckets - place) * 16 + place * 17, 1, 16) for place in range(buckets))
    shared = b"".join(b"k" + struct.pack("<QQ", 4, 0) for _place in range(buckets))
    data = _file(_page(3, 2, buckets, table + shared), _page(4, 2, 0, b""))

    with pytest.raises(FeedInvalid, match="several trees"):
        _walk(data)


@settings(deadline=None)
@given(data=st.data())
def test_a_file_with_flipped_bytes_is_read_or_refused(data: st.DataObject) -> None:
    broken = bytearray(SMALL)
    for _change in range(data.draw(st.integers(1, 6))):
        broken[data.draw(st.integers(2 * PAGE, len(broken) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(broken))))

    try:
        values = _walk(bytes(broken[:cut]))
    except FeedInvalid:
        return
    assert values <= len(SMALL)
