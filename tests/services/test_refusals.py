"""The ring of refusals: the same one keeps its id, nobody crowds out another, and what is written is found again."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.db import refusals as rows
from appliance.db.side_file import SideFile
from appliance.domain.decision import Stage, Step
from appliance.domain.moment import DAY, HOUR, Timestamp
from appliance.domain.registry import RegistryId
from appliance.errors import AccessDenied, StorageFull, TagLocked
from appliance.logs import Log
from appliance.services import refusals
from appliance.services.refusals import Asked, Refusals
from tests import make

pytestmark = pytest.mark.anyio
ASKED = Asked(RegistryId(1), "user:ann", "10.0.0.7", "docker/27.0", "GET", "/v2/pay/api/manifests/1")
DENIED = AccessDenied("ann may not do this")
STEPS = (Step(Stage.LISTENER, allowed=True, reason="it came"), Step(Stage.ACCESS_POLICY, allowed=False, reason="no"))


class Ring:
    """Refusals over a file, with a clock that the test holds."""

    def __init__(self, folder: Path, executor: ThreadPoolExecutor) -> None:
        self.now = make.NOON
        self.printed = io.StringIO()
        self.log = Log(out=self.printed)
        self.file = SideFile(folder / "logs.sqlite", executor, self.log)
        self.ring = self.begin()

    def begin(self) -> Refusals:
        self.ring = Refusals(lambda: Timestamp(self.now), self.log)
        return self.ring

    async def flush(self) -> None:
        await self.ring.flush(self.file)


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Ring]:
    with ThreadPoolExecutor(2) as executor:
        opened = Ring(tmp_path, executor)
        yield opened
        opened.file.close()


def from_source(number: int, path: str = "/v2/") -> Asked:
    return Asked(RegistryId(1), f"user:{number}", "10.0.0.7", "", "GET", path)


async def test_the_same_refusal_keeps_its_id_and_is_counted(ring: Ring) -> None:
    first = ring.ring.note(DENIED, ASKED, STEPS)
    ring.now += 5
    again = ring.ring.note(AccessDenied(DENIED.message), ASKED, STEPS)
    other = ring.ring.note(TagLocked("tag 1 is locked"), ASKED)

    assert len(first.id) == 32
    assert (again.id, again.times, again.at, again.last_at) == (first.id, 2, make.NOON, make.NOON + 5)
    assert other.id != first.id
    assert ring.ring.counts == {"access-denied": 2, "tag-locked": 1}


async def test_after_an_hour_it_is_another_one(ring: Ring) -> None:
    first = ring.ring.note(DENIED, ASKED)
    await ring.flush()
    ring.now += HOUR

    assert ring.ring.note(DENIED, ASKED).id != first.id
    assert await ring.ring.find(ring.file, first.id) == first


async def test_what_is_written_is_found_after_a_restart_with_all_of_it(ring: Ring) -> None:
    first = ring.ring.note(DENIED, ASKED, STEPS)
    await ring.flush()
    again = ring.ring.note(DENIED, ASKED, STEPS)
    await ring.flush()
    await ring.flush()

    found = await ring.begin().find(ring.file, first.id)

    assert found == again
    assert found is not None
    assert (found.times, found.steps, found.rule) == (2, STEPS, "access-denied")
    assert await ring.ring.find(ring.file, "0" * 32) is None


async def test_a_full_disk_keeps_refusals_for_later(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ring.ring.note(DENIED, ASKED)

    async def refuse(_: object) -> None:
        raise StorageFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr(ring.file, "write", refuse)
        with pytest.raises(StorageFull):
            await ring.flush()
    await ring.flush()

    assert await ring.begin().find(ring.file, first.id) == first


async def test_who_is_refused_much_crowds_out_nobody(ring: Ring) -> None:
    kept = ring.ring.note(DENIED, ASKED)
    for number in range(5000):
        ring.ring.note(DENIED, from_source(0, f"/v2/{number}"))

    assert await ring.ring.find(ring.file, kept.id) == kept
    await ring.flush()
    found = await ring.file.read(lambda reader: rows.list_page(reader, [RegistryId(1)], None, (1 << 62, ""), 9999))
    assert len(found) == 1 + 200


async def test_a_host_with_many_addresses_has_one_share(ring: Ring) -> None:
    for number in range(500):
        asked = Asked(RegistryId(1), "", f"2001:db8::{number:x}", "", "GET", "/v2/")
        ring.ring.note(DENIED, asked, source="2001:db8::/64")

    await ring.flush()
    found = await ring.file.read(lambda reader: rows.list_page(reader, [RegistryId(1)], None, (1 << 62, ""), 9999))
    assert len(found) == 200


async def test_the_ring_is_bounded_and_forgets_who_was_silent_longest(
    ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "_ALL", 20)
    first = [ring.ring.note(DENIED, from_source(number)) for number in range(20)]
    ring.ring.note(DENIED, from_source(0))

    last = ring.ring.note(DENIED, from_source(99))

    known = [await ring.ring.find(ring.file, one.id) is not None for one in first]
    assert known == [True, False, *[True] * 18]
    assert await ring.ring.find(ring.file, last.id) == last


async def test_the_file_is_bounded_by_age_and_number(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MOST", 5)
    old = ring.ring.note(DENIED, from_source(0))
    await ring.flush()
    ring.now += 31 * DAY
    ring.begin()
    new = []
    for number in range(1, 9):
        ring.now += 1
        new.append(ring.ring.note(DENIED, from_source(number)))
    await ring.flush()
    await refusals.prune(ring.file, Timestamp(ring.now - 30 * DAY))
    ring.begin()

    assert await ring.ring.find(ring.file, old.id) is None
    assert [await ring.ring.find(ring.file, one.id) is not None for one in new] == [False] * 3 + [True] * 5


async def test_the_log_tells_new_ones_until_they_are_too_many(ring: Ring) -> None:
    for number in range(70):
        for _ in range(2):
            ring.ring.note(DENIED, from_source(number))
    await ring.flush()
    ring.ring.note(DENIED, ASKED)

    lines = [line.split(maxsplit=3)[2:] for line in ring.printed.getvalue().splitlines()]
    assert [name for name, _ in lines] == ["request.refused"] * 50 + ["request.refused_more", "request.refused"]
    assert lines[50][1] == "count=20"
    assert "principal=user:ann address=10.0.0.7 client=docker/27.0 method=GET" in lines[51][1]
