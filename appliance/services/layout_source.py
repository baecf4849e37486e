"""Where a layout lies (folder, .tar, .tar.gz), read as a stream: every member is hashed, nothing is ever extracted.

A member is found by its name as text, so a hostile name leads nowhere.
"""

import gzip
import hashlib
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, cast

import msgspec

from appliance.domain.names import Digest, algorithm_of, hex_of
from appliance.errors import LayoutInvalid

CHUNK = 1 << 20  # bytes read at once
SMALL = 4 << 20  # bytes; manifests, indexes and configs are kept in memory up to here, as the server's default limit
_KEPT = 512 << 20  # bytes of all of them together; more is no archive of images
_BLOB = re.compile(r"blobs/(sha256|sha512)/([0-9a-f]+)")


class Member(msgspec.Struct, frozen=True):
    """A file of a layout: its name inside, its size in bytes, its bytes as a stream to be read at once."""

    name: str
    size: int
    stream: IO[bytes]
    link: str = ""  # of a symbolic or hard link: where it points, as text


class Source(Protocol):
    """Where a layout lies. Every call of `members` begins anew."""

    def members(self) -> Iterator[Member]:
        """Yield the files one after another. Raises LayoutInvalid."""


class Found(msgspec.Struct):
    """What the first pass saw. Members that are no blobs are kept by name, for archives of `docker save`."""

    sizes: dict[Digest, int] = msgspec.field(default_factory=dict)
    members: dict[str, Digest] = msgspec.field(default_factory=dict)
    bodies: dict[Digest, bytes] = msgspec.field(default_factory=dict)
    named: dict[str, bytes] = msgspec.field(default_factory=dict)
    links: dict[str, str] = msgspec.field(default_factory=dict)


def open_source(path: Path) -> Source:
    """Return the layout at `path`. Raises LayoutInvalid where there is none."""
    if path.is_dir():
        return Folder(path)
    if not path.is_file():
        raise LayoutInvalid(f"{path} is no file or folder; give an OCI image layout or an archive of one")
    return Archive(path)


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Turn errors of reading a cut or broken archive into LayoutInvalid."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, UnicodeError) as error:
        raise LayoutInvalid(f"{what} is cut or broken: {error}; carry it over again") from error
    except OSError as error:
        raise LayoutInvalid(f"{what} cannot be read: {error.strerror or error}") from error


class Archive:
    """A tar file, plain or gzip."""

    def __init__(self, path: Path) -> None:
        """Read `path`."""
        self.path = path

    def members(self) -> Iterator[Member]:
        """Yield regular files and links."""
        with telling(str(self.path)), self.path.open("rb") as raw:
            is_gzip = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            content = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if is_gzip else raw
            with tarfile.open(fileobj=content, mode="r|", bufsize=CHUNK) as archive:
                while (member := archive.next()) is not None:
                    archive.members = []  # type: ignore[attr-defined]  # it would remember every header it saw
                    name = member.name.removeprefix("./")
                    if member.issym() or member.islnk():
                        # a hard link's target begins at the archive's root
                        yield Member(name, 0, raw, member.linkname if member.issym() else f"/{member.linkname}")
                    elif member.isreg() and (stream := archive.extractfile(member)) is not None:
                        yield Member(name, member.size, stream)
            for _ in pieces(content):  # to the end, where a compressed stream has its check sum
                continue


class Folder:
    """A folder. Only names that a layout has are opened, and no link is followed."""

    def __init__(self, path: Path) -> None:
        """Read `path`."""
        self.path = path

    def members(self) -> Iterator[Member]:
        """Yield index.json and every blob."""
        with telling(str(self.path)):
            paths = [self.path / "index.json"]
            for algorithm in ("sha256", "sha512"):
                folder = self.path / "blobs" / algorithm
                paths += sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
            for path in paths:
                if not path.is_file() or path.is_symlink():
                    continue
                with path.open("rb") as stream:
                    yield Member(path.relative_to(self.path).as_posix(), path.stat().st_size, stream)


def member_of(digest: Digest) -> str:
    """Return the name of the content `digest` inside a layout."""
    return f"blobs/{algorithm_of(digest)}/{hex_of(digest)}"


def pieces(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield what is left of `stream`. Raises LayoutInvalid."""
    with telling("the layout"):
        while piece := stream.read(CHUNK):
            yield piece


def read(source: Source) -> Found:
    """Read and hash all of `source` once. Raises LayoutInvalid where a blob is not what its name says."""
    found = Found()
    kept = 0
    for member in source.members():
        if member.link:
            found.links[member.name] = member.link
            continue
        matched = _BLOB.fullmatch(member.name)
        state = hashlib.new(matched[1] if matched else "sha256")
        body = b""
        size = 0
        for piece in pieces(member.stream):
            state.update(piece)
            size += len(piece)
            if member.size <= SMALL and (body or piece.lstrip()[:1] in (b"{", b"[")):
                body += piece
        digest = Digest(f"{state.name}:{state.hexdigest()}")
        if size != member.size:
            raise LayoutInvalid(f"{member.name} ends after {size} of {member.size} bytes; carry the archive over again")
        if matched and matched[2] != hex_of(digest):
            raise LayoutInvalid(f"{member.name} has the digest {digest}: its bytes were changed on the way")
        found.sizes[digest] = size
        found.members[member.name] = digest
        kept += len(body)
        if kept > _KEPT:
            raise LayoutInvalid(f"more than {_KEPT >> 20} MiB of JSON: this is no archive of images")
        if matched:
            found.bodies[digest] = body
        elif body:
            found.named[member.name] = body
    return found
