"""Layers: tar archives and gzip streams whose every byte is decided here, not by a library's version."""

import io
import struct
import tarfile
import zlib
from collections.abc import Mapping

import msgspec

_STORED = 0xFFFF  # bytes; the largest stored block of DEFLATE, RFC 1951, 3.2.4


class Entry(msgspec.Struct, frozen=True):
    """One member of a layer that is more than a plain file of mode 0644."""

    data: bytes = b""
    mode: int = 0o644
    kind: bytes = tarfile.REGTYPE
    target: str = ""


def executable(data: bytes) -> Entry:
    """Return a file that may be run."""
    return Entry(data, mode=0o755)


def link(target: str) -> Entry:
    """Return a symbolic link to `target`."""
    return Entry(kind=tarfile.SYMTYPE, mode=0o777, target=target)


def folder() -> Entry:
    """Return an empty folder."""
    return Entry(kind=tarfile.DIRTYPE, mode=0o755)


def tar(files: Mapping[str, bytes | Entry]) -> bytes:
    """Return a tar archive of `files` in their order: owner root, time 0, PAX headers only where a name needs them."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as out:
        for name, content in files.items():
            entry = content if isinstance(content, Entry) else Entry(content)
            member = tarfile.TarInfo(name)
            member.size = len(entry.data)
            member.mode = entry.mode
            member.type = entry.kind
            member.linkname = entry.target
            out.addfile(member, io.BytesIO(entry.data))
    return archive.getvalue()


def gzip_stored(data: bytes) -> bytes:
    """Return `data` as a gzip stream of stored blocks: a compressor's version would change the digest, this does not.

    Spec: RFC 1952, 2.3; RFC 1951, 3.2.4.
    """
    blocks = [data[at : at + _STORED] for at in range(0, len(data), _STORED)] or [b""]
    stream = [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"]
    for number, block in enumerate(blocks):
        is_last = number == len(blocks) - 1
        stream += [struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF), block]
    stream.append(struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF))
    return b"".join(stream)
