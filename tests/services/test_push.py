import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from appliance.blobstore.files import Files
from appliance.db.database import Transaction
from appliance.domain.access import Principal, PrincipalKind
from appliance.domain.admission import Caller, Grant
from appliance.domain.moment import DAY, HOUR, Timestamp
from appliance.domain.names import Digest, Tag
from appliance.domain.registry import ImageRef
from appliance.errors import (
    DigestInvalid,
    ManifestBlobUnknown,
    NameInvalid,
    RepositoryAbsent,
    TagLocked,
    UploadBusy,
    UploadUnknown,
)
from appliance.services import delete, push
from appliance.services.push import ManifestPut
from tests import make
from tests.services.conftest import House, pieces

pytestmark = pytest.mark.anyio
BLOB = make.Blob(b"bytes of a layer")
IMAGE = make.image([{"a": b"1"}, {"b": b"2"}])
OTHER = make.image([{"c": b"3"}])


async def lock(house: House, table: str, *, locked: bool = True) -> None:
    await house.stock.db.write(lambda tx: tx.execute(f"UPDATE {table} SET locked = ?", (int(locked),)))  # noqa: S608


async def test_a_manifest_that_names_a_missing_blob_changes_nothing(house: House) -> None:
    with pytest.raises(ManifestBlobUnknown, match="push it before"):
        await house.put("pay/api", IMAGE, "1")

    assert not house.has("pay/api", IMAGE.digest)
    assert house.lying() == []
    assert [house.count(table) for table in ("images", "repositories", "manifests", "activity")] == [0, 0, 0, 0]


async def test_a_blob_of_another_image_is_missing_here(house: House) -> None:
    await house.push("pay/web", IMAGE, "1")

    with pytest.raises(ManifestBlobUnknown):
        await house.put("pay/api", IMAGE, "1")


async def test_the_blobs_are_checked_when_the_manifest_is_written_and_not_before(house: House) -> None:
    """A blob that goes between the client's HEAD and its PUT must not leave a manifest without it."""
    for blob in IMAGE.blobs:
        await house.push_blob("pay/api", blob)
    await house.collect(after=2 * HOUR)

    with pytest.raises(ManifestBlobUnknown):
        await house.put("pay/api", IMAGE, "1")


async def test_a_sparse_index_is_refused_where_the_rule_says_so(house: House) -> None:
    house.set_rules(sparse_indexes=False)

    with pytest.raises(ManifestBlobUnknown, match="before the index"):
        await house.put("pay/api", make.index([IMAGE]), "1")


async def test_bytes_of_another_digest_end_the_session(house: House) -> None:
    upload = await house.begin("pay/api")
    upload.claim()
    await upload.receive(pieces(b"other bytes"))

    with pytest.raises(DigestInvalid, match="have the digest"):
        await push.finish_upload(house.stock, house.grant("pay/api"), upload, Digest(BLOB.digest), Timestamp(house.now))

    assert house.lying() == []
    with pytest.raises(UploadUnknown):
        await push.find_upload(house.stock, house.grant("pay/api"), upload.session.id)


@pytest.mark.parametrize(("begun", "told"), [("sha256", "sha512"), ("sha512", "sha256"), ("sha512", "sha512")])
async def test_the_digest_may_be_of_another_algorithm_than_the_session(house: House, begun: str, told: str) -> None:
    blob = make.Blob(BLOB.data * 1000, told)
    upload = await house.begin("pay/api", begun)
    upload.claim()
    await upload.receive(pieces(blob.data[:700], blob.data[700:]))

    await push.finish_upload(house.stock, house.grant("pay/api"), upload, Digest(blob.digest), Timestamp(house.now))

    assert await house.read_blob("pay/api", blob) == blob.data


async def test_the_same_blob_pushed_by_many_at_once_lies_there_once(house: House) -> None:
    names = [f"pay/i{number}" for number in range(12)]

    stored = await asyncio.gather(*(house.push_blob(name, BLOB) for name in names))

    assert len({blob.generation for blob in stored}) == 1
    assert len(house.lying()) == 1
    for name in names:
        assert await house.read_blob(name, BLOB) == BLOB.data
    assert house.stock.sealing == set()


async def test_the_same_manifest_pushed_by_many_at_once_lies_there_once(house: House) -> None:
    for blob in IMAGE.blobs:
        await house.push_blob("pay/api", blob)

    await asyncio.gather(*(house.put("pay/api", IMAGE, f"t{number}") for number in range(12)))

    assert sum(name.startswith("manifests/") for name in house.lying()) == 1
    assert len(house.tags("pay/api")) == 12
    assert house.stock.sealing == set()


