"""Debian, Ubuntu and distroless: dpkg's status file or folder, its lists of files, and the copyright files."""

import re
from collections.abc import Iterator

from appliance.domain.layer import PackageLicences
from appliance.domain.vulnerability import Ecosystem, Package
from appliance.scan import licences, owned
from appliance.scan.detector import Detector, Fact, Owned, Wants
from appliance.scan.limits import Unreadable

_FIELD = re.compile(rb"^(Package|Status|Version|Architecture|Source|Maintainer):(.*)$", re.MULTILINE)
_STANZA = re.compile(rb"\n[ \t\r]*\n")
_SOURCE = re.compile(r"([^\s(]+)\s*\(([^)\s]+)\)")
_ABSENT = (
    "not-installed",
    "config-files",
)  # states in which no file of the package is left (dpkg(1), "Package states")
_FILES = re.compile(rb"^/(\S.*)$", re.MULTILINE)
_LICENCE = re.compile(rb"^License:(.*)$", re.MULTILINE | re.IGNORECASE)  # copyright-format 1.0, 7.2
_SHIPPED_TEXT = re.compile(rb"/usr/share/common-licenses/([0-9A-Za-z.+-]*[0-9A-Za-z+])")


def read_status(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the packages of a status file: stanzas split by a blank line, `Field: value` (deb-control(5)).

    Files below `status.d` hold one stanza and no state (distroless).
    """
    for stanza in _STANZA.split(content):
        field = {key: value.decode(errors="backslashreplace").strip() for key, value in _FIELD.findall(stanza)}
        name, version = field.get(b"Package"), field.get(b"Version")
        if not name or not version:
            continue
        state = field.get(b"Status", "install ok installed").split()
        if state and state[-1] in _ABSENT:
            continue
        source, source_version = field.get(b"Source", ""), ""
        if with_version := _SOURCE.fullmatch(source):
            source, source_version = with_version.groups()
        source, source_version = source or name, source_version or version
        is_own = source == name and source_version == version
        yield Package(
            Ecosystem.DEB,
            name,
            version,
            source="" if is_own else source,
            source_version="" if is_own else source_version,
            arch=field.get(b"Architecture", ""),
            vendor=field.get(b"Maintainer", ""),
            found_in=path,
        )
    if b"\0" in content[:4096]:
        raise Unreadable("a status file of dpkg is text, this is not")


def read_list(_path: str, content: bytes) -> Iterator[Fact]:
    """Yield which files the package installed that the list is named after."""
    paths = (found.decode(errors="backslashreplace") for found in _FILES.findall(content))
    if chosen := tuple(owned.choose(paths)):
        yield Owned(chosen)


def read_copyright(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the licences that a copyright file names, in the machine-readable form or by pointing to shipped texts."""
    names = [found.decode(errors="replace") for found in _LICENCE.findall(content) if found.strip()]
    if not names:
        names = [found.decode(errors="replace") for found in _SHIPPED_TEXT.findall(content)]
    if found := licences.gather(part for name in names for part in licences.split(name)):
        yield PackageLicences(path.split("/")[-2], found)


STATUS = Detector(
    "dpkg",
    version=1,
    wants=Wants(
        paths=frozenset({"var/lib/dpkg/status"}),
        folders=frozenset({"var/lib/dpkg/status.d"}),
        pattern=re.compile(r"(?<!\.md5sums)$"),
    ),
    read=read_status,
    is_essential=True,
    takes_large=True,
)
LIST = Detector(
    "dpkg-list",
    version=1,
    wants=Wants(endings=(".list",), pattern=re.compile(r"^var/lib/dpkg/info/[^/]+\.list$")),
    read=read_list,
)
COPYRIGHT = Detector(
    "dpkg-copyright",
    version=1,
    wants=Wants(names=frozenset({"copyright"}), pattern=re.compile(r"^usr/share/doc/[^/]+/copyright$")),
    read=read_copyright,
)
