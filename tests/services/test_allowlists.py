"""Files of allowlists: many edits at once, a disk that fails at any step, and what is recorded."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from appliance.blobstore.files import Files
from appliance.domain.allowlist import parse, with_entry
from appliance.domain.endpoint import Endpoint, ListName
from appliance.errors import StorageFull
from appliance.services.allowlists import Shelf

pytestmark = pytest.mark.anyio
PAY = ListName(Endpoint.PRIVATE, "pay")
STEPS = ("create", "write", "sync", "rename", "sync_folder")


class Failing(Files):
    """A disk that is full at one step of writing a file."""

    def __init__(self, step: str) -> None:
        super().__init__()
        self._step = step

    def _at(self, step: str) -> None:
        if step == self._step:
            raise StorageFull("the disk is full")

    def create(self, path: Path) -> int:
        self._at("create")
        return super().create(path)

    def write(self, descriptor: int, path: Path, pieces: Sequence[bytes | memoryview], offset: int) -> None:
        super().write(descriptor, path, [bytes(piece)[:3] for piece in pieces], offset)
        self._at("write")
        super().write(descriptor, path, pieces, offset)

    def sync(self, descriptor: int, path: Path) -> None:
        self._at("sync")
        super().sync(descriptor, path)

    def rename(self, source: Path, target: Path) -> None:
        self._at("rename")
        super().rename(source, target)

    def sync_folder(self, path: Path) -> None:
        self._at("sync_folder")
        super().sync_folder(path)


@pytest.mark.parametrize("step", STEPS)
async def test_a_disk_that_is_full_at_any_step_leaves_one_whole_list(
    tmp_path: Path, executor: ThreadPoolExecutor, step: str
) -> None:
    old, new = "# old\n192.0.2.7\n", "# new\n192.0.2.8\n"
    (tmp_path / PAY.file).write_text(old)

    with pytest.raises(StorageFull):
        await Shelf(tmp_path, Failing(step), executor).change(PAY, lambda _: new)

    assert (tmp_path / PAY.file).read_text() == (new if step == "sync_folder" else old)
    assert _names(tmp_path) == [PAY.file]


def _names(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]


def _with(entry: str, text: str | None) -> str:
    return with_entry(text or "", entry)


async def test_edits_at_once_lose_no_line(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    shelf = Shelf(tmp_path, Files(), executor)
    wanted = [f"192.0.2.{number}" for number in range(40)]

    await asyncio.gather(*(shelf.change(PAY, partial(_with, one)) for one in wanted))

    found = parse((tmp_path / PAY.file).read_text(), {})
    assert sorted(entry.text for entry in found.entries) == sorted(wanted)


async def test_an_edit_that_is_refused_writes_nothing(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    def refuse(_: str | None) -> str:
        raise StorageFull("no")

    with pytest.raises(StorageFull):
        await Shelf(tmp_path, Files(), executor).change(PAY, refuse)

    assert _names(tmp_path) == []
