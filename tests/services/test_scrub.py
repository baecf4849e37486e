"""Scrub in pieces: one that a stop ended goes on where it was; what changed on the disk is put aside."""

import pytest

from appliance.domain.registry import BlobId
from appliance.services import scrub
from tests import make
from tests.services.conftest import House

pytestmark = pytest.mark.anyio


async def test_a_whole_scrub_is_dated_and_leaves_nothing_to_go_on_with(house: House) -> None:
    await house.push_blob("demo/app", make.Blob(b"one"))

    found = await scrub.scrub(house.stock)

    assert (found.blobs, found.bytes, found.broken) == (1, 3, ())
    assert await house.stock.db.read(scrub.find_progress) == scrub.Progress(house.stock.clock(), BlobId(0))


async def test_a_scrub_goes_on_behind_the_blob_it_got_to(house: House) -> None:
    first = await house.push_blob("demo/app", make.Blob(b"one"))
    await house.push_blob("demo/app", make.Blob(b"three"))

    found = await scrub.scrub(house.stock, after=first.id, rate=1 << 30)

    assert (found.blobs, found.bytes) == (1, 5)


async def test_a_bounded_scrub_finds_what_a_fast_one_finds(house: House) -> None:
    stored = await house.push_blob("demo/app", make.Blob(b"one"))
    (house.folder / "blobs").joinpath(
        "sha256", stored.digest[7:9], f"{stored.digest[7:]}.{stored.generation}"
    ).write_bytes(b"two")

    found = await scrub.scrub(house.stock, rate=1 << 30)

    assert found.broken == (stored.digest,)
    assert not house.has_blob("demo/app", make.Blob(b"one"))
