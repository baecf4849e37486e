"""The rules of distributions and ecosystems, each shown by advisories made by hand."""

import pytest
from msgspec.structs import replace

from appliance.domain.moment import Timestamp
from appliance.domain.vulnerability import (
    Advisory,
    Distribution,
    Ecosystem,
    FeedRecord,
    Inventory,
    Package,
    Platform,
    PlatformKind,
    Span,
    Status,
    Vulnerability,
)
from appliance.scan.match import Matched, match
from tests.scan.memory_lookup import MemoryLookup

NOW = Timestamp(1_785_542_400_000)  # 2026-08-01

ORACLE, ROCKY, ALMA = Distribution("oracle", "8.9"), Distribution("rocky", "8.9"), Distribution("alma", "8.9")
DEBIAN, RHEL, CENTOS = Distribution("debian", "12.5"), Distribution("redhat", "8.9"), Distribution("centos", "7")

BASH = Package(Ecosystem.RPM, "bash", "5.0-1.el8", arch="x86_64")
NPM = Package(Ecosystem.NPM, "left-pad", "1.1.0")


def _match(distribution: Distribution | None, package: Package, *records: FeedRecord) -> Matched:
    return match(Inventory(distribution, (package,)), MemoryLookup(records), NOW)


def _ids(distribution: Distribution | None, package: Package, *records: FeedRecord) -> list[str]:
    return [finding.id for finding in _match(distribution, package, *records).findings]


@pytest.mark.parametrize("family", ["debian", "ubuntu", "alpine"])
def test_source_packages_name_the_advisories_where_the_distribution_builds_from_sources(family: str) -> None:
    ecosystem = Ecosystem.APK if family == "alpine" else Ecosystem.DEB
    package = Package(ecosystem, "libssl3", "9", source="openssl", source_version="3.0")
    namespace = {"debian": "debian 12", "ubuntu": "ubuntu 12.5", "alpine": "alpine 12.5"}[family]
    records = (
        Advisory(namespace, "openssl", "CVE-1", fixed="3.1"),
        Advisory(namespace, "libssl3", "CVE-2", fixed="10"),
    )

    assert _ids(Distribution(family, "12.5"), package, *records) == ["CVE-1"]


def test_photon_names_sources_but_judges_the_version_of_the_binary() -> None:
    package = Package(Ecosystem.RPM, "curl-libs", "8-1", source="curl", source_version="1-1")

    assert _ids(Distribution("photon", "4.0"), package, Advisory("photon 4.0", "curl", "CVE-1", fixed="8-1")) == []


@pytest.mark.parametrize(
    ("distribution", "namespace"), [(ORACLE, "oracle 8"), (ROCKY, "rocky 8"), (Distribution("amazon", "2"), "amazon 2")]
)
def test_binary_packages_name_the_advisories_elsewhere(distribution: Distribution, namespace: str) -> None:
    package = replace(BASH, name="bash-doc", source="bash", source_version="1-1")
    records = (
        Advisory(namespace, "bash", "CVE-1", fixed="6-1.el8"),
        Advisory(namespace, "bash-doc", "CVE-2", fixed="6-1.el8"),
    )

    assert _ids(distribution, package, *records) == ["CVE-2"]


@pytest.mark.parametrize(("arch", "ids"), [("x86_64", ["CVE-1"]), ("aarch64", []), ("noarch", [])])
@pytest.mark.parametrize(("distribution", "namespace"), [(ORACLE, "oracle 8"), (ROCKY, "rocky 8")])
def test_oracle_and_rocky_concern_the_architectures_they_name(
    distribution: Distribution, namespace: str, arch: str, ids: list[str]
) -> None:
    advisory = Advisory(namespace, "bash", "CVE-1", fixed="5.1-1.el8", arches=("x86_64",))

    assert _ids(distribution, replace(BASH, arch=arch), advisory) == ids


@pytest.mark.parametrize(("arch", "ids"), [("x86_64", ["CVE-1"]), ("aarch64", []), ("noarch", ["CVE-1"])])
def test_red_hat_takes_noarch_for_every_architecture(arch: str, ids: list[str]) -> None:
    records = (
        Platform(PlatformKind.REPOSITORY, "rhel-8-for-x86_64-baseos-rpms", (1,)),
        Advisory("redhat", "bash", "CVE-1", fixed="5.1-1.el8", arches=("x86_64",), platforms=(1,)),
    )

    assert _ids(RHEL, replace(BASH, arch=arch), *records) == ids


