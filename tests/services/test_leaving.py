"""A dry run explains every byte that will go: what, with which image, why and when."""

import pytest

from appliance.domain.moment import DAY, HOUR, Timestamp
from appliance.domain.names import Digest, RepositoryName
from appliance.errors import QueryInvalid
from appliance.services import delete
from appliance.services.leaving import Leaving, explain
from tests import make
from tests.services.conftest import House

pytestmark = pytest.mark.anyio
SHARED = {"etc/issue": b"shared"}
IMAGE = make.image([{"etc/motd": b"hello" * 1000}, SHARED])
OTHER = make.image([{"b": b"2"}, SHARED])


async def explained(house: House) -> dict[str, Leaving]:
    return {one.name: one for one in (await explain(house.stock, "", 1000)).items}


async def test_a_deleted_manifest_goes_with_the_blobs_that_only_it_needs_when_its_recycle_time_ends(
    house: House,
) -> None:
    await house.push("pay/api", IMAGE, "1")
    await house.push("pay/web", OTHER, "1")
    await delete.delete_manifest(house.stock, house.grant("pay/api"), Digest(IMAGE.digest), Timestamp(house.now))

    found = await explained(house)

    config, own, shared = (blob.digest for blob in IMAGE.blobs)
    assert set(found) == {IMAGE.digest, config, own}
    assert shared not in found
    assert {one.at for one in found.values()} == {house.now + DAY}
    assert not any(one.is_due for one in found.values())
    assert found[IMAGE.digest].reason == "manifest deleted"
    assert found[own].reason == f"only {IMAGE.digest[:19]} needs it: manifest deleted"


async def test_a_blob_of_two_deleted_manifests_goes_with_the_later_one(house: House) -> None:
    await house.push("pay/api", IMAGE, "1")
    await house.push("pay/web", OTHER, "1")
    await delete.delete_image(house.stock, house.grant("pay/api"), Timestamp(house.now))
    house.now += HOUR
    await delete.delete_repository(house.stock, house.grant("pay/web"), RepositoryName("pay"), Timestamp(house.now))

    found = await explained(house)

    shared = found[IMAGE.blobs[2].digest]
    assert (shared.path, shared.at) == ("pay/web", house.now + DAY)
    assert shared.reason == f"only {OTHER.digest[:19]} needs it: its repository was deleted"
    assert found[IMAGE.digest].reason == "its image was deleted"
    assert found[IMAGE.digest].at == house.now - HOUR + DAY


async def test_a_loose_blob_goes_when_its_grace_time_ends_and_one_that_was_deleted_later(house: House) -> None:
    loose, deleted = make.Blob(b"nobody names me"), make.Blob(b"deleted by hand")
    for blob in (loose, deleted):
        await house.push_blob("pay/api", blob)
    await delete.delete_blob(house.stock, house.grant("pay/api"), Digest(deleted.digest), Timestamp(house.now))

    found = await explained(house)

    assert found[loose.digest].at == house.now + HOUR
    assert "no manifest of it names it" in found[loose.digest].reason
    assert found[deleted.digest].at == house.now + DAY
    assert found[deleted.digest].reason == "deleted from pay/api"


async def test_with_a_restore_window_bytes_go_so_much_later_than_their_rows(house: House) -> None:
    house.set_rules(restore_window=2 * DAY)
    blob = make.Blob(b"nobody names me")
    await house.push_blob("pay/api", blob)

    assert (await explained(house))[blob.digest].at == house.now + HOUR + 2 * DAY
    freed = await house.collect(after=2 * HOUR)
    waiting = (await explained(house))[blob.digest]
    early = await house.collect(after=2 * DAY - 1)
    late = await house.collect(after=1)

    assert (freed.links, freed.blobs, early.blobs, late.blobs) == (1, 0, 0, 1)
    assert (waiting.at, waiting.path) == (house.now, "")
    assert "restore_window" in waiting.reason


async def test_an_unfinished_upload_is_listed_with_its_image_and_size(house: House) -> None:
    upload = await house.begin("pay/api")

    found = await explained(house)

    one = found[upload.session.id]
    assert (one.kind, one.path, one.size, one.is_due) == ("upload", "pay/api", 0, False)


async def test_pages_are_bounded_and_go_on_where_the_one_before_ended(house: House) -> None:
    for number in range(7):
        await house.push(f"pay/app{number}", make.image([{"n": b"%d" % number}]), "1")
        await delete.delete_image(house.stock, house.grant(f"pay/app{number}"), Timestamp(house.now))

    found, cursor, pages = [], "", 0
    while pages == 0 or cursor:
        page = await explain(house.stock, cursor, 3)
        found += page.items
        cursor, pages = page.next, pages + 1

    assert len(found) == len({one.name for one in found}) == 21
    assert pages >= 7


@pytest.mark.parametrize("cursor", ["x", "0.1.2.3.4", "-1", "0.²"])
async def test_a_cursor_of_another_make_is_refused(house: House, cursor: str) -> None:
    with pytest.raises(QueryInvalid):
        await explain(house.stock, cursor, 3)
