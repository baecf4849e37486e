"""A hash database of Berkeley DB, as rpm wrote it until 4.16 (Berkeley DB source, db_page.h)."""

import struct
from collections.abc import Iterator

from appliance.scan.limits import LimitReached, Unreadable

_MAGIC = 0x00061561
_MAGIC_AT = 12
_PAGE_HEADER = 26  # bytes
_HASH_UNSORTED, _OVERFLOW, _HASH = 2, 7, 13
_KEY_DATA, _OFF_PAGE = 1, 3
_OFF_PAGE_SIZE = 12  # bytes of the reference to overflow pages
_COUNTER = 4  # bytes: record 0 holds the next free number and no header


def is_one(content: bytes) -> bool:
    """Whether `content` begins like one, in either byte order."""
    magic = content[_MAGIC_AT : _MAGIC_AT + 4]
    return magic in (_MAGIC.to_bytes(4, "little"), _MAGIC.to_bytes(4, "big"))


def read(content: bytes) -> Iterator[bytes]:
    """Yield the values of the database. Raises Unreadable, LimitReached."""
    order = "<" if content[_MAGIC_AT : _MAGIC_AT + 4] == _MAGIC.to_bytes(4, "little") else ">"
    if len(content) < 512:
        raise Unreadable("the rpm database is cut off")
    (page_size,) = struct.unpack_from(f"{order}I", content, 20)
    (last_page,) = struct.unpack_from(f"{order}I", content, 32)
    if page_size < 512 or page_size > 1 << 16 or page_size & (page_size - 1):
        raise Unreadable(f"the rpm database claims pages of {page_size} bytes")
    pages = _Pages(content, page_size, order)
    for number in range(1, min(last_page, (len(content) - 1) // page_size) + 1):
        yield from pages.values(number)
    if (last_page + 1) * page_size > len(content):
        raise Unreadable("the rpm database is cut off")


class _Pages:
    def __init__(self, content: bytes, size: int, order: str) -> None:
        self._content = content
        self._size = size
        self._order = order
        self._left = 2 * len(content)  # bytes to gather from overflow pages: no honest file repeats any

    def values(self, number: int) -> Iterator[bytes]:
        """Yield the values on page `number`; none from a page of another kind."""
        page = self._content[number * self._size : (number + 1) * self._size]
        (count,) = struct.unpack_from(f"{self._order}H", page, 20)
        if page[25] not in (_HASH_UNSORTED, _HASH):
            return
        if _PAGE_HEADER + 2 * count > len(page):
            raise Unreadable(f"page {number} of the rpm database is broken")
        starts = struct.unpack_from(f"{self._order}{count}H", page, _PAGE_HEADER)
        for index in range(1, count, 2):  # a key, its value, a key, its value, ...
            at = starts[index]
            if at >= len(page):
                raise Unreadable(f"page {number} of the rpm database is broken")
            if page[at] == _OFF_PAGE and at + _OFF_PAGE_SIZE <= len(page):
                first, length = struct.unpack_from(f"{self._order}II", page, at + 4)
                yield self._overflow(first, length)
            elif page[at] == _KEY_DATA:
                value = page[at + 1 : starts[index - 1]]  # values lie below their keys
                if len(value) > _COUNTER:
                    yield value

    def _overflow(self, number: int, length: int) -> bytes:
        self._left -= length
        if self._left < 0:
            raise LimitReached("the records of the rpm database are larger than the database")
        parts: list[bytes] = []
        missing = length
        while missing > 0:
            page = self._content[number * self._size : (number + 1) * self._size]
            if not number or len(page) < _PAGE_HEADER or page[25] != _OVERFLOW:
                raise Unreadable("a record of the rpm database is cut off")
            (number,) = struct.unpack_from(f"{self._order}I", page, 16)
            (used,) = struct.unpack_from(f"{self._order}H", page, 22)
            part = page[_PAGE_HEADER : _PAGE_HEADER + min(used, missing)]
            if not part:
                raise Unreadable("a record of the rpm database is cut off")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)
