"""Two sources about one id."""

import pytest
from msgspec.structs import replace

from appliance.domain.moment import Timestamp
from appliance.domain.vulnerability import Cvss, Severity, VendorSeverity, Vulnerability
from appliance.scan.feeds.merging import merge

NVD = Vulnerability(
    "CVE-1",
    "",
    "long text",
    Severity.HIGH,
    (VendorSeverity("nvd", Severity.HIGH), VendorSeverity("ghsa", Severity.LOW)),
    (Cvss("nvd", "3", "CVSS:3.1/x", 7.5),),
    references=("https://a.example", "https://b.example"),
    published_at=Timestamp(1),
)
GHSA = Vulnerability(
    "CVE-1",
    "title",
    "short text",
    vendor_severities=(VendorSeverity("ghsa", Severity.MEDIUM),),
    cwes=("CWE-79",),
    references=("https://b.example", "https://c.example"),
    aliases=("GHSA-1",),
    epss=0.5,
    known_exploited=True,
)


def test_both_are_heard_and_the_first_counts_where_they_differ() -> None:
    assert merge(NVD, GHSA) == Vulnerability(
        "CVE-1",
        "title",
        "long text",
        Severity.HIGH,
        (VendorSeverity("nvd", Severity.HIGH), VendorSeverity("ghsa", Severity.LOW)),
        (Cvss("nvd", "3", "CVSS:3.1/x", 7.5),),
        ("CWE-79",),
        ("https://a.example", "https://b.example", "https://c.example"),
        ("GHSA-1",),
        published_at=Timestamp(1),
        epss=0.5,
        known_exploited=True,
    )


def test_a_record_merged_with_itself_stays_as_it_is() -> None:
    assert merge(GHSA, GHSA) == GHSA


@pytest.mark.parametrize(("one", "other", "both"), [(True, True, True), (True, False, False), (False, True, False)])
def test_an_id_is_withdrawn_only_if_all_say_so(*, one: bool, other: bool, both: bool) -> None:
    assert merge(replace(NVD, withdrawn=one), replace(GHSA, withdrawn=other)).withdrawn is both
