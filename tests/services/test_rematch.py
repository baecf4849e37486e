"""After an update of the data every known image is matched again from what is kept, and what is new is told apart."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

import pytest
from msgspec.structs import replace

from appliance.db import jobs, manifests, migrate, scan_summaries, scans
from appliance.db.database import Reader, Transaction
from appliance.db.side_file import SideFile
from appliance.domain.access import Principal, PrincipalKind
from appliance.domain.admission import FULL_ACCESS, Caller
from appliance.domain.image_policy import Scanned, ScanState
from appliance.domain.job import JobState
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, Tag
from appliance.domain.registry import ManifestId
from appliance.domain.scan import Scan
from appliance.domain.vulnerability import Inventory
from appliance.errors import StoreFailed
from appliance.services import accepting, feed_orders, rematch, scan_judging
from appliance.services.course import UNFOLLOWED
from appliance.services.feed_orders import ImportOrder
from appliance.services.rematch import Rematched
from appliance.services.scan_judging import Read
from tests import make
from tests.scan.expected import FIXTURES, dense_rows
from tests.scan.feeds import feed_files
from tests.scan.layouts import inventory
from tests.services.conftest import House
from tests.services.courses import Kept

pytestmark = pytest.mark.anyio
T = TypeVar("T")
OPERATOR = Caller(Principal(PrincipalKind.OPERATOR, "root"), FULL_ACCESS, "")
IMAGE = make.image()


@pytest.fixture
def file(tmp_path: Path, house: House, executor: ThreadPoolExecutor) -> Iterator[SideFile]:
    opened = SideFile(tmp_path / "scan.sqlite", executor, house.stock.log, migrate.SCANS)
    yield opened
    opened.close()


@pytest.fixture
def alpine() -> Inventory:
    return inventory(FIXTURES / "recon/oci/alpine-310.tar.gz")


async def do_import(house: House, tmp_path: Path, name: str, body: bytes) -> None:
    (tmp_path / name).write_bytes(body)
    await feed_orders.run_import(house.stock, ImportOrder(str(tmp_path / name)), "job1", UNFOLLOWED)


def scanned(house: House, found: Inventory, digest: str) -> Scan:
    """What a scan wrote down when there were no data yet."""
    read = Read(Digest(digest), (), "reader", Timestamp(house.now), found)
    return scan_judging.judge(read, None, None, Timestamp(house.now))


async def keep(house: House, file: SideFile, found: Inventory, number: int = 1) -> Digest:
    scan = scanned(house, found, f"sha256:{number:064x}")
    await file.write(lambda tx: scans.put(tx, scan))
    return scan.digest


async def load(file: SideFile, digest: Digest) -> Scan:
    found = await file.read(lambda reader: scans.find(reader, digest))
    assert found is not None
    return found


async def test_an_image_scanned_without_data_is_judged_once_there_are_some(
    house: House, file: SideFile, alpine: Inventory, tmp_path: Path
) -> None:
    digest = await keep(house, file, alpine)
    await do_import(house, tmp_path, "db.tar.gz", feed_files.dense_archive())

    done = await rematch.match_again(house.stock, file, UNFOLLOWED)

    scan = await load(file, digest)
    assert done == Rematched(images=1)
    assert len(scan.verdict.findings) == dense_rows("alpine-310").total()
    assert scan.data == house.stock.vulndb.version
    assert scan.verdict.changes.since is None


async def test_what_newer_data_add_and_take_away_is_told_apart(house: House, file: SideFile, tmp_path: Path) -> None:
    image = inventory(FIXTURES / "lang/lang-image.tar.gz")
    digest = await keep(house, file, image)
    await do_import(house, tmp_path, "db.tar.gz", feed_files.dense_archive())
    await rematch.match_again(house.stock, file, UNFOLLOWED)
    first = {finding.id for finding in (await load(file, digest)).verdict.findings}

    await do_import(house, tmp_path, "PyPI.zip", feed_files.osv_zip("pypi"))
    await feed_orders.remove(house.stock, OPERATOR, "trivy")
    done = await rematch.match_again(house.stock, file, UNFOLLOWED)

    scan = await load(file, digest)
    second = {finding.id for finding in scan.verdict.findings}
    assert {flaw.id for flaw in scan.verdict.changes.new} >= second - first
    assert {flaw.id for flaw in scan.verdict.changes.gone} >= first - second
    assert first - second
    assert (done.new, done.gone) == (len(scan.verdict.changes.new), len(scan.verdict.changes.gone))


async def test_what_is_up_to_date_is_left_alone(
    house: House, file: SideFile, alpine: Inventory, tmp_path: Path
) -> None:
    await keep(house, file, alpine)
    await do_import(house, tmp_path, "db.tar.gz", feed_files.dense_archive())
    await rematch.match_again(house.stock, file, UNFOLLOWED)

    assert await rematch.match_again(house.stock, file, UNFOLLOWED) == Rematched()


async def test_without_data_nothing_is_judged(house: House, file: SideFile, alpine: Inventory) -> None:
    digest = await keep(house, file, alpine)

    assert await rematch.match_again(house.stock, file, UNFOLLOWED) == Rematched()
    assert (await load(file, digest)).data is None


async def test_the_pull_limit_hears_of_it_last(house: House, file: SideFile, alpine: Inventory, tmp_path: Path) -> None:
    await house.push("pay/api", IMAGE, "1")
    found = manifests.find(house.stock.db.reader, house.image("pay/api"), Tag("1"))
    assert found is not None
    number: ManifestId = found.id
    await house.stock.db.write(lambda tx: scan_summaries.put(tx, number, Scanned(ScanState.NO_DATA)))
    scan = scanned(house, alpine, IMAGE.digest)
    await file.write(lambda tx: scans.put(tx, scan))
    await do_import(house, tmp_path, "db.tar.gz", feed_files.dense_archive())

    await rematch.match_again(house.stock, file, UNFOLLOWED)

    told = scan_summaries.find(house.stock.db.reader, number)
    assert told is not None
    assert told.state is ScanState.COMPLETE
    assert told.summary is not None
    assert sum(count.findings for count in told.summary.counts) == dense_rows("alpine-310").total()


async def test_the_pull_limit_hears_of_what_a_dead_attempt_has_judged(
    house: House, file: SideFile, alpine: Inventory, tmp_path: Path
) -> None:
    await house.push("pay/api", IMAGE, "1")
    found = manifests.find(house.stock.db.reader, house.image("pay/api"), Tag("1"))
    assert found is not None
    number = found.id
    await house.stock.db.write(lambda tx: scan_summaries.put(tx, number, Scanned(ScanState.NO_DATA)))
    scan = scanned(house, alpine, IMAGE.digest)
    await file.write(lambda tx: scans.put(tx, scan))
    await do_import(house, tmp_path, "db.tar.gz", feed_files.dense_archive())
    course, write = Kept(), file.write

    async def die_after(function: Callable[[Transaction], T]) -> T:
        await write(function)
        raise StoreFailed("the process is no more")

    file.write = die_after  # type: ignore[method-assign]  # a double
    with pytest.raises(StoreFailed):
        await rematch.match_again(house.stock, file, course)
    file.write = write  # type: ignore[method-assign]  # as before

    done = await rematch.match_again(house.stock, file, course)

    told = scan_summaries.find(house.stock.db.reader, number)
    assert done == Rematched()  # nothing was left to judge
    assert told is not None
    assert told.state is ScanState.COMPLETE


class Turn(asyncio.Lock):
    """Whose turn it is, and whether somebody has to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked_twice = asyncio.Event()

    async def acquire(self) -> Literal[True]:
        if self.locked():
            self.is_asked_twice.set()
        return await super().acquire()


