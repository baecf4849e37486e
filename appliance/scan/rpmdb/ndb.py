"""The "new database" of rpm, which SUSE uses (rpm source, lib/backend/ndb/rpmpkg.c): slots that point to blobs."""

import struct
from collections.abc import Iterator

from appliance.scan.limits import Unreadable

_MAGIC = b"RpmP"
_SLOT = b"Slot"
_BLOB = b"BlbS"
_PAGE = 4096  # bytes
_SLOT_SIZE = 16  # bytes; the first two places of the first page hold the file's header
_BLOCK = 16  # bytes; offsets count blocks


def is_one(content: bytes) -> bool:
    """Whether `content` begins like one."""
    return content.startswith(_MAGIC)


def read(content: bytes) -> Iterator[bytes]:
    """Yield the blobs of the database. Raises Unreadable."""
    if len(content) < 2 * _SLOT_SIZE:
        raise Unreadable("the rpm database is cut off")
    version, _, pages = struct.unpack_from("<III", content, 4)
    if version:
        raise Unreadable(f"the rpm database has version {version} of its form, only 0 is known")
    end = min(pages * _PAGE, len(content))
    for at in range(2 * _SLOT_SIZE, end - _SLOT_SIZE + 1, _SLOT_SIZE):
        magic, number, block, count = struct.unpack_from("<4sIII", content, at)
        if magic != _SLOT:
            raise Unreadable("the rpm database has a broken slot")
        if not block:
            continue  # free
        begin = block * _BLOCK
        if begin + 16 > len(content):
            raise Unreadable("the rpm database is cut off")
        magic, owner, _, length = struct.unpack_from("<4sIII", content, begin)
        if magic != _BLOB or owner != number or length > count * _BLOCK or begin + 16 + length > len(content):
            raise Unreadable("the rpm database has a broken blob")
        yield content[begin + 16 : begin + 16 + length]
    if pages * _PAGE > len(content):
        raise Unreadable("the rpm database is cut off")
