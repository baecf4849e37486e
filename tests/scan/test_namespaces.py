"""Names under which advisories are kept."""

import pytest

from appliance.domain.moment import Timestamp
from appliance.domain.vulnerability import Distribution
from appliance.scan.matching.end_of_life import has_ended
from appliance.scan.namespaces import of_distribution

DAY = 86_400_000


@pytest.mark.parametrize(
    ("family", "version", "namespace"),
    [
        ("alpine", "3.10.2", "alpine 3.10"),
        ("alpine", "3.21_alpha20240807", "alpine edge"),
        ("alpine", "edge", "alpine edge"),
        ("debian", "12.5", "debian 12"),
        ("ubuntu", "22.04", "ubuntu 22.04"),
        ("ubuntu", "22.04.3", "ubuntu 22.04"),
        ("centos", "7.9.2009", "redhat"),
        ("redhat", "9.3", "redhat"),
        ("oracle", "8.9", "oracle 8"),
        ("alma", "9.3", "alma 9"),
        ("rocky", "9.3", "rocky 9"),
        ("amazon", "2 (Karoo)", "amazon 2"),
        ("amazon", "2023.3.20240131 (Amazon Linux)", "amazon 2023"),
        ("amazon", "AMI release 2018.03", "amazon 1"),
        ("photon", "3.0", "photon 3.0"),
        ("sles", "15.3", "sles 15.3"),
        ("sles", "15-SP3", "sles 15.3"),
        ("sl-micro", "6.0", "sle-micro 6.0"),
        ("opensuse-leap", "15.1", "opensuse-leap 15.1"),
        ("opensuse-tumbleweed", "20240101", "opensuse-tumbleweed"),
        ("azurelinux", "3.0", "azure 3.0"),
        ("wolfi", "20230201", "wolfi"),
        ("fedora", "42", "fedora 42"),
        ("debian", "", "debian"),
    ],
)
def test_a_release_has_its_namespace(family: str, version: str, namespace: str) -> None:
    assert of_distribution(Distribution(family, version)) == namespace


@pytest.mark.parametrize(
    ("family", "version", "day", "ended"),
    [
        ("debian", "10.1", 19_904, False),  # 2024-06-30, the last day
        ("debian", "10.1", 19_905, True),
        ("centos", "8.5", 20_000, True),
        ("redhat", "8.5", 20_000, False),
        ("alpine", "3.99.0", 20_000, None),
        ("slackware", "15", 20_000, None),
    ],
)
def test_a_release_ends_after_its_last_day(family: str, version: str, day: int, *, ended: bool | None) -> None:
    assert has_ended(Distribution(family, version), Timestamp(day * DAY)) is ended