@pytest.mark.parametrize(
    ("installed", "fixed", "ids"),
    [
        ("2.28-100.el8", "2.28-200.el8", ["CVE-1"]),
        ("2.28-100.el8", "2:2.28-200.ksplice1.el8", []),
        ("2:2.28-100.ksplice1.el8", "2:2.28-200.ksplice1.el8", ["CVE-1"]),
        ("10:2.28-100.el8_fips", "2.28-200.el8", []),
        ("10:2.28-100.el8_fips", "10:2.28-200.el8_FIPS", ["CVE-1"]),
    ],
)
def test_oracle_compares_builds_of_one_flavour_only(installed: str, fixed: str, ids: list[str]) -> None:
    glibc = Package(Ecosystem.RPM, "glibc", installed, arch="x86_64")

    assert _ids(ORACLE, glibc, Advisory("oracle 8", "glibc", "CVE-1", fixed=fixed)) == ids


@pytest.mark.parametrize(("distribution", "namespace"), [(ALMA, "alma 8"), (RHEL, "redhat")])
def test_a_package_of_a_module_has_the_advisories_of_its_stream(distribution: Distribution, namespace: str) -> None:
    npm = replace(BASH, name="npm", module="nodejs:12:8030020201124152102:229f0a1c")
    records = (
        Platform(PlatformKind.REPOSITORY, "rhel-8-for-x86_64-baseos-rpms", (1,)),
        Advisory(namespace, "nodejs:12::npm", "CVE-1", fixed="6-1"),
        Advisory(namespace, "nodejs:14::npm", "CVE-2", fixed="6-1"),
        Advisory(namespace, "npm", "CVE-3", fixed="6-1"),
    )

    assert _ids(distribution, npm, *records) == ["CVE-1"]


@pytest.mark.parametrize(
    ("distribution", "package"),
    [
        (ALMA, replace(BASH, version="5.0-1.module_el8.6.0+2880+7d9e3703")),
        (ROCKY, replace(BASH, module="nodejs:12:8030020201124152102:229f0a1c")),
    ],
)
def test_a_package_whose_stream_cannot_be_told_is_reported_as_not_judged(
    distribution: Distribution, package: Package
) -> None:
    matched = _match(distribution, package, Advisory(f"{distribution.family} 8", "bash", "CVE-1", fixed="6-1"))

    assert matched.findings == ()
    assert [(one.id, one.package) for one in matched.unjudged] == [("", package)]


def test_keys_that_rpm_keeps_as_packages_are_not_judged() -> None:
    key = Package(Ecosystem.RPM, "gpg-pubkey", "1-1")

    assert _match(ORACLE, key, Advisory("oracle 8", "gpg-pubkey", "CVE-1", fixed="2-1")).findings == ()


def test_red_hat_takes_the_products_of_the_repositories_that_the_layer_was_built_from() -> None:
    records: tuple[FeedRecord, ...] = (
        Platform(PlatformKind.REPOSITORY, "rhel-8-for-x86_64-baseos-rpms", (1,)),
        Platform(PlatformKind.REPOSITORY, "rhel-8-eus", (2,)),
        Platform(PlatformKind.BUILD, "ubi8-8.9-1-x86_64", (3,)),
        *(Advisory("redhat", "bash", f"CVE-{one}", fixed="6-1", platforms=(one,)) for one in (1, 2, 3)),
    )

    assert _ids(RHEL, BASH, *records) == ["CVE-1"]
    assert _ids(RHEL, replace(BASH, content_sets=("rhel-8-eus",)), *records) == ["CVE-2"]
    assert _ids(RHEL, replace(BASH, build="ubi8-8.9-1", build_arch="x86_64"), *records) == ["CVE-3"]
    assert _ids(RHEL, replace(BASH, build="ubi8-9.9-9", build_arch="x86_64"), *records) == ["CVE-1"]


def test_red_hat_without_a_known_product_is_reported_as_not_judged() -> None:
    matched = _match(CENTOS, BASH, Advisory("redhat", "bash", "CVE-1", fixed="6-1", platforms=(1,)))

    assert [one.reason for one in matched.unjudged] == ["the data know no product that it could belong to"]


def test_of_several_errata_for_a_flaw_red_hats_latest_counts() -> None:
    records = (
        Platform(PlatformKind.REPOSITORY, "rhel-8-for-x86_64-baseos-rpms", (1,)),
        Advisory("redhat", "bash", "CVE-1", fixed="4.9-1.el8", vendor_ids=("RHSA-1",)),
        Advisory("redhat", "bash", "CVE-1", fixed="5.1-1.el8", vendor_ids=("RHSA-2",)),
        Advisory("redhat", "bash", "CVE-1", status=Status.AFFECTED),
    )

    [finding] = _match(RHEL, BASH, *records).findings

    assert (finding.fixed, finding.vendor_ids) == ("5.1-1.el8", ("RHSA-2",))


