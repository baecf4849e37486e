"""Whose word counts for a severity, a score, a status."""

import pytest
from msgspec.structs import replace

from appliance.domain.vulnerability import (
    Advisory,
    Cvss,
    Ecosystem,
    Package,
    Severity,
    Status,
    VendorSeverity,
    Vulnerability,
)
from appliance.scan.matching.rating import finding, level
from appliance.scan.matching.verdict import Hit

BASH = Package(Ecosystem.DEB, "bash", "5.0-4")
CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


ADVISORY = Advisory("debian 12", "bash", "CVE-1", "debian")


def _hit(advisory: Advisory = ADVISORY) -> Hit:
    return Hit(BASH, advisory)


def test_the_vendors_word_on_this_package_counts_before_all() -> None:
    known = Vulnerability("CVE-1", vendor_severities=(VendorSeverity("debian", Severity.HIGH),))

    found = finding(_hit(replace(ADVISORY, severity=Severity.NEGLIGIBLE)), known)

    assert (found.severity, found.severity_source) == (Severity.NEGLIGIBLE, "debian")


def test_the_vendors_word_on_the_id_counts_before_the_database_of_all() -> None:
    known = Vulnerability(
        "CVE-1", vendor_severities=(VendorSeverity("nvd", Severity.CRITICAL), VendorSeverity("debian", Severity.LOW))
    )

    assert finding(_hit(), known).severity is Severity.LOW


@pytest.mark.parametrize(("name", "severity"), [("GHSA-1", Severity.HIGH), ("CVE-1", Severity.MEDIUM)])
def test_where_the_vendor_is_silent_the_source_of_the_id_speaks(name: str, severity: Severity) -> None:
    known = Vulnerability(
        name, vendor_severities=(VendorSeverity("nvd", Severity.MEDIUM), VendorSeverity("ghsa", Severity.HIGH))
    )

    assert finding(_hit(replace(ADVISORY, id=name)), known).severity is severity


def test_another_vendors_severity_is_the_next_to_last_resort_and_names_nobody() -> None:
    known = Vulnerability("CVE-1", severity=Severity.HIGH, vendor_severities=(VendorSeverity("ubuntu", Severity.HIGH),))

    found = finding(_hit(), known)

    assert (found.severity, found.severity_source) == (Severity.HIGH, "")


def test_a_bare_vector_is_scored_by_us_and_rates_the_finding() -> None:
    found = finding(_hit(), Vulnerability("CVE-1", cvss=(Cvss("nvd", "3", CRITICAL),)))

    assert (found.severity, found.severity_source) == (Severity.CRITICAL, "nvd")
    assert found.cvss == Cvss("nvd", "3", CRITICAL, 9.8)


def test_a_score_that_the_data_carry_is_not_computed_again() -> None:
    found = finding(_hit(), Vulnerability("CVE-1", cvss=(Cvss("nvd", "3", CRITICAL, 5.0),)))

    assert found.cvss == Cvss("nvd", "3", CRITICAL, 5.0)


def test_the_score_shown_is_the_vendors_and_by_cvss_3() -> None:
    scores = (
        Cvss("nvd", "3", CRITICAL, 9.8),
        Cvss("debian", "2", "AV:N", 4.0),
        Cvss("debian", "4", "CVSS:4.0/x", 6.0),
        Cvss("debian", "3", "CVSS:3.1/x", 5.0),
        Cvss("debian", "5", "CVSS:5.0/x", 1.0),
    )

    assert finding(_hit(), Vulnerability("CVE-1", cvss=scores)).cvss == scores[3]


def test_an_id_of_which_nothing_is_known_is_unknown_and_not_harmless() -> None:
    found = finding(_hit(), None)

    assert (found.severity, found.cvss, found.title) == (Severity.UNKNOWN, None, "")


@pytest.mark.parametrize(
    ("fixed", "status", "told"),
    [
        ("5.1", Status.WILL_NOT_FIX, Status.FIXED),
        ("", Status.WILL_NOT_FIX, Status.WILL_NOT_FIX),
        ("", Status.END_OF_LIFE, Status.END_OF_LIFE),
        ("", Status.UNKNOWN, Status.AFFECTED),
    ],
)
def test_a_status_is_the_vendors_unless_there_is_a_fix(fixed: str, status: Status, told: Status) -> None:
    found = finding(_hit(replace(ADVISORY, fixed=fixed, status=status)), None)

    assert found.status is told
    assert found.is_fixable is bool(fixed)


@pytest.mark.parametrize(
    ("score", "severity"),
    [
        (0.0, Severity.NONE),
        (0.1, Severity.LOW),
        (3.9, Severity.LOW),
        (4.0, Severity.MEDIUM),
        (6.9, Severity.MEDIUM),
        (7.0, Severity.HIGH),
        (8.9, Severity.HIGH),
        (9.0, Severity.CRITICAL),
        (10.0, Severity.CRITICAL),
    ],
)
def test_a_score_has_its_level(score: float, severity: Severity) -> None:
    assert level(score) is severity


def test_exploitation_is_told() -> None:
    found = finding(_hit(), Vulnerability("CVE-1", title="shell", epss=0.97, known_exploited=True))

    assert (found.title, found.epss, found.known_exploited) == ("shell", 0.97, True)