async def test_the_pull_limit_hears_of_a_newer_verdict_after_an_older_one(
    house: House, file: SideFile, alpine: Inventory, tmp_path: Path
) -> None:
    """What is accepted is told anew while everything is matched with new data: the older scan is read already."""
    await house.push("pay/api", IMAGE, "1")
    found = manifests.find(house.stock.db.reader, house.image("pay/api"), Tag("1"))
    assert found is not None
    number = found.id
    await house.stock.db.write(lambda tx: scan_summaries.put(tx, number, Scanned(ScanState.NO_DATA)))
    scan = scanned(house, alpine, IMAGE.digest)
    await file.write(lambda tx: scans.put(tx, scan))
    await do_import(house, tmp_path, "db.tar.gz", feed_files.dense_archive())
    await rematch.match_again(house.stock, file, UNFOLLOWED)
    await do_import(house, tmp_path, "PyPI.zip", feed_files.osv_zip("pypi"))  # which know nothing of Alpine
    await feed_orders.remove(house.stock, OPERATOR, "trivy")
    house.stock.telling, read = (turn := Turn()), file.read
    matching: list[asyncio.Task[Rematched]] = []

    async def match_behind(function: Callable[[Reader], T]) -> T:
        """Read a scan; before it is told, let the matching get as far as it comes."""
        loaded = await read(function)
        if isinstance(loaded, Scan) and not matching:
            file.read = read  # type: ignore[method-assign]  # as before
            matching.append(asyncio.ensure_future(rematch.match_again(house.stock, file, UNFOLLOWED)))
            waiting = asyncio.ensure_future(turn.is_asked_twice.wait())
            await asyncio.wait([matching[0], waiting], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        return loaded

    file.read = match_behind  # type: ignore[method-assign]  # a double

    assert await accepting.tell(house.stock, file, f"{accepting.ABOUT}*", UNFOLLOWED) == 1

    assert (await matching[0]).images == 1
    told = scan_summaries.find(house.stock.db.reader, number)
    assert told is not None
    assert told.state is ScanState.PARTIAL  # the newer data do not know its distribution


async def test_a_scan_that_overtakes_stays(house: House, file: SideFile, alpine: Inventory) -> None:
    digest = await keep(house, file, alpine)
    (row,) = await file.read(lambda reader: scans.list_matched_otherwise(reader, "x", 1, scans.ScanId(0), 9))
    loaded = await file.read(lambda reader: scans.load(reader, row))
    assert loaded is not None
    newer = replace(loaded, inventory=replace(alpine, packages=()))
    await file.write(lambda tx: scans.put(tx, newer))

    is_kept = await file.write(lambda tx: scans.judge(tx, row, loaded, has_other_packages=False))

    assert not is_kept
    assert (await load(file, digest)).inventory.packages == ()


async def test_many_images_are_judged_page_by_page(
    house: House, file: SideFile, alpine: Inventory, tmp_path: Path
) -> None:
    for number in range(1, 41):
        await keep(house, file, alpine, number)
    await do_import(house, tmp_path, "db.tar.gz", feed_files.dense_archive())

    done = await rematch.match_again(house.stock, file, UNFOLLOWED)

    assert done.images == 40
    assert await rematch.match_again(house.stock, file, UNFOLLOWED) == Rematched()


async def test_an_update_asks_for_it_and_so_does_a_start_after_a_crash(
    house: House, file: SideFile, alpine: Inventory, tmp_path: Path
) -> None:
    def waiting() -> bool:
        return jobs.find_alive(house.stock.db.reader, rematch.KIND, "") is not None

    await rematch.ask_if_stale(house.stock, file)
    before = waiting()
    await do_import(house, tmp_path, "db.tar.gz", feed_files.dense_archive())
    after = waiting()
    job = await house.stock.db.write(lambda tx: jobs.claim(tx, rematch.KIND, 1, house.stock.clock())[0])
    await house.stock.db.write(lambda tx: jobs.finish(tx, job.id, JobState.DONE, house.stock.clock()))
    await rematch.ask_if_stale(house.stock, file)
    idle = waiting()
    await keep(house, file, alpine)
    await rematch.ask_if_stale(house.stock, file)

    assert (before, after, idle, waiting()) == (False, True, False, True)
