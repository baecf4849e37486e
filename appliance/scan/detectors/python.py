"""Python: the metadata of installed distributions, wheels and eggs, what conda installed, and lock files."""

import re
from collections.abc import Iterator

import msgspec

from appliance.domain.vulnerability import Ecosystem, Package
from appliance.scan import licences
from appliance.scan.archive import Archive, Budget
from appliance.scan.detector import Detector, Fact, Wants
from appliance.scan.documents import decode_json, decode_toml

_HEADERS = 1 << 17  # bytes; beyond lies a description, and what a package says of itself fits easily
_HEADER = re.compile(r"^(Name|Version|License|License-Expression|Classifier):(.*)$", re.MULTILINE)
_BLANK = re.compile(rb"\r?\n\r?\n")
_OSI = "License :: OSI Approved :: "
_EGG_INFO = "EGG-INFO/PKG-INFO"


class _Conda(msgspec.Struct):
    name: str = ""
    version: str = ""
    license: str | None = None


class _Source(msgspec.Struct):
    virtual: str = ""
    editable: str = ""


class _Locked(msgspec.Struct):
    name: str = ""
    version: str = ""
    source: _Source = msgspec.field(default_factory=_Source)


class _TomlLock(msgspec.Struct):
    """poetry.lock, pdm.lock and uv.lock agree in this much."""

    package: list[_Locked] = []


class _Pinned(msgspec.Struct):
    version: str = ""


class _Pipfile(msgspec.Struct):
    default: dict[str, _Pinned] = {}


_CONDA = msgspec.json.Decoder(_Conda)
_PIPFILE = msgspec.json.Decoder(_Pipfile)
_REQUIREMENT = re.compile(
    r"^([A-Za-z0-9][A-Za-z0-9._-]{0,200})(?:\[[^\]\n]{0,300}\])?[ \t]*===?[ \t]*([^\s;#,\\*]{1,200})(?=[\s;#\\]|$)"
)


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


def read_toml_lock(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the packages of a poetry.lock, pdm.lock or uv.lock; the project itself is none."""
    for locked in decode_toml(_TomlLock, content).package:
        if locked.name and locked.version and not locked.source.virtual and not locked.source.editable:
            yield Package(Ecosystem.PYPI, locked.name, locked.version, found_in=path)


def read_pipfile_lock(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the packages of a Pipfile.lock, those for development left out."""
    for name, pinned in decode_json(_PIPFILE, content).default.items():
        if pinned.version.startswith("=="):
            yield Package(Ecosystem.PYPI, name, pinned.version.removeprefix("=="), found_in=path)


def read_requirements(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the packages that a requirements.txt pins to one version. Spec: PyPA, "Requirements File Format"."""
    for line in content.decode(errors="replace").splitlines():
        if pinned := _REQUIREMENT.match(line.strip()):
            yield Package(Ecosystem.PYPI, pinned[1], pinned[2], found_in=path)


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
LOCKS = (
    Detector(
        "python-lock",
        version=1,
        wants=Wants(names=frozenset({"poetry.lock", "pdm.lock", "uv.lock"})),
        read=read_toml_lock,
    ),
    Detector("pipfile-lock", version=1, wants=Wants(names=frozenset({"Pipfile.lock"})), read=read_pipfile_lock),
    Detector("requirements", version=1, wants=Wants(names=frozenset({"requirements.txt"})), read=read_requirements),
)
