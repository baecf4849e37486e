"""Matches every known image again after an update of the vulnerability data, from what is kept: no blob is read.

A page of scans is judged and written at a time, each in the place of the one that was loaded: what a scan has written
meanwhile is newer and stays. A job that dies goes on where it was, for what is done was matched with the data of now;
it tells the pull limit of its last page again, for it may have died in between.
"""

import asyncio
from functools import partial

import msgspec

from appliance.db import jobs, scans
from appliance.db.database import Reader, Transaction
from appliance.db.scans import ScanId
from appliance.db.side_file import SideFile
from appliance.domain.moment import Timestamp
from appliance.domain.scan import Scan
from appliance.domain.vulnerability import DataVersion, Inventory
from appliance.scan import match
from appliance.scan.match import Matched
from appliance.scan.matching.memory import Memory
from appliance.services.course import Course
from appliance.services.scan_judging import judge_again
from appliance.services.scan_results import summarise_in
from appliance.services.stock import Stock
from appliance.services.vulndb import DataSet

KIND = "scan.match"  # the kind of job
_PAGE = 16  # scans judged and written at a time


class _Page(msgspec.Struct, frozen=True):
    """The scans under way: what a death leaves judged, and the pull limit not told."""

    rows: list[ScanId]


class Rematched(msgspec.Struct, frozen=True):
    """What came of it: images matched again, findings that are new to them, and findings that are gone."""

    images: int = 0
    new: int = 0
    gone: int = 0


def ask(tx: Transaction, stock: Stock) -> None:
    """Let every image be matched again soon; what is up to date already costs nothing."""
    jobs.enqueue(tx, KIND, "", {}, stock.clock(), by="scheduler")


async def ask_if_stale(stock: Stock, file: SideFile) -> None:
    """Ask for it where the last run did not come to its end, or another version of the program begins."""
    data = stock.vulndb.hold()
    stale = [] if data is None else await file.read(partial(_list, data=data, after=ScanId(0), limit=1))
    if stale:
        await stock.db.write(partial(ask, stock=stock))


async def match_again(stock: Stock, file: SideFile, course: Course) -> Rematched:
    """Match what was matched with other data than those of now. Raises FeedInvalid, StoreFailed, Cancelled."""
    data, after, done = stock.vulndb.hold(), ScanId(0), Rematched()
    if data is None:
        return done
    remembering = _Remembering(data)
    if (left := course.checkpoint(_Page)) is not None:
        async with stock.telling:
            found = await file.read(partial(_load, page=left.rows))
            await stock.db.write(partial(_summarise, kept=[scan for _, scan in found], now=stock.clock()))
    while page := await file.read(partial(_list, data=data, after=after, limit=_PAGE)):
        course.check()
        await stock.db.write(partial(course.keep_in, checkpoint=_Page(page)))
        loaded = await file.read(partial(_load, page=page))
        judged = await asyncio.get_running_loop().run_in_executor(
            stock.uploads.executor, _judge, stock, remembering, loaded
        )
        async with stock.telling:
            kept = await file.write(partial(_keep, judged=judged))
            await stock.db.write(partial(_summarise, kept=kept, now=stock.clock()))
        after = page[-1]
        done = Rematched(
            done.images + len(kept),
            done.new + sum(len(scan.verdict.changes.new) for scan in kept),
            done.gone + sum(len(scan.verdict.changes.gone) for scan in kept),
        )
        course.progress(done.images, 0)
    return done


def _list(reader: Reader, *, data: DataSet, after: ScanId, limit: int) -> list[ScanId]:
    return scans.list_matched_otherwise(reader, data.version.digest, match.VERSION, after, limit)


def _load(reader: Reader, *, page: list[ScanId]) -> list[tuple[ScanId, Scan]]:
    return [(row, scan) for row in page if (scan := scans.load(reader, row)) is not None]


class _Remembering:
    """The data of one run, with what was judged of packages that other images have as well."""

    def __init__(self, data: DataSet) -> None:
        self._data = data
        self._memory = Memory()

    @property
    def version(self) -> DataVersion:
        return self._data.version

    def judge(self, inventory: Inventory, now: Timestamp) -> tuple[Inventory, Matched]:
        return self._data.judge(inventory, now, self._memory)


class _Judged(msgspec.Struct, frozen=True):
    """A scan as it is judged now. The packages change only where the data name Java archives."""

    row: ScanId
    scan: Scan
    has_other_packages: bool


def _judge(stock: Stock, data: _Remembering, loaded: list[tuple[ScanId, Scan]]) -> list[_Judged]:
    judged = ((row, before, judge_again(before, data, stock.clock())) for row, before in loaded)
    return [_Judged(row, scan, scan.inventory != before.inventory) for row, before, scan in judged]


def _keep(tx: Transaction, *, judged: list[_Judged]) -> list[Scan]:
    """Write down what was judged; return what of it is in force: a scan may have overtaken the others."""
    return [one.scan for one in judged if scans.judge(tx, one.row, one.scan, has_other_packages=one.has_other_packages)]


def _summarise(tx: Transaction, *, kept: list[Scan], now: Timestamp) -> None:
    for scan in kept:
        summarise_in(tx, scan, now)
