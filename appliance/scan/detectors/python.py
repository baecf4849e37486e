"""Python: the metadata of installed distributions, wheels and eggs, and what conda installed."""

import re
from collections.abc import Iterator

import msgspec

from appliance.domain.vulnerability import Ecosystem, Package
from appliance.scan import licences
from appliance.scan.archive import Archive, Budget
from appliance.scan.detector import Detector, Fact, Wants
from appliance.scan.documents import decode_json

_HEADERS = 1 << 17  # bytes; beyond lies a description, and what a package says of itself fits easily
_HEADER = re.compile(r"^(Name|Version|License|License-Expression|Classifier):(.*)$", re.MULTILINE)
_BLANK = re.compile(rb"\r?\n\r?\n")
_OSI = "License :: OSI Approved :: "
_EGG_INFO = "EGG-INFO/PKG-INFO"


class _Conda(msgspec.Struct):
    name: str = ""
    version: str = ""
    license: str | None = None


_CONDA = msgspec.json.Decoder(_Conda)


def read(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the distribution of a METADATA or PKG-INFO file. Spec: PyPA, "Core metadata specifications"."""
    head = content[:_HEADERS]
    if blank := _BLANK.search(head):
        head = head[: blank.start()]
    field: dict[str, str] = {}
    classified: list[str] = []
    for key, text in _HEADER.findall(head.decode(errors="replace")):
        value = text.strip()
        if key == "Classifier":
            if value.startswith(_OSI):
                classified.append(value.removeprefix(_OSI))
        elif value:
            field.setdefault(key, value)
    if "Name" not in field or "Version" not in field:
        return
    recorded = field.get("License-Expression") or field.get("License", "")
    names = licences.split(recorded) if recorded.upper() != "UNKNOWN" else ()
    yield Package(
        Ecosystem.PYPI,
        field["Name"],
        field["Version"],
        licences=names or licences.gather(classified),
        found_in=path,
    )


def read_egg(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the distribution of an egg that was installed as one zip file."""
    archive = Archive(content, Budget(len(content)))
    for entry in archive.entries():
        if entry.name == _EGG_INFO:
            yield from read(path, archive.read(entry, _HEADERS))


def read_conda(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the package of a file in `conda-meta`."""
    found = decode_json(_CONDA, content)
    if found.name and found.version:
        names = licences.split(found.license or "")
        yield Package(Ecosystem.CONDA, found.name, found.version, licences=names, found_in=path)


DETECTOR = Detector(
    "python",
    version=1,
    wants=Wants(
        names=frozenset({"METADATA", "PKG-INFO"}),
        endings=(".egg-info",),
        pattern=re.compile(r"(?:\.dist-info/METADATA|\.egg-info/PKG-INFO|(?:^|/)EGG-INFO/PKG-INFO|\.egg-info)$"),
    ),
    read=read,
)
EGG = Detector("egg", version=1, wants=Wants(endings=(".egg",)), read=read_egg)
CONDA = Detector(
    "conda",
    version=1,
    wants=Wants(endings=(".json",), pattern=re.compile(r"(?:^|/)conda-meta/[^/]+\.json$")),
    read=read_conda,
)