def test_packages_of_a_foreign_rebuild_have_no_red_hat_advisories() -> None:
    records = (
        Platform(PlatformKind.REPOSITORY, "rhel-7-server-rpms", (1,)),
        Advisory("redhat", "bash", "CVE-1", fixed="6-1"),
    )

    assert _ids(CENTOS, replace(BASH, version="5.0-1.el7.remi"), *records) == []


@pytest.mark.parametrize(
    ("advisory", "ids"),
    [
        (Advisory("debian 12", "bash", "CVE-1"), ["CVE-1"]),
        (Advisory("debian 12", "bash", "CVE-1", status=Status.WILL_NOT_FIX), ["CVE-1"]),
        (Advisory("debian 12", "bash", "CVE-1", status=Status.NOT_AFFECTED), []),
        (Advisory("debian 12", "bash", "CVE-1", introduced="5.1"), []),
        (Advisory("debian 12", "bash", "CVE-1", introduced="5.0", fixed="5.2"), ["CVE-1"]),
        (Advisory("debian 12", "bash", "CVE-1", fixed="5.0-4"), []),
        (Advisory("debian 12", "bash", "CVE-1", spans=(Span("4", "5"), Span("5.0-4", last="5.0-4"))), ["CVE-1"]),
        (Advisory("debian 12", "bash", "CVE-1", spans=(Span("4", "5"), Span("5.0-4", "5.0-4"))), []),
        (Advisory("debian 12", "bash", "CVE-1", spans=(Span("5.0-5"),)), []),
        (Advisory("debian 12", "bash", "CVE-1", vulnerable=("< 5.0-5",)), ["CVE-1"]),
        (Advisory("debian 12", "bash", "CVE-1", versions=("5.0-3", "0:5.0-4")), ["CVE-1"]),
        (Advisory("debian 12", "bash", "CVE-1", versions=("5.0-3", "?")), []),
    ],
)
def test_an_advisory_of_a_distribution_concerns_the_versions_it_names(advisory: Advisory, ids: list[str]) -> None:
    assert _ids(DEBIAN, Package(Ecosystem.DEB, "bash", "5.0-4"), advisory) == ids


@pytest.mark.parametrize(
    ("advisory", "ids"),
    [
        (Advisory("npm", "left-pad", "CVE-1", vulnerable=("<1.0.0", "<1.2.0")), ["CVE-1"]),
        (Advisory("npm", "left-pad", "CVE-1", vulnerable=("<1.2.0",), patched=("1.1.0",)), []),
        (Advisory("npm", "left-pad", "CVE-1", vulnerable=("<1.2.0",), unaffected=(">=1.1.0",)), []),
        (Advisory("npm", "left-pad", "CVE-1", patched=(">=1.2.0",)), ["CVE-1"]),
        (Advisory("npm", "left-pad", "CVE-1", patched=(">=1.1.0",)), []),
        (Advisory("npm", "left-pad", "CVE-1", spans=(Span(),)), ["CVE-1"]),
    ],
)
def test_a_language_advisory_concerns_what_is_vulnerable_and_not_safe_again(advisory: Advisory, ids: list[str]) -> None:
    assert _ids(None, NPM, advisory) == ids


@pytest.mark.parametrize(
    ("package", "advisory", "reason"),
    [
        (replace(NPM, version="01.1"), Advisory("npm", "left-pad", "CVE-1", vulnerable=("<2.0.0",)), "'01.1'"),
        (NPM, Advisory("npm", "left-pad", "CVE-1", vulnerable=("before 2",)), "'before'"),
        (NPM, Advisory("npm", "left-pad", "CVE-1", vulnerable=("<2.0.0",), patched=("?",)), "'?'"),
        (NPM, Advisory("npm", "left-pad", "CVE-1", vulnerable=("?", "<1.0.0")), "'?'"),
        (NPM, Advisory("npm", "left-pad", "CVE-1"), "names no versions"),
        (replace(NPM, version=""), Advisory("npm", "left-pad", "CVE-1", vulnerable=("<2.0.0",)), "not recorded"),
    ],
)
def test_what_cannot_be_compared_is_reported_as_not_judged(package: Package, advisory: Advisory, reason: str) -> None:
    matched = _match(None, package, advisory)

    assert matched.findings == ()
    [unjudged] = matched.unjudged
    assert (unjudged.id, unjudged.package) == ("CVE-1", package)
    assert reason in unjudged.reason


@pytest.mark.parametrize(
    ("package", "advisory"),
    [
        (replace(NPM, version="x"), Advisory("npm", "left-pad", "CVE-1", spans=(Span(),))),
        (replace(NPM, version="x"), Advisory("npm", "left-pad", "CVE-1", versions=("x",))),
        (Package(Ecosystem.DEB, "bash", "x"), Advisory("debian 12", "bash", "CVE-1")),
    ],
)
def test_an_unreadable_version_is_vulnerable_where_every_version_is_or_it_is_named_itself(
    package: Package, advisory: Advisory
) -> None:
    assert _ids(DEBIAN, package, advisory) == ["CVE-1"]


