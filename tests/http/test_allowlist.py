"""Allowlists while they change under a running program: the last good one counts, and what is wrong is shouted."""

import asyncio
import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.blobstore.files import Files
from appliance.domain.endpoint import MANAGEMENT_LIST, Endpoint, ListName
from appliance.domain.moment import Timestamp
from appliance.domain.names import RegistryName
from appliance.domain.ranges import Ranges, read_span
from appliance.domain.registry import Registry, RegistryId, RegistrySettings
from appliance.errors import StoreFailed
from appliance.http.allowlist import Allowlists, State
from appliance.logs import Log
from appliance.services.allowlists import Changed, Shelf

pytestmark = pytest.mark.anyio
NOON = Timestamp(1_700_000_000_000)
PAY = ListName(Endpoint.PRIVATE, "pay")
DEV = ListName(Endpoint.PUBLIC, "dev")
GOOD = "192.0.2.7\n"


def registry(removed_at: int | None = None) -> Registry:
    """Return the registry `pay`, deleted where `removed_at` says when."""
    gone = None if removed_at is None else Timestamp(removed_at)
    settings = RegistrySettings(RegistryName("pay"), private_access_control=True)
    return Registry(RegistryId(2), "p1", settings, 1, NOON, "test", NOON, "test", NOON, gone, purging=False)


class Folder:
    """A folder of lists, what reads it, and what was said."""

    def __init__(self, folder: Path, executor: ThreadPoolExecutor) -> None:
        self.path = folder
        self.wanted = {PAY}
        self.told = io.StringIO()
        self._executor = executor
        self.again()

    def again(self) -> None:
        """Begin as after a restart."""
        log = Log(level="info", out=self.told)
        self.lists = Allowlists(Shelf(self.path, Files(), self._executor), {}, lambda: frozenset(self.wanted), log)

    async def write(self, text: str | bytes, name: ListName = PAY) -> None:
        """Write a file and let it be looked at."""
        path = self.path / name.file
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + len(self.told.getvalue())))
        await self.lists.refresh()

    def lets_in(self, address: str, name: ListName = PAY) -> bool:
        """Whether a list lets `address` in."""
        return self.lists.guard(name).has(address)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    with ThreadPoolExecutor(max_workers=2) as executor:
        yield Folder(tmp_path, executor)


RUBBISH = {
    "a mistake": "192.0.2.9\n10.0.0.7/24\n",
    "html": "<!doctype html>\n",
    "an unknown group": "192.0.2.9\n@build\n",
    "no text": b"192.0.2.9\n\xff\xfe\n",
    "binary": bytes(range(256)),
    "far too large": "192.0.2.9\n" * 1_000_000,
}


@pytest.mark.parametrize("text", RUBBISH.values(), ids=RUBBISH.keys())
async def test_a_list_with_a_mistake_keeps_the_last_good_one_and_shouts(folder: Folder, text: str | bytes) -> None:
    await folder.write(GOOD)
    await folder.write(text)

    assert (folder.lets_in("192.0.2.7"), folder.lets_in("192.0.2.9")) == (True, False)
    assert folder.lists.states() == {PAY: State.KEPT}
    check = await folder.lists.check()
    assert (check.ok, "1 allowlist is not in force" in check.detail) == (False, True)
    assert "allowlist.refused list=pay.private" in folder.told.getvalue()
    assert "the last good list" in folder.told.getvalue()

    await folder.write("192.0.2.9\n")
    assert (folder.lets_in("192.0.2.7"), folder.lets_in("192.0.2.9")) == (False, True)
    assert (await folder.lists.check()).ok


@pytest.mark.parametrize("text", RUBBISH.values(), ids=RUBBISH.keys())
async def test_without_a_good_list_at_the_start_nobody_gets_in(folder: Folder, text: str | bytes) -> None:
    await folder.write(text)
    folder.again()

    await folder.lists.refresh()

    assert (folder.lets_in("192.0.2.7"), folder.lets_in("192.0.2.9")) == (False, False)
    assert folder.lists.states() == {PAY: State.CLOSED}
    assert not (await folder.lists.check()).ok
    assert "in_force='nobody gets in'" in folder.told.getvalue()


async def test_access_control_without_a_list_lets_nobody_in_and_says_so_once(folder: Folder) -> None:
    await folder.lists.refresh()
    folder.lists.follow()
    folder.lists.follow()

    assert not folder.lets_in("192.0.2.7")
    assert folder.told.getvalue().count("allowlist.missing list=pay.private") == 1

    await folder.write(GOOD)
    assert folder.lets_in("192.0.2.7")
    assert (await folder.lists.check()).ok


