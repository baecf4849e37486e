"""The images of tests/fixtures/scan with the packages they hold and the findings that another scanner saw in them."""

import gzip
from collections import Counter
from pathlib import Path

import msgspec

from appliance.domain.vulnerability import Distribution, Ecosystem, Finding, Inventory, Package
from appliance.scan.feeds import trivy
from tests.scan.memory_lookup import MemoryLookup

FIXTURES = Path(__file__).parents[1] / "fixtures/scan"

Row = tuple[str | None, ...]  # id, package, installed, fixed, severity, status[, path]

_ECOSYSTEMS = {"alpine": Ecosystem.APK, "debian": Ecosystem.DEB, "ubuntu": Ecosystem.DEB}  # the others have rpm
_TYPES = {
    "debian": Ecosystem.DEB,
    "jar": Ecosystem.MAVEN,
    "node-pkg": Ecosystem.NPM,
    "python-pkg": Ecosystem.PYPI,
    "dotnet-core": Ecosystem.NUGET,
    "composer-vendor": Ecosystem.COMPOSER,
}


class _System(msgspec.Struct, rename="pascal"):
    family: str
    name: str
    is_over: bool | None = msgspec.field(name="EOSL", default=None)


class _Build(msgspec.Struct, rename="pascal"):
    nvr: str
    arch: str


class _Installed(msgspec.Struct, rename="pascal"):
    name: str
    version: str
    release: str = ""
    epoch: int = 0
    arch: str = ""
    src_name: str = ""
    src_version: str = ""
    src_release: str = ""
    src_epoch: int = 0
    build_info: _Build | None = None


class _Found(msgspec.Struct, rename="pascal"):
    id: str = msgspec.field(name="VulnerabilityID")
    package: str = msgspec.field(name="PkgName")
    installed_version: str
    fixed_version: str | None
    severity: str
    status: str
    severity_source: str | None = None


class Recon(msgspec.Struct):
    """An image rebuilt from a list of packages."""

    image: str
    os: _System
    packages: list[_Installed]
    vulnerabilities: list[_Found] | None = None


class _Target(msgspec.Struct):
    type: str
    packages: list[tuple[str, str, str | None]] | None
    vulns: list[tuple[str, str, str, str | None, str, str, str | None]]


class _Dense(msgspec.Struct):
    os: _System
    results: list[_Target]


RECON_IMAGES = sorted(path.stem for path in (FIXTURES / "recon/expected").glob("*.json"))


def trivy_lookup() -> MemoryLookup:
    """The small database of real advisories."""
    return MemoryLookup(trivy.read((FIXTURES / "trivy-db/trivy.db").read_bytes()))


def dense_database() -> bytes:
    """The database of advisories that lie close around what is installed."""
    return gzip.decompress((FIXTURES / "dense/trivy.db.gz").read_bytes())


def recon(image: str) -> Recon:
    """A rebuilt image."""
    return msgspec.json.decode((FIXTURES / f"recon/expected/{image}.json").read_bytes(), type=Recon)


def recon_inventory(image: Recon) -> Inventory:
    """What a scan of a rebuilt image reads."""
    ecosystem = _ECOSYSTEMS.get(image.os.family, Ecosystem.RPM)
    packages = tuple(
        Package(
            ecosystem,
            one.name,
            _version(one.epoch, one.version, one.release),
            source=one.src_name,
            source_version=_version(one.src_epoch, one.src_version, one.src_release),
            arch=one.arch,
            build=one.build_info.nvr if one.build_info else "",
            build_arch=one.build_info.arch if one.build_info else "",
        )
        for one in image.packages
    )
    return Inventory(Distribution(image.os.family, image.os.name), packages)


def _version(epoch: int, version: str, release: str) -> str:
    return (f"{epoch}:" if epoch else "") + version + (f"-{release}" if release else "")


def recon_rows(image: Recon) -> Counter[Row]:
    """The findings of a rebuilt image with the small database."""
    return Counter(
        (one.id, one.package, one.installed_version, one.fixed_version, one.severity, one.status)
        for one in image.vulnerabilities or ()
    )


def _dense(image: str) -> _Dense:
    return msgspec.json.decode((FIXTURES / f"dense/expected/{image}.json").read_bytes(), type=_Dense)


def dense_rows(image: str) -> Counter[Row]:
    """The findings of an image with the dense database."""
    return Counter(row for target in _dense(image).results for row in target.vulns)


def language_inventory() -> Inventory:
    """The image of language packages, as the other scanner read it."""
    image = _dense("lang-image")
    packages = tuple(
        Package(_TYPES[target.type], name, version, found_in=path or "")
        for target in image.results
        for name, version, path in target.packages or ()
    )
    return Inventory(Distribution(image.os.family, image.os.name), packages)


def row(finding: Finding, *, with_path: bool = False) -> Row:
    """A finding in the words of the other scanner."""
    severity, fixed = finding.severity.value.upper(), finding.fixed or None
    start = (finding.id, finding.package.name, finding.package.version, fixed, severity, finding.status.value)
    return (*start, finding.package.found_in or None) if with_path else start
