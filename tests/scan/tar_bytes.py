"""Tar headers byte by byte, true and false ones: what no library would write has to be in the tests as well."""

from collections.abc import Mapping

BLOCK = 512
END = bytes(2 * BLOCK)


def header(
    name: bytes,
    size: int | bytes = 0,
    kind: bytes = b"0",
    target: bytes = b"",
    *,
    magic: bytes = b"ustar\00000",
    prefix: bytes = b"",
    mode: bytes = b"0000644\0",
    rest: Mapping[int, bytes] | None = None,
) -> bytes:
    """Return one header; `size` as bytes stands in its field as it is, `rest` puts bytes at offsets."""
    block = bytearray(BLOCK)
    block[0 : len(name)] = name
    block[100:108] = mode
    field = size if isinstance(size, bytes) else b"%011o\0" % size
    block[124 : 124 + len(field)] = field
    block[136:148] = b"00000000000\0"
    block[156:157] = kind
    block[157 : 157 + len(target)] = target
    block[257 : 257 + len(magic)] = magic
    block[345 : 345 + len(prefix)] = prefix
    for at, value in (rest or {}).items():
        block[at : at + len(value)] = value
    return sealed(bytes(block))


def sealed(block: bytes) -> bytes:
    """Return a header with the right checksum."""
    blank = block[:148] + b" " * 8 + block[156:]
    return blank[:148] + b"%06o\0 " % sum(blank) + blank[156:]


def padded(data: bytes) -> bytes:
    """Return `data` with zeros up to a full block."""
    return data + bytes(-len(data) % BLOCK)


def entry(name: bytes, data: bytes = b"", kind: bytes = b"0", target: bytes = b"") -> bytes:
    """Return header and data."""
    return header(name, len(data), kind, target) + padded(data)


def records(*pairs: tuple[bytes, bytes]) -> bytes:
    """Return the records of a PAX header."""
    text = b""
    for key, value in pairs:
        body = b" " + key + b"=" + value + b"\n"
        length = len(body) + len(str(len(body)))
        length = len(body) + len(str(length))  # the length counts its own digits
        text += str(length).encode() + body
    return text


def pax(*pairs: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    """Return an extended header with its records."""
    return entry(b"PaxHeaders/x", records(*pairs), kind)
