import pytest

from appliance.db import manifests
from appliance.domain.moment import DAY, Timestamp
from appliance.domain.names import Digest
from appliance.domain.registry import ManifestId
from appliance.errors import Stopping
from appliance.services import delete
from appliance.services.tally import Pulls, flush
from tests import make
from tests.services.conftest import House

pytestmark = pytest.mark.anyio
IMAGE, OTHER = make.image(), make.image([{"b": b"2"}])


def manifest_id(house: House, manifest: make.Manifest) -> ManifestId:
    found = manifests.find_in(house.stock.db.reader, house.image_id("pay/api"), Digest(manifest.digest))
    assert found is not None
    return found[0]


def pulled(house: House, table: str) -> list[tuple[int, int | None]]:
    rows = house.stock.db.reader.rows(f"SELECT pulls, last_pulled_at FROM {table} ORDER BY id")  # noqa: S608
    return [(row[0], row[1]) for row in rows]


async def test_pulls_are_written_in_one_go_and_once(house: House) -> None:
    await house.push("pay/api", IMAGE)
    await house.push("pay/api", OTHER)
    pulls, image = Pulls(), house.image_id("pay/api")
    for number in range(5):
        pulls.count(image, manifest_id(house, IMAGE), Timestamp(make.NOON + number))
    pulls.count(image, manifest_id(house, OTHER), Timestamp(make.NOON + 9))
    before = house.stock.db.epoch

    await flush(house.stock.db, pulls)
    await flush(house.stock.db, pulls)

    assert house.stock.db.epoch == before + 1
    assert pulled(house, "manifests") == [(5, make.NOON + 4), (1, make.NOON + 9)]
    assert pulled(house, "images") == [(6, make.NOON + 9)]


async def test_a_clock_that_jumps_back_does_not_take_the_last_pull_back(house: House) -> None:
    await house.push("pay/api", IMAGE)
    pulls, image, manifest = Pulls(), house.image_id("pay/api"), manifest_id(house, IMAGE)

    for moment in (make.NOON, make.NOON - 365 * DAY):
        pulls.count(image, manifest, Timestamp(moment))
        pulls.count(image, manifest, Timestamp(moment - 1))
        await flush(house.stock.db, pulls)

    assert pulled(house, "manifests") == [(4, make.NOON)]


async def test_pulls_of_a_manifest_that_is_gone_meanwhile_count_for_its_image(house: House) -> None:
    house.set_rules(recycle=0)
    await house.push("pay/api", IMAGE)
    pulls = Pulls()
    pulls.count(house.image_id("pay/api"), manifest_id(house, IMAGE), Timestamp(make.NOON))
    await delete.delete_manifest(house.stock, house.grant("pay/api"), Digest(IMAGE.digest), Timestamp(house.now))
    await house.collect()

    await flush(house.stock.db, pulls)

    assert pulled(house, "images") == [(1, make.NOON)]


async def test_pulls_that_cannot_be_written_are_kept(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.push("pay/api", IMAGE)
    pulls, image, manifest = Pulls(), house.image_id("pay/api"), manifest_id(house, IMAGE)
    pulls.count(image, manifest, Timestamp(make.NOON))

    async def refuse(_: object) -> None:
        pulls.count(image, manifest, Timestamp(make.NOON + 1))  # a pull beside the flush
        raise Stopping("not now")

    with monkeypatch.context() as patch:
        patch.setattr(house.stock.db, "write", refuse)
        with pytest.raises(Stopping):
            await flush(house.stock.db, pulls)
    await flush(house.stock.db, pulls)

    assert pulled(house, "manifests") == [(2, make.NOON + 1)]
