"""What repositories use: measured at each look, or by the job where the registry is large."""

import pytest

from appliance.db import repository_measures
from appliance.db.repository_measures import PAGES, Measured
from appliance.domain.admission import Grant
from appliance.domain.moment import HOUR, Timestamp
from appliance.domain.names import RepositoryName
from appliance.services import delete, measure
from tests import make
from tests.services.conftest import House

pytestmark = pytest.mark.anyio
SMALL, LARGE = make.image([{"a": b"1"}]), make.image([{"b": b"2" * 5000}])


def size_of(*made: make.Manifest) -> int:
    return sum(len(blob.data) for one in made for blob in one.blobs)


async def by_name(house: House, order: str = "name", last: str = "") -> list[Measured]:
    return await measure.list_by_name(house.stock, house.site.registry, order, last, 10)


def told(rows: list[Measured]) -> list[tuple[str, int, int | None]]:
    """Return the names, the live bytes, and when they were measured."""
    return [(row.name, row.usage.live, row.measured_at) for row in rows]


async def test_a_small_registry_is_measured_at_each_look(house: House) -> None:
    await house.push("pay/api", SMALL, "1")
    await measure.measure_all(house.stock)
    house.now += HOUR
    await house.push("pay/api", LARGE, "2")

    rows = await measure.list_all(house.stock, house.site.registry)

    assert rows is not None
    assert told(rows) == [("pay", size_of(SMALL, LARGE), house.now)] == told(await by_name(house))


async def test_a_large_registry_is_told_as_it_was_measured(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "AT_ONCE", 0)
    await house.push("pay/api", SMALL, "1")
    first = await measure.list_all(house.stock, house.site.registry)  # nobody has measured it yet
    then = house.now
    assert (await measure.measure_all(house.stock)).repositories == 1
    house.now += HOUR
    await house.push("pay/api", LARGE, "2")
    await house.push("shop/x", LARGE, "1")

    assert first is not None
    assert told(first) == [("pay", size_of(SMALL), then)]
    assert await measure.list_all(house.stock, house.site.registry) is None
    kept = repository_measures.list_page(house.stock.db.reader, house.site.registry, "-live", None, 10)
    assert told(kept) == [("pay", size_of(SMALL), then), ("shop", 0, None)]
    assert told(await by_name(house)) == [("pay", size_of(SMALL), then), ("shop", size_of(LARGE), house.now)]
    assert told(await by_name(house, last="pay")) == [("shop", size_of(LARGE), house.now)]
    assert [row.name for row in await by_name(house, "-name")] == ["shop", "pay"]

    await measure.measure_all(house.stock)

    kept = repository_measures.list_page(house.stock.db.reader, house.site.registry, "-live", None, 10)
    assert told(kept) == [("pay", size_of(SMALL, LARGE), house.now), ("shop", size_of(LARGE), house.now)]


@pytest.mark.parametrize("order", PAGES)
async def test_pages_go_on_where_the_last_one_ended(house: House, order: str) -> None:
    for number, names in enumerate([("a", "b"), ("c",), ("d", "e")]):
        for name in names:
            layers: list[dict[str, bytes]] = [{"n": bytes(number)}] * number + [{"x": b"x"}]
            await house.push(f"{name}/x", make.image(layers), *(["1"] if number else []))
    await measure.measure_all(house.stock)
    reader, registry = house.stock.db.reader, house.site.registry
    whole = repository_measures.list_page(reader, registry, order, None, 10)

    paged: list[Measured] = []
    after: tuple[int, str] | None = None
    while rows := repository_measures.list_page(reader, registry, order, after, 2):
        paged += rows
        by = order.removeprefix("-")
        last = rows[-1]
        figures = {"unfinished": last.usage.unclaimed + last.staged, "name": 0}
        after = (figures[by] if by in figures else getattr(last.usage, by), last.name)

    assert paged == whole
    assert len(whole) == 5


async def test_a_deleted_repository_is_told_no_more_and_its_measure_goes_with_its_row(house: House) -> None:
    await house.push("pay/api", SMALL, "1")
    await measure.measure_all(house.stock)
    grant: Grant = house.grant("pay/x")

    await delete.delete_repository(house.stock, grant, RepositoryName("pay"), Timestamp(house.now))
    left = repository_measures.list_page(house.stock.db.reader, house.site.registry, "live", None, 10)
    await house.collect(after=48 * HOUR)

    assert left == []
    assert house.count("repository_measures") == 0
