"""Waiting for something to become true, by looking again and again."""

import threading
import time
from collections.abc import Callable

import pytest

PATIENCE_S = 30  # far more than anything takes; a loaded machine must not fail a test


@pytest.fixture
def until() -> Callable[[Callable[[], bool], str], None]:
    """Wait until a condition holds; the text says what was waited for."""

    def wait(condition: Callable[[], bool], what: str) -> None:
        never = threading.Event()
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, f"{what} did not happen within {PATIENCE_S} s"
            never.wait(0.02)

    return wait
