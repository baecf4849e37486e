"""Folders for tests that crash things."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it


@pytest.fixture
def quick_folder() -> Iterator[Path]:
    """A folder that is gone after the test, in memory where that is possible: nothing in it has to survive."""
    with tempfile.TemporaryDirectory(prefix="scr-", dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        yield Path(folder)
