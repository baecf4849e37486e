"""A tar stream -> its members, in order: ustar, GNU, PAX and V7 headers (POSIX.1-2017 pax, "ustar Interchange Format").

Where readers of tar differ, this one does what the container runtimes' reader does, because what they would unpack
is what has to be seen: global PAX headers are ignored, a GNU long name beats a PAX path, links hold no data.
Names are folded, so that nothing points outside the root. Nothing is ever written.
"""

import zlib
from collections.abc import Iterator

import msgspec

from appliance.domain.layer import FileKind
from appliance.scan import sparse
from appliance.scan.limits import LimitReached, Limits, Unreadable
from appliance.scan.stream import Stream

BLOCK = 512  # bytes; a header is one block, data are padded to full ones

_ZEROS = bytes(BLOCK)
_BLANK_CHECKSUM = 8 * 0x20  # the checksum field counts as eight spaces
_ADLER = 65521  # the modulus of Adler-32

_KINDS = {
    b"0": FileKind.FILE,
    b"\0": FileKind.FILE,
    b"7": FileKind.FILE,  # contiguous
    b"S": FileKind.FILE,  # GNU sparse
    b"1": FileKind.HARD_LINK,
    b"2": FileKind.SYMLINK,
    b"3": FileKind.DEVICE,
    b"4": FileKind.DEVICE,
    b"5": FileKind.FOLDER,
    b"6": FileKind.FIFO,
}


class Member(msgspec.Struct, gc=False):
    """One entry. Its `size` bytes of data are next in the stream; the walker passes over what is left of them.

    `laid_out` maps the data of a sparse file to its content; None: the data are the content.
    """

    path: str
    kind: FileKind
    size: int
    mode: int
    target: str = ""
    laid_out: sparse.Map | None = None


class _Extension:
    """What the extension headers before an entry say about it."""

    def __init__(self) -> None:
        self.name: bytes | None = None  # GNU long name
        self.target: bytes | None = None  # GNU long link
        self.pax: dict[bytes, bytes] = {}
        self.map_records: list[tuple[bytes, bytes]] = []  # GNU sparse 0.0 repeats its keys, in order

    @property
    def is_sparse(self) -> bool:
        """Whether a map of a sparse file is among them."""
        return bool(self.map_records) or any(key.startswith(b"GNU.sparse.") for key in self.pax)


def walk(stream: Stream, limits: Limits) -> Iterator[Member]:
    """Yield the members of the tar in `stream`.

    Raises Unreadable where the tar is broken and LimitReached where it asks for too much; the members before are sound.
    """
    extension = _Extension()
    while True:
        header = stream.take(BLOCK)
        if not header:
            return
        if len(header) < BLOCK:
            raise Unreadable(f"the tar ends inside a header, at byte {stream.offset}")
        if header == _ZEROS:
            _end(stream)
            return
        _check(header, stream)
        flag = header[156:157]
        if flag in b"xgLK":
            _extend(extension, flag, header, stream, limits)
            continue
        member = _member(header, flag, extension, stream, limits)
        extension = _Extension()
        if member is None:
            continue
        end = stream.offset + member.size
        yield member
        _pass(stream, end - stream.offset, member.size)


def _end(stream: Stream) -> None:
    """Two blocks of zeros end the archive; what follows is padding that no reader looks at."""
    second = stream.take(BLOCK)
    if second and second != _ZEROS:
        raise Unreadable(f"the tar has a lone block of zeros, at byte {stream.offset - BLOCK}")


def _pass(stream: Stream, left: int, size: int) -> None:
    """Pass over what is left of an entry's data, and the padding."""
    if stream.skip(left) < left:
        raise Unreadable(f"the tar ends inside a file, at byte {stream.offset}")
    stream.skip(-size % BLOCK)  # a last file without padding harms nobody


def _check(header: bytes, stream: Stream) -> None:
    """Compare the checksum: the sum of all bytes, its own field read as spaces.

    Adler-32 holds that sum modulo 65521 in its lower half and is computed in C: a fortieth of the time of `sum`.
    """
    field = header[148:156]
    stated = _number(field, "checksum", stream)
    total = ((zlib.adler32(header) & 0xFFFF) - 1 - sum(field) + _BLANK_CHECKSUM) % _ADLER
    if total == stated % _ADLER:
        return
    signed = sum(header) - 256 * sum(byte > 0x7F for byte in header)
    signed_field = sum(field) - 256 * sum(byte > 0x7F for byte in field)
    if signed - signed_field + _BLANK_CHECKSUM != stated:  # some old writers summed signed bytes
        raise Unreadable(f"the tar has no header where one must be, at byte {stream.offset - BLOCK}")


