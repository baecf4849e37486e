"""Thirteen images against what they were built from, and against what two other scanners saw in them."""

from collections import Counter

import msgspec
import pytest

from appliance.domain.vulnerability import Ecosystem, Package
from tests.scan.layouts import FIXTURES, inventory

IMAGES = sorted(path.name.removesuffix(".tar.gz") for path in (FIXTURES / "recon/oci").glob("*.tar.gz"))


class System(msgspec.Struct, rename="pascal"):
    family: str
    name: str


class Installed(msgspec.Struct, rename="pascal"):
    name: str
    version: str
    release: str = ""
    epoch: int = 0
    arch: str = ""
    src_name: str = ""
    src_version: str = ""
    src_release: str = ""
    src_epoch: int = 0
    licenses: list[str] = []


class Expected(msgspec.Struct):
    os: System
    packages: list[Installed]


def version(epoch: int, text: str, release: str) -> str:
    return (f"{epoch}:" if epoch else "") + text + (f"-{release}" if release else "")


def test_there_are_twelve_images() -> None:
    assert len(IMAGES) == 12


@pytest.mark.parametrize("image", IMAGES)
def test_the_packages_of_an_image_are_those_it_was_built_from(image: str) -> None:
    expected = msgspec.json.decode((FIXTURES / f"recon/expected/{image}.json").read_bytes(), type=Expected)

    found = inventory(FIXTURES / f"recon/oci/{image}.tar.gz")

    installed = Counter(
        (
            package.name,
            version(package.epoch, package.version, package.release),
            package.src_name or package.name,
            version(package.src_epoch, package.src_version, package.src_release)
            or version(package.epoch, package.version, package.release),
        )
        for package in expected.packages
    )
    assert installed == Counter(
        (package.name, package.version, package.source or package.name, package.source_version or package.version)
        for package in found.packages
    )
    assert found.distribution is not None
    assert (found.distribution.family, found.distribution.version) == (expected.os.family, expected.os.name)
    assert found.limits == ()
    assert all(package.purl.startswith("pkg:") and package.layer.startswith("sha256:") for package in found.packages)


@pytest.mark.parametrize("image", ["amazon-2", "fedora-35", "opensuse-leap-151", "photon-30", "suse-15.3_ndb", "ubi-7"])
def test_architecture_and_licence_are_those_that_rpm_recorded(image: str) -> None:
    expected = msgspec.json.decode((FIXTURES / f"recon/expected/{image}.json").read_bytes(), type=Expected)

    found = inventory(FIXTURES / f"recon/oci/{image}.tar.gz")

    # "None" is how the other scanner prints that there is no architecture.
    recorded = {package.name: package.arch.replace("None", "") for package in expected.packages}
    assert {package.name: package.arch for package in found.packages} == recorded


LISTED = {
    "deb": Ecosystem.DEB,
    "python": Ecosystem.PYPI,
    "npm": Ecosystem.NPM,
    "java-archive": Ecosystem.MAVEN,
    "php-composer": Ecosystem.COMPOSER,
}


def written(package: Package) -> tuple[str, str, str, str]:
    """Return a package as the other scanner writes it: Python names normalised, Maven's without the group."""
    name = package.name.partition(":")[2] or package.name
    if package.ecosystem is Ecosystem.PYPI:
        name = name.lower().replace("_", "-")
    return package.ecosystem.value, name, package.version, package.found_in


def test_the_language_packages_are_those_that_another_scanner_lists() -> None:
    rows = msgspec.json.decode((FIXTURES / "lang/syft-packages.json").read_bytes(), type=list[tuple[str, ...]])
    listed = Counter((LISTED[row[0]].value, row[1], row[2], row[4].lstrip("/")) for row in rows)

    found = inventory(FIXTURES / "lang/lang-image.tar.gz")

    # The other scanner reads no deps.json without its program beside it.
    only_here = [package for package in found.packages if package.ecosystem is Ecosystem.NUGET]
    assert [(package.name, package.version) for package in only_here] == [("Newtonsoft.Json", "9.0.1")]
    assert Counter(written(package) for package in found.packages if package not in only_here) == listed
    assert len(rows) == 574


def test_package_urls_are_those_of_another_scanner() -> None:
    rows = msgspec.json.decode((FIXTURES / "lang/syft-packages.json").read_bytes(), type=list[tuple[str, ...]])
    # It names the distribution by its major version and leaves the point release out.
    listed = {row[3] for row in rows if row[0] in ("deb", "npm", "python", "php-composer")}

    found = inventory(FIXTURES / "lang/lang-image.tar.gz")

    ours = {
        package.purl.replace("distro=debian-12.5", "distro=debian-12")
        for package in found.packages
        if package.ecosystem in (Ecosystem.DEB, Ecosystem.NPM, Ecosystem.PYPI, Ecosystem.COMPOSER)
    }
    assert ours == listed


def test_jars_are_named_by_group_where_something_names_it_and_by_sha1_where_only_their_bytes_do() -> None:
    rows = msgspec.json.decode((FIXTURES / "dense/expected/lang-image.json").read_bytes(), type=dict[str, object])
    results = msgspec.convert(rows["results"], list[dict[str, object]])
    jars = next(result for result in results if result["type"] == "jar")
    known = {tuple(row[:2]) for row in msgspec.convert(jars["packages"], list[tuple[str, str, str]])}

    found = inventory(FIXTURES / "lang/lang-image.tar.gz")

    ours = {
        (package.name, package.version): package.sha1
        for package in found.packages
        if package.ecosystem is Ecosystem.MAVEN
    }
    assert {name for name, sha1 in ours.items() if not sha1} <= known
    guessed = {name for name, sha1 in ours.items() if sha1}
    assert guessed <= known, guessed - known
    assert all(len(sha1) == 40 for sha1 in ours.values() if sha1)
