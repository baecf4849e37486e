"""Quotas: enforced in the transaction that keeps something, for what is the registry's own alone."""

import asyncio

import pytest

from appliance.blobstore.upload import Upload, Uploads
from appliance.db import registries
from appliance.domain.admission import Site
from appliance.domain.moment import HOUR, Timestamp
from appliance.domain.names import Digest
from appliance.domain.registry import Registry, RegistryId, RegistrySettings, StoredBlob
from appliance.errors import QuotaExceeded
from appliance.services import push, quota
from appliance.services.delete import delete_image
from tests import make
from tests.services.conftest import House, pieces
from tests.services.test_registries import create

pytestmark = pytest.mark.anyio
KIB = b"x" * 1024


def blob(letter: str, kib: int = 1) -> make.Blob:
    return make.Blob(letter.encode() * 1024 * kib)


async def enter(house: House, **settings: object) -> Registry:
    """Make a registry with these settings and go on in it."""
    registry = await create(house, "till", **settings)
    house.site = Site(house.site.appliance, registry.id, registry.name)
    return registry


async def send(house: House, content: make.Blob) -> Upload:
    upload = await house.begin("pay/api")
    upload.claim()
    await upload.receive(quota.watch(house.stock, upload, pieces(content.data)))
    return upload


async def seal(house: House, upload: Upload, content: make.Blob) -> StoredBlob:
    return await push.finish_upload(
        house.stock, house.grant("pay/api"), upload, Digest(content.digest), Timestamp(house.now)
    )


async def test_a_push_up_to_the_quota_passes_and_one_beyond_names_quota_and_use(house: House) -> None:
    await enter(house, quota_bytes=3 * 1024)
    await house.push_blob("pay/api", blob("a", 2))
    await house.push_blob("pay/api", blob("b"))

    with pytest.raises(QuotaExceeded, match=r"registry till uses 3\.0 KiB of its quota of 3\.0 KiB"):
        await house.begin("pay/api")
    assert [name for name in house.lying() if name.startswith("uploads")] == []


async def test_bytes_beyond_the_quota_are_refused_while_they_come(house: House) -> None:
    await enter(house, quota_bytes=5 << 20)
    upload = await house.begin("pay/api")
    upload.claim()
    content = [b"x" * (1 << 20)] * 20

    with pytest.raises(QuotaExceeded):
        await upload.receive(quota.watch(house.stock, upload, pieces(*content)))

    assert upload.offset <= 7 << 20


async def test_uploads_on_their_way_count(house: House) -> None:
    await enter(house, quota_bytes=3 * 1024)
    await send(house, blob("a", 2))

    with pytest.raises(QuotaExceeded, match=r"2\.0 KiB of it in uploads"):
        await quota.check_start(house.stock, house.site.registry, 2048)
    await quota.check_start(house.stock, house.site.registry, 1024)


async def test_uploads_from_before_a_restart_count(house: House) -> None:
    await enter(house, quota_bytes=3 * 1024)
    upload = await send(house, blob("a", 2))
    old = house.stock.uploads
    house.stock.uploads = Uploads(old.folder, old.files, old.executor, 0)

    assert await house.stock.uploads.staged(house.site.registry) == 2048
    assert await house.stock.uploads.staged(RegistryId(1)) == 0
    found = await house.stock.uploads.find(upload.session.id)
    assert found is not None
    assert await house.stock.uploads.staged(house.site.registry) == 2048
    await found.cancel()
    assert await house.stock.uploads.staged(house.site.registry) == 0


async def test_of_two_pushes_at_once_only_one_gets_the_last_bytes(house: House) -> None:
    registry = await enter(house, quota_bytes=3 * 1024)
    contents = [blob(letter, 2) for letter in "ab"]
    await house.stock.db.write(lambda tx: registries.update(tx, registry.id, _without(registry), "test", Timestamp(0)))
    uploads = [await send(house, content) for content in contents]  # both came while there was no quota
    await house.stock.db.write(lambda tx: registries.update(tx, registry.id, registry.settings, "test", Timestamp(0)))

    ended = await asyncio.gather(
        *(seal(house, upload, content) for upload, content in zip(uploads, contents, strict=True)),
        return_exceptions=True,
    )

    assert sorted(type(one).__name__ for one in ended) == ["QuotaExceeded", "StoredBlob"]
    assert registries.usage_of(house.stock.db.reader, registry.id).blob_bytes == 2048
    assert len([name for name in house.lying() if name.startswith("blobs")]) == 1


def _without(registry: Registry) -> RegistrySettings:
    return RegistrySettings(registry.name)


async def test_what_the_registry_has_costs_nothing_more(house: House) -> None:
    await enter(house, quota_bytes=2 * 1024)
    await house.push_blob("pay/api", blob("a", 2))
    found = registries.get(house.stock.db.reader, house.site.registry)
    assert found is not None
    before = quota.kept_bytes(house.stock.db.reader, house.site.registry)

    mounted = await push.mount_blob(
        house.stock,
        house.grant("pay/web"),
        Digest(blob("a", 2).digest),
        lambda _: [],
        house.image("pay/api"),
        Timestamp(house.now),
    )

    assert mounted
    assert quota.kept_bytes(house.stock.db.reader, house.site.registry) == before


async def test_what_another_registry_has_counts_in_full(house: House) -> None:
    await house.push_blob("pay/api", blob("a", 2))
    await enter(house, quota_bytes=1024)

    upload = await house.begin("pay/api")
    upload.claim()
    await upload.receive(pieces(blob("a", 2).data))
    with pytest.raises(QuotaExceeded):
        await seal(house, upload, blob("a", 2))


async def test_manifests_count_and_a_repeated_push_does_not(house: House) -> None:
    image = make.image([{"etc/motd": b"welcome"}])
    size = sum(len(part.data) for part in image.blobs) + len(image.body)
    await enter(house, quota_bytes=size)

    await house.push("pay/api", image, "1")
    await house.put("pay/api", image, "2")

    other = make.artifact("application/x-note")
    with pytest.raises(QuotaExceeded):
        await house.push("pay/api", other)
    assert house.count("manifests") == 1


async def test_a_quota_of_images_holds_new_images_only(house: House) -> None:
    image = make.image([{"etc/motd": b"welcome"}])
    await enter(house, quota_images=1)
    await house.push("pay/api", image, "1")

    with pytest.raises(QuotaExceeded, match="has 1 images, and its quota is 1"):
        await house.push("pay/web", image, "1")
    await house.push("pay/api", image, "2")
    await delete_image(house.stock, house.grant("pay/api"), Timestamp(house.now))

    await house.push("pay/web", image, "1")


async def test_deleting_and_collecting_makes_room(house: House) -> None:
    image = make.image([{"etc/motd": b"welcome"}])
    size = sum(len(part.data) for part in image.blobs) + len(image.body)
    await enter(house, quota_bytes=size)
    await house.push("pay/api", image, "1")
    await delete_image(house.stock, house.grant("pay/api"), Timestamp(house.now), purge=True)
    with pytest.raises(QuotaExceeded):
        await house.begin("pay/web")

    await house.collect(after=2 * HOUR)

    await house.push("pay/web", image, "1")
