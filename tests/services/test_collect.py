from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from appliance.blobstore.files import Files
from appliance.db import deletions
from appliance.db.database import Reader, Transaction
from appliance.domain.moment import DAY, HOUR, SECOND, Timestamp
from appliance.domain.names import Digest, RepositoryName
from appliance.domain.registry import BlobId, StoredBlob
from appliance.errors import BlobNeeded, BlobUnknown, ManifestInvalid, ManifestUnknown, NameUnknown, StoreFailed
from appliance.services import collect, delete, forecast, pace, purging, sweep, undo
from appliance.services.stock import Leases
from tests import make
from tests.services.conftest import House

T = TypeVar("T")

pytestmark = pytest.mark.anyio
LOOSE = make.Blob(b"nobody needs this")
IMAGE = make.image([{"a": b"1"}, {"b": b"2"}])
OTHER = make.image([{"a": b"1"}, {"c": b"3"}])  # shares its first layer with IMAGE


async def delete_manifest(house: House, name: str, manifest: make.Manifest) -> None:
    await delete.delete_manifest(house.stock, house.grant(name), Digest(manifest.digest), Timestamp(house.now))


async def delete_blob(house: House, name: str, blob: make.Blob) -> None:
    await delete.delete_blob(house.stock, house.grant(name), Digest(blob.digest), Timestamp(house.now))


async def test_a_blob_nobody_needs_goes_after_the_grace_time_with_its_hidden_image(house: House) -> None:
    await house.push_blob("pay/api", LOOSE)

    early = await house.collect(after=HOUR - SECOND)
    assert (early.blobs, house.has_blob("pay/api", LOOSE)) == (0, True)
    late = await house.collect(after=2 * SECOND)
    await house.collect(after=DAY)

    assert (late.links, late.blobs, late.bytes) == (1, 1, len(LOOSE.data))
    assert not house.has_blob("pay/api", LOOSE)
    assert house.lying() == []
    assert [house.count(table) for table in ("blobs", "links", "images", "condemned")] == [0, 0, 0, 0]


async def test_what_a_manifest_needs_stays(house: House) -> None:
    await house.push("pay/api", IMAGE, "1")

    for _ in range(5):
        await house.collect(after=30 * DAY)

    await house.assert_whole("pay/api", IMAGE)


async def test_a_moved_tag_leaves_the_old_manifest_by_digest(house: House) -> None:
    await house.push("pay/api", IMAGE, "1")
    await house.push("pay/api", OTHER, "1")

    await house.collect(after=30 * DAY)

    assert house.tags("pay/api") == {"1": OTHER.digest}
    await house.assert_whole("pay/api", IMAGE)


async def test_a_head_keeps_the_blob_until_its_lease_ends(house: House) -> None:
    blob = await house.push_blob("pay/api", LOOSE)
    house.now += HOUR
    house.stock.leases.give(house.image_id("pay/api"), blob.id, Timestamp(house.now))

    await house.collect(after=Leases.LENGTH - SECOND)
    assert house.has_blob("pay/api", LOOSE)
    await house.collect(after=Leases.LENGTH)

    assert not house.has_blob("pay/api", LOOSE)


async def test_leases_of_the_process_before_are_waited_for(house: House) -> None:
    await house.push_blob("pay/api", LOOSE)
    house.now += DAY
    started = house.now

    await house.collect(after=Leases.LENGTH - SECOND, started=started)
    assert house.has_blob("pay/api", LOOSE)
    await house.collect(after=2 * SECOND, started=started)

    assert not house.has_blob("pay/api", LOOSE)


async def test_a_removed_manifest_is_gone_at_once_and_its_bytes_after_the_recycle_time(house: House) -> None:
    await house.push("pay/api", IMAGE, "1", "2")

    await delete_manifest(house, "pay/api", IMAGE)
    assert not house.has("pay/api", IMAGE.digest)
    assert house.tags("pay/api") == {}
    await house.collect(after=DAY - SECOND)
    assert len(house.lying()) == 4
    found = await house.collect(after=2 * SECOND)

    assert (found.manifests, found.blobs) == (1, 3)
    assert house.lying() == []
    assert [house.count(table) for table in ("manifests", "needs", "blobs", "links")] == [0, 0, 0, 0]


