"""Registries are found by every name they have, and what they use is counted by the database itself."""

import pytest

from appliance.db import images, registries, repositories
from appliance.db.database import Database, Transaction
from appliance.db.repositories import Made
from appliance.domain.moment import Timestamp
from appliance.domain.names import RegistryName, RepositoryName, parse_image_path
from appliance.domain.registry import (
    EndpointType,
    ImageId,
    ImageRef,
    RegistryId,
    RegistrySettings,
    RegistryUsage,
    RepositorySettings,
)

pytestmark = pytest.mark.anyio
NOON = Timestamp(1_700_000_000_000)
PAY = RegistrySettings(
    RegistryName("pay"), "of the till", endpoint=EndpointType.BOTH, port=5443, quota_bytes=10, quota_images=2
)


def make_image(tx: Transaction, registry: RegistryId, name: str) -> ImageId:
    path = parse_image_path(name)
    made = Made(f"{registry}{name}", "test", NOON)
    repository = repositories.find(tx, registry, path.repository) or repositories.insert(
        tx, registry, RepositorySettings(RepositoryName(path.repository)), made
    )
    return images.insert(tx, ImageRef(registry, path), repository, made)


def make_blob(tx: Transaction, number: int, size: int) -> int:
    return tx.insert(
        "INSERT INTO blobs (digest, generation, driver, form, size, sealed_at, sums) VALUES (?, '', '', '', ?, 0, x'')",
        (bytes([1, number]), size),
    )


def link(tx: Transaction, image: ImageId, blob: int) -> None:
    tx.execute("INSERT INTO links (image_id, blob_id, since) VALUES (?, ?, 0)", (image, blob))


async def test_a_registry_is_found_by_name_id_and_port(database: Database) -> None:
    made = await database.write(lambda tx: registries.insert(tx, PAY, "p1", "user:ann", NOON))

    found = registries.find(database.reader, RegistryName("pay"))

    assert found is not None
    assert (found.id, found.settings, found.created_by, found.revision) == (made, PAY, "user:ann", 1)
    assert not found.is_ready
    assert found == registries.find_by_id(database.reader, "p1")
    assert found == registries.find_by_port(database.reader, 5443)
    assert found == registries.get(database.reader, made)
    assert [found] == registries.list_all(database.reader)
    assert registries.find_by_port(database.reader, 5444) is None


async def test_a_registry_serves_once_it_is_ready(database: Database) -> None:
    made = await database.write(lambda tx: registries.insert(tx, PAY, "p1", "user:ann", NOON))

    await database.write(lambda tx: registries.set_ready(tx, made, NOON))

    found = registries.get(database.reader, made)
    assert found is not None
    assert found.is_ready


async def test_each_registry_knows_what_it_uses_and_what_is_its_alone(database: Database) -> None:
    def fill(tx: Transaction) -> tuple[RegistryId, RegistryId]:
        one = registries.insert(tx, PAY, "p1", "test", NOON)
        other = registries.insert(tx, RegistrySettings(RegistryName("hub")), "p2", "test", NOON)
        small, large = make_blob(tx, 1, 10), make_blob(tx, 2, 100)
        first, second = make_image(tx, one, "a/1"), make_image(tx, one, "a/2")
        link(tx, first, small)
        link(tx, second, small)
        link(tx, first, large)
        link(tx, make_image(tx, other, "b/1"), small)
        return one, other

    one, other = await database.write(fill)

    assert registries.usage_of(database.reader, one) == RegistryUsage(110, 100, 120, 0)
    assert registries.usage_of(database.reader, other) == RegistryUsage(10, 0, 10, 0)


async def test_what_a_registry_gives_up_is_the_others_alone(database: Database) -> None:
    def fill(tx: Transaction) -> list[RegistryId]:
        made = []
        blob = make_blob(tx, 1, 10)
        for name in ("pay", "hub", "lab"):
            made.append(registries.insert(tx, RegistrySettings(RegistryName(name)), name, "test", NOON))
            link(tx, make_image(tx, made[-1], "a/1"), blob)
        return made

    one, other, third = await database.write(fill)
    left = []
    for _ in range(3):
        await database.write(
            lambda tx: tx.execute("DELETE FROM links WHERE image_id = (SELECT min(image_id) FROM links)")
        )
        left.append([registries.usage_of(database.reader, registry).sole_bytes for registry in (one, other, third)])

    assert left == [[0, 0, 0], [0, 0, 10], [0, 0, 0]]
    assert database.reader.rows("SELECT * FROM registry_blobs") == []
