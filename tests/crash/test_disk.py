"""The disk that forgets is itself put to the test: a registry that promises too much must be found out."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from appliance.errors import ScrError
from tests.crash.disk import SECTOR, Disk, Outcome
from tests.crash.inspection import inspect
from tests.crash.recording import AddFolder, Create, RecordingFiles, Remove, Rename, Step, Sync, SyncFolder, Write
from tests.crash.story import APP, Story, record

A, B, FOLDER = Path("a"), Path("b"), Path("f")
ROOT = Path()


class WithoutSync(RecordingFiles):
    """Says that content is durable, and does nothing for it."""

    def sync(self, descriptor: int, path: Path) -> None:
        del descriptor, path


class WithoutFolderSync(RecordingFiles):
    """Says that names are durable, and does nothing for it."""

    def sync_folder(self, path: Path) -> None:
        del path


class TrustsFolders(RecordingFiles):
    """Takes a folder for durable because it is there."""

    def make_folder(self, path: Path) -> None:
        if not path.is_dir():
            self.add_folder(path)


def after(steps: Sequence[Step], subsets: int = 200) -> list[Outcome]:
    """Return what may be found after `steps`."""
    disk = Disk()
    for step in steps:
        disk.apply(step)
    return list(disk.outcomes(random.Random(1), subsets))  # noqa: S311 - the same subsets every time


def found(outcomes: list[Outcome]) -> set[frozenset[tuple[Path, bytes | None]]]:
    return {frozenset(outcome.found.items()) for outcome in outcomes}


def test_what_was_synced_with_its_folder_is_there_whatever_happens() -> None:
    outcomes = after([Create(A), Write(A, 0, b"x" * 900), Sync(A), SyncFolder(ROOT)])

    assert found(outcomes) == {frozenset({(A, b"x" * 900)})}


def test_a_name_that_was_not_synced_may_be_missing_though_the_content_was() -> None:
    outcomes = after([Create(A), Write(A, 0, b"x"), Sync(A)])

    assert found(outcomes) == {frozenset(), frozenset({(A, b"x")})}


def test_an_unsynced_write_is_there_missing_or_torn_at_sectors() -> None:
    old, new = b"o" * (2 * SECTOR), b"n" * (2 * SECTOR)
    outcomes = after([Create(A), Write(A, 0, old), Sync(A), SyncFolder(ROOT), Write(A, 0, new)])

    contents = {outcome.found[A] for outcome in outcomes}
    assert contents == {old, new, old[:SECTOR] + new[SECTOR:], new[:SECTOR] + old[SECTOR:]}


def test_a_rename_happens_whole_or_not_at_all() -> None:
    start: list[Step] = [Create(A), Write(A, 0, b"a"), Sync(A), Create(B), Write(B, 0, b"b"), Sync(B), SyncFolder(ROOT)]
    outcomes = after([*start, Rename(A, B)])

    assert found(outcomes) == {frozenset({(A, b"a"), (B, b"b")}), frozenset({(B, b"a")})}


def test_a_removed_name_may_come_back_until_its_folder_is_synced() -> None:
    start: list[Step] = [Create(A), SyncFolder(ROOT)]

    assert found(after([*start, Remove(A)])) == {frozenset(), frozenset({(A, b"")})}
    assert found(after([*start, Remove(A), SyncFolder(ROOT)])) == {frozenset()}


def test_a_folder_without_a_durable_name_takes_all_in_it_along() -> None:
    inside = FOLDER / "x"
    outcomes = after([AddFolder(FOLDER), Create(inside), Sync(inside), SyncFolder(FOLDER)])

    assert found(outcomes) == {frozenset(), frozenset({(FOLDER, None), (inside, b"")})}


def cut(story: Story, folder: Path) -> None:
    """Cut the power after every step of `story`."""
    disk = Disk()
    chance = random.Random(1)  # noqa: S311 - the same cuts every time
    for number, step in enumerate(story.log.steps, start=1):
        disk.apply(step)
        if number <= story.chapters[0].last:
            continue
        for index, outcome in enumerate(disk.outcomes(chance, 0)):
            laid_out = folder / f"{number}-{index}"
            laid_out.mkdir()
            outcome.lay_out(laid_out)
            asyncio.run(inspect(laid_out, story.journal.allowed(number), set(), {}))


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def push(folder: Path, files: type[RecordingFiles]) -> Story:
    """Push an image with files that are handled by `files`."""
    async with record(folder, "sabotaged", files) as story:
        for blob in story.one.blobs:
            await story.push_blob(APP, blob)
        await story.put(APP, story.one, "1")
    return story


def test_an_honest_push_passes(quick_folder: Path) -> None:
    story = asyncio.run(push(made(quick_folder / "recorded"), RecordingFiles))

    cut(story, quick_folder)


@pytest.mark.parametrize("files", [WithoutSync, WithoutFolderSync, TrustsFolders])
def test_a_registry_that_promises_too_much_is_found_out(quick_folder: Path, files: type[RecordingFiles]) -> None:
    story = asyncio.run(push(made(quick_folder / "recorded"), files))

    with pytest.raises((AssertionError, ScrError)):
        cut(story, quick_folder)
