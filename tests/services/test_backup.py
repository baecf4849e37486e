"""A backup made at any moment is whole, restores to what was acknowledged then, and takes room only once."""

import asyncio
import os
import sqlite3
from pathlib import Path

import msgspec
import pytest

from appliance.blobstore.files import Files
from appliance.db import facts, jobs, snapshot
from appliance.domain.access import Principal, PrincipalKind
from appliance.domain.admission import FULL_ACCESS, Caller
from appliance.domain.job import Cancelled
from appliance.domain.moment import DAY, HOUR
from appliance.domain.names import Digest
from appliance.errors import ConfigInvalid, StorageFull
from appliance.services import backup, ordering, snapshots
from appliance.services.backup_check import check_backup, check_database, find_backup
from appliance.services.course import UNFOLLOWED
from tests import make
from tests.services.conftest import House
from tests.services.courses import Kept

pytestmark = pytest.mark.anyio
IMAGE = make.image([{"etc/motd": b"hello" * 1000}, {"etc/issue": b"shared"}])
OTHER = make.image([{"etc/issue": b"shared"}, {"b": b"2"}])


def nothing(done: int, total: int) -> None:
    del done, total


@pytest.fixture
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("disk") / "backups"


def names(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]


def statuses(folder: Path) -> list[os.stat_result]:
    return [one.stat() for one in folder.rglob("*") if one.is_file()]


async def back_up(house: House, folder: Path, name: str = "job1") -> backup.BackedUp:
    return await backup.back_up(house.stock, folder, name, UNFOLLOWED)


async def test_a_backup_has_every_blob_as_a_link_and_is_found_whole(house: House, target: Path) -> None:
    await house.push("pay/api", IMAGE, "1")

    done = await back_up(house, target)
    checked = check_backup(find_backup(target), deep=True, progress=nothing)

    assert (done.blobs, done.linked, done.missing) == (3, 3, ())
    assert (checked.faults, checked.blobs, checked.bytes) == (0, 3, done.bytes)
    assert {status.st_nlink for status in statuses(Path(done.path, "blobs"))} == {2}
    assert not {status.st_mode & 0o077 for status in statuses(Path(done.path))} - {0}


