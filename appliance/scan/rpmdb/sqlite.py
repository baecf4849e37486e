"""The SQLite form of the rpm database, read page by page from memory (SQLite, "Database File Format").

SQLite itself wants a file, and the process that reads foreign bytes has none.
"""

import struct
from collections.abc import Iterator

from appliance.scan.limits import LimitReached, Unreadable

_MAGIC = b"SQLite format 3\0"
_INTERIOR, _LEAF = 0x05, 0x0D  # pages of a table's b-tree
_DEEPEST = 40  # levels; SQLite itself gives up at 20
_TABLE = b"Packages"

Value = int | bytes | None


def is_one(content: bytes) -> bool:
    """Whether `content` begins like one."""
    return content.startswith(_MAGIC)


def read(content: bytes) -> Iterator[bytes]:
    """Yield the blobs of the table `Packages`. Raises Unreadable, LimitReached."""
    try:
        tree = _Tree(content)
        for record in tree.records(1):  # the schema: type, name, tbl_name, rootpage, sql
            if len(record) > 3 and record[0] == b"table" and record[1] == _TABLE and isinstance(record[3], int):
                for row in tree.records(record[3]):
                    if len(row) > 1 and isinstance(row[1], bytes):
                        yield row[1]
                return
    except (IndexError, struct.error) as error:
        raise Unreadable("the rpm database is broken") from error
    raise Unreadable("the rpm database has no table Packages")


class _Tree:
    def __init__(self, content: bytes) -> None:
        if len(content) < 100:
            raise Unreadable("the rpm database is cut off")
        self._content = content
        (size,) = struct.unpack_from(">H", content, 16)
        self._size = 1 << 16 if size == 1 else size
        self._usable = self._size - content[20]
        if self._size < 512 or self._size & (self._size - 1) or self._usable < 480:
            raise Unreadable(f"the rpm database claims pages of {size} bytes")
        self._left = 2 * len(content)  # bytes to gather from overflow pages: no honest file repeats any

    def records(self, root: int) -> Iterator[list[Value]]:
        """Yield the records of the table whose b-tree begins on page `root`, in the order of their row ids."""
        seen: set[int] = set()
        waiting = [(root, 1)]
        while waiting:
            number, depth = waiting.pop()
            if number in seen or depth > _DEEPEST:
                raise Unreadable("the pages of the rpm database go round in circles")
            seen.add(number)
            page = self._page(number)
            at = 100 if number == 1 else 0
            kind = page[at]
            (count,) = struct.unpack_from(">H", page, at + 3)
            cells = struct.unpack_from(f">{count}H", page, at + (12 if kind == _INTERIOR else 8))
            if kind == _INTERIOR:
                (last,) = struct.unpack_from(">I", page, at + 8)
                children = [struct.unpack_from(">I", page, cell)[0] for cell in cells]
                waiting += [(child, depth + 1) for child in (last, *reversed(children))]
            elif kind == _LEAF:
                for cell in cells:
                    yield _values(self._payload(page, cell))
            else:
                raise Unreadable("a page of the rpm database is of no kind that a table has")

    def _page(self, number: int) -> bytes:
        begin = (number - 1) * self._size
        page = self._content[begin : begin + self._size] if number > 0 else b""
        if len(page) < self._size:
            raise Unreadable("the rpm database is cut off")
        return page

    def _payload(self, page: bytes, at: int) -> bytes:
        """Return the payload of a leaf's cell, with what lies on overflow pages ("B-tree Pages")."""
        length, at = _varint(page, at)
        _, at = _varint(page, at)  # the row id
        most = self._usable - 35
        if length <= most:
            return page[at : at + length]
        least = (self._usable - 12) * 32 // 255 - 23
        local = least + (length - least) % (self._usable - 4)
        if local > most:
            local = least
        self._left -= length
        if self._left < 0:
            raise LimitReached("the records of the rpm database are larger than the database")
        parts = [page[at : at + local]]
        missing = length - local
        (following,) = struct.unpack_from(">I", page, at + local)
        while missing > 0:
            overflow = self._page(following)
            (following,) = struct.unpack_from(">I", overflow)
            part = overflow[4 : 4 + min(missing, self._usable - 4)]
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of 1 to 9 bytes, the first being the most significant, and where it ends."""
    value = 0
    for index in range(8):
        byte = data[at + index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    return value << 8 | data[at + 8], at + 9


_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # serial type -> bytes


def _values(record: bytes) -> list[Value]:
    """Return the columns of a record; a floating-point number, of which rpm has none, is None ("Record Format")."""
    header, at = _varint(record, 0)
    body = header
    values: list[Value] = []
    while at < min(header, len(record)):
        kind, at = _varint(record, at)
        if kind in _INTEGERS:
            size = _INTEGERS[kind]
            values.append(int.from_bytes(record[body : body + size], "big", signed=True))
        elif kind >= 12:
            size = (kind - 12) // 2
            values.append(record[body : body + size])
        else:
            size = 8 if kind == 7 else 0
            values.append(kind - 8 if kind in (8, 9) else None)
        body += size
    return values
