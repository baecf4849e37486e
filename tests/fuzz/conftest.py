import os

from hypothesis import HealthCheck, settings

IS_LONG = os.environ.get("SCR_TEST_LONG") == "1"
_SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


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
