"""A scan comes back as it was written down, is found by what is in it, and takes the place of the one before."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from appliance.db import migrate, scans
from appliance.db.scans import ScanId
from appliance.db.side_file import SideFile
from appliance.domain import scan as scanned
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest
from appliance.domain.scan import Flaw, Scan, Verdict
from appliance.domain.vulnerability import (
    DataVersion,
    Distribution,
    Ecosystem,
    Finding,
    Inventory,
    Package,
    Severity,
    summarise,
)
from appliance.logs import Log

pytestmark = pytest.mark.anyio
NOON = Timestamp(1_785_542_400_000)
MUSL = Package(Ecosystem.APK, "musl", "1.2")
FLASK = Package(Ecosystem.PYPI, "Flask", "0.9", found_in="app/METADATA")
OLD = Finding("CVE-1", MUSL, Severity.LOW)
NEW = Finding("ghsa-2", FLASK, Severity.CRITICAL, fixed="1.0")
DATA = DataVersion("sha256:d", NOON)


def scan(*findings: Finding, number: int = 1, data: DataVersion | None = DATA) -> Scan:
    return Scan(
        digest=Digest(f"sha256:{number:064x}"),
        layers=(Digest("sha256:" + "a" * 64), Digest("sha256:" + "b" * 64)),
        reader="1",
        read_at=NOON,
        inventory=Inventory(Distribution("alpine", "3.20"), (MUSL, FLASK)),
        matcher=1,
        data=data,
        matched_at=Timestamp(NOON + number),
        verdict=Verdict(Distribution("alpine", "3.20", end_of_life=False), findings),
    )


@pytest.fixture
def file(tmp_path: Path, executor: ThreadPoolExecutor) -> Iterator[SideFile]:
    opened = SideFile(tmp_path / "scan.sqlite", executor, Log(out=io.StringIO()), migrate.SCANS)
    yield opened
    opened.close()


async def rows(file: SideFile, sql: str) -> list[tuple[object, ...]]:
    return await file.read(lambda reader: reader.rows(sql))


async def test_a_scan_comes_back_as_it_was(file: SideFile) -> None:
    written = scan(OLD, NEW)

    await file.write(lambda tx: scans.put(tx, written))

    assert await file.read(lambda reader: scans.find(reader, written.digest)) == written
    assert written.report.inventory.distribution == Distribution("alpine", "3.20", end_of_life=False)


async def test_the_next_scan_takes_the_place_of_the_last_with_all_that_finds_it(file: SideFile) -> None:
    await file.write(lambda tx: scans.put(tx, scan(OLD, NEW)))

    await file.write(lambda tx: scans.put(tx, msgspec.structs.replace(scan(NEW), layers=())))

    assert await rows(file, "SELECT vulnerability, severity FROM scan_findings") == [("GHSA-2", 6)]
    assert len(await rows(file, "SELECT * FROM scan_packages")) == 2
    assert await rows(file, "SELECT * FROM scan_layers") == []
    assert len(await rows(file, "SELECT * FROM scans")) == 1


async def test_another_verdict_is_found_by_its_findings_and_leaves_the_packages_that_did_not_change(
    file: SideFile,
) -> None:
    first = scan(OLD, replace(NEW, severity=Severity.LOW))
    await file.write(lambda tx: scans.put(tx, first))
    (row,) = await file.read(lambda reader: scans.list_with(reader, "CVE-1"))
    other = Finding("CVE-3", MUSL, Severity.HIGH)
    again = scan(NEW, other)

    assert await file.write(lambda tx: scans.judge(tx, row, again, has_other_packages=False))

    kept = await file.read(lambda reader: scans.load(reader, row))
    listed = await file.read(lambda reader: reader.rows("SELECT vulnerability, severity FROM scan_findings"))
    packages = await file.read(lambda reader: reader.rows("SELECT count(*) FROM scan_packages"))
    assert kept is not None
    assert (kept.verdict, kept.inventory) == (again.verdict, first.inventory)
    assert sorted(listed) == [("CVE-3", Severity.HIGH.rank), ("GHSA-2", Severity.CRITICAL.rank)]
    assert packages == [(2,)]


async def test_packages_that_the_data_name_otherwise_are_found_by_their_new_names(file: SideFile) -> None:
    await file.write(lambda tx: scans.put(tx, scan(OLD)))
    (row,) = await file.read(lambda reader: scans.list_with(reader, "CVE-1"))
    named = replace(FLASK, name="Flask-Named")
    again = scan(OLD)
    again = replace(again, inventory=replace(again.inventory, packages=(MUSL, named)))

    await file.write(lambda tx: scans.judge(tx, row, again, has_other_packages=True))

    kept = await file.read(lambda reader: scans.load(reader, row))
    names = await file.read(lambda reader: reader.rows("SELECT name FROM scan_packages ORDER BY name"))
    assert kept is not None
    assert kept.inventory == again.inventory
    assert names == [("flask-named",), ("musl",)]


async def test_scans_of_other_data_or_rules_are_listed(file: SideFile) -> None:
    for number, data in ((1, DATA), (2, None), (3, DataVersion("sha256:e", NOON))):
        await file.write(partial(scans.put, scan=scan(number=number, data=data)))

    other = await file.read(lambda reader: scans.list_matched_otherwise(reader, "sha256:d", 1, ScanId(0), 10))
    newer_rules = await file.read(lambda reader: scans.list_matched_otherwise(reader, "sha256:d", 2, ScanId(0), 10))
    loaded = await file.read(lambda reader: scans.load(reader, other[0]))

    assert len(other) == 2
    assert len(newer_rules) == 3
    assert loaded is not None
    assert loaded.data is None


async def test_with_what_a_manifest_was_scanned_is_told_without_reading_it(file: SideFile) -> None:
    await file.write(lambda tx: scans.put(tx, scan()))

    found = await file.read(lambda reader: scans.find_standing(reader, scan().digest))

    assert found is not None
    assert (found.reader, found.read_at, found.matcher, found.data) == ("1", NOON, 1, "sha256:d")
    assert (found.matched_at, found.is_complete) == (NOON + 1, True)
    assert found.summary == summarise(scan().report)


def test_what_is_new_and_what_is_gone_is_told() -> None:
    changes = scanned.compare(scan(OLD), (NEW,))

    assert changes.since == NOON + 1
    assert changes.new == (Flaw("ghsa-2", "Flask", "0.9", "app/METADATA", Severity.CRITICAL),)
    assert changes.gone == (Flaw("CVE-1", "musl", "1.2", "", Severity.LOW),)


def test_a_first_scan_and_one_after_a_scan_without_data_have_nothing_to_compare_with() -> None:
    assert scanned.compare(None, (NEW,)).new == ()
    assert scanned.compare(scan(data=None), (NEW,)).since is None
