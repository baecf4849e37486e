"""Undo: what one act deleted comes back together, until collection takes it."""

from collections.abc import Callable, Sequence

import pytest

from appliance.db import blobs, deletions
from appliance.db.database import Transaction
from appliance.db.deletions import Deletion
from appliance.domain.moment import DAY, HOUR, SECOND, Timestamp
from appliance.domain.names import Digest, RepositoryName, Tag
from appliance.domain.registry import ImageId
from appliance.errors import Conflict
from appliance.services import delete, undo
from appliance.services.undo import Undone
from tests import make
from tests.services.conftest import House

pytestmark = pytest.mark.anyio
ONE, TWO, THREE = (make.image([{"a": b"1"}, {"b": bytes([number])}]) for number in range(3))


def recent(house: House) -> list[Deletion]:
    """Return all deletions, newest first."""
    return deletions.list_page(house.stock.db.reader, house.site.registry, 1 << 60, 100)


async def undo_last(house: House, name: str = "pay/api") -> Undone:
    return await undo.undo(house.stock, house.grant(name).caller, recent(house)[0], Timestamp(house.now))


async def delete_tag(house: House, tag: str) -> None:
    await delete.delete_tag(house.stock, house.grant("pay/api"), Tag(tag), Timestamp(house.now))


async def delete_manifests(house: House, wanted: Sequence[make.Manifest]) -> None:
    digests = [Digest(one.digest) for one in wanted]
    await delete.delete_manifests(house.stock, house.grant("pay/api"), digests, Timestamp(house.now))


async def test_a_deleted_tag_comes_back(house: House) -> None:
    await house.push("pay/api", ONE, "1")
    await delete_tag(house, "1")

    done = await undo_last(house)

    assert done == Undone(0, 1)
    assert house.tags("pay/api") == {"1": ONE.digest}
    assert recent(house) == []


async def test_what_was_deleted_together_comes_back_together(house: House) -> None:
    await house.push("pay/api", ONE, "1", "latest")
    await house.push("pay/api", TWO, "2")
    await house.push("pay/api", THREE, "3")
    before = house.tags("pay/api")
    await delete_manifests(house, [ONE, TWO, THREE])
    assert house.tags("pay/api") == {}

    await house.collect(after=DAY - SECOND)
    done = await undo_last(house)
    await house.collect(after=30 * DAY)

    assert done == Undone(3, 4)
    assert house.tags("pay/api") == before
    for manifest in (ONE, TWO, THREE):
        await house.assert_whole("pay/api", manifest)


async def test_more_than_a_slice_comes_back(house: House) -> None:
    names = [f"t{number:03}" for number in range(250)]
    await house.push("pay/api", ONE, *names)
    await delete_manifests(house, [ONE])

    done = await undo_last(house)

    assert done == Undone(1, 250)
    assert sorted(house.tags("pay/api")) == names


async def test_a_deleted_image_comes_back_whole(house: House) -> None:
    await house.push("pay/api", ONE, "1", "2")
    await delete.delete_image(house.stock, house.grant("pay/api"), Timestamp(house.now))

    done = await undo_last(house)
    await house.collect(after=30 * DAY)

    assert done == Undone(1, 2)
    assert house.tags("pay/api") == {"1": ONE.digest, "2": ONE.digest}
    await house.assert_whole("pay/api", ONE)


async def test_a_deleted_repository_comes_back_whole(house: House) -> None:
    await house.push("pay/api", ONE, "1")
    await house.push("pay/web", TWO, "1")
    await delete.delete_repository(house.stock, house.grant("pay/x"), RepositoryName("pay"), Timestamp(house.now))

    await undo_last(house)
    await house.collect(after=30 * DAY)

    await house.assert_whole("pay/api", ONE)
    await house.assert_whole("pay/web", TWO)


async def test_a_tag_that_was_given_away_meanwhile_stays_where_it_is(house: House) -> None:
    await house.push("pay/api", ONE, "1", "2")
    await delete_manifests(house, [ONE])
    await house.push("pay/api", TWO, "1")

    done = await undo_last(house)

    assert done.tags == 1
    assert [(left.name, left.reason) for left in done.left] == [("1", "it names another manifest by now")]
    assert house.tags("pay/api") == {"1": TWO.digest, "2": ONE.digest}


async def test_undo_after_a_push_of_the_same_finds_all_of_it_there(house: House) -> None:
    await house.push("pay/api", ONE, "1")
    await delete_manifests(house, [ONE])
    await house.put("pay/api", ONE, "1")

    assert await undo_last(house) == Undone(0, 0)

    assert house.tags("pay/api") == {"1": ONE.digest}