async def test_an_empty_list_lets_nobody_in_and_is_meant_so(folder: Folder) -> None:
    await folder.write(GOOD)

    await folder.write("# nobody for now\n")

    assert not folder.lets_in("192.0.2.7")
    assert folder.lists.states() == {PAY: State.GOOD}


async def test_a_list_that_was_never_good_and_is_gone_is_missing(folder: Folder) -> None:
    await folder.write("rubbish\n")
    (folder.path / PAY.file).unlink()

    await folder.lists.refresh()

    assert "allowlist.missing list=pay.private" in folder.told.getvalue()
    assert folder.lists.guard(PAY).fault == ""


async def test_a_list_that_decides_and_is_gone_stays_in_force_and_shouts(folder: Folder) -> None:
    await folder.write(GOOD)
    (folder.path / PAY.file).unlink()

    await folder.lists.refresh()

    assert folder.lets_in("192.0.2.7")
    assert folder.lists.states() == {PAY: State.KEPT}
    assert "pay.private.txt is gone" in folder.told.getvalue()


async def test_a_list_that_decides_nothing_may_go(folder: Folder) -> None:
    await folder.write(GOOD, DEV)
    (folder.path / DEV.file).unlink()

    await folder.lists.refresh()
    folder.wanted.add(DEV)
    folder.lists.follow()

    assert not folder.lets_in("192.0.2.7", DEV)
    assert "allowlist.missing list=dev.public" in folder.told.getvalue()


async def test_a_registry_with_the_name_of_a_deleted_one_inherits_nothing(folder: Folder) -> None:
    await folder.write(GOOD)
    held = folder.lists.guard(PAY)

    await folder.lists.equip(registry(removed_at=NOON))

    assert not held.has("192.0.2.7")
    assert not folder.lets_in("192.0.2.7")
    assert [one.name for one in folder.path.iterdir()] == ["pay-p1.private.txt.removed"]


async def test_it_inherits_nothing_where_the_disk_does_not_let_the_file_go_either(folder: Folder) -> None:
    await folder.write(GOOD)
    held = folder.lists.guard(PAY)
    (folder.path / "pay-p1.private.txt.removed").mkdir()  # the file cannot get that name

    with pytest.raises(StoreFailed):
        await folder.lists.equip(registry(removed_at=NOON))
    await folder.lists.refresh()

    assert not held.has("192.0.2.7")
    assert not folder.lets_in("192.0.2.7")


async def test_a_list_that_decides_nothing_is_refused_without_an_alarm(folder: Folder) -> None:
    await folder.write("rubbish\n", DEV)

    assert "warn  allowlist.refused list=dev.public" in folder.told.getvalue()
    assert "access control is off" in folder.told.getvalue()


async def test_a_restored_registry_gets_its_lists_back(folder: Folder) -> None:
    await folder.write(GOOD)
    await folder.lists.equip(registry(removed_at=NOON))

    await folder.lists.equip(registry())

    assert folder.lets_in("192.0.2.7")


async def test_a_restored_registry_does_not_write_over_what_was_written_meanwhile(folder: Folder) -> None:
    await folder.write(GOOD)
    await folder.lists.equip(registry(removed_at=NOON))
    await folder.write("192.0.2.9\n")

    await folder.lists.equip(registry())

    assert (folder.lets_in("192.0.2.7"), folder.lets_in("192.0.2.9")) == (False, True)


async def test_what_a_crash_left_of_a_deletion_goes_aside_later_and_what_is_gone_goes_for_good(folder: Folder) -> None:
    await folder.write(GOOD)
    shelf, written = folder.lists.shelf, (folder.path / PAY.file).stat().st_mtime_ns // 1_000_000

    await shelf.put_aside(registry(removed_at=written - 1000), Timestamp(written - 1000))  # another one's, to come
    assert (folder.path / PAY.file).exists()
    await shelf.put_aside(registry(removed_at=written + 1000), Timestamp(written + 1000))
    assert not (folder.path / PAY.file).exists()
    await shelf.drop_aside(lambda public_id: public_id != "p1")
    assert len(list(folder.path.iterdir())) == 1
    await shelf.drop_aside(lambda public_id: public_id == "p1")
    assert list(folder.path.iterdir()) == []


