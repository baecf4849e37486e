"""The import of a Grype database made from real records of distributions."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.domain.moment import Timestamp
from appliance.domain.vulnerability import (
    Advisory,
    Cvss,
    Distribution,
    Ecosystem,
    Inventory,
    Package,
    Severity,
    Span,
    Status,
    VendorSeverity,
    Vulnerability,
)
from appliance.errors import FeedInvalid
from appliance.scan.feeds import grype
from appliance.scan.feeds.grype import AffectedRow, VulnerabilityRow
from appliance.scan.match import match
from tests.scan.expected import FIXTURES
from tests.scan.feeds.grype_file import GrypeFile, read_flaws
from tests.scan.memory_lookup import MemoryLookup

NOW = Timestamp(1_785_542_400_000)  # 2026-08-01

BIND_8 = Package(Ecosystem.RPM, "bind", "32:9.11.36-3.el8", arch="x86_64")
BIND_LIBS_8 = Package(
    Ecosystem.RPM, "bind-libs", "32:9.11.36-3.el8", source="bind", source_version="32:9.11.36-3.el8", arch="x86_64"
)

ROW = AffectedRow("CVE-1", "alpine", "active", b"{}", "apk", "bind", "alpine", "3", "20", "", "", b"{}")


@pytest.fixture(scope="module")
def database() -> GrypeFile:
    made = GrypeFile()
    for flaw in read_flaws((FIXTURES / "distro/vunnel.jsonl").read_bytes().splitlines()):
        made.add(flaw)
    return made


@pytest.fixture(scope="module")
def lookup(database: GrypeFile) -> MemoryLookup:
    return MemoryLookup(
        [*grype.read_affected(database.affected()), *grype.read_vulnerabilities(database.vulnerabilities())]
    )


def _row(**fields: object) -> AffectedRow:
    return AffectedRow(**{**{name: getattr(ROW, name) for name in ROW.__struct_fields__}, **fields})


def _findings(lookup: MemoryLookup, distribution: Distribution, package: Package) -> list[tuple[str, str]]:
    return [(finding.id, finding.fixed) for finding in match(Inventory(distribution, (package,)), lookup, NOW).findings]


def test_model_6_is_read_and_no_other() -> None:
    grype.check_model(6)
    with pytest.raises(FeedInvalid, match="model 5; this program reads model 6"):
        grype.check_model(5)


def test_every_package_of_the_real_records_is_read(database: GrypeFile) -> None:
    advisories = list(grype.read_affected(database.affected()))

    assert len(advisories) == 408
    assert {"alpine 3.18", "debian 12", "ubuntu 22.04", "wolfi", "redhat 8 *", "oracle 7 *", "sles 15.7 *"} <= {
        advisory.namespace for advisory in advisories
    }


@pytest.mark.parametrize(
    ("distribution", "package", "findings"),
    [
        (
            Distribution("alpine", "3.18.2"),
            Package(Ecosystem.APK, "bind-libs", "9.18.6-r0", source="bind", source_version="9.18.6-r0"),
            [("CVE-2022-38178", "9.18.7-r0")],
        ),
        (Distribution("alpine", "3.18.2"), Package(Ecosystem.APK, "bind", "9.18.7-r0"), []),
        (
            Distribution("debian", "11"),
            Package(Ecosystem.DEB, "bind9-libs", "1:9.16.27-1~deb11u1", source="bind9"),
            [("CVE-2022-38178", "1:9.16.33-1~deb11u1")],
        ),
        (
            Distribution("ubuntu", "20.04"),
            Package(Ecosystem.DEB, "bind9", "1:9.16.1-0ubuntu2.10"),
            [("CVE-2022-38178", "1:9.16.1-0ubuntu2.11")],
        ),
        (Distribution("redhat", "8.6"), BIND_8, [("CVE-2022-38178", "32:9.11.36-3.el8_6.1")]),
        (Distribution("redhat", "8.6"), BIND_LIBS_8, [("CVE-2022-38178", "32:9.11.36-3.el8_6.1")]),
        (Distribution("centos", "8"), BIND_LIBS_8, [("CVE-2022-38178", "32:9.11.36-3.el8_6.1")]),
        (Distribution("alma", "8.6"), BIND_8, [("CVE-2022-38178", "32:9.11.36-3.el8_6.1")]),
        (Distribution("rocky", "8.6"), BIND_8, [("CVE-2022-38178", "32:9.11.36-3.el8_6.1")]),
        (
            Distribution("oracle", "10.0"),
            Package(Ecosystem.RPM, "libsoup3", "3.6.5-3.el10_0.6", arch="x86_64"),
            [("CVE-2025-4945", "3.6.5-3.el10_0.9")],
        ),
    ],
)
def test_a_package_has_the_findings_of_its_release(
    lookup: MemoryLookup, distribution: Distribution, package: Package, findings: list[tuple[str, str]]
) -> None:
    found = _findings(lookup, distribution, package)

    assert [finding for finding in found if finding[0] in {"CVE-2022-38178", "CVE-2025-4945"}] == findings


def test_a_release_without_data_is_named(lookup: MemoryLookup) -> None:
    matched = match(Inventory(Distribution("oracle", "6"), (BIND_8,)), lookup, NOW)

    assert matched.uncovered == ("the vulnerability data hold nothing about oracle 6; the image has 1 packages of it",)


def test_paid_extensions_of_a_release_are_left_out() -> None:
    assert (
        list(grype.read_affected([_row(system="redhat", ecosystem="rpm", major="9", minor="4", channel="eus")])) == []
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "rejected"},
        {"ecosystem": "hex", "system": ""},
        {"system": ""},
        {"blob": b'{"qualifiers": {"platform_cpes": ["cpe:2.3:*"]}}'},
        {"blob": b'{"qualifiers": {"rootio": true}}'},
    ],
)
def test_what_is_no_flaw_of_a_package_we_know_is_left_out(fields: dict[str, object]) -> None:
    assert list(grype.read_affected([_row(**fields)])) == []


@pytest.mark.parametrize(
    ("constraint", "spans", "constraints"),
    [
        (b"", (Span(),), ()),
        (b"< 1.2", (Span("", "1.2"),), ()),
        (b"<1.2", (Span("", "1.2"),), ()),
        (b">= 1.0, < 1.2 || = 3.0", (Span("1.0", "1.2"), Span("3.0", last="3.0")), ()),
        (b">=1.0,<=1.2", (Span("1.0", last="1.2"),), ()),
        (b"> 1.0, < 1.2", (), ("> 1.0, < 1.2",)),
        (b"1.2", (Span("1.2", last="1.2"),), ()),
        (b"< 1.2 odd", (), ("< 1.2 odd",)),
        (b"< 1.2 || > 2.0", (), ("< 1.2 || > 2.0",)),
    ],
)
def test_a_constraint_is_kept_as_spans_where_spans_can_say_it(
    constraint: bytes, spans: tuple[Span, ...], constraints: tuple[str, ...]
) -> None:
    blob = b'{"ranges": [{"version": {"constraint": "' + constraint + b'"}}]}'

    [advisory] = grype.read_affected([_row(blob=blob)])

    assert (advisory.spans, advisory.vulnerable) == (spans, constraints)


def test_the_words_of_the_vendor_are_kept() -> None:
    blob = b'{"ranges": [{"version": {"constraint": ""}, "fix": {"state": "wont-fix"}}]}'
    told = b'{"severities": [{"scheme": "CHMLN", "value": "negligible"}]}'

    [advisory] = grype.read_affected([_row(blob=blob, vulnerability_blob=told)])

    assert (advisory.severity, advisory.status) == (Severity.NEGLIGIBLE, Status.WILL_NOT_FIX)


def test_an_erratum_counts_for_each_flaw_it_mends() -> None:
    told = b'{"aliases": ["CVE-1", "CVE-2"]}'

    advisories = list(grype.read_affected([_row(vulnerability="ELSA-1", vulnerability_blob=told)]))

    assert [(one.id, one.vendor_ids, one.aliases) for one in advisories] == [
        ("CVE-1", ("ELSA-1",), ()),
        ("CVE-2", ("ELSA-1",), ()),
    ]


def test_a_language_advisory_goes_by_its_cve() -> None:
    [advisory] = grype.read_affected(
        [
            _row(
                vulnerability="GHSA-1",
                provider="github",
                ecosystem="python",
                package="Foo_Bar",
                system="",
                vulnerability_blob=b'{"aliases": ["CVE-1"]}',
                blob=b'{"ranges": [{"version": {"constraint": "<2.0"}, "fix": {"version": "2.0", "state": "fixed"}}]}',
            )
        ]
    )

    assert advisory == Advisory(
        "pypi",
        "foo-bar",
        "CVE-1",
        "ghsa",
        fixed="2.0",
        spans=(Span("", "2.0"),),
        status=Status.FIXED,
        vendor_ids=("GHSA-1",),
        aliases=("GHSA-1",),
    )


@pytest.mark.parametrize(
    ("architecture", "ids"),
    [("x86_64", ["CVE-1"]), ("aarch64", []), ("src", []), ("binary-no-arch-specified", ["CVE-1"])],
)
def test_a_fix_for_one_architecture_concerns_that(architecture: str, ids: list[str]) -> None:
    blob = f'{{"qualifiers": {{"architecture": "{architecture}"}}}}'.encode()
    row = _row(ecosystem="rpm", system="redhat", major="8", minor="", blob=blob)

    found = _findings(MemoryLookup(grype.read_affected([row])), Distribution("redhat", "8.6"), BIND_8)

    assert [identity for identity, _fixed in found] == ids


def test_an_advisory_of_a_module_concerns_packages_of_that_module() -> None:
    blob = b'{"qualifiers": {"rpm_modularity": "nodejs:12"}}'
    lookup = MemoryLookup(
        grype.read_affected([_row(ecosystem="rpm", package="npm", system="redhat", major="8", minor="", blob=blob)])
    )
    npm = Package(Ecosystem.RPM, "npm", "6-1", module="nodejs:12:8030020201124152102:229f0a1c")

    assert len(_findings(lookup, Distribution("redhat", "8.6"), npm)) == 1
    assert _findings(lookup, Distribution("redhat", "8.6"), Package(Ecosystem.RPM, "npm", "6-1")) == []


def test_what_a_provider_says_of_an_id_is_kept() -> None:
    blob = (
        b'{"description": "text", "refs": [{"url": "https://example.com"}], "severities": ['
        b'{"scheme": "CHMLN", "value": "high"}, '
        b'{"scheme": "CVSS", "value": {"vector": "CVSS:3.1/x", "version": "3.1"}}]}'
    )
    row = VulnerabilityRow("CVE-1", "rhel", "active", "2020-01-01 00:00:00+00:00", "", "", blob)

    assert list(grype.read_vulnerabilities([row])) == [
        Vulnerability(
            "CVE-1",
            description="text",
            vendor_severities=(VendorSeverity("redhat", Severity.HIGH),),
            cvss=(Cvss("redhat", "3", "CVSS:3.1/x"),),
            references=("https://example.com",),
            published_at=Timestamp(1_577_836_800_000),
        )
    ]


@pytest.mark.parametrize(("status", "withdrawn"), [("rejected", ""), ("active", "2020-01-01 00:00:00+00:00")])
def test_an_id_that_was_taken_back_is_marked(status: str, withdrawn: str) -> None:
    [vulnerability] = grype.read_vulnerabilities([VulnerabilityRow("CVE-1", "nvd", status, "", "", withdrawn, b"{}")])

    assert vulnerability.withdrawn


def test_exploitation_is_read() -> None:
    assert list(grype.read_exploitation([("CVE-1", 0.97)], ["CVE-2"])) == [
        Vulnerability("CVE-1", epss=0.97),
        Vulnerability("CVE-2", known_exploited=True),
    ]


@pytest.mark.parametrize("fields", [{"blob": b"["}, {"vulnerability_blob": b"[]"}, {"blob": b'{"ranges": 1}'}])
def test_a_broken_blob_is_refused_with_its_place(fields: dict[str, object]) -> None:
    with pytest.raises(FeedInvalid, match="broken at CVE-1"):
        list(grype.read_affected([_row(**fields)]))


@settings(deadline=None)
@given(st.text(alphabet="<>=|, 0.1abv", max_size=30))
def test_any_constraint_is_kept_in_some_form(constraint: str) -> None:
    blob = f'{{"ranges": [{{"version": {{"constraint": "{constraint}"}}}}]}}'.encode()

    [advisory] = grype.read_affected([_row(blob=blob)])

    assert advisory.spans or advisory.vulnerable
