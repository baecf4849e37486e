""".NET: the dependency files beside an application, and the lists of NuGet."""

import re
from collections.abc import Iterator

import msgspec

from appliance.domain.vulnerability import Ecosystem, Package
from appliance.scan.detector import Detector, Fact, Wants
from appliance.scan.documents import decode_json


class _Library(msgspec.Struct):
    type: str = ""


class _Assets(msgspec.Struct):
    """What one target takes from a library; three empty fields mean that it is used to compile only."""

    runtime: object = None
    native: object = None
    targets: object = msgspec.field(default=None, name="runtimeTargets")


class _Target(msgspec.Struct):
    name: str = ""


class _Dependencies(msgspec.Struct):
    libraries: dict[str, _Library] = {}
    targets: dict[str, dict[str, _Assets]] = {}
    target: _Target | None = msgspec.field(default=None, name="runtimeTarget")


class _Locked(msgspec.Struct):
    type: str = ""
    resolved: str = ""


class _Lock(msgspec.Struct):
    dependencies: dict[str, dict[str, _Locked]] = {}


_DEPENDENCIES = msgspec.json.Decoder(_Dependencies)
_LOCK = msgspec.json.Decoder(_Lock)
# A reader of these two attributes needs no XML parser, and so none of what XML can do to one.
_ELEMENT = re.compile(rb"<package\s([^<>]{1,2000})>", re.IGNORECASE)
_ATTRIBUTE = re.compile(rb"\b(id|version)\s*=\s*[\"']([^\"']{1,200})[\"']", re.IGNORECASE)


def read_dependencies(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the packages of a `*.deps.json` that the application loads.

    Spec: dotnet/sdk, "Runtime Configuration Files".
    """
    found = decode_json(_DEPENDENCIES, content)
    used = found.targets.get(found.target.name if found.target else "", {})
    for key, library in found.libraries.items():
        name, slash, version = key.partition("/")
        if library.type.lower() != "package" or not slash or not name or not version:
            continue
        assets = used.get(key)
        if assets is None or assets.runtime or assets.native or assets.targets:
            yield Package(Ecosystem.NUGET, name, version, found_in=path)


def read_lock(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the packages of a packages.lock.json, once for all frameworks."""
    found = decode_json(_LOCK, content)
    packages = {
        (name, locked.resolved): None
        for framework in found.dependencies.values()
        for name, locked in framework.items()
        if locked.type.lower() != "project" and locked.resolved
    }
    for name, version in packages:
        yield Package(Ecosystem.NUGET, name, version, found_in=path)


def read_config(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the packages of a packages.config."""
    for element in _ELEMENT.findall(content):
        attributes = {key.lower(): value.decode(errors="replace") for key, value in _ATTRIBUTE.findall(element)}
        if b"developmentdependency" in element.lower().replace(b'="false"', b""):
            continue
        if b"id" in attributes and b"version" in attributes:
            yield Package(Ecosystem.NUGET, attributes[b"id"], attributes[b"version"], found_in=path)


DEPENDENCIES = Detector("dotnet", version=1, wants=Wants(endings=(".deps.json",)), read=read_dependencies)
LOCK = Detector("nuget-lock", version=1, wants=Wants(names=frozenset({"packages.lock.json"})), read=read_lock)
CONFIG = Detector("nuget-config", version=1, wants=Wants(names=frozenset({"packages.config"})), read=read_config)
