"""A scan is judged once for all that a page asks of it, and anew whenever anything it depends on has changed."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from appliance.domain.access import LOCAL
from appliance.domain.admission import FULL_ACCESS, Caller
from appliance.domain.image_policy import ImagePolicy, ScanPolicy
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest
from appliance.domain.vulnerability import Advisory, Severity
from appliance.services import accepting, scan_view
from appliance.services.accepting import Scope, Wish
from appliance.services.scan_shown import View
from tests import make
from tests.services.conftest import House
from tests.services.scanned import MemoryData, ScanHouse
from tests.services.test_scanning import BASE

pytestmark = pytest.mark.anyio
IMAGE = make.image([BASE])
ADVISORIES = [
    Advisory("alpine 3.20", name, f"CVE-2026-{number}", "alpine", fixed="2.0", severity=Severity.CRITICAL)
    for number, name in enumerate(("zlib", "musl"), 1)
]


@pytest.fixture
async def scans(house: House, executor: ThreadPoolExecutor) -> AsyncIterator[ScanHouse]:
    opened = ScanHouse(house, executor)
    opened.data = MemoryData(ADVISORIES[:1])
    await house.push("pay/api", IMAGE, "1")
    await opened.scan(IMAGE)
    yield opened
    opened.file.close()


async def see(scans: ScanHouse) -> View:
    house = scans.house
    found = await scan_view.find_view(house.stock, scans.scanner, house.image_id("pay/api"), Digest(IMAGE.digest))
    assert found is not None
    return found


async def test_what_has_not_changed_is_not_judged_again(scans: ScanHouse) -> None:
    assert await see(scans) is await see(scans)


async def test_a_new_matching_is_seen_at_once(scans: ScanHouse) -> None:
    before = await see(scans)
    scans.data = MemoryData(ADVISORIES, "sha256:newer")
    await scans.scan(IMAGE)

    after = await see(scans)

    assert (len(before.findings), len(after.findings)) == (1, 2)


async def test_another_policy_is_seen_at_once(scans: ScanHouse) -> None:
    before = await see(scans)
    house = scans.house
    policy = ImagePolicy(scan=ScanPolicy(exclude_severity=Severity.CRITICAL))
    values = msgspec.json.encode(policy).decode(), house.image_id("pay/api")
    await house.stock.db.write(lambda tx: tx.execute("UPDATE images SET policy = ? WHERE id = ?", values))

    after = await see(scans)

    assert [one.excluded is None for one in (*before.findings, *after.findings)] == [True, False]
    assert after.scan is before.scan


async def test_what_is_accepted_is_seen_at_once(scans: ScanHouse) -> None:
    before = await see(scans)
    wish = Wish("CVE-2026-1", "", "no way in", None)
    caller = Caller(LOCAL, FULL_ACCESS, "127.0.0.1")
    await accepting.accept(scans.house.stock, caller, Scope(), wish, Timestamp(scans.house.now))

    after = await see(scans)

    assert [one.acceptance is None for one in (*before.findings, *after.findings)] == [True, False]


async def test_a_manifest_without_a_scan_is_not_shown_that_of_another(scans: ScanHouse) -> None:
    other = make.image([{"etc/other": b"1"}])
    await scans.house.push("pay/api", other, "2")
    shown = await see(scans)
    image = scans.house.image_id("pay/api")

    scans.scanner.last.keep(None, None, shown)  # as if it had been read before its row was there

    assert await scan_view.find_view(scans.house.stock, scans.scanner, image, Digest(other.digest)) is None
