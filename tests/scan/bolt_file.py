"""Write a bbolt file by hand, so that every byte of it is a test's own."""

import struct
from collections.abc import Mapping
from typing import Union

Tree = Mapping[bytes, Union[bytes, "Tree"]]

PAGE = 4096
_BRANCH, _LEAF, _META, _FREELIST = 0x01, 0x02, 0x04, 0x10


def checksum(data: bytes) -> int:
    """FNV-1a, 64 bits."""
    total = 0xCBF29CE484222325
    for octet in data:
        total = (total ^ octet) * 0x100000001B3 % (1 << 64)
    return total


def meta(number: int, root: int, pages: int, transaction: int, page_size: int = PAGE) -> bytes:
    """A meta page."""
    body = struct.pack("<IIIIQQQQQ", 0xED0CDAED, 2, page_size, 0, root, 0, 2, pages, transaction)
    body += struct.pack("<Q", checksum(body))
    return (struct.pack("<QHHI", number, _META, 0, 0) + body).ljust(page_size, b"\0")


class _Writer:
    def __init__(self, fill: int) -> None:
        self.pages: list[bytes] = []
        self.count = 3  # two heads and the free list
        self.fill = fill  # elements a page

    def add(self, flags: int, count: int, body: bytes) -> int:
        number = self.count
        size = 16 + len(body)
        overflow = (size - 1) // PAGE
        page = struct.pack("<QHHI", number, flags, count, overflow) + body
        self.count += 1 + overflow
        self.pages.append(page.ljust((1 + overflow) * PAGE, b"\0"))
        return number

    def leaf_body(self, items: list[tuple[bytes, int, bytes]]) -> bytes:
        table, data = b"", b""
        for place, (key, flags, value) in enumerate(items):
            position = (len(items) - place) * 16 + len(data)
            table += struct.pack("<IIII", flags, position, len(key), len(value))
            data += key + value
        return table + data

    def value(self, value: "bytes | Tree") -> tuple[int, bytes]:
        if isinstance(value, bytes):
            return 0, value
        items = self.items(value)
        if len(items) <= 4 and not any(flags for _key, flags, _value in items):
            body = self.leaf_body(items)
            if len(body) < PAGE // 4:
                return 1, struct.pack("<QQ", 0, 0) + struct.pack("<QHHI", 0, _LEAF, len(items), 0) + body
        return 1, struct.pack("<QQ", self.tree(items), 0)

    def items(self, tree: Tree) -> list[tuple[bytes, int, bytes]]:
        return [(key, *self.value(value)) for key, value in sorted(tree.items())]

    def tree(self, items: list[tuple[bytes, int, bytes]]) -> int:
        level: list[tuple[bytes, int]] = []
        for start in range(0, max(len(items), 1), self.fill):
            part = items[start : start + self.fill]
            number = self.add(_LEAF, len(part), self.leaf_body(part))
            level.append((part[0][0] if part else b"", number))
        while len(level) > 1:
            above = []
            for start in range(0, len(level), self.fill):
                nodes = level[start : start + self.fill]
                table, data = b"", b""
                for place, (key, number) in enumerate(nodes):
                    table += struct.pack("<IIQ", (len(nodes) - place) * 16 + len(data), len(key), number)
                    data += key
                above.append((nodes[0][0], self.add(_BRANCH, len(nodes), table + data)))
            level = above
        return level[0][1]


def write(tree: Tree, fill: int = 20) -> bytes:
    """A bbolt file that holds `tree`, with at most `fill` elements a page (two at least)."""
    writer = _Writer(fill)
    root = writer.tree(writer.items(tree))
    freelist = struct.pack("<QHHI", 2, _FREELIST, 0, 0).ljust(PAGE, b"\0")
    return meta(0, root, writer.count, 1) + meta(1, root, writer.count, 2) + freelist + b"".join(writer.pages)