def test_one_readable_constraint_that_holds_is_enough() -> None:
    assert _ids(None, NPM, Advisory("npm", "left-pad", "CVE-1", vulnerable=("?", "<2.0.0"))) == ["CVE-1"]


@pytest.mark.parametrize(
    ("package", "name"),
    [
        (Package(Ecosystem.PYPI, "Foo__Bar.baz", "1.0"), "foo-bar-baz"),
        (Package(Ecosystem.NPM, "@Scope/Pad", "1.0.0"), "@scope/pad"),
        (Package(Ecosystem.MAVEN, "Org.Example:Lib", "1.0"), "org.example:lib"),
        (Package(Ecosystem.NUGET, "Newtonsoft.Json", "1.0"), "newtonsoft.json"),
        (Package(Ecosystem.GOLANG, "github.com/Masterminds/vcs", "v1.0"), "github.com/Masterminds/vcs"),
    ],
)
def test_a_name_is_found_in_any_spelling_that_its_ecosystem_takes_for_the_same(package: Package, name: str) -> None:
    assert _ids(None, package, Advisory(package.ecosystem.value, name, "CVE-1", vulnerable=("<2.0.0",))) == ["CVE-1"]


def test_an_archive_without_coordinates_is_reported_as_not_judged() -> None:
    archive = Package(Ecosystem.MAVEN, "lib", "1.0", sha1="0" * 40)

    matched = _match(None, archive, Advisory("maven", "org.example:lib", "CVE-1", vulnerable=("<2",)))

    assert [(one.id, one.package) for one in matched.unjudged] == [("", archive)]


def test_sources_that_name_one_flaw_by_its_aliases_make_one_finding() -> None:
    records = (
        Advisory("npm", "left-pad", "GHSA-1", "ghsa", fixed="1.2.0", vulnerable=("<1.2.0",), aliases=("CVE-1",)),
        Advisory("npm", "left-pad", "SNYK-1", "other", fixed="1.1.5", vulnerable=("<1.1.5",), aliases=("GHSA-1",)),
        Advisory("npm", "left-pad", "CVE-1", "nvd", fixed="1.3.0", vulnerable=("<1.3.0",)),
        Advisory("npm", "left-pad", "CVE-2", "nvd", fixed="1.3.0", vulnerable=("<1.3.0",)),
    )

    findings = _match(None, NPM, *records).findings

    assert [(finding.id, finding.fixed) for finding in findings] == [("CVE-1", "1.3.0"), ("CVE-2", "1.3.0")]


def test_one_package_built_for_two_architectures_makes_one_finding() -> None:
    inventory = Inventory(ORACLE, (BASH, replace(BASH, arch="i686")))

    assert len(match(inventory, MemoryLookup([Advisory("oracle 8", "bash", "CVE-1", fixed="6-1")]), NOW).findings) == 1


def test_one_package_in_two_places_makes_two_findings() -> None:
    inventory = Inventory(None, (replace(NPM, found_in="a/package.json"), replace(NPM, found_in="b/package.json")))
    lookup = MemoryLookup([Advisory("npm", "left-pad", "CVE-1", vulnerable=("<2.0.0",))])

    assert [one.package.found_in for one in match(inventory, lookup, NOW).findings] == [
        "a/package.json",
        "b/package.json",
    ]


def test_a_flaw_that_was_withdrawn_is_no_finding() -> None:
    advisory = Advisory("npm", "left-pad", "CVE-1", vulnerable=("<2.0.0",))

    assert _ids(None, NPM, advisory, Vulnerability("CVE-1", withdrawn=True)) == []


@pytest.mark.parametrize(
    ("distribution", "package", "sentence"),
    [
        (None, BASH, "the distribution is unknown, so 1 rpm packages could not be matched"),
        (Distribution("fedora", "42"), BASH, "hold nothing about fedora 42"),
        (DEBIAN, BASH, "1 rpm packages do not belong to debian 12 and could not be matched"),
        (DEBIAN, Package(Ecosystem.GEM, "rake", "1"), "hold nothing about gem packages"),
    ],
)
def test_what_the_data_do_not_cover_is_said(distribution: Distribution | None, package: Package, sentence: str) -> None:
    matched = _match(distribution, package, Advisory("debian 12", "bash", "CVE-1"), Advisory("npm", "x", "CVE-2"))

    assert matched.findings == ()
    [said] = matched.uncovered
    assert sentence in said


def test_packages_that_nobody_publishes_advisories_for_do_not_spoil_the_report() -> None:
    assert _match(None, Package(Ecosystem.CONDA, "numpy", "1.0")).uncovered == ()
