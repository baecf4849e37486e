"""One rpm header: an index of tags and the store their values lie in (rpm source, docs/manual/hregions.md)."""

import struct
from collections.abc import Iterator

import msgspec

from appliance.scan.limits import Unreadable

NAME, VERSION, RELEASE, EPOCH = 1000, 1001, 1002, 1003
VENDOR, LICENCE, ARCH, SOURCE_RPM = 1011, 1014, 1022, 1044
FOLDER_INDICES, BASE_NAMES, FOLDERS = 1116, 1117, 1118
MODULARITY_LABEL = 5096

_WANTED = frozenset(
    {
        NAME,
        VERSION,
        RELEASE,
        EPOCH,
        VENDOR,
        LICENCE,
        ARCH,
        SOURCE_RPM,
        FOLDER_INDICES,
        BASE_NAMES,
        FOLDERS,
        MODULARITY_LABEL,
    }
)
_INT32, _STRING, _STRING_ARRAY, _I18N_STRING = 4, 6, 8, 9
_MOST_TAGS = 0xFFFF  # rpm's own limit on an index
_ENTRY = struct.Struct(">IIII")


class Header(msgspec.Struct, frozen=True):
    """What a package's header says; empty where it says nothing. `files` have their leading slash."""

    name: str
    version: str
    release: str
    epoch: int
    arch: str
    source_rpm: str
    licence: str
    vendor: str
    modularity_label: str
    folders: tuple[str, ...]
    base_names: tuple[str, ...]
    folder_indices: tuple[int, ...]

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield folder (with its final slash) and base name of each file."""
        for index, base_name in zip(self.folder_indices, self.base_names, strict=False):
            if index < len(self.folders):
                yield self.folders[index], base_name


def parse(blob: bytes) -> Header:
    """Return the header of a database record. Raises Unreadable."""
    if len(blob) < 8:
        raise Unreadable("a record of the rpm database is cut off")
    tags, size = struct.unpack_from(">II", blob)
    start = 8 + _ENTRY.size * tags
    if tags > _MOST_TAGS or start + size > len(blob):
        raise Unreadable("a record of the rpm database is no header")
    store = blob[start : start + size]
    texts: dict[int, tuple[bytes, ...]] = {}
    numbers: dict[int, tuple[int, ...]] = {}
    for tag, kind, offset, count in _ENTRY.iter_unpack(blob[8:start]):
        if tag not in _WANTED or offset >= size:
            continue
        if kind == _INT32 and offset + 4 * count <= size:
            numbers[tag] = struct.unpack_from(f">{count}I", store, offset)
        elif kind == _STRING or (kind in (_STRING_ARRAY, _I18N_STRING) and count == 1):
            end = store.find(b"\0", offset)
            texts[tag] = (store[offset : end if end >= 0 else size],)
        elif kind in (_STRING_ARRAY, _I18N_STRING):
            texts[tag] = tuple(store[offset:].split(b"\0", count)[:count])

    def text(tag: int) -> str:
        found = texts.get(tag)
        return found[0].decode(errors="backslashreplace") if found else ""

    name, version, release = text(NAME), text(VERSION), text(RELEASE)
    if not name or not version:
        raise Unreadable("a record of the rpm database has no name or no version")
    return Header(
        name,
        version,
        release,
        numbers.get(EPOCH, (0,))[0] if numbers.get(EPOCH) else 0,
        text(ARCH),
        text(SOURCE_RPM),
        text(LICENCE),
        text(VENDOR),
        text(MODULARITY_LABEL),
        tuple(found.decode(errors="backslashreplace") for found in texts.get(FOLDERS, ())),
        tuple(found.decode(errors="backslashreplace") for found in texts.get(BASE_NAMES, ())),
        numbers.get(FOLDER_INDICES, ()),
    )