async def test_where_there_are_no_links_blobs_are_copied_once_and_linked_in_later_backups(
    house: House, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.push("pay/api", IMAGE, "1")
    link = Files.link

    def link_inside(files: Files, source: Path, to: Path) -> bool:  # as between two disks
        return source.is_relative_to(target) and link(files, source, to)

    monkeypatch.setattr(Files, "link", link_inside)
    first = await back_up(house, target)
    house.now += HOUR
    await house.push("pay/web", OTHER, "1")
    second = await back_up(house, target, "job2")

    assert (first.blobs, first.linked) == (3, 0)
    assert (second.blobs, second.linked) == (5, 3)
    assert find_backup(target).path == Path(second.path)


async def test_what_is_collected_while_a_backup_is_made_is_in_it_all_the_same(
    house: House, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.push_blob("pay/api", make.Blob(b"soon collected"))
    house.now += 2 * HOUR
    copy = snapshot.take

    def copy_then_collect(source: Path, to: Path, go_on: snapshot.GoOn) -> None:
        copy(source, to, go_on)
        asyncio.run_coroutine_threadsafe(house.collect(), loop).result()

    loop = asyncio.get_running_loop()
    monkeypatch.setattr("appliance.services.snapshots.snapshot.take", copy_then_collect)
    done = await back_up(house, target)
    monkeypatch.undo()

    assert (done.blobs, done.missing) == (1, ())
    assert house.count("blobs") == 0
    assert (await house.collect(after=1)).blobs == 1  # and now its bytes go


async def test_a_blob_that_the_store_has_lost_is_told_and_waits_for_its_next_push(house: House, target: Path) -> None:
    await house.push("pay/api", IMAGE, "1")
    layer = IMAGE.blobs[1]
    next((house.folder / "blobs").rglob(f"{layer.digest[7:]}.*")).unlink()

    done = await back_up(house, target)

    assert done.missing == (layer.digest,)
    assert layer.digest not in {blob.digest for blob in snapshot.list_blobs(Path(done.path) / "scr.sqlite")}
    assert check_backup(find_backup(target), deep=True, progress=nothing).faults == 0


async def test_an_attempt_after_another_goes_on_with_its_files_and_a_snapshot_of_now(
    house: House, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.push("pay/api", IMAGE, "1")

    async def fail(*_: object) -> bool:
        raise OSError("as kill -9 would")

    with monkeypatch.context() as patch:
        patch.setattr(house.stock.store, "copy_out", fail)
        with pytest.raises(OSError, match="kill"):
            await back_up(house, target)
    await house.push("pay/web", OTHER, "1")
    done = await back_up(house, target)

    assert done.blobs == 5
    assert names(target) == [Path(done.path).name]


@pytest.mark.parametrize("error", [StorageFull("full"), Cancelled()])
async def test_a_backup_that_has_no_room_or_is_called_off_leaves_nothing(
    house: House, target: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    await house.push("pay/api", IMAGE, "1")

    async def fail(*_: object) -> bool:
        raise error

    monkeypatch.setattr(house.stock.store, "copy_out", fail)
    with pytest.raises(type(error)):
        await back_up(house, target)

    assert names(target) == []
    await house.push_blob("pay/api", make.Blob(b"soon collected"))
    assert (await house.collect(after=2 * HOUR)).blobs == 1  # nothing is held back any more


async def test_a_backup_into_the_data_folder_or_an_unmounted_disk_is_refused(house: House, tmp_path: Path) -> None:
    for folder in (house.folder / "blobs" / "x", tmp_path / "no" / "disk"):
        with pytest.raises(ConfigInvalid):
            await back_up(house, folder)


@pytest.mark.parametrize("damage", ["database", "blob", "size", "gone", "newer", "description"])
async def test_every_damage_of_a_backup_is_found(house: House, target: Path, damage: str) -> None:
    await house.push("pay/api", IMAGE, "1")
    folder = Path((await back_up(house, target)).path)
    blob = next(one for one in (folder / "blobs").rglob("*") if one.is_file())
    content = blob.read_bytes()
    blob.unlink()
    match damage:
        case "database":
            blob.write_bytes(content)
            with (folder / "scr.sqlite").open("r+b") as file:
                file.seek(-100, os.SEEK_END)
                file.write(b"x" * 50)
        case "blob":
            blob.write_bytes(b"x" * len(content))
        case "size":
            blob.write_bytes(content + b"x")
        case "newer" | "description":
            blob.write_bytes(content)
            described = (folder / "backup.json").read_bytes()
            changed = b"{" if damage == "description" else described.replace(b'"format": 1', b'"format": 99')
            (folder / "backup.json").write_bytes(changed)

    if damage in ("newer", "description"):
        with pytest.raises(ConfigInvalid, match="newer scr" if damage == "newer" else "cannot be read"):
            find_backup(target)
    else:
        assert check_backup(find_backup(target), deep=True, progress=nothing).faults == 1
        assert bool(check_database(find_backup(target))) is (damage == "database")


async def test_what_was_being_backed_up_is_over_in_the_backup_itself(house: House, target: Path) -> None:
    await house.stock.db.write(lambda tx: jobs.enqueue(tx, "backup", str(target), {}, house.stock.clock(), by="test"))
    await house.stock.db.write(lambda tx: jobs.claim(tx, "backup", 1, house.stock.clock()))

    done = await back_up(house, target)

    with sqlite3.connect(Path(done.path) / "scr.sqlite") as database:
        assert database.execute("SELECT state FROM jobs").fetchall() == [("cancelled",)]
    database.close()


async def test_a_digest_is_listed_with_its_generation_form_and_size(house: House, target: Path) -> None:
    stored = await house.push_blob("pay/api", make.Blob(b"listed"))

    done = await back_up(house, target)

    listed = (Path(done.path) / "blobs.txt").read_text()
    assert listed == f"{Digest(stored.digest)} {stored.generation} plain 6\n"
    assert msgspec.json.decode((Path(done.path) / "backup.json").read_bytes())["blobs"] == 1


async def test_an_attempt_that_died_when_all_was_done_has_made_the_only_backup(house: House, target: Path) -> None:
    await house.push("pay/api", IMAGE, "1")
    course = Kept()
    first = await backup.back_up(house.stock, target, "job1", course)
    house.now += HOUR

    again = await backup.back_up(house.stock, target, "job1", course)

    assert again == first
    assert names(target) == [Path(first.path).name]
    assert facts.find(house.stock.db.reader, "backed_up_at") == str(house.now - HOUR)


async def test_an_attempt_that_died_when_all_was_done_has_made_the_only_snapshot(house: House) -> None:
    folder, course = house.folder / snapshots.FOLDER, Kept()
    folder.mkdir(exist_ok=True)
    first = await snapshots.take_snapshot(house.stock, 8, course)
    house.now += HOUR

    again = await snapshots.take_snapshot(house.stock, 8, course)

    assert again == first
    assert names(folder) == [first.name]


async def test_snapshots_that_a_clock_ahead_has_dated_go_before_those_of_now(house: House) -> None:
    folder = house.folder / snapshots.FOLDER
    folder.mkdir(exist_ok=True)
    house.now += 1000 * DAY
    ahead = [(await snapshots.take_snapshot(house.stock, 2)).name for _ in range(2)]
    house.now -= 1000 * DAY

    taken = [(await snapshots.take_snapshot(house.stock, 2)).name]
    after_one = set(names(folder))
    house.now += HOUR
    taken.append((await snapshots.take_snapshot(house.stock, 2)).name)

    assert after_one == {taken[0], max(ahead)}
    assert set(names(folder)) == set(taken)


@pytest.fixture
def link(target: Path) -> Path:
    """Another way to `target`."""
    target.mkdir()
    link = target.with_name("link")
    link.symlink_to(target)
    return link


async def test_two_ways_to_one_folder_are_one_order(house: House, target: Path, link: Path) -> None:
    """Two at once in it would take each other's files away."""
    caller = Caller(Principal(PrincipalKind.OPERATOR, "root"), FULL_ACCESS, "")

    ordered = [
        await ordering.order(house.stock, caller, "backup", {"folder": way}, house.stock.clock())
        for way in (str(target), f"{target}/", f"{target}/../{target.name}", str(link))
    ]

    assert len({job.id for job in ordered}) == 1
    assert ordered[0].subject == str(target)
