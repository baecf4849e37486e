"""The import of Trivy's database: each kind of bucket, other schemas, broken records."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.domain.moment import from_datetime
from appliance.domain.vulnerability import (
    Advisory,
    Cvss,
    FeedRecord,
    Platform,
    PlatformKind,
    Severity,
    Span,
    Status,
    VendorSeverity,
    Vulnerability,
)
from appliance.errors import FeedInvalid
from appliance.scan.feeds import trivy
from tests.scan import bolt_file
from tests.scan.expected import FIXTURES

SMALL = (FIXTURES / "trivy-db/trivy.db").read_bytes()


def _read(tree: bolt_file.Tree) -> list[FeedRecord]:
    return list(trivy.read(bolt_file.write(tree)))


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)


def test_the_metadata_of_schema_2_tell_how_old_the_data_are() -> None:
    metadata = trivy.read_metadata((FIXTURES / "trivy-db/metadata.json").read_bytes())

    assert metadata.updated_at == datetime(2026, 8, 1, tzinfo=UTC)


@pytest.mark.parametrize("version", [0, 1, 3])
def test_another_schema_is_refused_by_number(version: int) -> None:
    body = _json({"Version": version, "UpdatedAt": "2026-08-01T00:00:00Z"})

    with pytest.raises(FeedInvalid, match=f"schema {version}; this program reads schema 2"):
        trivy.read_metadata(body)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"Version": "two"}', b"\xff"])
def test_metadata_that_say_nothing_are_refused(body: bytes) -> None:
    with pytest.raises(FeedInvalid, match=r"metadata\.json"):
        trivy.read_metadata(body)


@pytest.mark.parametrize(
    ("bucket", "namespace"),
    [
        ("alpine 3.10", "alpine 3.10"),
        ("alpine edge", "alpine edge"),
        ("debian 12", "debian 12"),
        ("ubuntu 22.04", "ubuntu 22.04"),
        ("amazon linux 2023", "amazon 2023"),
        ("Oracle Linux 8", "oracle 8"),
        ("Photon OS 4.0", "photon 4.0"),
        ("rocky 9", "rocky 9"),
        ("alma 9", "alma 9"),
        ("SUSE Linux Enterprise 15.3", "sles 15.3"),
        ("SUSE Linux Enterprise 15-SP3", "sles 15.3"),
        ("SUSE Linux Enterprise 12", "sles 12"),
        ("SUSE Linux Enterprise Micro 5.3", "sle-micro 5.3"),
        ("openSUSE Leap 15.6", "opensuse-leap 15.6"),
        ("openSUSE Tumbleweed", "opensuse-tumbleweed"),
        ("CBL-Mariner 2.0", "cbl-mariner 2.0"),
        ("Azure Linux 3.0", "azure 3.0"),
        ("wolfi", "wolfi"),
    ],
)
def test_a_distribution_gets_one_namespace_whatever_its_bucket_is_called(bucket: str, namespace: str) -> None:
    [advisory] = _read({bucket.encode(): {b"bash": {b"CVE-1": b'{"FixedVersion": "5.0-1"}'}}})

    assert isinstance(advisory, Advisory)
    assert (advisory.namespace, advisory.name, advisory.id, advisory.fixed) == (namespace, "bash", "CVE-1", "5.0-1")


def test_buckets_of_ecosystems_without_a_detector_are_left_out() -> None:
    assert _read({b"k8s::feed": {b"kubelet": {b"CVE-1": b"{}"}}, b"trivy": {b"x": {b"y": b"{}"}}}) == []


def test_an_advisory_of_a_distribution_keeps_what_its_vendor_says() -> None:
    source = _json({"ID": "debian", "Name": "Debian Security Tracker"})
    value = {"Severity": 1.0, "Status": 7, "VendorIDs": ["DSA-1"], "AffectedVersion": "1.0"}

    [advisory] = _read({b"data-source": {b"debian 9": source}, b"debian 9": {b"bash": {b"CVE-1": _json(value)}}})

    assert advisory == Advisory(
        "debian 9",
        "bash",
        "CVE-1",
        "debian",
        introduced="1.0",
        severity=Severity.LOW,
        status=Status.END_OF_LIFE,
        vendor_ids=("DSA-1",),
    )


def test_an_advisory_with_entries_is_one_for_each() -> None:
    entries = [{"FixedVersion": "0:1-1", "Arches": ["x86_64"]}, {"FixedVersion": "1-2", "Arches": ["aarch64"]}]

    found = _read({b"rocky 8": {b"bash": {b"CVE-1": _json({"FixedVersion": "1-2", "Entries": entries})}}})

    assert [(one.fixed, one.arches) for one in found if isinstance(one, Advisory)] == [
        ("1-1", ("x86_64",)),
        ("1-2", ("aarch64",)),
    ]


def test_an_erratum_of_red_hat_is_an_advisory_for_each_flaw_it_mends() -> None:
    erratum = {
        "Entries": [
            {
                "Affected": [7, 9],
                "Cves": [{"ID": "CVE-1", "Severity": 3}, {"ID": "CVE-2"}],
                "FixedVersion": "0:1-1.el8",
                "Arches": ["x86_64"],
            }
        ]
    }
    unfixed = {"Entries": [{"Affected": [7], "Cves": [{"Severity": 2}], "Status": 5}]}

    found = _read({b"Red Hat": {b"perl:5.26::perl": {b"RHSA-1": _json(erratum), b"CVE-3": _json(unfixed)}}})

    assert found == [
        Advisory(
            "redhat",
            "perl:5.26::perl",
            "CVE-3",
            "redhat",
            severity=Severity.MEDIUM,
            status=Status.WILL_NOT_FIX,
            platforms=(7,),
        ),
        Advisory(
            "redhat",
            "perl:5.26::perl",
            "CVE-1",
            "redhat",
            fixed="1-1.el8",
            severity=Severity.HIGH,
            arches=("x86_64",),
            vendor_ids=("RHSA-1",),
            platforms=(7, 9),
        ),
        Advisory(
            "redhat",
            "perl:5.26::perl",
            "CVE-2",
            "redhat",
            fixed="1-1.el8",
            arches=("x86_64",),
            vendor_ids=("RHSA-1",),
            platforms=(7, 9),
        ),
    ]


def test_the_platforms_of_red_hat_are_found_by_repository_and_build() -> None:
    tree = {b"repository": {b"rhel-8": b"[1,2]"}, b"nvr": {b"ubi8-1-x86_64": b"[3]"}, b"cpe": {b"1": b'"cpe:/o:x"'}}

    assert _read({b"Red Hat CPE": tree}) == [
        Platform(PlatformKind.BUILD, "ubi8-1-x86_64", (3,)),
        Platform(PlatformKind.REPOSITORY, "rhel-8", (1, 2)),
    ]


def test_a_language_advisory_keeps_its_constraints_and_says_what_mends_it() -> None:
    value = {"VulnerableVersions": [">= 1.0, < 1.5", "< 0.9", "<= 2.0"], "UnaffectedVersions": ["=1.4"]}

    [advisory] = _read({b"pip::Some Source": {b"Foo_Bar": {b"CVE-1": _json(value)}}})

    assert advisory == Advisory(
        "pypi",
        "foo-bar",
        "CVE-1",
        "Some Source",
        fixed="1.5, 0.9",
        vulnerable=(">= 1.0, < 1.5", "< 0.9", "<= 2.0"),
        unaffected=("=1.4",),
    )


@pytest.mark.parametrize(
    "value",
    [
        {"VulnerableVersions": ["", "<1.0.0"]},
        {"PatchedVersions": [""]},
        {"VulnerableVersions": [""], "PatchedVersions": ["1.0.0"], "UnaffectedVersions": ["2.0.0"]},
    ],
)
def test_an_empty_constraint_means_every_version(value: dict[str, list[str]]) -> None:
    [advisory] = _read({b"npm::x": {b"left-pad": {b"CVE-1": _json(value)}}})

    assert isinstance(advisory, Advisory)
    assert (advisory.spans, advisory.vulnerable, advisory.patched, advisory.unaffected) == ((Span(),), (), (), ())


def test_what_is_known_of_an_id_is_kept_with_all_opinions() -> None:
    detail = {
        "Title": "title",
        "Description": "text",
        "Severity": "HIGH",
        "VendorSeverity": {"nvd": 4, "ubuntu": 1.0, "photon": 0},
        "CVSS": {"nvd": {"V3Vector": "CVSS:3.1/...", "V3Score": 9.8, "V2Vector": "AV:N", "V2Score": 7.5}},
        "CweIDs": ["CWE-1"],
        "References": ["https://example.com"],
        "PublishedDate": "2020-01-02T03:04:05Z",
        "LastModifiedDate": "0001-01-01T00:00:00Z",
    }

    assert _read({b"vulnerability": {b"CVE-1": _json(detail)}}) == [
        Vulnerability(
            "CVE-1",
            "title",
            "text",
            Severity.HIGH,
            (VendorSeverity("nvd", Severity.CRITICAL), VendorSeverity("ubuntu", Severity.LOW)),
            (Cvss("nvd", "2", "AV:N", 7.5), Cvss("nvd", "3", "CVSS:3.1/...", 9.8)),
            ("CWE-1",),
            ("https://example.com",),
            published_at=from_datetime(datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
        )
    ]


@pytest.mark.parametrize(
    ("tree", "place"),
    [
        ({b"debian 12": {b"bash": {b"CVE-1": b"{"}}}, "debian 12 / bash / CVE-1"),
        ({b"debian 12": {b"bash": {b"CVE-1": b'{"FixedVersion": 1}'}}}, "debian 12 / bash / CVE-1"),
        ({b"debian 12": {b"bash": b"{}"}}, "where a package belongs"),
        ({b"debian 12": {b"bash": {b"CVE-1": {b"x": b"{}"}}}}, "where a value belongs"),
        ({b"debian 12": b"{}"}, "where a bucket belongs"),
        ({b"vulnerability": {b"CVE-1": b"[]"}}, "vulnerability / CVE-1"),
        ({b"vulnerability": {b"CVE-1": b'{"Severity": "HIGH", "VendorSeverity": {"x": "y"}}'}}, "vulnerability / CVE"),
        ({b"Red Hat CPE": {b"nvr": {b"x": b"{}"}}}, "Red Hat CPE / x"),
    ],
)
def test_a_broken_record_is_refused_with_its_place(tree: bolt_file.Tree, place: str) -> None:
    with pytest.raises(FeedInvalid, match=place):
        _read(tree)


@settings(deadline=None)
@given(data=st.data())
def test_a_damaged_database_is_read_or_refused(data: st.DataObject) -> None:
    broken = bytearray(SMALL)
    for _change in range(data.draw(st.integers(1, 40))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))

    try:
        records = sum(1 for _record in trivy.read(bytes(broken)))
    except FeedInvalid:
        return
    assert records < 10_000
