"""One pull, one push: an index and its children count once, for whoever fetched or pushed them, for a minute."""

import pytest

from appliance.db import manifests
from appliance.domain.access import Principal, PrincipalKind
from appliance.domain.manifest import Manifest, parse_manifest
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest
from appliance.domain.registry import FoundManifest
from appliance.services.kinship import MINUTE_S, Fetched, Pushed
from tests import make
from tests.services.booking import Steady
from tests.services.conftest import House

pytestmark = pytest.mark.anyio
ANN, CI = (Principal(PrincipalKind.USER, name) for name in ("ann", "ci"))
ONE, TWO = make.image([{"a": b"1"}]), make.image([{"b": b"2"}])
INDEX = make.index([ONE, TWO])
OUTER = make.index([INDEX, make.image([{"c": b"3"}])])


def found(house: House, manifest: make.Manifest, name: str = "pay/api") -> FoundManifest:
    row = manifests.find(house.stock.db.reader, house.image(name), Digest(manifest.digest))
    assert row is not None
    return row


def parsed(manifest: make.Manifest) -> Manifest:
    return parse_manifest(manifest.body, manifest.media_type, "sha256")


async def test_a_child_counts_with_its_index_for_a_minute_and_for_who_fetched_it(house: House) -> None:
    await house.push("pay/api", INDEX, "1")
    await house.push("other/api", INDEX, "1")
    clock = Steady()
    fetched, reader = Fetched(clock), house.stock.db.reader

    fetched.remember(ANN, found(house, INDEX))
    clock.seconds += MINUTE_S

    assert fetched.is_child(reader, ANN, found(house, ONE))
    assert not fetched.is_child(reader, ANN, found(house, INDEX))
    assert not fetched.is_child(reader, CI, found(house, ONE))
    assert not fetched.is_child(reader, ANN, found(house, ONE, "other/api"))
    clock.seconds += 0.1
    assert not fetched.is_child(reader, ANN, found(house, ONE))


async def test_an_index_within_an_index_is_a_child_with_children(house: House) -> None:
    await house.push("pay/api", OUTER, "1")
    fetched, reader = Fetched(Steady()), house.stock.db.reader

    fetched.remember(ANN, found(house, OUTER))

    assert fetched.is_child(reader, ANN, found(house, INDEX))
    assert not fetched.is_child(reader, ANN, found(house, ONE))
    fetched.remember(ANN, found(house, INDEX))
    assert fetched.is_child(reader, ANN, found(house, ONE))


async def test_what_is_remembered_of_fetches_is_bounded_and_swept(house: House) -> None:
    await house.push("pay/api", INDEX, "1")
    clock = Steady()
    fetched, index = Fetched(clock), found(house, INDEX)

    for number in range(10_050):
        fetched.remember(Principal(PrincipalKind.USER, str(number)), index)
    assert len(fetched.indexes) == 10_000
    clock.seconds += MINUTE_S + 1
    fetched.sweep()
    assert fetched.indexes == {}


class Pushes:
    """Pushes by ann at times that are told apart."""

    def __init__(self, house: House) -> None:
        self.clock = Steady()
        self.pushed = Pushed(self.clock)
        self._image = house.image("pay/api")

    def push(self, manifest: make.Manifest, at: int, *, tagged: bool = False, by: Principal = ANN) -> None:
        self.pushed.add(self._image, by, parsed(manifest), Timestamp(at), tagged=tagged)

    def counted(self, *, after_s: float = 0.0, everything: bool = False) -> list[int]:
        self.clock.seconds += after_s
        self.pushed.sweep(everything=everything)
        return sorted(at for _, at in self.pushed.take())


async def test_children_that_come_before_their_index_are_no_pushes(house: House) -> None:
    pushes = Pushes(house)

    pushes.push(ONE, 1)
    pushes.push(TWO, 2)
    pushes.push(INDEX, 3, tagged=True)

    assert pushes.counted() == [3]
    assert pushes.counted(after_s=2 * MINUTE_S) == []


async def test_a_manifest_without_a_tag_is_a_push_once_no_index_came_for_a_minute(house: House) -> None:
    pushes = Pushes(house)

    pushes.push(ONE, 1)
    pushes.push(TWO, 2, by=CI)
    pushes.push(INDEX, 3, tagged=True)
    assert pushes.counted(after_s=MINUTE_S - 1) == [3]

    assert pushes.counted(after_s=2) == [2]
    assert pushes.counted(after_s=MINUTE_S) == []


async def test_a_manifest_pushed_by_digest_and_by_tag_is_one_push(house: House) -> None:
    pushes = Pushes(house)

    pushes.push(ONE, 1)
    pushes.push(ONE, 2)
    pushes.push(ONE, 3, tagged=True)

    assert pushes.counted(after_s=2 * MINUTE_S) == [3]


async def test_children_that_come_after_their_index_are_no_pushes_either(house: House) -> None:
    pushes = Pushes(house)

    pushes.push(INDEX, 1, tagged=True)
    pushes.push(ONE, 2, tagged=True)
    pushes.push(TWO, 3)
    assert pushes.counted() == [1]

    assert pushes.counted(after_s=MINUTE_S + 1) == []
    pushes.push(ONE, 4, tagged=True)
    assert pushes.counted() == [4]


async def test_what_waits_is_a_push_when_the_process_ends(house: House) -> None:
    pushes = Pushes(house)

    pushes.push(ONE, 1)

    assert pushes.counted(everything=True) == [1]
