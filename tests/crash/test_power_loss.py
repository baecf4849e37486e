"""The power goes after any step of any operation: what was acknowledged is whole, and nothing is left behind."""

import asyncio
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.disk import Disk, Outcome
from tests.crash.inspection import inspect
from tests.crash.server import PATIENCE_S
from tests.crash.story import Chapter, Story, record

SEED = 20261123
CHAPTERS = (
    "creation",
    "monolithic push",
    "manifest put",
    "chunked push with resume",
    "mount",
    "index put",
    "re-tag",
    "tag delete",
    "manifest delete",
    "re-push of a condemned digest",
    "collect",
    "quarantine",
    "heal",
    "image delete and collect",
    "closing",
)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The recording all tests of the module cut."""

    async def tell() -> Story:
        async with record(tmp_path_factory.mktemp("recorded"), "recording") as told:
            await told.tell()
        return told

    return asyncio.run(tell())


def outcomes(story: Story, chapter: Chapter, subsets: int) -> Iterator[tuple[int, Outcome]]:
    """Yield what may be found when the power goes after each step of `chapter`."""
    chance = random.Random(SEED + chapter.first)  # noqa: S311 - the same cuts every time
    disk = Disk()
    for number, step in enumerate(story.log.steps[: chapter.last], start=1):
        disk.apply(step)
        if number > chapter.first:
            for outcome in disk.outcomes(chance, subsets):
                yield number, outcome


def test_the_story_has_a_chapter_for_each_operation(story: Story) -> None:
    assert tuple(chapter.name for chapter in story.chapters) == CHAPTERS


@pytest.mark.timeout(PATIENCE_S)
@pytest.mark.parametrize("name", CHAPTERS)
def test_no_power_loss_loses_what_was_acknowledged(
    story: Story, name: str, quick_folder: Path, *, is_long: bool
) -> None:
    chapter = next(chapter for chapter in story.chapters if chapter.name == name)
    seen: set[int] = set()

    for cut, outcome in outcomes(story, chapter, subsets=25 if is_long else 1):
        allowed, damaged = story.journal.allowed(cut), story.journal.damaged(cut)
        key = hash((frozenset(outcome.found.items()), repr(sorted(map(repr, allowed.items())))))
        if key in seen:  # most steps change nothing that is durable
            continue
        seen.add(key)
        folder = quick_folder / "data"
        folder.mkdir()
        outcome.lay_out(folder)
        try:
            asyncio.run(inspect(folder, allowed, damaged, story.journal.blobs))
        except BaseException as error:
            step = story.log.steps[cut - 1]
            error.add_note(f"after step {cut} of {name}: {type(step).__name__} {step.path}")
            raise
        shutil.rmtree(folder)

    assert seen
