"""Any sequence of pushes, deletions, passing time and collections: nothing acknowledged is lost, nothing stays."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.domain.moment import DAY, HOUR, MINUTE, Timestamp
from appliance.domain.names import Digest
from appliance.errors import BlobNeeded, BlobUnknown, ManifestUnknown, NameUnknown
from appliance.services import delete, sweep
from appliance.services.leaving import Leaving, explain
from tests import make
from tests.services.conftest import House

pytestmark = pytest.mark.anyio
LAYERS = [{"a": b"1"}, {"b": b"2"}, {"c": b"3"}]
ONE, TWO, THREE = (make.image([LAYERS[number], LAYERS[(number + 1) % 3]]) for number in range(3))
MANIFESTS = [ONE, TWO, THREE, make.index([ONE, TWO]), make.artifact("a/b", b"sig", subject=THREE)]
BLOBS = sorted({blob.digest: blob for manifest in MANIFESTS for part in manifest.walk() for blob in part.blobs}.items())
NAMES = ["pay/api", "pay/web", "shop"]

_STEP = st.one_of(
    st.tuples(st.just("push"), st.sampled_from(NAMES), st.integers(0, len(MANIFESTS) - 1)),
    st.tuples(st.just("delete"), st.sampled_from(NAMES), st.integers(0, len(MANIFESTS) - 1)),
    st.tuples(st.just("push blob"), st.sampled_from(NAMES), st.integers(0, len(BLOBS) - 1)),
    st.tuples(st.just("delete blob"), st.sampled_from(NAMES), st.integers(0, len(BLOBS) - 1)),
    st.tuples(st.just("delete image"), st.sampled_from(NAMES), st.just(0)),
    st.tuples(st.just("collect"), st.just(""), st.sampled_from([0, MINUTE, 59 * MINUTE, 2 * HOUR, 25 * HOUR])),
)


async def act(house: House, live: dict[str, set[int]], step: tuple[str, str, int]) -> None:
    """Do one step, and keep in `live` which manifests were acknowledged and not deleted."""
    what, name, number = step
    if what == "collect":
        await collect_as_explained(house, number)
        return
    grant, now = house.grant(name), Timestamp(house.now)
    try:
        if what == "push":
            await house.push(name, MANIFESTS[number])
            live.setdefault(name, set()).add(number)
            if number == 3:
                live[name] |= {0, 1}
        elif what == "push blob":
            await house.push_blob(name, BLOBS[number][1])
        elif what == "delete":
            await delete.delete_manifest(house.stock, grant, Digest(MANIFESTS[number].digest), now)
            live[name].discard(number)
        elif what == "delete blob":
            await delete.delete_blob(house.stock, grant, Digest(BLOBS[number][0]), now)
        else:
            await delete.delete_image(house.stock, grant, now)
            live.pop(name, None)
    except (BlobNeeded, BlobUnknown, ManifestUnknown, NameUnknown):
        assert what != "push"
        assert what != "delete" or number not in live.get(name, set())


async def collect_as_explained(house: House, after: int) -> None:
    """Collect, and see that exactly those bytes go that were explained, each blob once."""
    house.now += after
    told = await explained(house)
    blobs = [one.name for one in told if one.kind == "blob"]
    assert len(blobs) == len(set(blobs))
    freed = await house.collect()
    assert freed.bytes == sum(one.size for one in told if one.is_due)


async def explained(house: House) -> list[Leaving]:
    found, cursor = [], ""
    while True:
        page = await explain(house.stock, cursor, 2)
        found += page.items
        if not page.next:
            return found
        cursor = page.next


@given(st.lists(_STEP, max_size=25))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_nothing_acknowledged_is_lost_and_nothing_deleted_stays(
    house: House, steps: list[tuple[str, str, int]]
) -> None:
    live: dict[str, set[int]] = {}
    for step in steps:
        await act(house, live, step)

    for name in NAMES:
        numbers = live.get(name, set())
        for number, manifest in enumerate(MANIFESTS):
            assert house.has(name, manifest.digest) is (number in numbers)
            if number in numbers:
                for blob in manifest.blobs:
                    assert await house.read_blob(name, blob) == blob.data
    house.assert_sound()
    await empty(house, live)


async def empty(house: House, live: dict[str, set[int]]) -> None:
    """Delete all that is left, let all times pass, and see that nothing is left of it."""
    for name in live:
        await delete.delete_image(house.stock, house.grant(name), Timestamp(house.now))
    for _ in range(3):
        await house.collect(after=2 * DAY)
    await sweep.sweep_strays(house.stock)
    assert house.lying() == []
    for table in ("images", "manifests", "needs", "tags", "links", "blobs", "condemned"):
        assert house.count(table) == 0