async def test_a_push_within_the_recycle_time_brings_everything_back(house: House) -> None:
    await house.push("pay/api", IMAGE, "1")
    await delete_manifest(house, "pay/api", IMAGE)
    await house.collect(after=DAY - SECOND)

    await house.put("pay/api", IMAGE, "1")  # no blob is pushed again
    await house.collect(after=30 * DAY)

    await house.assert_whole("pay/api", IMAGE)
    assert house.tags("pay/api") == {"1": IMAGE.digest}


async def test_a_push_after_the_recycle_time_begins_anew(house: House) -> None:
    await house.push("pay/api", IMAGE, "1")
    await delete_manifest(house, "pay/api", IMAGE)
    await house.collect(after=DAY)

    await house.push("pay/api", IMAGE, "1")
    await house.collect(after=30 * DAY)

    await house.assert_whole("pay/api", IMAGE)


async def test_without_a_recycle_time_the_next_collection_frees_the_bytes(house: House) -> None:
    house.set_rules(recycle=0)
    await house.push("pay/api", IMAGE, "1")

    await house.collect(after=HOUR)  # the grace time of the push
    await delete_manifest(house, "pay/api", IMAGE)
    await house.collect()

    assert house.lying() == []


async def test_without_a_recycle_time_what_was_just_pushed_goes_when_its_grace_time_is_over(house: House) -> None:
    house.set_rules(recycle=0)
    await house.push("pay/api", IMAGE, "1")

    await delete_manifest(house, "pay/api", IMAGE)
    await house.collect()
    kept = house.count("blobs")
    await house.collect(after=HOUR)

    assert kept == 3  # another push of the same blobs may be under way: it was told that they are here
    assert house.lying() == []


async def test_layers_that_two_manifests_share_stay_with_the_other(house: House) -> None:
    await house.push("pay/api", IMAGE, "1")
    await house.push("pay/api", OTHER, "2")

    await delete_manifest(house, "pay/api", IMAGE)
    await house.collect(after=2 * DAY)

    await house.assert_whole("pay/api", OTHER)
    assert not house.has_blob("pay/api", IMAGE.blobs[2])


async def test_layers_that_two_images_share_stay_with_the_other(house: House) -> None:
    await house.push("pay/api", IMAGE, "1")
    await house.push("web/api", IMAGE, "1")
    assert house.count("blobs") == 3

    await delete.delete_image(house.stock, house.grant("pay/api"), Timestamp(house.now))
    assert not house.has_blob("pay/api", IMAGE.blobs[0])
    await house.collect(after=2 * DAY)

    await house.assert_whole("web/api", IMAGE)
    assert house.count("images") == 1


async def test_an_image_of_the_same_name_is_not_the_removed_one(house: House) -> None:
    await house.push("pay/api", IMAGE, "1")
    await delete.delete_image(house.stock, house.grant("pay/api"), Timestamp(house.now))

    await house.push("pay/api", OTHER, "2")
    assert not house.has("pay/api", IMAGE.digest)
    await house.collect(after=2 * DAY)

    await house.assert_whole("pay/api", OTHER)
    assert house.tags("pay/api") == {"2": OTHER.digest}
    assert house.count("images") == 1


async def test_a_removed_repository_takes_its_images_along(house: House) -> None:
    await house.push("pay/api", IMAGE, "1")
    await house.push("pay/web", OTHER, "1")
    await house.push("shop/web", OTHER, "1")

    await delete.delete_repository(house.stock, house.grant("pay/x"), RepositoryName("pay"), Timestamp(house.now))
    assert not house.has("pay/api", "1")
    await house.push("pay/api", OTHER, "3")  # a new repository of the same name
    for _ in range(2):
        await house.collect(after=2 * DAY)

    await house.assert_whole("shop/web", OTHER)
    await house.assert_whole("pay/api", OTHER)
    assert (house.count("repositories"), house.count("images")) == (2, 2)


async def test_a_purged_image_needs_no_recycle_time(house: House) -> None:
    await house.push("pay/api", IMAGE, "1")

    await delete.delete_image(house.stock, house.grant("pay/api"), Timestamp(house.now), purge=True)
    await house.collect(after=1)

    assert house.lying() == []
    assert house.count("images") == 0


async def test_a_needed_blob_cannot_be_deleted(house: House) -> None:
    await house.push("pay/api", IMAGE, "1")

    with pytest.raises(BlobNeeded, match=IMAGE.digest):
        await delete_blob(house, "pay/api", IMAGE.blobs[0])

    await house.assert_whole("pay/api", IMAGE)


