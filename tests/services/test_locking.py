"""Locks of all tags of several digests: told first, all of them set, nothing changed where something is wrong."""

import pytest

from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest
from appliance.errors import Conflict, ManifestUnknown
from appliance.services import locking
from tests.services.conftest import House
from tests.services.test_guard import OTHER, SIGNATURE, fill, lock

pytestmark = pytest.mark.anyio
ABSENT = Digest(f"sha256:{0:064x}")


def locked_tags(house: House) -> set[str]:
    return {row[0] for row in house.stock.db.reader.rows("SELECT name FROM tags WHERE locked")}


async def test_every_tag_is_locked_in_slices_and_each_slice_is_activity(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "SLICE", 2)
    await house.push("pay/api", OTHER, *(f"v{number}" for number in range(5)))

    done = await locking.set_locks(
        house.stock, house.grant("pay/api"), [Digest(OTHER.digest)], Timestamp(house.now), locked=True
    )

    assert [len(one.tags) for one in done] == [5]
    assert locked_tags(house) == {f"v{number}" for number in range(5)}
    rows = house.stock.db.reader.rows("SELECT count(*) FROM activity WHERE kind = 'tag.locked'")
    assert rows[0][0] == 3


async def test_a_signature_is_told_and_left(house: House) -> None:
    await house.push("pay/api", OTHER, "1", SIGNATURE)

    (done,) = await locking.set_locks(
        house.stock, house.grant("pay/api"), [Digest(OTHER.digest)], Timestamp(house.now), locked=True
    )

    assert (done.tags, done.exempt) == (("1",), (SIGNATURE,))
    assert locked_tags(house) == {"1"}


async def test_one_digest_that_is_not_there_lets_all_stay(house: House) -> None:
    await house.push("pay/api", OTHER, "1")

    with pytest.raises(ManifestUnknown):
        await locking.set_locks(
            house.stock, house.grant("pay/api"), [Digest(OTHER.digest), ABSENT], Timestamp(house.now), locked=True
        )

    assert locked_tags(house) == set()


async def test_nothing_is_locked_one_by_one_in_a_locked_repository(house: House) -> None:
    await fill(house)
    await house.push("pay/api", OTHER, "other")
    await lock(house, "repository", locked=True)

    with pytest.raises(Conflict, match="one by one"):
        locking.plan(house.stock.db.reader, house.grant("pay/api"), [Digest(OTHER.digest)], locked=True)