def _number(field: bytes, what: str, stream: Stream) -> int:
    """Return a number written in octal digits, or in binary where the first bit is set (GNU)."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        if field[0] & 0x40:
            raise Unreadable(f"the tar has a negative {what}, at byte {stream.offset}")
        return value
    digits = field.strip(b" \0").partition(b"\0")[0]
    if not digits:
        return 0
    if not digits.isdigit():  # int() would take signs and underscores as well
        raise Unreadable(f"the tar has no number for a {what}, at byte {stream.offset}")
    try:
        return int(digits, 8)
    except ValueError as error:
        raise Unreadable(f"the tar has no octal number for a {what}, at byte {stream.offset}") from error


def _extend(extension: _Extension, flag: bytes, header: bytes, stream: Stream, limits: Limits) -> None:
    size = _number(header[124:136], "size", stream)
    if size > limits.extension:
        raise LimitReached(f"the tar has a name or attributes of {size} bytes, at byte {stream.offset}")
    data = stream.take(size)
    if len(data) < size:
        raise Unreadable(f"the tar ends inside an extended header, at byte {stream.offset}")
    stream.skip(-size % BLOCK)
    if flag == b"L":
        extension.name = data.partition(b"\0")[0]
    elif flag == b"K":
        extension.target = data.partition(b"\0")[0]
    elif flag == b"x":
        extension.pax, extension.map_records = _records(data, stream)


def _records(data: bytes, stream: Stream) -> tuple[dict[bytes, bytes], list[tuple[bytes, bytes]]]:
    """Return the records of a PAX header (POSIX.1-2017 pax, "pax Extended Header")."""
    records: dict[bytes, bytes] = {}
    map_records: list[tuple[bytes, bytes]] = []
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        length = data[at:space] if space > 0 else b""
        if not length.isdigit() or int(length) <= space + 1 - at:
            raise Unreadable(f"the tar has a broken extended header, at byte {stream.offset}")
        end = at + int(length)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if end > len(data) or data[end - 1 : end] != b"\n" or not equals:
            raise Unreadable(f"the tar has a broken extended header, at byte {stream.offset}")
        if key in (b"path", b"linkpath") and b"\0" in value:
            raise Unreadable(f"the tar has a name with a zero byte, at byte {stream.offset}")
        if key in sparse.MAP_KEYS:
            map_records.append((key, value))
        elif value:
            records[key] = value
        else:
            records.pop(key, None)  # an empty value takes an earlier one back
        at = end
    return records, map_records


def _member(header: bytes, flag: bytes, extension: _Extension, stream: Stream, limits: Limits) -> Member | None:
    """Return the entry of `header`, None where it is of a type that no runtime unpacks."""
    name, target, size = _name(header), header[157:257].partition(b"\0")[0], _number(header[124:136], "size", stream)
    pax = extension.pax
    if pax:
        name, target = pax.get(b"path", name), pax.get(b"linkpath", target)
        if b"size" in pax:
            size = _decimal(pax[b"size"], stream)
    name, target = extension.name or name, extension.target or target
    kind = _KINDS.get(flag)
    if kind is None:
        _pass(stream, size, size)
        return None
    laid_out = None
    if kind is not FileKind.FILE:
        size = 0
    elif flag == b"S":
        laid_out = sparse.from_header(header, stream, limits)
    elif extension.is_sparse:
        laid_out, size = sparse.from_pax(pax, extension.map_records, stream, size, limits)
        name = pax.get(b"GNU.sparse.name", name)
    elif flag == b"\0" and name.endswith(b"/"):
        kind, size = FileKind.FOLDER, 0  # as V7 wrote it
    if max(len(name), len(target)) > limits.path:
        raise LimitReached(f"the tar has a name of more than {limits.path} bytes, at byte {stream.offset}")
    shown = _text(target)
    return Member(
        fold(_text(name)),
        kind,
        size,
        _number(header[100:108], "mode", stream) & 0o7777,
        fold(shown) if kind is FileKind.HARD_LINK else shown,
        laid_out,
    )


def _name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    # Only the POSIX form has a prefix; GNU keeps times in its place.
    if header[257:263] == b"ustar\0" and header[345]:
        prefix = header[345:476] if header[508:512] == b"tar\0" else header[345:500]
        return prefix.partition(b"\0")[0] + b"/" + name
    return name


def _decimal(value: bytes, stream: Stream) -> int:
    if not value.isdigit() or len(value) > 19:
        raise Unreadable(f"the tar has no number for a size, at byte {stream.offset}")
    return int(value)


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode(errors="backslashreplace")  # readable, distinct, and every database takes it


def fold(name: str) -> str:
    """Return `name` as a path below the root: no leading slash, no empty, `.` or `..` component; "" for the root."""
    name = name.removeprefix("./")
    if "/." not in name and "//" not in name and not name.startswith(("/", ".")):
        return name.removesuffix("/")
    folded: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if folded:
                folded.pop()
        elif part not in ("", "."):
            folded.append(part)
    return "/".join(folded)