async def test_a_blob_deleted_in_one_image_stays_in_the_other(house: House) -> None:
    await house.push_blob("pay/api", LOOSE)
    await house.push_blob("pay/web", LOOSE)

    await delete_blob(house, "pay/api", LOOSE)

    assert (house.has_blob("pay/api", LOOSE), house.has_blob("pay/web", LOOSE)) == (False, True)
    with pytest.raises(BlobUnknown):
        await delete_blob(house, "pay/api", LOOSE)


async def test_a_manifest_that_comes_back_brings_deleted_blobs_back(house: House) -> None:
    await house.push("pay/api", IMAGE, "1")
    await delete_manifest(house, "pay/api", IMAGE)
    for blob in IMAGE.blobs:
        await delete_blob(house, "pay/api", blob)

    await house.put("pay/api", IMAGE, "1")
    await house.collect(after=2 * DAY)

    await house.assert_whole("pay/api", IMAGE)


async def test_a_deleted_blob_pushed_again_is_there_for_good(house: House) -> None:
    await house.push_blob("pay/api", IMAGE.blobs[0])
    await delete_blob(house, "pay/api", IMAGE.blobs[0])

    await house.push("pay/api", IMAGE, "1")
    await house.collect(after=2 * DAY)

    await house.assert_whole("pay/api", IMAGE)


async def test_children_of_a_sparse_index_resolve_when_they_arrive(house: House) -> None:
    index = make.index([IMAGE, OTHER])

    placed = await house.put("pay/api", index, "1")
    assert "2 manifests" in placed.warnings[0]
    await house.collect(after=2 * DAY)
    await house.push("pay/api", IMAGE)
    await house.push("pay/api", OTHER)
    await house.collect(after=2 * DAY)

    await house.assert_whole("pay/api", index)
    assert (await house.put("pay/api", index, "2")).warnings == ()


async def test_an_index_needs_the_blobs_it_lists_as_old_build_caches_do(house: House) -> None:
    body = make.index([]).variant(manifests=[LOOSE.descriptor("application/vnd.oci.image.layer.v1.tar+gzip")])
    await house.push_blob("pay/cache", LOOSE)

    placed = await house.put("pay/cache", body, "cache")
    await house.collect(after=2 * DAY)

    assert placed.warnings == ()
    assert await house.read_blob("pay/cache", LOOSE) == LOOSE.data
    with pytest.raises(BlobNeeded):
        await delete_blob(house, "pay/cache", LOOSE)


async def test_blobs_of_a_sparse_image_resolve_when_they_arrive(house: House) -> None:
    house.set_rules(sparse_images=True)

    placed = await house.put("pay/api", IMAGE, "1")
    assert "3 blobs" in placed.warnings[0]
    await house.collect(after=2 * DAY)
    for blob in IMAGE.blobs:
        await house.push_blob("pay/api", blob)
    await house.collect(after=2 * DAY)

    await house.assert_whole("pay/api", IMAGE)


async def test_a_manifest_that_can_no_longer_be_read_is_collected_all_the_same(house: House) -> None:
    await house.push("pay/api", IMAGE, "1")
    await house.push("pay/api", OTHER, "2")
    await delete_manifest(house, "pay/api", IMAGE)
    spoil = "UPDATE manifests SET body = zeroblob(length(body)) WHERE removed_at IS NOT NULL"
    await house.stock.db.write(lambda tx: tx.execute(spoil))

    await house.collect(after=2 * DAY)

    assert [house.count("manifests"), house.count("blobs")] == [1, 3]
    await house.assert_whole("pay/api", OTHER)


async def test_a_subject_keeps_nothing_and_nobody_keeps_a_referrer(house: House) -> None:
    signature = make.artifact("application/vnd.example.signature", b"sig", subject=IMAGE)
    await house.push("pay/api", IMAGE, "1")
    await house.push("pay/api", signature)

    await delete_manifest(house, "pay/api", IMAGE)
    await house.collect(after=2 * DAY)

    assert not house.has("pay/api", IMAGE.digest)
    await house.assert_whole("pay/api", signature)  # a client's delete never cascades