async def test_the_lists_of_a_registry_that_is_being_made_stay_where_an_older_one_of_its_name_goes(
    folder: Folder,
) -> None:
    """Lists are laid before the row is written: whoever tidies up meanwhile has seen no registry of that name yet."""
    shelf, made, going = folder.lists.shelf, list[str](), list[asyncio.Task[None]]()

    async def make(_: Changed) -> None:
        going.append(asyncio.ensure_future(shelf.put_aside(registry(removed_at=NOON), None, lambda: bool(made))))
        await asyncio.sleep(0)
        made.append("pay")

    await shelf.lay({PAY: GOOD}, lambda: None, make)
    await going[0]

    assert (folder.path / PAY.file).read_text() == GOOD
    await shelf.put_aside(registry(removed_at=NOON))
    assert not (folder.path / PAY.file).exists()


async def test_groups_count_in_every_list_that_names_them(folder: Folder) -> None:
    span = read_span("10.9.0.0/16")
    assert span is not None
    folder.lists.regroup({"build": Ranges([span])})
    await folder.write("192.0.2.7\n@build\n")
    assert (folder.lets_in("192.0.2.7"), folder.lets_in("10.9.0.1")) == (True, True)

    other = read_span("10.8.0.0/16")
    assert other is not None
    folder.lists.regroup({"build": Ranges([other])})
    assert (folder.lets_in("10.9.0.1"), folder.lets_in("10.8.0.1")) == (False, True)

    folder.lists.regroup({})
    assert (folder.lets_in("192.0.2.7"), folder.lets_in("10.8.0.1")) == (True, False)
    await folder.lists.refresh()
    assert (folder.lets_in("192.0.2.7"), folder.lets_in("10.8.0.1")) == (True, False)
    assert folder.lists.states() == {PAY: State.KEPT}
    assert "there is no [[resource_group]] build" in folder.told.getvalue()


async def test_groups_that_change_while_files_are_read_count(folder: Folder) -> None:
    old, new = read_span("10.9.0.0/16"), read_span("10.8.0.0/16")
    assert old is not None
    assert new is not None
    folder.lists.regroup({"build": Ranges([old])})
    (folder.path / PAY.file).write_text("@build\n")

    async with asyncio.TaskGroup() as group:
        group.create_task(folder.lists.refresh())
        await asyncio.sleep(0)  # it has begun
        folder.lists.regroup({"build": Ranges([new])})

    assert (folder.lets_in("10.9.0.1"), folder.lets_in("10.8.0.1")) == (False, True)


async def test_what_is_no_file_holds_nobody_up(folder: Folder) -> None:
    os.mkfifo(folder.path / PAY.file)
    (folder.path / DEV.file).mkdir()

    await folder.lists.refresh()

    assert folder.told.getvalue().count("allowlist.refused") == 2


async def test_a_list_may_be_a_link_as_mounted_settings_are(folder: Folder) -> None:
    (folder.path / "..data-1").mkdir()
    (folder.path / "..data-1" / "list").write_text(GOOD)
    (folder.path / PAY.file).symlink_to("..data-1/list")
    await folder.lists.refresh()
    assert folder.lets_in("192.0.2.7")

    (folder.path / "..data-2").mkdir()
    (folder.path / "..data-2" / "list").write_text("192.0.2.9\n")
    (folder.path / "new").symlink_to("..data-2/list")
    (folder.path / "new").rename(folder.path / PAY.file)
    await folder.lists.refresh()

    assert (folder.lets_in("192.0.2.7"), folder.lets_in("192.0.2.9")) == (False, True)


async def test_a_file_that_is_called_like_no_list_is_remarked_once(folder: Folder) -> None:
    for name in ("pay.txt", "pay.privat.txt", ".pay.private.txt", "pay.private.txt~", "notes.md"):
        (folder.path / name).write_text(GOOD)

    await folder.lists.refresh()
    await folder.lists.refresh()

    told = [line for line in folder.told.getvalue().splitlines() if "allowlist.stray_file" in line]
    assert [("pay.privat.txt" in line, "pay.txt" in line) for line in told] == [(True, False), (False, True)]


async def test_remarks_are_logged_and_the_list_counts(folder: Folder) -> None:
    await folder.write(GOOD + GOOD + "192.0.2.0/24\n", MANAGEMENT_LIST)

    assert folder.lets_in("192.0.2.99", MANAGEMENT_LIST)
    assert "allowlist.remarks list=management" in folder.told.getvalue()
