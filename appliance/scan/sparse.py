"""Sparse files in a tar: where the stored data lie in the content (GNU tar manual, "Storing Sparse Files").

Four spellings exist: the old GNU header with extension blocks, and PAX 0.0, 0.1 and 1.0.
"""

from collections.abc import Mapping, Sequence

import msgspec

from appliance.scan.limits import LimitReached, Limits, Unreadable
from appliance.scan.stream import Stream

MAP_KEYS = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")  # PAX 0.0 repeats this pair for every fragment

_BLOCK = 512  # bytes
_PAIR = 24  # bytes of one offset and one length in an old GNU header
_DIGITS = 19  # more would not fit 64 bits


class Map(msgspec.Struct, frozen=True):
    """The content's `size` in bytes, and where its data lie: (offset, length), in order and without overlap."""

    size: int
    fragments: tuple[tuple[int, int], ...]

    def lay_out(self, data: bytes) -> bytes:
        """Return the content. Only for a `size` that memory has room for; data that are missing stay zeros."""
        content = bytearray(self.size)
        at = 0
        for offset, length in self.fragments:
            part = data[at : at + length]
            content[offset : offset + len(part)] = part
            at += length
        return bytes(content)


def from_header(header: bytes, stream: Stream, limits: Limits) -> Map:
    """Return the map of an old GNU header (type `S`), taking its extension blocks from `stream`.

    Raises Unreadable, LimitReached.
    """
    fields = [header[386 + _PAIR * slot : 386 + _PAIR * (slot + 1)] for slot in range(4)]
    more = header[482]
    while more:
        block = stream.take(_BLOCK)
        if len(block) < _BLOCK:
            raise Unreadable("the tar ends inside the map of a sparse file")
        fields += [block[_PAIR * slot : _PAIR * (slot + 1)] for slot in range(21)]
        more = block[504]
        if len(fields) > limits.fragments:
            raise LimitReached(f"the tar has a sparse file of more than {limits.fragments} fragments")
    numbers: list[int] = []
    for field in fields:
        if not field[0] and not field[12]:
            break
        numbers += [_gnu_number(field[:12]), _gnu_number(field[12:])]
    return _checked(_gnu_number(header[483:495]), numbers)


def from_pax(
    pax: Mapping[bytes, bytes], records: Sequence[tuple[bytes, bytes]], stream: Stream, size: int, limits: Limits
) -> tuple[Map | None, int]:
    """Return the map that PAX records tell of and how many of the `size` stored bytes are left behind it.

    The map is None where the records are of no version known. Raises Unreadable, LimitReached.
    """
    version = (pax.get(b"GNU.sparse.major", b""), pax.get(b"GNU.sparse.minor", b""))
    listed = pax.get(b"GNU.sparse.map", b"")
    numbers: list[int]
    if version == (b"1", b"0"):
        before = stream.offset
        numbers = _leading_map(stream, size, limits)
        size -= stream.offset - before
    elif version in ((b"0", b"0"), (b"0", b"1")) or (version == (b"", b"") and (listed or records)):
        values = listed.split(b",") if listed else _in_turn(records)
        if len(values) > 2 * limits.fragments:
            raise LimitReached(f"the tar has a sparse file of more than {limits.fragments} fragments")
        numbers = [_decimal(value) for value in values]
    else:
        return None, size
    real = pax.get(b"GNU.sparse.realsize", pax.get(b"GNU.sparse.size", b""))
    return _checked(_decimal(real) if real else size, numbers), size


def _in_turn(records: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    if any(key != MAP_KEYS[index % 2] for index, (key, _) in enumerate(records)):
        raise Unreadable("the tar has a sparse file whose map is out of order")
    return [value for _, value in records]


def _leading_map(stream: Stream, size: int, limits: Limits) -> list[int]:
    """Take a map of version 1.0: decimal lines at the start of the data, padded to full blocks."""
    text = b""
    wanted = 1  # lines: the number of fragments, then two for each
    numbers: list[int] = []
    taken = 0
    while len(numbers) < wanted:
        line, newline, rest = text.partition(b"\n")
        if newline:
            text = rest
            numbers.append(_decimal(line))
            if len(numbers) == 1:
                if numbers[0] > limits.fragments:
                    raise LimitReached(f"the tar has a sparse file of more than {limits.fragments} fragments")
                wanted += 2 * numbers[0]
            continue
        if len(text) > _DIGITS:
            raise Unreadable("the tar has no number in the map of a sparse file")
        block = stream.take(min(_BLOCK, size - taken))
        taken += len(block)
        if len(block) < _BLOCK:
            raise Unreadable("the tar ends inside the map of a sparse file")
        text += block
    return numbers[1:]


def _checked(size: int, numbers: list[int]) -> Map:
    if len(numbers) % 2:
        raise Unreadable("the tar has a sparse file with half a fragment")
    fragments = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    end = 0
    for offset, length in fragments:
        if offset < end or offset + length > size:
            raise Unreadable("the tar has a sparse file whose fragments overlap or pass its end")
        end = offset + length
    return Map(size, fragments)


def _decimal(value: bytes) -> int:
    if not value.isdigit() or len(value) > _DIGITS:
        raise Unreadable("the tar has no number in the map of a sparse file")
    return int(value)


def _gnu_number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big") if not field[0] & 0x40 else 0
    digits = field.strip(b" \0").partition(b"\0")[0]
    if digits and (not digits.isdigit() or digits.translate(None, b"01234567")):
        raise Unreadable("the tar has no number in the map of a sparse file")
    return int(digits, 8) if digits else 0
