"""The traffic log: in batches beside the requests, bounded in memory, by age and by size; a crash may lose a batch."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from appliance.db import traffic as rows
from appliance.db.side_file import SideFile
from appliance.db.traffic import Passage, Wanted
from appliance.domain.moment import DAY, Timestamp
from appliance.domain.names import Digest, Tag
from appliance.domain.registry import RegistryId
from appliance.errors import StorageFull
from appliance.services import traffic
from appliance.services.traffic import BATCH, Traffic, prune
from tests import make
from tests.services.conftest import House

pytestmark = pytest.mark.anyio
IMAGE, OTHER = make.image([{"a": b"1"}]), make.image([{"b": b"2"}])
ALL = Wanted([RegistryId(1)])
NEWEST = 1 << 62


@pytest.fixture
def file(house: House, executor: ThreadPoolExecutor) -> Iterator[SideFile]:
    opened = SideFile(house.folder / "logs.sqlite", executor, house.stock.log)
    yield opened
    opened.close()


def note(traffic_: Traffic, house: House, manifest: make.Manifest = IMAGE, at: int = make.NOON, tag: str = "1") -> None:
    digest = Digest(manifest.digest)
    asked = Tag(tag) if tag else digest
    line = (Timestamp(at), "manifest.pulled", house.grant("pay/api"), asked, digest, len(manifest.body), b"docker/27.0")
    traffic_.note(line)


async def found(file: SideFile, wanted: Wanted = ALL, *, seq: int = NEWEST, onward: bool = False) -> list[Passage]:
    return await file.read(lambda reader: rows.list_page(reader, wanted, seq, 9999, onward=onward))


async def test_who_pulled_what_is_told_newest_first(house: House, file: SideFile) -> None:
    kept = Traffic()
    note(kept, house)
    note(kept, house, OTHER, make.NOON + 1, "")
    assert len(kept) == 2

    await kept.flush(file)
    await kept.flush(file)

    newest, oldest = await found(file)
    assert len(kept) == 0
    assert (newest.digest, newest.tag, newest.at) == (OTHER.digest, "", make.NOON + 1)
    assert (oldest.path, oldest.tag, oldest.size, oldest.kind) == ("pay/api", "1", len(IMAGE.body), "manifest.pulled")
    assert (oldest.principal, oldest.address, oldest.client) == ("local:local", "127.0.0.1", "docker/27.0")


async def test_who_pulled_this_digest_is_found_by_an_index(house: House, file: SideFile) -> None:
    kept = Traffic()
    for number in range(50):
        note(kept, house, OTHER if number == 25 else IMAGE, make.NOON + number)
    await kept.flush(file)

    wanted = Wanted([RegistryId(1)], digest=Digest(OTHER.digest))
    plan = await file.read(
        lambda reader: reader.rows(
            "EXPLAIN QUERY PLAN " + rows.PAGES[True, False],
            dict.fromkeys(("digest", "registries", "path", "principal", "kind", "since", "until", "seq", "limit"), 1),
        )
    )

    assert [one.at for one in await found(file, wanted)] == [make.NOON + 25]
    assert "traffic_by_digest" in plan[0][3]
    assert not any("TEMP B-TREE" in row[3] for row in plan)


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (Wanted([RegistryId(2)]), 0),
        (Wanted([]), 0),
        (Wanted([RegistryId(1)], path="pay/api"), 3),
        (Wanted([RegistryId(1)], path="pay/web"), 0),
        (Wanted([RegistryId(1)], principal="local:local", kind="manifest.pulled"), 3),
        (Wanted([RegistryId(1)], kind="blob.pushed"), 0),
        (Wanted([RegistryId(1)], since=Timestamp(make.NOON + 1), until=Timestamp(make.NOON + 2)), 1),
    ],
)
async def test_only_what_is_asked_for_is_told(house: House, file: SideFile, wanted: Wanted, count: int) -> None:
    kept = Traffic()
    for number in range(3):
        note(kept, house, at=make.NOON + number)
    await kept.flush(file)

    assert len(await found(file, wanted)) == count
    assert len(await found(file, wanted, seq=0, onward=True)) == count


async def test_what_follows_comes_in_its_order(house: House, file: SideFile) -> None:
    kept = Traffic()
    for number in range(3):
        note(kept, house, at=make.NOON + number)
    await kept.flush(file)
    (first, *_) = await found(file, seq=0, onward=True)

    assert [one.at - make.NOON for one in await found(file, seq=first.seq, onward=True)] == [1, 2]


async def test_a_full_batch_is_due_at_once(house: House) -> None:
    kept = Traffic()
    for _ in range(BATCH - 1):
        note(kept, house)
    assert not kept.is_due.is_set()

    note(kept, house)

    assert kept.is_due.is_set()


async def test_a_full_disk_keeps_lines_for_later_and_counts_those_without_room(
    house: House, file: SideFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "MOST", 3)
    kept = Traffic()
    note(kept, house)

    async def refuse(_: object) -> None:
        note(kept, house)  # while it is being written
        raise StorageFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr(file, "write", refuse)
        with pytest.raises(StorageFull):
            await kept.flush(file)
    for _ in range(3):
        note(kept, house)
    await kept.flush(file)

    assert kept.lost == 2
    assert len(await found(file)) == 3


async def test_lines_are_deleted_by_age_and_the_disk_gets_its_room_back(house: House, file: SideFile) -> None:
    kept = Traffic()
    for number in range(20_000):
        note(kept, house, at=make.NOON + number)
    await kept.flush(file)
    full = await file.read(rows.used_bytes)

    gone = await prune(file, Timestamp(make.NOON + 15_000), 1 << 30)

    assert gone == 15_000
    assert len(await found(file)) == 5000
    assert await file.read(rows.used_bytes) < full / 2
    pages = await file.read(lambda reader: reader.one("SELECT freelist_count FROM pragma_freelist_count"))
    assert pages == (0,)


async def test_lines_are_deleted_by_size_the_oldest_first(
    house: House, file: SideFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "_SLICE", 500)
    kept = Traffic()
    for number in range(10_000):
        note(kept, house, at=make.NOON + number)
    await kept.flush(file)
    full = await file.read(rows.used_bytes)

    await prune(file, Timestamp(make.NOON - 30 * DAY), full // 2)

    left = await found(file)
    assert await file.read(rows.used_bytes) <= full // 2
    assert 2000 < len(left) < 5500
    assert left[0].at == make.NOON + 9999
    assert await prune(file, Timestamp(make.NOON - 30 * DAY), full // 2) == 0
