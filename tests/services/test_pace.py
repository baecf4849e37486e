"""Steps of long work: as large as nobody notices, with a rest behind each."""

import pytest

from appliance.services.pace import FIRST, LEAST, MOST, Pace, next_size
from tests.services.conftest import House

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("size", "took_s", "expected"),
    [
        (FIRST, 0.0, 62),  # so quick that the clock saw nothing
        (FIRST, 0.001, 62),  # a quarter more at once
        (FIRST, 0.005, FIRST),
        (FIRST, 0.01, 25),
        (MOST, 1.0, LEAST),
        (MOST, 0.001, MOST),
        (LEAST, 0.001, 25),
    ],
)
def test_a_step_is_as_large_as_fits_into_some_milliseconds(size: int, took_s: float, expected: int) -> None:
    assert next_size(size, took_s) == expected


async def test_a_step_that_took_long_makes_the_next_one_smaller(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter((1.0, 2.0))
    monkeypatch.setattr("appliance.services.pace.perf_counter", lambda: next(seconds))
    pace = Pace()

    said = await pace.write(house.stock.db, lambda tx: tx.one("SELECT 7"))

    assert said == (7,)
    assert pace.size == LEAST


@pytest.mark.parametrize(("is_urgent", "rests"), [(False, [0.02]), (True, [])])
async def test_it_rests_as_long_as_a_step_computed_unless_it_is_urgent(
    house: House, monkeypatch: pytest.MonkeyPatch, *, is_urgent: bool, rests: list[float]
) -> None:
    rested: list[float] = []

    async def sleep(seconds: float) -> None:
        rested.append(seconds)

    clock = iter((1.0, 1.02))
    monkeypatch.setattr("appliance.services.pace.thread_time", lambda: next(clock))
    monkeypatch.setattr("appliance.services.pace.asyncio.sleep", sleep)

    await Pace(is_urgent=is_urgent).write(house.stock.db, lambda tx: tx.one("SELECT 1"))

    assert rested == pytest.approx(rests)
