"""Node.js: the package.json that every installed package carries, and the lock files of npm, Yarn and pnpm."""

import re
from collections.abc import Iterator, Mapping

import msgspec

from appliance.domain.vulnerability import Ecosystem, Package
from appliance.scan import licences
from appliance.scan.detector import Detector, Fact, Wants
from appliance.scan.documents import decode_json

_NAME = re.compile(r"(?:@[^/\s@]+/)?[^/\s@]+")  # docs.npmjs.com, package.json, "name"
_FOLDER = "node_modules/"


class _PackageJson(msgspec.Struct):
    name: object = None
    version: object = None
    license: object = None
    licenses: object = None


class _Place(msgspec.Struct):
    """One folder of a package-lock.json since version 2."""

    name: object = None
    version: object = None
    dev: bool = False
    link: bool = False


class _Branch(msgspec.Struct):
    """One package of a package-lock.json of version 1, and what lies in its folder."""

    version: object = None
    dev: bool = False
    dependencies: dict[str, "_Branch"] = {}


class _Lock(msgspec.Struct):
    packages: dict[str, _Place] = {}
    dependencies: dict[str, _Branch] = {}


_DECODER = msgspec.json.Decoder(_PackageJson)
_LOCK = msgspec.json.Decoder(_Lock)

# Yarn: `"a@^1.0.0", "a@^1.1.0":` and, indented, `version "1.1.2"`; since version 2 `version: 1.1.2`.
_YARN = re.compile(r"^\"?((?:@[^@/\s\"]{1,200}/)?[^@/\s\"]{1,200})@(.{1,2000}):[ \t]*$")
_YARN_VERSION = re.compile(r"^ {2}version:? \"?([^\"\s]{1,200})\"?[ \t]*$")
# pnpm: `/a/1.0.0:` to version 5, `/a@1.0.0:` in 6, `a@1.0.0:` since 9; peers follow in brackets or after "_".
_PNPM = re.compile(r"^ {2}'?/?((?:@[^@/\s']{1,200}/)?[^@/\s']{1,200})[/@](\d[^:(_'\s]{0,200})[^:\s]{0,2000}:[ \t]*$")


def read(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the package that a package.json describes; one without name or version describes none."""
    found = decode_json(_DECODER, content)
    if not isinstance(found.name, str) or not isinstance(found.version, str):
        return
    if not _NAME.fullmatch(found.name) or not found.version:
        return
    names = licences.gather([*_licences(found.license), *_licences(found.licenses)])
    yield Package(Ecosystem.NPM, found.name, found.version.strip(), licences=names, found_in=path)


def _licences(value: object) -> Iterator[str]:
    """Yield the names in any of the forms that were ever allowed: a text, {"type": text}, or a list of these."""
    for item in value if isinstance(value, list) else [value]:
        name = item.get("type") if isinstance(item, dict) else item
        if isinstance(name, str):
            yield from licences.split(name)


def read_lock(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the packages of a package-lock.json or npm-shrinkwrap.json, those for development left out."""
    lock = decode_json(_LOCK, content)
    found: dict[tuple[str, str], None] = {}
    for place, entry in lock.packages.items():
        name = entry.name or place.rpartition(_FOLDER)[2]
        if _FOLDER in place and not entry.dev and not entry.link and isinstance(entry.version, str):
            found[str(name), entry.version] = None
    if not lock.packages:
        found.update(dict.fromkeys(_branches(lock.dependencies)))
    yield from _packages(path, found)


def _branches(branches: Mapping[str, _Branch]) -> Iterator[tuple[str, str]]:
    for name, branch in branches.items():
        if not branch.dev:
            if isinstance(branch.version, str):
                yield name, branch.version
            yield from _branches(branch.dependencies)


def read_yarn(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the packages of a yarn.lock of any version."""
    found: dict[tuple[str, str], None] = {}
    name = ""
    for line in content.decode(errors="replace").splitlines():
        if head := _YARN.match(line):
            # Packages of the workspace itself are no dependencies.
            name = "" if "@workspace:" in line else head[1]
        elif name and (version := _YARN_VERSION.match(line)):
            found[name, version[1]] = None
            name = ""
    yield from _packages(path, found)


def read_pnpm(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the packages of a pnpm-lock.yaml, from the keys of its section `packages`."""
    found: dict[tuple[str, str], None] = {}
    section = ""
    for line in content.decode(errors="replace").splitlines():
        if line[:1].isalpha():
            section = line.rstrip()
        elif section == "packages:" and (key := _PNPM.match(line)):
            found[key[1], key[2]] = None
    yield from _packages(path, found)


def _packages(path: str, found: Mapping[tuple[str, str], None]) -> Iterator[Package]:
    for name, version in found:
        if version and _NAME.fullmatch(name):
            yield Package(Ecosystem.NPM, name, version, found_in=path)


DETECTOR = Detector("node", version=1, wants=Wants(names=frozenset({"package.json"})), read=read)
LOCKS = (
    Detector(
        "npm-lock",
        version=1,
        wants=Wants(names=frozenset({"package-lock.json", "npm-shrinkwrap.json"})),
        read=read_lock,
    ),
    Detector("yarn-lock", version=1, wants=Wants(names=frozenset({"yarn.lock"})), read=read_yarn),
    Detector("pnpm-lock", version=1, wants=Wants(names=frozenset({"pnpm-lock.yaml"})), read=read_pnpm),
)