async def test_a_session_is_its_principals_and_its_images_alone(house: House) -> None:
    grant = house.grant("pay/api")
    upload = await house.begin("pay/api")
    eve = Caller(Principal(PrincipalKind.USER, "eve"), grant.caller.rights, "127.0.0.1")
    elsewhere = ImageRef(type(grant.image.registry)(2), grant.path)

    for wrong in (Grant(eve, grant.image), house.grant("pay/web"), Grant(grant.caller, elsewhere)):
        with pytest.raises(UploadUnknown):
            await push.find_upload(house.stock, wrong, upload.session.id)

    assert await push.find_upload(house.stock, grant, upload.session.id) is upload


@pytest.mark.parametrize(
    "name", ["", "..", "../scr.sqlite", "x" * 36, "{id}.json", "{ID}", "{id}\0", "{id}/", "urn:uuid:{id}"]
)
async def test_only_the_exact_id_finds_a_session(house: House, name: str) -> None:
    session = (await house.begin("pay/api")).session.id

    with pytest.raises(UploadUnknown):
        await push.find_upload(
            house.stock, house.grant("pay/api"), name.replace("{id}", session).replace("{ID}", session.upper())
        )


async def test_one_request_at_a_time_writes_to_a_session(house: House) -> None:
    upload = await house.begin("pay/api")
    upload.claim()

    with pytest.raises(UploadBusy):
        upload.claim()
    upload.release()

    upload.claim()


async def test_a_dropped_session_takes_no_byte(house: House) -> None:
    upload = await house.begin("pay/api")
    await upload.cancel()

    with pytest.raises(UploadUnknown):
        upload.claim()


async def test_a_session_whose_bytes_are_gone_is_unknown(house: House) -> None:
    """So a crash leaves it between the seal and the end of the session; the client's second PUT must not be a 503."""
    upload = await house.begin("pay/api")
    house.stock.uploads.forget(upload)  # as after a restart
    (house.folder / "uploads" / upload.session.id).unlink()

    with pytest.raises(UploadUnknown):
        await push.find_upload(house.stock, house.grant("pay/api"), upload.session.id)


async def test_a_session_found_by_two_at_once_after_a_restart_is_one(house: House) -> None:
    upload = await house.begin("pay/api")
    upload.claim()
    await upload.receive(pieces(b"first half, "))
    house.stock.uploads.forget(upload)

    grant = house.grant("pay/api")
    found = await asyncio.gather(
        *(push.find_upload(house.stock, grant, upload.session.id) for _ in range(4)),
    )

    assert len({id(one) for one in found}) == 1
    assert found[0].offset == len(b"first half, ")


class Slow(Files):
    """Waits before it removes anything."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = threading.Event()
        self.may_go_on = threading.Event()

    def remove(self, path: Path) -> bool:
        self.is_asked.set()
        self.may_go_on.wait(60)
        return super().remove(path)


class TestWhileASessionIsDropped:
    @pytest.fixture
    def files(self) -> Files:
        return Slow()

    async def test_nobody_finds_it(self, house: House, files: Slow) -> None:
        upload = await house.begin("pay/api")

        cancelling = asyncio.ensure_future(upload.cancel())
        await asyncio.to_thread(files.is_asked.wait, 60)
        with pytest.raises(UploadUnknown):
            await push.find_upload(house.stock, house.grant("pay/api"), upload.session.id)
        files.may_go_on.set()
        await cancelling

        assert house.lying() == []


async def test_a_push_that_is_broken_off_takes_no_bytes_that_others_were_told_of(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stop of the server cancels a request that waits for its commit; the commit is made all the same."""
    is_held, may_go_on, is_asked = threading.Event(), threading.Event(), asyncio.Event()
    really_write = house.stock.db.write

    def hold(_: Transaction) -> None:
        is_held.set()
        may_go_on.wait(60)

    def write(function: Callable[[Transaction], object]) -> Awaitable[object]:
        is_asked.set()
        return really_write(function)

    holding = asyncio.ensure_future(really_write(hold))
    await asyncio.to_thread(is_held.wait, 60)
    monkeypatch.setattr(house.stock.db, "write", write)
    tasks = []
    for name in ("pay/api", "pay/web"):
        is_asked.clear()
        tasks.append(asyncio.ensure_future(house.push_blob(name, BLOB)))
        await is_asked.wait()  # both wait for one commit, and the second will find the first one's bytes
        await asyncio.sleep(0)
    tasks[0].cancel()
    may_go_on.set()
    await asyncio.gather(holding, tasks[1])
    await asyncio.wait([tasks[0]])

    assert tasks[0].cancelled()
    assert await house.read_blob("pay/web", BLOB) == BLOB.data


async def test_a_mount_gives_the_right_to_a_blob_and_not_its_bytes_again(house: House) -> None:
    await house.push_blob("pay/api", BLOB)
    grant = house.grant("pay/web")

    async def mount(named: str | None, readable: list[str]) -> bool:
        return await push.mount_blob(
            house.stock,
            grant,
            Digest(BLOB.digest),
            lambda paths: [house.image(path) for path in paths if path in readable],
            house.image(named) if named else None,
            Timestamp(house.now),
        )

    assert not await mount("pay/none", ["pay/api"])
    assert not await mount(None, [])
    assert house.count("images") == 1
    assert await mount(None, ["pay/api"])
    assert await mount("pay/api", [])
    assert await house.read_blob("pay/web", BLOB) == BLOB.data
    assert len(house.lying()) == 1


