"""Read a bbolt file: a tree of pages, a bucket is a tree within the tree. Read only, and safe against hostile files.

The layout (go.etcd.io/bbolt, internal/common): little endian; pages 0 and 1 are two copies of the meta page, the one
with the higher transaction id and a right checksum counts. A page is a header (id u64, flags u16, count u16,
overflow u32), a table of elements, then keys and values. A bucket's value is its header (root page u64, sequence u64);
root 0 means that its only page follows inline.

A tree never uses a page twice. So the pages looked at are counted against the pages of the file, which ends cycles
and shared subtrees; depth is bounded, and every offset is checked before it is followed.
"""

import mmap
import struct
from collections.abc import Iterator

from appliance.errors import FeedInvalid

Data = bytes | mmap.mmap

_PAGE = struct.Struct("<QHHI")
_META = struct.Struct(
    "<IIII QQ QQQQ"
)  # magic, version, page size, flags, root, sequence, freelist, pages, tx, checksum
_BRANCH = struct.Struct("<IIQ")  # position, key size, page
_LEAF = struct.Struct("<IIII")  # flags, position, key size, value size
_BUCKET = struct.Struct("<QQ")

_MAGIC = 0xED0CDAED
_VERSION = 2
_IS_BRANCH, _IS_LEAF = 0x01, 0x02
_IS_BUCKET = 0x01  # of a leaf element

_PAGE_SIZES = tuple(1 << power for power in range(9, 17))  # where to look for the second meta page if the first is bad
_DEPTH = 64  # a tree of 2^64 keys with two children a page; real ones have 3 or 4
_LOOKS = 4  # how often all pages of a file may be looked at by one reader: importing needs a little more than once
_FNV_OFFSET, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3


def _checksum(data: bytes) -> int:
    """Return FNV-1a, 64 bits, of `data`."""
    total = _FNV_OFFSET
    for octet in data:
        total = (total ^ octet) * _FNV_PRIME & 0xFFFF_FFFF_FFFF_FFFF
    return total


class Bucket:
    """A bucket: iterating yields (key, value) where the value is bytes, or a Bucket for one inside it."""

    __slots__ = ("_header", "_reader")

    def __init__(self, reader: "Reader", header: bytes) -> None:
        """Take the bucket whose value in the leaf is `header`."""
        self._reader = reader
        self._header = header

    def __iter__(self) -> Iterator[tuple[bytes, "bytes | Bucket"]]:
        """Yield keys in their order. Raises FeedInvalid."""
        return self._reader.walk(self._header)


class Reader:
    """An open bbolt file."""

    def __init__(self, data: Data) -> None:
        """Find the meta page that counts. Raises FeedInvalid: no bbolt file, or both of its heads are broken."""
        self._data = data
        self._page_size, root = self._read_meta()
        self._pages = len(data) // self._page_size
        self._budget = _LOOKS * self._pages + _DEPTH
        self.root = Bucket(self, _BUCKET.pack(root, 0))

    def _read_meta(self) -> tuple[int, int]:
        """Return the page size and the root page."""
        found: list[tuple[int, int, int]] = []
        for offset in (0, *_PAGE_SIZES):
            if offset + _PAGE.size + _META.size > len(self._data):
                break
            raw = self._data[offset + _PAGE.size : offset + _PAGE.size + _META.size]
            magic, version, page_size, _flags, root, _sequence, _free, _pages, transaction, checksum = _META.unpack(raw)
            if magic != _MAGIC or version != _VERSION or page_size not in _PAGE_SIZES or offset not in {0, page_size}:
                continue
            if checksum == _checksum(raw[:-8]):
                found.append((transaction, page_size, root))
        if not found:
            raise FeedInvalid("this is no bbolt database, or its head is broken; fetch it again")
        _transaction, page_size, root = max(found)
        return page_size, root

    def walk(self, header: bytes) -> Iterator[tuple[bytes, bytes | Bucket]]:
        """Yield the keys and values of the bucket whose value is `header`. Raises FeedInvalid."""
        if len(header) < _BUCKET.size:
            raise _broken("a bucket without a head")
        root, _sequence = _BUCKET.unpack_from(header)
        if root:
            yield from self._tree(root)
        else:
            page = header[_BUCKET.size :]
            if len(page) < _PAGE.size:
                raise _broken("an inline bucket without a page")
            _id, flags, count, _overflow = _PAGE.unpack_from(page)
            if not flags & _IS_LEAF:
                raise _broken("an inline bucket that is no leaf")
            yield from self._leaf(page, count)

    def _tree(self, root: int) -> Iterator[tuple[bytes, bytes | Bucket]]:
        """Walk the tree below page `root`, leftmost first, with a stack of its own: no recursion to exhaust."""
        stack = [iter((root,))]
        while stack:
            number = next(stack[-1], None)
            if number is None:
                stack.pop()
                continue
            page, flags, count = self._read_page(number)
            if flags & _IS_LEAF:
                yield from self._leaf(page, count)
            elif flags & _IS_BRANCH:
                if len(stack) >= _DEPTH:
                    raise _broken(f"a tree deeper than {_DEPTH} pages")
                stack.append(iter(self._children(page, count)))
            else:
                raise _broken(f"page {number} is neither branch nor leaf")

    def _read_page(self, number: int) -> tuple[bytes, int, int]:
        """Return the bytes of page `number` with its overflow, its flags and its count of elements."""
        if not 1 < number < self._pages:
            raise _broken(f"page {number} of {self._pages}")
        start = number * self._page_size
        own, flags, count, overflow = _PAGE.unpack_from(self._data, start)
        if own != number or number + overflow >= self._pages:
            raise _broken(f"page {number} says it is {own} with {overflow} more")
        self._budget -= 1 + overflow
        if self._budget < 0:
            raise _broken("pages that several trees use")
        return self._data[start : start + (1 + overflow) * self._page_size], flags, count

    def _children(self, page: bytes, count: int) -> list[int]:
        end = _PAGE.size + count * _BRANCH.size
        if end > len(page):
            raise _broken("a branch longer than its page")
        return [child for _position, _size, child in _BRANCH.iter_unpack(page[_PAGE.size : end])]

    def _leaf(self, page: bytes, count: int) -> Iterator[tuple[bytes, bytes | Bucket]]:
        end = _PAGE.size + count * _LEAF.size
        length = len(page)
        if end > length:
            raise _broken("a leaf longer than its page")
        element = _PAGE.size  # keys lie relative to their own element
        room = length  # keys and values share the page, so together they cannot be longer than it
        for flags, position, key_size, value_size in _LEAF.iter_unpack(page[element:end]):
            key_start = element + position
            value_start = key_start + key_size
            value_end = value_start + value_size
            room -= key_size + value_size
            if value_end > length or room < 0:
                raise _broken("a value outside its page")
            value = page[value_start:value_end]
            yield page[key_start:value_start], Bucket(self, value) if flags & _IS_BUCKET else value
            element += _LEAF.size


def _broken(what: str) -> FeedInvalid:
    return FeedInvalid(f"the bbolt database is broken: {what}; fetch it again")
