"""Every door against every lock: what is locked is the same afterwards, whoever tried what."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from appliance.domain.moment import DAY, Timestamp
from appliance.domain.names import Digest, Tag
from appliance.domain.policy_edit import PolicyEdit, TagDeletionEdit
from appliance.domain.revision import ANY
from appliance.errors import Conflict, TagLocked
from appliance.services import collect, delete, retain, tagging
from appliance.services.amend import ImageEdit, edit_image
from tests import make
from tests.services.conftest import House

pytestmark = pytest.mark.anyio
HELD, OTHER = make.image([{"a": b"1"}]), make.image([{"b": b"2"}])
ARM = make.image([{"a": b"3"}], platform="linux/arm64")
INDEX = make.index([HELD, ARM])
SIGNATURE = Tag("sha256-" + "0" * 64 + ".sig")

Door = Callable[[House], Awaitable[object]]


async def push_other(house: House) -> None:
    await house.put("pay/api", OTHER, "1")


async def push_several(house: House) -> None:
    await house.put("pay/api", OTHER, "new", "1")


async def delete_tag(house: House) -> None:
    await delete.delete_tag(house.stock, house.grant("pay/api"), Tag("1"), Timestamp(house.now))


async def delete_by_digest(house: House) -> None:
    await delete.delete_manifest(house.stock, house.grant("pay/api"), Digest(INDEX.digest), Timestamp(house.now))


async def delete_child(house: House) -> None:
    await delete.delete_manifest(house.stock, house.grant("pay/api"), Digest(ARM.digest), Timestamp(house.now))


async def delete_in_bulk(house: House) -> None:
    digests = [Digest(one.digest) for one in (OTHER, INDEX)]
    await delete.delete_manifests(house.stock, house.grant("pay/api"), digests, Timestamp(house.now))


async def delete_image(house: House) -> None:
    await delete.delete_image(house.stock, house.grant("pay/api"), Timestamp(house.now))


async def purge_image(house: House) -> None:
    await delete.delete_image(house.stock, house.grant("pay/api"), Timestamp(house.now), purge=True)


async def delete_repository(house: House) -> None:
    grant = house.grant("pay/api")
    await delete.delete_repository(house.stock, grant, grant.path.repository, Timestamp(house.now))


async def move_by_hand(house: House) -> None:
    grant, now = house.grant("pay/api"), Timestamp(house.now)
    await tagging.point_tag(house.stock, grant, Tag("1"), Digest(OTHER.digest), now)


async def rename(house: House) -> None:
    grant, now = house.grant("pay/api"), Timestamp(house.now)
    await tagging.edit_tags(house.stock, grant, Digest(INDEX.digest), [Tag("new")], [Tag("1")], now)


DOORS: list[Door] = [
    push_other,
    push_several,
    delete_tag,
    delete_by_digest,
    delete_child,
    delete_in_bulk,
    delete_image,
    purge_image,
    delete_repository,
    move_by_hand,
    rename,
]


async def lock(house: House, what: str, *, locked: bool = True) -> None:
    grant, now = house.grant("pay/api"), Timestamp(house.now)
    if what == "tag":
        await tagging.lock_tag(house.stock, grant, Tag("1"), now, locked=locked)
    elif what == "image":
        await edit_image(house.stock, grant, ImageEdit(locked=locked), ANY, now)
    else:
        await house.stock.db.write(lambda tx: tx.execute("UPDATE repositories SET locked = ?", (locked,)))


async def fill(house: House) -> None:
    await house.push("pay/api", INDEX, "1")
    await house.push("pay/api", OTHER)


@pytest.mark.parametrize("what", ["tag", "image", "repository"])
@pytest.mark.parametrize("door", DOORS, ids=lambda door: str(door.__name__))
async def test_no_door_opens_a_lock(house: House, door: Door, what: str) -> None:
    await fill(house)
    await lock(house, what)
    before = house.tags("pay/api")

    with pytest.raises((TagLocked, Conflict), match=r"is locked"):
        await door(house)
    await house.collect(after=30 * DAY)
    await collect.make_room(house.stock, lambda: True, started=Timestamp(0))

    assert house.tags("pay/api") == before
    await house.assert_whole("pay/api", INDEX)


@pytest.mark.parametrize("what", ["tag", "image", "repository"])
@pytest.mark.parametrize("door", DOORS, ids=lambda door: str(door.__name__))
async def test_every_door_opens_once_the_lock_is_lifted(house: House, door: Door, what: str) -> None:
    await fill(house)
    await lock(house, what)
    await lock(house, what, locked=False)

    await door(house)


async def test_a_locked_tag_holds_itself_alone(house: House) -> None:
    await fill(house)
    await house.push("pay/api", OTHER, "free")
    await lock(house, "tag")

    await delete.delete_manifest(house.stock, house.grant("pay/api"), Digest(OTHER.digest), Timestamp(house.now))

    assert set(house.tags("pay/api")) == {"1"}


@pytest.mark.parametrize("what", ["tag", "image", "repository"])
async def test_new_tags_come_and_signatures_change_under_any_lock(house: House, what: str) -> None:
    await fill(house)
    await house.put("pay/api", OTHER, SIGNATURE)
    await lock(house, what)
    grant, now = house.grant("pay/api"), Timestamp(house.now)

    await house.put("pay/api", OTHER, "new")
    await tagging.point_tag(house.stock, grant, Tag("by-hand"), Digest(OTHER.digest), now)
    await house.put("pay/api", HELD, SIGNATURE)
    await delete.delete_tag(house.stock, grant, SIGNATURE, now)
    await house.push("pay/web", OTHER, "1")

    assert set(house.tags("pay/api")) == {"1", "new", "by-hand"}


async def test_the_repositorys_lock_disables_those_below_and_gives_them_back_as_they_were(house: House) -> None:
    await fill(house)
    await lock(house, "tag")
    await lock(house, "repository")

    for what in ("tag", "image"):
        with pytest.raises(Conflict, match="repository pay is locked"):
            await lock(house, what, locked=False)
    await lock(house, "repository", locked=False)

    with pytest.raises(TagLocked):
        await delete_tag(house)
    await lock(house, "tag", locked=False)
    await delete_tag(house)


async def test_a_signatures_tag_cannot_be_locked(house: House) -> None:
    await house.push("pay/api", OTHER, SIGNATURE)

    with pytest.raises(Conflict, match="no lock holds it"):
        await tagging.lock_tag(house.stock, house.grant("pay/api"), SIGNATURE, Timestamp(house.now), locked=True)


async def test_a_lock_and_its_end_are_activity_once(house: House) -> None:
    await fill(house)

    for locked in (True, True, False, False):
        await lock(house, "tag", locked=locked)

    rows = house.stock.db.reader.rows("SELECT kind FROM activity WHERE kind LIKE 'tag.%' ORDER BY seq")
    assert [row[0] for row in rows] == ["tag.locked", "tag.unlocked"]


def test_nothing_but_the_guard_and_collection_touches_what_can_be_locked() -> None:
    changes = re.compile(
        r"\b(?:tags\.(?:point|remove|drop_of_image)|manifests\.(?:remove|purge)|images\.(?:remove|purge)"
        r"|(?:repositories|registries)\.(?:remove|purge))\("
    )

    callers = {path.name for path in Path("appliance").rglob("*.py") if changes.search(path.read_text())}

    assert callers == {
        "guard.py",
        "collect.py",
        "purging.py",
        "provision.py",
    }  # the last: a registry that never came to be


@pytest.mark.parametrize("what", ["tag", "image", "repository"])
async def test_tag_deletion_lets_nothing_go_that_a_lock_holds(house: House, what: str) -> None:
    await fill(house)
    order = TagDeletionEdit(enabled=True, old=True, old_days=1, untagged=True, untagged_days=1, count=True)
    edited = ImageEdit(policy=PolicyEdit(tag_deletion=order))
    await edit_image(house.stock, house.grant("pay/api"), edited, ANY, Timestamp(house.now))
    await lock(house, what)
    house.now += 40 * DAY

    done = await retain.run(house.stock, house.image_id("pay/api"), Timestamp(house.now))
    await house.collect(after=30 * DAY)

    assert done.tags == 0
    assert house.tags("pay/api") == {"1": INDEX.digest}
    await house.assert_whole("pay/api", INDEX)
    assert house.has("pay/api", OTHER.digest) == (what != "tag")  # a lock on one tag holds what that needs alone
