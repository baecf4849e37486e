"""The whole way, from the stored bytes of thirteen images to their findings: 3,275 rows of another scanner."""

from collections import Counter

import pytest

from appliance.domain.moment import Timestamp
from appliance.scan.feeds import trivy
from appliance.scan.match import match
from tests.scan.expected import RECON_IMAGES, Row, dense_database, dense_rows, row
from tests.scan.layouts import FIXTURES, inventory
from tests.scan.memory_lookup import MemoryLookup

THEN = Timestamp(1_785_542_400_000)  # 2026-08-01, when the findings were written down
AMAZON_CARETS = 38  # the one deviation, see test_match.py


@pytest.fixture(scope="module")
def dense() -> MemoryLookup:
    return MemoryLookup(trivy.read(dense_database()))


def without_path(rows: Counter[Row]) -> Counter[Row]:
    return Counter(each[:6] for each in rows.elements())


@pytest.mark.parametrize("name", [*RECON_IMAGES, "lang-image"])
def test_the_findings_of_an_image_are_those_of_another_scanner(name: str, dense: MemoryLookup) -> None:
    folder = "lang" if name == "lang-image" else "recon/oci"

    found = Counter(
        row(finding) for finding in match(inventory(FIXTURES / f"{folder}/{name}.tar.gz"), dense, THEN).findings
    )

    expected = without_path(dense_rows(name))
    assert expected - found == Counter()
    assert (found - expected).total() == (AMAZON_CARETS if name == "amazon-2" else 0)