async def test_a_mounted_blob_outlives_its_source(house: House) -> None:
    await house.push("pay/api", IMAGE, "1")
    for blob in IMAGE.blobs:
        assert await push.mount_blob(
            house.stock,
            house.grant("pay/web"),
            Digest(blob.digest),
            lambda _: [],
            house.image("pay/api"),
            Timestamp(house.now),
        )
    await house.put("pay/web", IMAGE, "1")

    await delete.delete_image(house.stock, house.grant("pay/api"), Timestamp(house.now))
    await house.collect(after=2 * DAY)

    await house.assert_whole("pay/web", IMAGE)


async def test_nothing_is_mounted_from_what_was_removed(house: House) -> None:
    await house.push("pay/api", IMAGE, "1")
    await delete.delete_image(house.stock, house.grant("pay/api"), Timestamp(house.now))

    assert not await push.mount_blob(
        house.stock,
        house.grant("pay/web"),
        Digest(IMAGE.blobs[0].digest),
        lambda _: [],
        house.image("pay/api"),
        Timestamp(house.now),
    )


async def test_a_lock_holds_the_tags_that_are_there_and_lets_new_ones_in(house: House) -> None:
    await house.push("pay/api", IMAGE, "1")
    await house.push("pay/api", OTHER)
    for table in ("tags", "images", "repositories"):
        await lock(house, table)

        with pytest.raises(TagLocked, match="tag 1 "):
            await house.put("pay/api", OTHER, "new", "1")
        assert "new" not in house.tags("pay/api")
        await house.put("pay/api", OTHER, f"new-{table}")
        await house.put("pay/api", IMAGE, "1")  # a retry of a push that was acknowledged
        await lock(house, table, locked=False)

    assert house.tags("pay/api")["1"] == IMAGE.digest


async def test_a_lock_holds_against_every_way_of_deleting(house: House) -> None:
    await house.push("pay/api", IMAGE, "1")
    grant, now = house.grant("pay/api"), Timestamp(house.now)

    for table in ("tags", "images", "repositories"):
        await lock(house, table)
        with pytest.raises(TagLocked):
            await delete.delete_tag(house.stock, grant, Tag("1"), now)
        with pytest.raises(TagLocked):
            await delete.delete_manifest(house.stock, grant, Digest(IMAGE.digest), now)
        with pytest.raises(TagLocked):
            await delete.delete_image(house.stock, grant, now)
        with pytest.raises(TagLocked):
            await delete.delete_repository(house.stock, grant, grant.path.repository, now)
        await lock(house, table, locked=False)

    await house.assert_whole("pay/api", IMAGE)
    await delete.delete_tag(house.stock, grant, Tag("1"), now)


async def test_signatures_move_their_tags_under_a_lock(house: House) -> None:
    tag = "sha256-" + "0" * 64
    await house.push("pay/api", IMAGE, f"{tag}.sig", tag, "sha256-prod.sig")
    await house.push("pay/api", OTHER)
    await lock(house, "images")

    await house.put("pay/api", OTHER, f"{tag}.sig")
    for held in (tag, "sha256-prod.sig"):  # tags like any other
        with pytest.raises(TagLocked):
            await house.put("pay/api", OTHER, held)

    assert house.tags("pay/api")[f"{tag}.sig"] == OTHER.digest
    await delete.delete_tag(house.stock, house.grant("pay/api"), Tag(f"{tag}.sig"), Timestamp(house.now))
    assert f"{tag}.sig" not in house.tags("pay/api")


async def test_strict_rules_want_the_repository_first(house: House) -> None:
    house.set_rules(strict=True)

    with pytest.raises(RepositoryAbsent, match="create it first"):
        await house.begin("pay/api")
    with pytest.raises(RepositoryAbsent):
        await house.put("pay/api", make.index([]), "1")
    with pytest.raises(NameInvalid):
        await push.start_upload(house.stock, house.grant("ab/c"), "sha256", Timestamp(house.now))


async def test_several_tags_of_one_push_appear_together_or_not_at_all(house: House) -> None:
    await house.push("pay/api", IMAGE, "held")
    await lock(house, "tags")

    with pytest.raises(TagLocked):
        await house.push("pay/api", OTHER, "a", "b", "held")

    assert set(house.tags("pay/api")) == {"held"}
    assert not house.has("pay/api", OTHER.digest)


async def test_a_digest_that_is_not_the_bodys_is_refused(house: House) -> None:
    wanted = ManifestPut(IMAGE.body, IMAGE.media_type, Digest(OTHER.digest), ())

    with pytest.raises(DigestInvalid, match="the URL says"):
        await push.put_manifest(house.stock, house.grant("pay/api"), wanted, Timestamp(house.now))
