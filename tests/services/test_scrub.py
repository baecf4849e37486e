import pytest

from appliance.blobstore.reading import BlobFile
from appliance.db import facts
from appliance.domain.moment import HOUR
from appliance.domain.names import Digest
from appliance.errors import ManifestBlobUnknown, StoreFailed
from appliance.services import scrub
from tests import make
from tests.services.conftest import House
from tests.services.courses import Kept

pytestmark = pytest.mark.anyio
BLOB = make.Blob(b"bytes of a layer")
IMAGE = make.image([{"a": b"1"}, {"b": b"2"}])


async def test_a_broken_blob_is_healed_by_the_next_push(house: House) -> None:
    await house.push("pay/api", IMAGE, "1")
    layer = IMAGE.blobs[1]
    path = next(path for path in (house.folder / "blobs").rglob(f"{layer.digest[7:]}.*"))
    path.write_bytes(b"x" * len(layer.data))

    found = await scrub.scrub(house.stock)
    assert found.broken == (layer.digest,)
    assert not house.has_blob("pay/api", layer)
    with pytest.raises(ManifestBlobUnknown):
        await house.put("pay/api", IMAGE, "2")
    await house.push_blob("pay/web", layer)  # whoever pushes it

    await house.collect(after=2 * HOUR)
    await house.assert_whole("pay/api", IMAGE)
    assert (await scrub.scrub(house.stock)).broken == ()
    assert "blob.broken" in house.printed.getvalue()


@pytest.mark.parametrize("change", ["longer", "shorter", "gone"])
async def test_scrub_finds_every_kind_of_damage(house: House, change: str) -> None:
    await house.push_blob("pay/api", BLOB)
    path = next(path for path in (house.folder / "blobs").rglob(f"{BLOB.digest[7:]}.*"))
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(BLOB.data + b"x" if change == "longer" else BLOB.data[:-1])

    assert (await scrub.scrub(house.stock)).broken == (() if change == "longer" else (BLOB.digest,))


async def test_scrub_reads_every_blob_once_and_says_when(house: House) -> None:
    blobs = [make.Blob(b"%d" % number) for number in range(250)]
    for blob in blobs:
        await house.push_blob("pay/api", blob)

    found = await scrub.scrub(house.stock)

    assert found == scrub.Scrubbed(250, sum(len(blob.data) for blob in blobs))
    assert facts.find(house.stock.db.reader, "scrubbed_at") == str(house.now)


async def test_what_a_dead_attempt_found_broken_is_in_the_report_of_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is put aside already, so the next attempt does not meet it."""
    await house.push_blob("pay/api", BLOB)
    next((house.folder / "blobs").rglob(f"{BLOB.digest[7:]}.*")).write_bytes(b"x" * len(BLOB.data))
    course = Kept()

    async def die(*_: object) -> None:
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(house.stock.store, "quarantine", die)
        with pytest.raises(InterruptedError):
            await scrub.scrub(house.stock, course=course)

    assert (await scrub.scrub(house.stock, course=course)).broken == (BLOB.digest,)


async def test_a_quarantined_blob_is_kept_for_a_person_and_served_to_nobody(house: House) -> None:
    stored = await house.push_blob("pay/api", BLOB)

    await scrub.quarantine(house.stock, stored, "a test says so")
    await scrub.quarantine(house.stock, stored, "twice")

    assert house.lying() == [f"quarantine/{Digest(BLOB.digest)[7:]}.{stored.generation}"]
    assert not house.has_blob("pay/api", BLOB)
    assert (await scrub.scrub(house.stock)).blobs == 0
    await house.push_blob("pay/api", BLOB)
    assert await house.read_blob("pay/api", BLOB) == BLOB.data


async def test_an_alarm_for_a_generation_that_was_replaced_is_none(house: House) -> None:
    first = await house.push_blob("pay/api", BLOB)
    await scrub.quarantine(house.stock, first, "broken")
    await house.push_blob("pay/api", BLOB)

    await scrub.quarantine(house.stock, first, "a reader that was slow to tell")

    assert await house.read_blob("pay/api", BLOB) == BLOB.data


async def test_scrub_reads_the_disk_and_not_the_memory(house: House) -> None:
    await house.push_blob("pay/api", BLOB)
    await house.read_blob("pay/api", BLOB)  # now in the chunk cache
    next((house.folder / "blobs").rglob(f"{BLOB.digest[7:]}.*")).write_bytes(b"x" * len(BLOB.data))

    assert (await scrub.scrub(house.stock)).broken == (BLOB.digest,)


async def test_a_store_that_merely_failed_quarantines_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise StoreFailed("read: Input/output error")

    await house.push_blob("pay/api", BLOB)
    with monkeypatch.context() as patch:
        patch.setattr(BlobFile, "read", refuse)
        found = await scrub.scrub(house.stock)

    assert (found.broken, house.has_blob("pay/api", BLOB)) == ((), True)
