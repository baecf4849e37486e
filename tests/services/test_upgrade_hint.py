"""Which version mends how many findings of a package: never more than it is sure to."""

import pytest

from appliance.domain.vulnerability import Ecosystem, Finding, Package, Severity
from appliance.services.scan_shown import Upgrade, find_upgrade

PACKAGE = Package(Ecosystem.PYPI, "it", "1.0.0")


def finding(fixed: str) -> Finding:
    return Finding("CVE-2026-0001", PACKAGE, Severity.HIGH, fixed=fixed)


@pytest.mark.parametrize(
    ("fixed", "upgrade"),
    [
        ([], None),
        ([""], None),
        (["0.9.0"], None),
        (["not!a!version"], None),
        (["1.2.0", "1.1.0"], Upgrade("1.2.0", 2)),
        (["not!a!version", "1.2.0"], Upgrade("1.2.0", 1)),
        (["0.9.0", "1.2.0"], Upgrade("1.2.0", 1)),
        (["1.10", "1.9"], Upgrade("1.10", 2)),
        (["1.2.3, 2.0.1"], Upgrade("1.2.3", 1)),
        (["1.2.3, 2.0.1", "2.0.0"], Upgrade("2.0.0", 1)),
        (["1.2.3, 2.0.1", "2.0.1"], Upgrade("2.0.1", 2)),
        (["1.2.3, 2.0.1", "3.0"], Upgrade("3.0", 2)),
    ],
)
def test_a_hint_counts_what_the_version_mends(fixed: list[str], upgrade: Upgrade | None) -> None:
    assert find_upgrade(PACKAGE, [finding(one) for one in fixed]) == upgrade


def test_a_package_whose_versions_nobody_compares_has_none() -> None:
    conda = Package(Ecosystem.CONDA, "it", "1.0")

    assert find_upgrade(conda, [Finding("CVE-2026-0001", conda, Severity.HIGH, fixed="2.0")]) is None
