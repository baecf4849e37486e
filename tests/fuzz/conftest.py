import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

IS_LONG = os.environ.get("SCR_TEST_LONG") == "1"
_PATIENCE_S = 7200  # for a test of the long run, which may try thousands of examples
_SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a test of the long run take its time."""
    for item in items:
        if IS_LONG and item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(_PATIENCE_S))


def sized(short: int, long: int, steps: int = 50) -> settings:
    """Return settings with `short` examples, or `long` ones where SCR_TEST_LONG=1 asks for the long run.

    `steps` are those of one run of a state machine.
    """
    return settings(
        max_examples=long if IS_LONG else short,
        deadline=None,
        suppress_health_check=_SUPPRESSED,
        stateful_step_count=steps,
    )
