"""Lists of manifests ask the database as often for a page of indexes as for an index with one platform."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from appliance.db import manifest_lists
from appliance.db.database import Reader
from appliance.domain.job import JobId
from appliance.domain.moment import Timestamp
from appliance.http.api.briefs import Briefs
from appliance.http.api.scan_shapes import ScanBrief
from appliance.http.health import Health
from appliance.http.running import Running
from appliance.services.describe import Describer, Outline
from tests import make
from tests.http.gate import Gate
from tests.services.scanned import ScanHouse

pytestmark = pytest.mark.anyio
NAME = "pay/platforms"


Query = Callable[..., object]


def index_of(platforms: int, mark: bytes) -> make.Manifest:
    images = [make.image([{"n": mark + b"%d" % n}], platform=f"linux/p{n}") for n in range(platforms)]
    return make.index(images)


class Listing:
    """What the route of the list does, for the manifests with tags; `asked` counts its queries."""

    def __init__(self, gate: Gate, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
        async def ready() -> Health:
            return Health("ready", ())

        async def settled(_: JobId) -> None:
            return

        self.house = gate.house
        self.asked = 0
        self._monkeypatch = monkeypatch
        self.scans = ScanHouse(gate.house, executor)
        self._running = Running(Timestamp(0), tuple, str, ready, settled, tuple, scanner=lambda: self.scans.scanner)

    async def list(self) -> tuple[list[Outline], list[ScanBrief | None]]:
        stock, image = self.house.stock, self.house.image_id(NAME)
        page = await stock.db.read(lambda reader: manifest_lists.list_page(reader, image, "", 100, "-pushed"))
        rows = [row for row in page if row.tags]
        self.asked = 0
        with self._monkeypatch.context() as patched:
            for name in ("one", "rows"):
                patched.setattr(Reader, name, self._counting(getattr(Reader, name)))
            outlines = await Describer(stock).outline(self.house.image(NAME), image, rows)
            return outlines, list(await Briefs(stock, self._running).of(image, rows, outlines))

    def _counting(self, query: Query) -> Query:
        def counted(*values: object) -> object:
            self.asked += 1
            return query(*values)

        return counted


@pytest.fixture
def listing(gate: Gate, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listing]:
    opened = Listing(gate, executor, monkeypatch)
    yield opened
    opened.scans.file.close()


async def test_the_platforms_of_all_indexes_of_a_page_are_asked_for_at_once(listing: Listing) -> None:
    await listing.house.push(NAME, index_of(1, b"few"), "1")
    await listing.list()
    for_one = listing.asked

    await listing.house.push(NAME, index_of(9, b"many"), "1")  # now the only one with a tag
    await listing.list()

    assert listing.asked == for_one > 0


async def test_each_index_is_told_of_its_own_platforms(listing: Listing) -> None:
    await listing.house.push(NAME, index_of(2, b"few"), "few")
    await listing.house.push(NAME, index_of(9, b"many"), "many")

    outlines, briefs = await listing.list()

    told = sorted(brief.platforms for brief in briefs if brief is not None)
    assert told == [2, 9]
    assert sorted(len([one for one in outline.platforms if one.is_here and one.size]) for outline in outlines) == told


async def test_an_image_is_told_by_its_own_scan_and_no_platforms(listing: Listing) -> None:
    await listing.house.push(NAME, make.image([{"n": b"1"}], platform="linux/amd64"), "1")

    _, briefs = await listing.list()

    assert [brief.platforms for brief in briefs if brief is not None] == [0]
