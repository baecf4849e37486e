import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.domain.moment import DAY, Timestamp
from appliance.domain.names import Digest, Tag
from appliance.errors import ManifestUnknown
from appliance.services import delete
from tests import make
from tests.services.conftest import House

pytestmark = pytest.mark.anyio
MANIFESTS = [make.index([], annotations={"n": str(number)}) for number in range(3)]


def history(house: House, name: str, tag: str) -> list[tuple[int, str, str, str]]:
    """Return seq, digest, who ended it and why, of what `tag` named before, oldest first."""
    sql = (
        "SELECT h.seq, hex(h.digest), h.ended_by, h.reason FROM tag_history h"
        " WHERE h.image_id = ? AND h.name = ? ORDER BY h.seq"
    )
    rows = house.stock.db.reader.rows(sql, (house.image_id(name), tag))
    return [(row[0], f"sha256:{row[1][2:].lower()}", row[2], row[3]) for row in rows]


async def test_a_tag_that_moves_leaves_a_trace_and_can_be_put_back(house: House) -> None:
    first, second, _ = MANIFESTS
    await house.put("pay/api", first, "1")
    await house.put("pay/api", second, "1")

    await house.put("pay/api", first, "1")

    assert house.tags("pay/api") == {"1": first.digest}
    assert [row[1:] for row in history(house, "pay/api", "1")] == [
        (first.digest, "local:local", "moved"),
        (second.digest, "local:local", "moved"),
    ]


async def test_pushing_what_a_tag_names_already_is_no_move(house: House) -> None:
    await house.put("pay/api", MANIFESTS[0], "1")
    before = house.count("activity")

    await house.put("pay/api", MANIFESTS[0], "1")

    assert history(house, "pay/api", "1") == []
    assert house.count("activity") == before


async def test_the_history_says_how_a_tag_ended(house: House) -> None:
    await house.put("pay/api", MANIFESTS[0], "deleted", "with-manifest")
    grant, now = house.grant("pay/api"), Timestamp(house.now)

    await delete.delete_tag(house.stock, grant, Tag("deleted"), now)
    await delete.delete_manifest(house.stock, grant, Digest(MANIFESTS[0].digest), now)

    assert [history(house, "pay/api", name)[0][3] for name in ("deleted", "with-manifest")] == [
        "deleted",
        "manifest deleted",
    ]


async def test_the_history_outlives_its_manifests_and_is_forgotten_in_time(house: House) -> None:
    house.set_rules(recycle=0)
    await house.put("pay/api", MANIFESTS[0], "1")
    await house.put("pay/api", MANIFESTS[1], "1")
    await delete.delete_manifest(house.stock, house.grant("pay/api"), Digest(MANIFESTS[0].digest), Timestamp(house.now))

    await house.collect(after=399 * DAY)
    assert [row[1] for row in history(house, "pay/api", "1")] == [MANIFESTS[0].digest]
    await house.collect(after=2 * DAY)

    assert history(house, "pay/api", "1") == []


_STEP = st.tuples(
    st.sampled_from(["a", "b"]),
    st.sampled_from([0, 1, 2, None]),  # the manifest it is pointed at; None: it is deleted
    st.integers(-2 * 365 * DAY, 2 * 365 * DAY),  # how far the clock jumps before
)


@given(st.lists(_STEP, max_size=12))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_the_clock_does_the_history_is_in_the_order_of_the_changes(
    house: House, steps: list[tuple[str, int | None, int]]
) -> None:
    name = f"pay/n{house.count('images')}"
    await house.put(name, MANIFESTS[0], "anchor")
    present: dict[str, str] = {}
    past: dict[str, list[str]] = {"a": [], "b": []}
    for tag, number, jump in steps:
        house.now = max(house.now + jump, 0)
        if number is None:
            if tag in present:
                await delete.delete_tag(house.stock, house.grant(name), Tag(tag), Timestamp(house.now))
                past[tag].append(present.pop(tag))
            else:
                with pytest.raises(ManifestUnknown):
                    await delete.delete_tag(house.stock, house.grant(name), Tag(tag), Timestamp(house.now))
            continue
        digest = MANIFESTS[number].digest
        await house.put(name, MANIFESTS[number], tag)
        if present.get(tag) not in (None, digest):
            past[tag].append(present[tag])
        present[tag] = digest

    assert house.tags(name) == {**present, "anchor": MANIFESTS[0].digest}
    for tag, digests in past.items():
        assert [row[1] for row in history(house, name, tag)] == digests