async def test_an_image_whose_name_was_given_away_stays_deleted(house: House) -> None:
    await house.push("pay/api", ONE, "1")
    await delete.delete_image(house.stock, house.grant("pay/api"), Timestamp(house.now))
    await house.push("pay/api", TWO, "2")

    with pytest.raises(Conflict, match="a new one of that name"):
        await undo_last(house)

    assert house.tags("pay/api") == {"2": TWO.digest}


async def test_a_tag_of_a_deleted_image_needs_the_image_first(house: House) -> None:
    await house.push("pay/api", ONE, "1", "2")
    await delete_tag(house, "1")
    await delete.delete_image(house.stock, house.grant("pay/api"), Timestamp(house.now))
    of_image, of_tag = recent(house)
    caller, now = house.grant("pay/api").caller, Timestamp(house.now)

    with pytest.raises(Conflict, match="undo that first"):
        await undo.undo(house.stock, caller, of_tag, now)
    await undo.undo(house.stock, caller, of_image, now)
    await undo.undo(house.stock, caller, of_tag, now)

    assert set(house.tags("pay/api")) == {"1", "2"}


async def test_an_image_of_a_deleted_repository_needs_the_repository_first(house: House) -> None:
    await house.push("pay/api", ONE, "1")
    await delete.delete_image(house.stock, house.grant("pay/api"), Timestamp(house.now))
    await delete.delete_repository(house.stock, house.grant("pay/x"), RepositoryName("pay"), Timestamp(house.now))
    of_repository, of_image = recent(house)
    caller, now = house.grant("pay/api").caller, Timestamp(house.now)

    with pytest.raises(Conflict, match="its repository was deleted too"):
        await undo.undo(house.stock, caller, of_image, now)
    await undo.undo(house.stock, caller, of_repository, now)
    await undo.undo(house.stock, caller, of_image, now)

    assert house.tags("pay/api") == {"1": ONE.digest}


async def test_after_the_recycle_time_nothing_is_offered_and_nothing_comes_back(house: House) -> None:
    await house.push("pay/api", ONE, "1")
    await delete_manifests(house, [ONE])
    deletion = recent(house)[0]
    await house.collect(after=DAY)

    done = await undo.undo(house.stock, house.grant("pay/api").caller, deletion, Timestamp(house.now))

    assert recent(house) == []
    assert (done.manifests, done.tags) == (0, 0)
    assert house.lying() == []


async def test_an_image_that_collection_has_begun_with_cannot_come_back(house: House) -> None:
    await house.push("pay/api", ONE, "1")
    await delete.delete_image(house.stock, house.grant("pay/api"), Timestamp(house.now))
    deletion = recent(house)[0]
    held = blobs.find_stored(house.stock.db.reader, Digest(ONE.blobs[0].digest))
    assert held is not None
    house.now += DAY
    house.stock.leases.give(ImageId(deletion.image or 0), held.id, Timestamp(house.now))  # so its row stays a while
    await house.collect()
    assert house.count("images") == 1

    with pytest.raises(Conflict, match="its data are going"):
        await undo.undo(house.stock, house.grant("pay/api").caller, deletion, Timestamp(house.now))


@pytest.mark.parametrize("recycle", [0, DAY])
async def test_what_was_purged_is_not_offered(house: House, recycle: int) -> None:
    house.set_rules(recycle=recycle)
    await house.push("pay/api", ONE, "1")

    await delete.delete_image(house.stock, house.grant("pay/api"), Timestamp(house.now), purge=bool(recycle))

    assert recent(house) == []


async def test_blobs_that_were_deleted_since_come_back_with_their_manifest(house: House) -> None:
    await house.push("pay/api", ONE, "1")
    await delete_manifests(house, [ONE])
    for blob in ONE.blobs:
        await delete.delete_blob(house.stock, house.grant("pay/api"), Digest(blob.digest), Timestamp(house.now))
    await house.collect(after=2 * HOUR)

    await undo_last(house)
    await house.collect(after=2 * DAY)

    await house.assert_whole("pay/api", ONE)


async def test_an_undo_that_a_crash_ended_goes_on_when_asked_again(house: House) -> None:
    names = [f"t{number:03}" for number in range(150)]
    await house.push("pay/api", ONE, *names)
    await delete_manifests(house, [ONE])
    deletion, steps = recent(house)[0], 0
    write = house.stock.db.write

    async def cut_off(function: Callable[[Transaction], object]) -> object:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise ConnectionAbortedError
        return await write(function)

    house.stock.db.write = cut_off  # type: ignore[method-assign, assignment]  # a double
    with pytest.raises(ConnectionAbortedError):
        await undo.undo(house.stock, house.grant("pay/api").caller, deletion, Timestamp(house.now))
    house.stock.db.write = write  # type: ignore[method-assign]  # the real one
    assert 0 < len(house.tags("pay/api")) < 150

    await undo_last(house)

    assert sorted(house.tags("pay/api")) == names
    assert recent(house) == []
