"""Red Hat and its relatives, SUSE, Amazon, Oracle, Photon: rpm's database, and what Red Hat's builds leave behind."""

import re
from collections.abc import Iterator

import msgspec

from appliance.domain.layer import Build, ContentSets
from appliance.domain.vulnerability import Ecosystem, Package
from appliance.scan import licences, owned
from appliance.scan.detector import Detector, Fact, Owned, Wants
from appliance.scan.documents import decode_json
from appliance.scan.limits import LimitReached, Unreadable
from appliance.scan.rpmdb import bdb, ndb, sqlite
from appliance.scan.rpmdb.header import Header, parse

_FOLDERS = ("var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm", "usr/lib/rpm")
_FILES = ("Packages", "Packages.db", "rpmdb.sqlite")
_SOURCE = re.compile(r"(.+)-([^-]+)-([^-]+)\.(?:no)?src\.rpm")
_PLAIN = re.compile(r"[^\x00-\x20\x7f]{1,300}")  # names and versions of packages that were ever built

_LABEL = re.compile(r"[\"']?(com\.redhat\.component|architecture)[\"']?\s*=\s*[\"']?([A-Za-z0-9._+-]+)")


class _Manifest(msgspec.Struct):
    content_sets: list[str] = []


_MANIFEST = msgspec.json.Decoder(_Manifest)


def read(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the packages of an rpm database in Berkeley DB, NDB or SQLite form.

    A broken record is told at the end and does not hide the sound ones.
    """
    if not content:
        return
    broken = 0
    for blob in _blobs(content):
        try:
            header = parse(blob)
        except Unreadable:
            broken += 1
            continue
        if not _PLAIN.fullmatch(header.name) or not _PLAIN.fullmatch(header.version + header.release):
            broken += 1
            continue
        yield _package(path, header)
        if chosen := tuple(owned.choose(_files(header))):
            yield Owned(chosen)
    if broken:
        raise Unreadable(f"{broken} records of the rpm database are broken")


def _blobs(content: bytes) -> Iterator[bytes]:
    if bdb.is_one(content):
        return bdb.read(content)
    if ndb.is_one(content):
        return ndb.read(content)
    if sqlite.is_one(content):
        return sqlite.read(content)
    raise Unreadable("it is no rpm database in any form that is known")


def _package(path: str, header: Header) -> Package:
    version = f"{header.version}-{header.release}" if header.release else header.version
    epoch = f"{header.epoch}:" if header.epoch else ""
    source = source_version = ""
    if built := _SOURCE.fullmatch(header.source_rpm):
        # An rpm does not record its source's epoch; they are nearly always the same.
        source, source_version = built[1], f"{epoch}{built[2]}-{built[3]}"
    version = epoch + version
    is_own = source == header.name and source_version == version
    return Package(
        Ecosystem.RPM,
        header.name,
        version,
        source="" if is_own else source,
        source_version="" if is_own else source_version,
        arch=header.arch,
        module=header.modularity_label,
        vendor=header.vendor,
        licences=licences.gather([header.licence]),
        found_in=path,
    )


def _files(header: Header) -> Iterator[str]:
    for folder, base_name in header.files():
        yield folder + base_name


def read_journal(_path: str, content: bytes) -> Iterator[Fact]:
    """Refuse a write-ahead log with something in it: packages may stand there that the database does not have yet."""
    yield from ()
    if content.strip(b"\0"):
        raise LimitReached("the rpm database was not closed: what stands in its write-ahead log is not read")


def read_manifest(_path: str, content: bytes) -> Iterator[Fact]:
    """Yield the content sets of a Red Hat content manifest."""
    names = decode_json(_MANIFEST, content).content_sets
    if names:
        yield ContentSets(tuple(dict.fromkeys(names)))


def read_dockerfile(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the build that made a Red Hat layer: component and architecture are labels, the rest is the file's name."""
    label: dict[str, str] = dict(_LABEL.findall(content.decode(errors="replace")))
    parts = path.rsplit("-", 2)  # Dockerfile-<name>-<version>-<release>
    component = label.get("com.redhat.component", "")
    if component and len(parts) == 3:
        yield Build(f"{component}-{parts[1]}-{parts[2]}", label.get("architecture", ""))


DATABASE = Detector(
    "rpm",
    version=1,
    wants=Wants(paths=frozenset(f"{folder}/{name}" for folder in _FOLDERS for name in _FILES)),
    read=read,
    is_essential=True,
    takes_large=True,
)
JOURNAL = Detector(
    "rpm-journal",
    version=1,
    wants=Wants(paths=frozenset(f"{folder}/rpmdb.sqlite-wal" for folder in _FOLDERS)),
    read=read_journal,
    is_essential=True,
    takes_large=True,
)
MANIFEST = Detector(
    "redhat-content-sets",
    version=1,
    wants=Wants(endings=(".json",), pattern=re.compile(r"^(?:root|usr/share)/buildinfo/content[_-]manifests/[^/]+$")),
    read=read_manifest,
)
DOCKERFILE = Detector(
    "redhat-build",
    version=1,
    wants=Wants(folders=frozenset({"root/buildinfo"}), pattern=re.compile(r"/Dockerfile-[^/]+$")),
    read=read_dockerfile,
)