async def test_a_push_that_meets_the_deletion_of_the_same_blob_wins(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await house.push_blob("pay/api", IMAGE.blobs[0])
    really_delete = house.stock.store.delete_all
    is_pushed = False

    async def push_and_delete(kind: str, names: Sequence[tuple[Digest, str]]) -> list[StoreFailed | None]:
        nonlocal is_pushed
        if not is_pushed:  # condemned and committed, the bytes still there: a client pushes
            is_pushed = True
            await house.push("pay/api", IMAGE, "1")
        return await really_delete(kind, names)

    monkeypatch.setattr(house.stock.store, "delete_all", push_and_delete)
    await house.collect(after=2 * HOUR)

    await house.assert_whole("pay/api", IMAGE)
    assert not any(first.generation in name for name in house.lying())


async def test_a_forecast_says_what_the_next_run_frees_and_frees_nothing(house: House) -> None:
    await house.push("pay/api", IMAGE, "1")
    await house.push_blob("pay/api", LOOSE)
    before = house.lying()
    house.now += 2 * HOUR

    told = await forecast.forecast(house.stock)
    assert house.lying() == before
    found = await house.collect()

    assert (told.links, told.blobs, told.bytes) == (found.links, found.blobs, found.bytes) == (1, 1, len(LOOSE.data))


async def test_abandoned_sessions_are_dropped_when_they_expire(house: House) -> None:
    upload = await house.begin("pay/api")
    await house.begin("pay/web")

    house.now += DAY - HOUR
    assert await collect.expire_uploads(house.stock) == 0
    assert len(house.lying()) == 4
    house.now += 2 * HOUR
    assert await collect.expire_uploads(house.stock) == 2

    assert house.lying() == []
    assert await house.stock.uploads.find(upload.session.id) is None


async def test_a_session_that_is_being_written_does_not_expire(house: House) -> None:
    upload = await house.begin("pay/api")
    upload.claim()

    house.now += 2 * DAY
    await collect.expire_uploads(house.stock)

    assert await house.stock.uploads.find(upload.session.id) is upload


async def test_strays_are_swept_after_the_grace_time_and_nothing_else(house: House, tmp_path: Path) -> None:
    await house.push("pay/api", IMAGE, "1")
    staged = tmp_path / "staged"
    staged.write_bytes(LOOSE.data)
    lost = StoredBlob(BlobId(0), Digest(LOOSE.digest), "0badcafe", "local", "plain", len(LOOSE.data), b"")
    await house.stock.store.seal(staged, lost)
    await house.stock.store.keep_manifest(Digest(OTHER.digest), "0badcafe", OTHER.body)

    assert (await sweep.sweep_strays(house.stock)).strays == 0
    house.now += 2 * HOUR
    house.stock.sealing.add("0badcafe")
    assert (await sweep.sweep_strays(house.stock)).strays == 0
    house.stock.sealing.clear()
    found = await sweep.sweep_strays(house.stock)

    assert (found.strays, found.bytes) == (2, len(LOOSE.data) + len(OTHER.body))
    await house.assert_whole("pay/api", IMAGE)
    assert not any("0badcafe" in name for name in house.lying())


async def test_more_than_a_slice_is_collected_in_one_run(house: House) -> None:
    for number in range(pace.MOST + 20):
        await house.push_blob("pay/api", make.Blob(b"%d" % number))

    found = await house.collect(after=2 * HOUR)

    assert found.blobs == pace.MOST + 20
    assert house.lying() == []


async def test_deleting_what_is_not_there_says_so(house: House) -> None:
    with pytest.raises(NameUnknown):
        await delete_manifest(house, "pay/api", IMAGE)
    await house.push("pay/api", OTHER, "1")
    with pytest.raises(ManifestUnknown):
        await delete_manifest(house, "pay/api", IMAGE)
    await delete_manifest(house, "pay/api", OTHER)
    with pytest.raises(ManifestUnknown):
        await delete_manifest(house, "pay/api", OTHER)


class Brittle(Files):
    """Cannot remove files whose names begin with `bad`."""

    bad = "-"

    def remove(self, path: Path) -> bool:
        if path.name.startswith(self.bad):
            raise StoreFailed(f"the store failed: remove {path.name}")
        return super().remove(path)


class TestOnABrokenDisk:
    @pytest.fixture
    def files(self) -> Files:
        return Brittle()

    async def test_a_file_that_cannot_be_removed_does_not_keep_the_others(self, house: House, files: Brittle) -> None:
        other = make.Blob(b"another")
        for blob in (LOOSE, other):
            await house.push_blob("pay/api", blob)
        files.bad = LOOSE.digest.partition(":")[2]

        found = await house.collect(after=2 * HOUR)
        assert found.blobs == 1
        assert len(house.lying()) == 1
        files.bad = "-"
        again = await house.collect()

        assert again.blobs == 1
        assert house.lying() == []


async def test_a_generation_is_deleted_alone(house: House) -> None:
    blob = await house.push_blob("pay/api", LOOSE)
    other = StoredBlob(BlobId(0), blob.digest, "11111111", "local", "plain", blob.size, blob.sums)

    await house.stock.store.delete(other.digest, other.generation)

    assert await house.read_blob("pay/api", LOOSE) == LOOSE.data


async def test_a_full_disk_takes_the_oldest_removal_first_and_stops_when_there_is_room(house: House) -> None:
    third = make.image([{"d": b"4"}])
    for number, image in enumerate((IMAGE, OTHER, third)):
        await house.push(f"pay/app{number}", image, "1")
    for number, image in enumerate((IMAGE, OTHER, third)):
        await delete_manifest(house, f"pay/app{number}", image)
        house.now += 2 * HOUR

    def is_short() -> bool:
        return house.count("manifests") > 1

    freed = await collect.make_room(house.stock, is_short, started=Timestamp(house.now - DAY))

    assert (freed.manifests, freed.bytes > 0, house.count("manifests")) == (2, True, 1)
    await house.push("pay/app2", third, "1")  # the newest removal can still be undone
    await house.assert_whole("pay/app2", third)


async def test_a_full_disk_without_anything_in_recycle_is_left_as_it_is(house: House) -> None:
    await house.push("pay/api", IMAGE, "1")

    freed = await collect.make_room(house.stock, lambda: True, started=Timestamp(house.now - DAY))

    assert freed == collect.Collected()
    await house.assert_whole("pay/api", IMAGE)


async def test_a_stored_manifest_that_would_be_refused_today_is_purged_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ManifestInvalid("refused since version 2")

    await house.push("pay/api", IMAGE, "1")
    await delete_manifest(house, "pay/api", IMAGE)
    monkeypatch.setattr(purging, "parse_manifest", refuse)

    await house.collect(after=2 * DAY)

    assert [house.count(table) for table in ("manifests", "needs", "links", "blobs")] == [0, 0, 0, 0]


@pytest.mark.parametrize("what", ["manifest", "image"])
async def test_what_comes_back_between_look_up_and_purge_stays(house: House, what: str) -> None:
    await house.push("pay/api", IMAGE, "1")
    if what == "manifest":
        await delete_manifest(house, "pay/api", IMAGE)
    else:
        await delete.delete_image(house.stock, house.grant("pay/api"), Timestamp(house.now))
    read, deletion = house.stock.db.read, deletions.list_page(house.stock.db.reader, house.site.registry, 1 << 60, 1)[0]

    async def bring_back(function: Callable[[Reader], T]) -> T:
        found = await read(function)
        if found and house.stock.db.read is not read:  # what goes was just looked up
            house.stock.db.read = read  # type: ignore[method-assign]  # the double is used once
            if what == "manifest":
                await house.put("pay/api", IMAGE, "1")
            else:
                await undo.undo(house.stock, house.grant("pay/api").caller, deletion, Timestamp(house.now))
        return found

    house.stock.db.read = bring_back  # type: ignore[method-assign]  # a double
    done = await house.collect(after=30 * HOUR)

    assert house.stock.db.read is read
    assert (done.manifests, done.blobs) == (0, 0)
    assert house.tags("pay/api") == {"1": IMAGE.digest}
    await house.assert_whole("pay/api", IMAGE)


async def test_an_image_with_many_tags_is_purged_some_rows_at_a_time(house: House) -> None:
    names = [f"t{number}" for number in range(3 * pace.MOST)]
    await house.push("pay/api", IMAGE, *names)
    await delete.delete_image(house.stock, house.grant("pay/api"), Timestamp(house.now), purge=True)
    most, write = 0, house.stock.db.write

    async def watch(function: Callable[[Transaction], T]) -> T:
        nonlocal most
        was = house.count("tags")
        done = await write(function)
        most = max(most, was - house.count("tags"))
        return done

    house.stock.db.write = watch  # type: ignore[method-assign]  # a double
    done = await house.collect(after=1)

    assert 0 < most <= pace.MOST
    assert done.manifests == 1
    assert [house.count(table) for table in ("tags", "manifests", "images")] == [0, 0, 0]
    assert house.count("tag_history") == len(names)
