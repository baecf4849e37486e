"""Sign-ins as activity: the first at once, repetitions once an hour, and never more rows than somebody can read."""

import msgspec
import pytest

from appliance.db import activity
from appliance.db.activity import Wanted
from appliance.domain.moment import DAY, HOUR, Timestamp
from appliance.domain.registry import RegistryId
from appliance.errors import StorageFull
from appliance.services import tally
from appliance.services.logins import MANY, Login, Logins
from tests import make
from tests.services.conftest import House

pytestmark = pytest.mark.anyio
ANN = Login(RegistryId(1), "user:ann", "10.0.0.7", "docker/27.0", is_allowed=True)
WRONG = Login(RegistryId(1), "(unknown)", "10.0.0.9", "", is_allowed=False)


@pytest.fixture
def logins(house: House) -> Logins:
    house.now = make.NOON
    return Logins(lambda: Timestamp(house.now))


async def rows(house: House, logins: Logins, *, is_last: bool = False) -> list[tuple[str, str, dict[str, object]]]:
    logins.sweep(is_last=is_last)
    await tally.flush(house.stock.db, logins)
    found = activity.list_page(house.stock.db.reader, Wanted(), 0, 9999, onward=True)
    return [(one.kind, one.principal, msgspec.json.decode(one.detail, type=dict[str, object])) for one in found]


async def test_a_sign_in_is_written_at_once_with_who_from_where_and_what(house: House, logins: Logins) -> None:
    logins.note(ANN)
    logins.note(WRONG)

    assert await rows(house, logins) == [
        ("login.allowed", "user:ann", {"v": 1}),
        ("login.denied", "(unknown)", {"v": 1}),
    ]
    (first, _) = activity.list_page(house.stock.db.reader, Wanted(), 0, 9, onward=True)
    assert (first.address, first.client, first.registry, first.at) == ("10.0.0.7", "docker/27.0", 1, make.NOON)


async def test_repetitions_within_an_hour_are_one_row_more(house: House, logins: Logins) -> None:
    for _ in range(100):
        logins.note(ANN)
        house.now += 1000
    assert len(await rows(house, logins)) == 1
    house.now = make.NOON + HOUR
    logins.note(msgspec.structs.replace(ANN, client="podman/5"))

    found = await rows(house, logins)

    assert sorted(str(detail.get("times", 1)) for _, _, detail in found) == ["1", "1", "99"]
    last = next(detail for _, _, detail in found if "times" in detail)
    assert last["last"] == "2025-06-15T15:08:19.000Z"


async def test_nothing_is_lost_when_the_process_ends(house: House, logins: Logins) -> None:
    logins.note(ANN)
    logins.note(ANN)
    logins.note(ANN)

    assert [detail.get("times", 1) for _, _, detail in await rows(house, logins, is_last=True)] == [1, 2]


@pytest.mark.parametrize("jump", [-365 * DAY, 365 * DAY])
async def test_a_clock_that_jumps_ends_the_hour(house: House, logins: Logins, jump: int) -> None:
    logins.note(ANN)
    house.now += jump
    logins.note(ANN)

    assert len(await rows(house, logins)) == 2


async def test_a_storm_of_names_makes_few_rows(house: House, logins: Logins) -> None:
    for number in range(20_000):
        logins.note(msgspec.structs.replace(WRONG, address=f"10.{number // 256}.{number % 256}.1"))

    found = await rows(house, logins)

    assert len(found) == 501
    assert found[-1] == ("login.denied", MANY, {"v": 1, "times": 19_500, "last": "2025-06-15T15:06:40.000Z"})


async def test_a_full_disk_keeps_sign_ins_for_later(
    house: House, logins: Logins, monkeypatch: pytest.MonkeyPatch
) -> None:
    logins.note(ANN)

    async def refuse(_: object) -> None:
        raise StorageFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr(house.stock.db, "write", refuse)
        with pytest.raises(StorageFull):
            await tally.flush(house.stock.db, logins)
    logins.note(WRONG)

    assert [kind for kind, _, _ in await rows(house, logins)] == ["login.allowed", "login.denied"]
