"""Findings against those of another scanner: 29 rows with real advisories, 3,275 with advisories made to be close."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

import pytest
from msgspec.structs import replace

from appliance.domain.moment import Timestamp
from appliance.domain.vulnerability import Advisory, Finding, Inventory, Package, Vulnerability
from appliance.errors import FeedInvalid
from appliance.scan.feeds import trivy
from appliance.scan.match import Matched, match
from appliance.scan.matching.memory import Memory
from appliance.scan.matching.verdict import Hit
from tests.scan.expected import (
    RECON_IMAGES,
    Row,
    dense_database,
    dense_rows,
    language_inventory,
    recon,
    recon_inventory,
    recon_rows,
    row,
    trivy_lookup,
)
from tests.scan.memory_lookup import MemoryLookup

THEN = Timestamp(1_785_542_400_000)  # 2026-08-01, when the findings were written down

# Amazon Linux: the other scanner compares with Debian's order, which has no "^", and leaves these rows out. By rpm's
# order "x^git1" is newer than "x", so the installed version is older than the fix. No other deviation is permitted.
AMAZON_CARETS = 38

# SLES: the other scanner looks the release up as "15.3" where this database says "15-SP3". Both are the same release,
# and we read both, so we find what it misses.
SLES_SERVICE_PACK = {
    ("SUSE-SU-2022:2251-1", "libopenssl1_1", "1.1.1d-11.30.1", "1.1.1d-150200.11.48.1", "MEDIUM", "fixed"),
    ("SUSE-SU-2022:2251-1", "openssl-1_1", "1.1.1d-11.30.1", "1.1.1d-150200.11.48.1", "MEDIUM", "fixed"),
}


@pytest.fixture(scope="module")
def dense() -> MemoryLookup:
    return MemoryLookup(trivy.read(dense_database()))


@pytest.fixture(scope="module")
def small() -> MemoryLookup:
    return trivy_lookup()


def _rows(findings: tuple[Finding, ...], *, with_path: bool = False) -> Counter[Row]:
    return Counter(row(finding, with_path=with_path) for finding in findings)


def _match(inventory: Inventory, lookup: MemoryLookup) -> Matched:
    return match(inventory, lookup, THEN)


@pytest.mark.parametrize("name", RECON_IMAGES)
def test_a_rebuilt_image_has_the_findings_of_real_advisories(name: str, small: MemoryLookup) -> None:
    image = recon(name)

    found = _rows(_match(recon_inventory(image), small).findings)

    permitted = SLES_SERVICE_PACK if image.os.family == "sles" else set()
    assert recon_rows(image) - found == Counter()
    assert set(found - recon_rows(image)) == permitted


@pytest.mark.parametrize("name", RECON_IMAGES)
def test_a_rebuilt_image_has_the_findings_of_close_advisories(name: str, dense: MemoryLookup) -> None:
    found = _rows(_match(recon_inventory(recon(name)), dense).findings, with_path=True)

    extra = found - dense_rows(name)
    assert dense_rows(name) - found == Counter()
    if name == "amazon-2":
        assert extra.total() == AMAZON_CARETS
        assert all(str(fixed).endswith("^git1") for _id, _package, _installed, fixed, *_rest in extra)
    else:
        assert extra == Counter()


def test_language_packages_have_the_findings_of_close_advisories(dense: MemoryLookup) -> None:
    found = _rows(_match(language_inventory(), dense).findings, with_path=True)

    assert found == dense_rows("lang-image")


def test_the_close_advisories_make_as_many_findings_as_were_written_down() -> None:
    assert sum(dense_rows(name).total() for name in [*RECON_IMAGES, "lang-image"]) == 3_275


@pytest.mark.parametrize("name", RECON_IMAGES)
def test_a_severity_comes_from_the_source_that_the_other_scanner_names(name: str, small: MemoryLookup) -> None:
    image = recon(name)
    expected = {(one.id, one.package): one.severity_source or "" for one in image.vulnerabilities or ()}

    found = {(one.id, one.package.name): one.severity_source for one in _match(recon_inventory(image), small).findings}

    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize("name", [name for name in RECON_IMAGES if recon(name).os.is_over])
def test_a_release_that_gets_no_more_updates_is_marked(name: str, small: MemoryLookup) -> None:
    distribution = _match(recon_inventory(recon(name)), small).distribution

    assert distribution is not None
    assert distribution.end_of_life


def test_a_distribution_without_advisories_is_named_and_not_called_clean(small: MemoryLookup) -> None:
    matched = _match(recon_inventory(recon("fedora-35")), small)

    assert matched.findings == ()
    assert matched.uncovered == (
        "the vulnerability data hold nothing about fedora 35; the image has 138 packages of it",
    )


def test_an_advisory_whose_fix_cannot_be_read_is_reported_as_not_judged(dense: MemoryLookup) -> None:
    unjudged = _match(recon_inventory(recon("alpine-310")), dense).unjudged

    assert unjudged
    assert all("is no Alpine version" in one.reason and one.id.startswith("CVE-2099-") for one in unjudged)


def test_findings_come_worst_first(dense: MemoryLookup) -> None:
    findings = _match(recon_inventory(recon("debian-buster")), dense).findings

    ranks = [finding.severity.rank for finding in findings]
    assert ranks == sorted(ranks, reverse=True)


@pytest.mark.parametrize("most", [50_000, 10])
def test_a_run_over_all_images_finds_in_each_what_it_finds_alone(dense: MemoryLookup, most: int) -> None:
    memory = Memory(most)
    images = [*(recon_inventory(recon(name)) for name in RECON_IMAGES), language_inventory()]

    for image in (*images, *images):
        assert match(image, dense, THEN, memory) == _match(image, dense)


def test_a_run_asks_once_for_what_images_have_in_common(dense: MemoryLookup) -> None:
    class Counting:
        covers, platforms = dense.covers, dense.platforms

        def __init__(self) -> None:
            self.asked: list[str] = []

        def advisories(self, namespace: str, names: Collection[str]) -> Iterable[Advisory]:
            self.asked += names
            return dense.advisories(namespace, names)

        def vulnerabilities(self, ids: Collection[str]) -> Iterable[Vulnerability]:
            self.asked += ids
            return dense.vulnerabilities(ids)

    memory, counting = Memory(), Counting()
    image = language_inventory()
    first = match(image, counting, THEN, memory)
    asked = len(counting.asked)
    elsewhere = replace(image, packages=tuple(replace(one, found_in="x/" + one.found_in) for one in image.packages))

    second = match(elsewhere, counting, THEN, memory)

    assert asked
    assert len(counting.asked) == asked
    assert {one.package.found_in for one in second.findings} == {f"x/{one.package.found_in}" for one in first.findings}
    assert len(second.findings) == len(first.findings)


def test_what_broke_off_is_judged_again() -> None:
    memory = Memory()
    image = language_inventory()

    def breaks(new: list[Package]) -> Iterator[Hit]:
        del new
        raise FeedInvalid("broken")

    with pytest.raises(FeedInvalid):
        list(memory.judge("npm", image.packages, lambda package: (package.name,), breaks))

    hit = Hit(image.packages[0], Advisory("npm", "x", "CVE-1", "npm"))
    assert list(memory.judge("npm", image.packages[:1], lambda package: (package.name,), lambda _: [hit])) == [hit]
