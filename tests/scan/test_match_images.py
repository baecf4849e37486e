"""From the bytes of an image to its findings: what the detectors read is what matching asks for."""

import sqlite3
from collections import Counter

import pytest

from appliance.domain.moment import Timestamp
from appliance.scan.feeds import java_db, trivy
from appliance.scan.match import match
from tests.scan.expected import FIXTURES, RECON_IMAGES, Row, dense_database, dense_rows, row
from tests.scan.feeds.test_java_db import Database
from tests.scan.layouts import inventory
from tests.scan.memory_lookup import MemoryLookup

THEN = Timestamp(1_785_542_400_000)  # 2026-08-01


@pytest.fixture(scope="module")
def dense() -> MemoryLookup:
    return MemoryLookup(trivy.read(dense_database()))


def _without_path(rows: Counter[Row]) -> Counter[Row]:
    return Counter(one[:6] for one in rows.elements())


@pytest.mark.parametrize("name", RECON_IMAGES)
def test_an_image_of_a_distribution_has_its_findings(name: str, dense: MemoryLookup) -> None:
    found = Counter(row(one) for one in match(inventory(FIXTURES / f"recon/oci/{name}.tar.gz"), dense, THEN).findings)

    extra = found - _without_path(dense_rows(name))
    assert _without_path(dense_rows(name)) - found == Counter()
    # Amazon Linux: see AMAZON_CARETS in test_match.py.
    assert all(name == "amazon-2" and str(fixed).endswith("^git1") for _id, _package, _version, fixed, *_rest in extra)


def test_an_image_of_language_packages_has_its_findings(dense: MemoryLookup) -> None:
    connection = sqlite3.connect(f"file:{FIXTURES / 'java-db/trivy-java.db'}?mode=ro", uri=True)
    image = java_db.resolve(inventory(FIXTURES / "lang/lang-image.tar.gz"), Database(connection))
    connection.close()

    found = Counter(row(one) for one in match(image, dense, THEN).findings)

    assert found == _without_path(dense_rows("lang-image"))
