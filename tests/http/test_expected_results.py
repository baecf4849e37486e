"""The images of the fixtures through the whole program: pushed, read by the child, kept, matched, told by the API.

What the parts find by themselves is held against two other scanners in tests/scan; here the same has to come out of the
running server, for images that were scanned before there were data, and after.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from appliance.cli.main import main
from appliance.scan.feeds import java_db
from tests.http.test_data_updates import place_of, settle, told
from tests.make.client import Client
from tests.make.server import Server
from tests.scan.expected import FIXTURES, RECON_IMAGES, Row, dense_rows
from tests.scan.feeds import feed_files
from tests.scan.feeds.test_java_db import Database
from tests.scan.layouts import inventory
from tests.services.scanned import JAVA, image_of
from tests.services.test_scanning import AMAZON_CARETS

NAMES = [*RECON_IMAGES, "lang-image"]
BEFORE = frozenset(NAMES[::2])  # are scanned before there are data


def layout_of(name: str) -> Path:
    return FIXTURES / ("lang" if name == "lang-image" else "recon/oci") / f"{name}.tar.gz"


@pytest.fixture(scope="module")
def door(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of the server, once it has scanned all images, half of them before it had data."""
    carried = tmp_path_factory.mktemp("carried")
    feeds = {"db.tar.gz": feed_files.dense_archive(), "javadb.tar.gz": feed_files.java_archive()}
    with server.client() as client:
        for name in sorted(BEFORE):
            client.push(f"expected/{name}", image_of(layout_of(name)), "1")
        settle(client)
        for file, body in feeds.items():
            (carried / file).write_bytes(body)
            assert main(["vulndb", "import", str(carried / file), "--data-dir", str(server.data)]) == 0
        for name in sorted(set(NAMES) - BEFORE):
            client.push(f"expected/{name}", image_of(layout_of(name)), "1")
        settle(client)
        yield client


def place(client: Client, name: str) -> str:
    return place_of(client, f"expected/{name}", image_of(layout_of(name)))


def rows(client: Client, address: str) -> list[Any]:
    """Return all pages of a list."""
    found: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page = json.loads(client.get(f"{address}?limit=1000&cursor={cursor}").expect(200).body)
        found += page["items"]
        cursor = page["next"]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_api_tells_the_packages_that_the_image_was_built_with(door: Client, name: str) -> None:
    with closing(sqlite3.connect(f"file:{JAVA}?mode=ro", uri=True)) as java:
        expected = java_db.resolve(inventory(layout_of(name)), Database(java))

    scan = told(door, place(door, name))
    found = rows(door, f"{place(door, name)}/packages")

    assert Counter(
        (one["name"], one["version"], one["purl"], one["source"], one["arch"], one["path"], one["layer"])
        for one in found
    ) == Counter(
        (one.name, one.version, one.purl, one.source, one.arch, one.found_in, one.layer) for one in expected.packages
    )
    assert Counter(licence for one in found for licence in one["licences"]) == Counter(
        licence for one in expected.packages for licence in one.licences
    )
    assert (scan["packages"], scan["limits"]) == (len(expected.packages), [])
    assert expected.distribution is not None
    assert (scan["distribution"]["family"], scan["distribution"]["version"]) == (
        expected.distribution.family,
        expected.distribution.version,
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_api_tells_the_findings_of_another_scanner(door: Client, name: str) -> None:
    expected = Counter(each[:6] for each in dense_rows(name).elements())

    scan = told(door, place(door, name))
    found: Counter[Row] = Counter(
        (one["id"], one["package"], one["version"], one["fixed"] or None, one["severity"].upper(), one["status"])
        for one in rows(door, f"{place(door, name)}/vulnerabilities")
    )

    assert expected - found == Counter()
    assert (found - expected).total() == (AMAZON_CARETS if name == "amazon-2" else 0)
    assert scan["found"] == sum(one["found"] for one in scan["counts"]) == found.total()
    affected = [one for one in rows(door, f"{place(door, name)}/packages") if one["findings"]]
    assert sum(one["findings"] for one in affected) == found.total()
    assert scan["packagesAffected"] == len(affected)


def test_all_rows_are_there(door: Client) -> None:
    found = sum(told(door, place(door, name))["found"] for name in NAMES)

    assert found == 3275 + AMAZON_CARETS
