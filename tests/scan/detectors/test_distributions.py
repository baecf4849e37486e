"""apk, dpkg and what surrounds them: hand-built files in, packages out."""

import pytest

from appliance.domain.layer import Build, ContentSets, PackageLicences
from appliance.domain.vulnerability import Ecosystem, Package
from appliance.scan.detector import Owned, Router
from appliance.scan.detectors import apk, dpkg, rpm
from tests.scan.outcome import gathered

APK = b"""C:Q1ccc
P:musl
V:1.2.4-r2
A:x86_64
L:MIT
o:musl
F:lib
R:ld-musl-x86_64.so.1

P:libcrypto3
V:3.1.4-r5
A:x86_64
L:Apache-2.0 AND BSD-3-Clause
o:openssl

P:py3-six
V:1.16.0-r3
F:usr/lib/python3.11/site-packages/six-1.16.0-py3.11.egg-info
R:PKG-INFO
R:top_level.txt
F:usr/bin
R:six

P:nameless-version

V:1
"""


def test_apk_entries_give_packages_with_their_origin() -> None:
    facts = list(apk.read("lib/apk/db/installed", APK))

    assert facts == [
        Package(Ecosystem.APK, "musl", "1.2.4-r2", arch="x86_64", licences=("MIT",), found_in="lib/apk/db/installed"),
        Package(
            Ecosystem.APK,
            "libcrypto3",
            "3.1.4-r5",
            source="openssl",
            source_version="3.1.4-r5",
            arch="x86_64",
            licences=("Apache-2.0", "BSD-3-Clause"),
            found_in="lib/apk/db/installed",
        ),
        Package(Ecosystem.APK, "py3-six", "1.16.0-r3", found_in="lib/apk/db/installed"),
        Owned(("usr/lib/python3.11/site-packages/six-1.16.0-py3.11.egg-info/PKG-INFO", "usr/bin/six")),
    ]


STATUS = b"""Package: bash
Status: install ok installed
Maintainer: Matthias Klose <doko@debian.org>
Architecture: amd64
Source: bash (5.2.15-2)
Version: 5.2.15-2+b2
Description: shell
 Package: not-a-field
 .
 Version: 9

Package: bsdutils
Essential: yes
Status: install ok installed
Architecture: amd64
Source: util-linux
Version: 1:2.38.1-5

Package: removed
Status: deinstall ok config-files
Version: 1.0-1

Package: half
Status: install ok half-configured
Version: 2.0-1

Package: never
Status: unknown ok not-installed
"""


def test_dpkg_stanzas_give_packages_with_their_source() -> None:
    found = [fact for fact in dpkg.read_status("var/lib/dpkg/status", STATUS) if isinstance(fact, Package)]

    assert [(package.name, package.version, package.source, package.source_version) for package in found] == [
        ("bash", "5.2.15-2+b2", "bash", "5.2.15-2"),
        ("bsdutils", "1:2.38.1-5", "util-linux", "1:2.38.1-5"),
        ("half", "2.0-1", "", ""),
    ]
    assert found[0].vendor == "Matthias Klose <doko@debian.org>"
    assert found[0].arch == "amd64"


def test_line_ends_of_windows_change_nothing() -> None:
    plain = list(dpkg.read_status("s", STATUS))

    assert list(dpkg.read_status("s", STATUS.replace(b"\n", b"\r\n"))) == plain


def test_a_status_file_of_zeros_is_told() -> None:
    facts, sentence = gathered(dpkg.read_status("s", bytes(5000)))

    assert (facts, sentence) == ([], "a status file of dpkg is text, this is not")


@pytest.mark.parametrize(
    ("path", "is_wanted"),
    [
        ("var/lib/dpkg/status", True),
        ("var/lib/dpkg/status.d/libc6", True),
        ("var/lib/dpkg/status.d/libc6.md5sums", False),
        ("var/lib/dpkg/status-old", False),
        ("backup/var/lib/dpkg/status", False),
    ],
)
def test_only_the_database_itself_is_wanted(path: str, is_wanted: bool) -> None:  # noqa: FBT001
    assert (Router([dpkg.STATUS]).by_path(path) == [dpkg.STATUS]) is is_wanted


def test_a_list_says_which_files_a_language_would_claim() -> None:
    content = b"/.\n/usr\n/usr/bin\n/usr/bin/run\n/usr/share/doc/x/README\n/usr/lib/node_modules/x/package.json\n"

    assert list(dpkg.read_list("var/lib/dpkg/info/x.list", content)) == [
        Owned(("usr/bin/run", "usr/lib/node_modules/x/package.json"))
    ]


@pytest.mark.parametrize(
    ("content", "licences"),
    [
        (
            b"Format: x\n\nFiles: *\nLicense: GPL-2+\n text\n\nFiles: a\nLicense: Expat and BSD-3-clause\n",
            ("GPL-2.0-or-later", "MIT", "BSD-3-Clause"),
        ),
        (b"On Debian systems see /usr/share/common-licenses/GPL-3.\n", ("GPL-3.0-only",)),
        (b"All rights reserved.\n", None),
    ],
)
def test_copyright_files_name_licences(content: bytes, licences: tuple[str, ...] | None) -> None:
    found = list(dpkg.read_copyright("usr/share/doc/bash/copyright", content))

    assert found == ([PackageLicences("bash", licences)] if licences else [])


def test_red_hat_leaves_content_sets_and_builds() -> None:
    dockerfile = b'LABEL "com.redhat.component"="ubi8-container" "architecture"="x86_64"\n'

    assert list(rpm.read_manifest("x", b'{"metadata":{},"content_sets":["a","b","a"]}')) == [ContentSets(("a", "b"))]
    assert list(rpm.read_manifest("x", b"{}")) == []
    assert list(rpm.read_dockerfile("root/buildinfo/Dockerfile-ubi8-8.3-227", dockerfile)) == [
        Build("ubi8-container-8.3-227", "x86_64")
    ]
    assert list(rpm.read_dockerfile("root/buildinfo/Dockerfile-ubi8-8.3-227", b"FROM scratch\n")) == []
