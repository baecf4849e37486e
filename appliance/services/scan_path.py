"""Scans what lies on the host, without a server: an OCI layout, an archive of one or of `docker save`, a folder.

The same child reads the layers; what it says is kept in memory, for nobody asks twice.
"""

import asyncio
import os
import stat
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec

from appliance.domain.layer import FileEntry, ImageLayer, LayerContents
from appliance.domain.manifest import FileSystem, digest_of, file_system_of
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest
from appliance.domain.scan import Scan
from appliance.errors import LayoutInvalid
from appliance.scan.inventory import merge
from appliance.services import layout
from appliance.services.layout_source import SMALL, open_source, pieces
from appliance.services.scan_child import Failed, ScanChild
from appliance.services.scan_judging import Read, VulnerabilityData, judge
from appliance.services.scan_protocol import Begin
from appliance.services.scan_reading import ScanOptions, claims_of, lost

_PIECE = 1 << 20  # bytes
_OF_THE_SYSTEM = frozenset({"proc", "sys", "dev", "run"})  # of a host: no files of its own


class Named(msgspec.Struct, frozen=True):
    """A scan, and what the image is called where it lay."""

    name: str
    scan: Scan


async def scan_path(path: Path, options: ScanOptions, data: VulnerabilityData | None, now: Timestamp) -> list[Named]:
    """Return the scan of every image at `path`. Raises LayoutInvalid where nothing can be read there."""
    if await asyncio.to_thread(_is_plain, path):
        return [await _scan_folder(path, options, data, now)]
    source = open_source(path)
    carried = await asyncio.to_thread(layout.inspect, source, sparse=True)
    names = {entry.digest: entry.name for entry in carried.entries}
    systems = {digest: file_system_of(manifest.body) for digest, manifest in carried.manifests.items()}
    systems = {digest: system for digest, system in systems.items() if system.layers}
    if not systems:
        raise LayoutInvalid(f"{path} has no image with file system layers: there is nothing to scan")
    wanted = {layer for system in systems.values() for layer in system.layers}
    configs = {system.config for system in systems.values() if system.config is not None}
    contents: dict[Digest, LayerContents] = {}
    bodies: dict[Digest, bytes] = {}
    async with ScanChild(options.setup, options.timeout_s) as child:
        for member in source.members():
            digest = carried.members.get(member.name)
            if digest is None or digest in contents:
                continue
            if digest in configs and member.size <= SMALL:
                bodies[digest] = b"".join(pieces(member.stream))
            elif digest in wanted:
                contents[digest] = await read_all(child, pieces(member.stream))
    found = []
    for digest, system in systems.items():
        claimed = claims_of(bodies.get(system.config, b"") if system.config else b"", system)
        scan = _judge(digest, system, claimed, contents, (options, data, now))
        found.append(Named(names.get(digest) or path.name, scan))
    return found


def _is_plain(path: Path) -> bool:
    """Whether `path` is a folder of files, and no layout."""
    return path.is_dir() and not (path / "index.json").exists()


async def read_all(child: ScanChild, chunks: Iterator[bytes]) -> LayerContents:
    """Return what a layer holds, its files with it. Whatever went wrong is told in its `limits`."""
    files: list[FileEntry] = []

    async def keep(entries: list[FileEntry]) -> None:
        files.extend(entries)

    async def views() -> AsyncIterator[memoryview]:
        for chunk in chunks:
            yield memoryview(chunk)

    try:
        contents = await child.read(views(), Begin(), keep)
    except Failed as error:
        return lost(str(error))
    return msgspec.structs.replace(contents, files=tuple(files))


async def _scan_folder(path: Path, options: ScanOptions, data: VulnerabilityData | None, now: Timestamp) -> Named:
    """Scan a folder as if it were the root of a file system."""
    async with ScanChild(options.setup, options.timeout_s) as child:
        contents = await read_all(child, tar_of(path))
    digest = contents.diff_id or digest_of(str(path).encode())
    system = FileSystem(None, (digest,), (0,))
    return Named(str(path), _judge(digest, system, (None,), {digest: contents}, (options, data, now)))


def _judge(
    digest: Digest,
    system: FileSystem,
    claimed: tuple[Digest | None, ...],
    contents: dict[Digest, LayerContents],
    how: tuple[ScanOptions, VulnerabilityData | None, Timestamp],
) -> Scan:
    options, data, now = how
    layers = [
        ImageLayer(layer, contents.get(layer) or lost("its bytes are not here"), claim)
        for layer, claim in zip(system.layers, claimed, strict=True)
    ]
    return judge(Read(digest, system.layers, options.reader, now, merge(layers)), data, None, now)


def tar_of(folder: Path) -> Iterator[bytes]:
    """Yield the files of `folder` as a tar archive; links are not followed, and what cannot be read is left out."""
    for root, folders, names in os.walk(folder):
        here = Path(root)
        if here == folder:
            folders[:] = [name for name in folders if not (name in _OF_THE_SYSTEM and folder == Path("/"))]
        for name in (*folders, *names):
            yield from _member(here / name, folder)
    yield bytes(1024)


def _member(path: Path, root: Path) -> Iterator[bytes]:
    try:
        found = path.lstat()
        info = tarfile.TarInfo(path.relative_to(root).as_posix())
        info.mode = stat.S_IMODE(found.st_mode)
        if stat.S_ISREG(found.st_mode):
            yield from _file(path, info)
            return
        if stat.S_ISDIR(found.st_mode):
            info.type = tarfile.DIRTYPE
        elif stat.S_ISLNK(found.st_mode):
            info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
        else:
            return
    except OSError:
        return
    yield info.tobuf(tarfile.PAX_FORMAT, errors="surrogateescape")


def _file(path: Path, info: tarfile.TarInfo) -> Iterator[bytes]:
    """Yield a file with as many bytes as it has when it is opened: one that grows or shrinks meanwhile is cut."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        info.size = left = os.fstat(file.fileno()).st_size
        yield info.tobuf(tarfile.PAX_FORMAT, errors="surrogateescape")
        while left > 0:
            piece = file.read(min(left, _PIECE)) or bytes(min(left, _PIECE))
            left -= len(piece)
            yield piece
    yield bytes(-info.size % 512)
