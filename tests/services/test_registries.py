"""Registries are made whole or not at all, go at once and come back until collection has begun with them."""

from concurrent.futures import Executor, ThreadPoolExecutor

import pytest

from appliance.blobstore.files import Files
from appliance.db import activity, registries
from appliance.domain.access import LOCAL, AccessPolicy, Statement
from appliance.domain.admission import FULL_ACCESS, Caller, Site
from appliance.domain.endpoint import Endpoint, ListName
from appliance.domain.moment import DAY, HOUR, Timestamp
from appliance.domain.names import RegistryName
from appliance.domain.registry import Registry, RegistrySettings
from appliance.domain.revision import ANY
from appliance.domain.rights import Rights
from appliance.errors import Conflict, RegistryUnknown, TagLocked, Unavailable
from appliance.services import accepting, provision, terminate
from appliance.services.accepting import Scope, Wish
from appliance.services.allowlists import Shelf
from appliance.services.first_lists import FirstLists
from tests import make
from tests.services.conftest import House

pytestmark = pytest.mark.anyio
CALLER = Caller(LOCAL, FULL_ACCESS, "127.0.0.1")
IMAGE = make.image([{"etc/motd": b"of the till"}])
OTHER = make.image([{"etc/motd": b"of the hub"}])


async def create(house: House, name: str, **settings: object) -> Registry:
    wanted = RegistrySettings(RegistryName(name), **settings)  # type: ignore[arg-type]  # a test's own words
    return await provision.create_registry(house.stock, CALLER, wanted, {}, Timestamp(house.now))


async def fill(house: House, registry: Registry, manifest: make.Manifest) -> None:
    """Push an image into `registry`, as a client that reached it would."""
    site, house.site = house.site, Site("a1", registry.id, registry.name)
    await house.push("pay/api", manifest, "1")
    house.site = site


async def delete(house: House, registry: Registry, *, force: bool = True, purge: bool = False) -> None:
    await terminate.delete_registry(house.stock, CALLER, registry.id, Timestamp(house.now), force=force, purge=purge)


async def test_a_registry_that_cannot_be_equipped_is_not_there(house: House) -> None:
    async def fail(registry: Registry) -> None:
        raise Unavailable(f"port {registry.settings.port} is in use")

    house.stock.equip = fail

    with pytest.raises(Unavailable, match="port 5443"):
        await create(house, "pay", port=5443)

    assert registries.find(house.stock.db.reader, RegistryName("pay")) is None
    assert house.count("registries") == 1


class Lists:
    """The folder of allowlists of a house, and what a registry shall begin with."""

    def __init__(self, house: House, executor: Executor) -> None:
        self.house = house
        self.folder = house.folder / "allowlists"
        self.folder.mkdir()
        self._shelf = Shelf(self.folder, Files(), executor)

    def first(self, text: str) -> FirstLists:
        texts = {ListName(Endpoint.PRIVATE, RegistryName("pay")): text, ListName(Endpoint.PUBLIC, "pay"): " \n"}
        return FirstLists(self._shelf, {}, texts)

    async def create(self, text: str, **settings: object) -> Registry:
        wanted = RegistrySettings(RegistryName("pay"), **settings)  # type: ignore[arg-type]  # a test's own words
        now = Timestamp(self.house.now)
        return await provision.create_registry(self.house.stock, CALLER, wanted, {}, now, self.first(text))

    def lying(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.folder.iterdir()}

    def recorded(self) -> list[str]:
        page = activity.list_page(self.house.stock.db.reader, activity.Wanted(), 0, 100, onward=True)
        return [one.kind for one in page]


@pytest.fixture
def lists(house: House, executor: ThreadPoolExecutor) -> Lists:
    return Lists(house, executor)


async def test_a_registry_is_never_there_without_the_lists_it_was_made_with(lists: Lists) -> None:
    async def equip(_: Registry) -> None:
        seen.append((lists.lying(), lists.recorded()))
        raise KeyboardInterrupt  # and the process dies

    seen: list[tuple[dict[str, str], list[str]]] = []
    lists.house.stock.equip = equip

    with pytest.raises(KeyboardInterrupt):
        await lists.create("192.0.2.7\n")

    assert seen == [({"pay.private.txt": "192.0.2.7\n"}, ["registry.created", "allowlist.edited"])]


@pytest.mark.parametrize("before", [{}, {"pay.private.txt": "192.0.2.1 # laid here before\n"}])
async def test_where_a_registry_cannot_be_equipped_its_lists_are_as_they_were(
    lists: Lists, before: dict[str, str]
) -> None:
    async def fail(registry: Registry) -> None:
        raise Unavailable(f"port {registry.settings.port} is in use")

    for name, text in before.items():
        (lists.folder / name).write_text(text)
    lists.house.stock.equip = fail

    with pytest.raises(Unavailable, match="port 5443"):
        await lists.create("192.0.2.7\n", port=5443)

    assert lists.lying() == before


async def test_the_lists_of_a_registry_that_is_there_already_stay(lists: Lists) -> None:
    await lists.create("192.0.2.1\n")

    with pytest.raises(Conflict, match="there is a registry pay already"):
        await lists.create("192.0.2.7\n")

    assert lists.lying() == {"pay.private.txt": "192.0.2.1\n"}
    assert lists.recorded() == ["registry.created", "allowlist.edited"]


async def test_the_lists_of_a_registry_that_is_there_already_are_never_others(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They decide who gets in: not even a death in the middle lets in those of another one's wish."""

    async def die(_: object) -> None:
        raise InterruptedError

    await lists.create("192.0.2.1\n")
    monkeypatch.setattr(lists.house.stock.db, "write", die)

    with pytest.raises(Conflict, match="there is a registry pay already"):
        await lists.create("192.0.2.7\n")

    assert lists.lying() == {"pay.private.txt": "192.0.2.1\n"}


async def test_who_has_a_port_is_told_to_those_who_may_see_that_registry(house: House) -> None:
    await create(house, "till", port=5443)
    statement = Statement("allow", ("*",), ("srn:scr:a1:registry/pay",))
    caller = Caller(LOCAL, Rights([AccessPolicy("pay", (statement,))]), "127.0.0.1")
    wanted = RegistrySettings(RegistryName("pay"), port=5443)

    with pytest.raises(Conflict) as refused:
        await provision.create_registry(house.stock, caller, wanted, {}, Timestamp(house.now))

    assert refused.value.message == "another registry has port 5443; choose another one for pay"
    with pytest.raises(Conflict, match="registry till has port 5443"):
        await create(house, "pay", port=5443)


async def test_what_was_accepted_in_a_registry_goes_with_it_for_good(house: House) -> None:
    registry = await create(house, "pay")
    wish = Wish("CVE-2026-1", "", "not reachable", None)
    await accepting.accept(house.stock, CALLER, Scope(registry.id), wish, Timestamp(house.now))
    await accepting.accept(house.stock, CALLER, Scope(), wish, Timestamp(house.now))
    assert house.count("accepted_findings") == 2

    await delete(house, registry, purge=True)
    await house.collect(after=HOUR + 1)

    assert house.count("accepted_findings") == 1


async def test_a_creation_that_a_crash_ended_is_taken_up_again(house: House) -> None:
    async def die(registry: Registry) -> None:
        raise KeyboardInterrupt(registry.name)

    house.stock.equip = die
    with pytest.raises(KeyboardInterrupt):
        await create(house, "pay")
    half = registries.find(house.stock.db.reader, RegistryName("pay"))
    assert half is not None
    assert not half.is_ready
    equipped: list[str] = []

    async def equip(registry: Registry) -> None:
        equipped.append(registry.name)

    house.stock.equip = equip
    await provision.finish_creations(house.stock)

    done = registries.find(house.stock.db.reader, RegistryName("pay"))
    assert done is not None
    assert done.is_ready
    assert equipped == ["pay"]
    assert await provision.finish_creations(house.stock) == []


async def test_an_edit_that_cannot_be_carried_out_is_put_back(house: House) -> None:
    registry = await create(house, "pay", description="before")

    async def fail(changed: Registry) -> None:
        raise Unavailable(f"port {changed.settings.port} is in use")

    house.stock.equip = fail
    with pytest.raises(Unavailable):
        await provision.edit_registry(
            house.stock,
            CALLER,
            registry.id,
            lambda _: RegistrySettings(registry.name, "after", port=5443),
            {"a": "1"},
            ANY,
            Timestamp(house.now),
        )

    left = registries.find_row(house.stock.db.reader, registry.id)
    assert left is not None
    assert left.registry.settings == registry.settings
    assert left.tags == {}
    assert not house.stock.editing


async def test_a_registry_with_repositories_goes_only_by_force(house: House) -> None:
    registry = await create(house, "pay")
    await fill(house, registry, IMAGE)

    with pytest.raises(Conflict, match="holds repositories"):
        await delete(house, registry, force=False)
    await delete(house, registry)

    with pytest.raises(RegistryUnknown):
        await delete(house, registry)


async def test_what_is_locked_holds_its_registry(house: House) -> None:
    registry = await create(house, "pay")
    await fill(house, registry, IMAGE)
    for table, what in (("repositories", "repository pay"), ("images", "image pay/api"), ("tags", "tag pay/api:1")):
        await house.stock.db.write(lambda tx, table=table: tx.execute(f"UPDATE {table} SET locked = 1"))  # type: ignore[misc]  # noqa: S608

        with pytest.raises(TagLocked, match=what):
            await delete(house, registry)

        await house.stock.db.write(lambda tx, table=table: tx.execute(f"UPDATE {table} SET locked = 0"))  # type: ignore[misc]  # noqa: S608


async def test_a_deleted_registry_comes_back_with_all_that_was_in_it(house: House) -> None:
    registry = await create(house, "pay")
    await fill(house, registry, IMAGE)
    await delete(house, registry)
    await house.collect(after=DAY - HOUR)

    back = await terminate.restore_registry(house.stock, CALLER, registry.id, Timestamp(house.now))

    assert back.is_ready
    house.site = Site("a1", registry.id, registry.name)
    await house.assert_whole("pay/api", IMAGE)


async def test_collection_takes_a_registry_whose_recycle_time_is_over(house: House) -> None:
    registry = await create(house, "pay")
    await fill(house, registry, IMAGE)
    await house.push("hub/api", OTHER, "1")
    await delete(house, registry)

    await house.collect(after=DAY + HOUR)

    assert registries.get(house.stock.db.reader, registry.id) is None
    with pytest.raises(RegistryUnknown):
        await terminate.restore_registry(house.stock, CALLER, registry.id, Timestamp(house.now))
    assert (house.count("repositories"), house.count("registry_usage")) == (1, 1)
    assert len([name for name in house.lying() if name.startswith("blobs/")]) == len(OTHER.blobs)
    await house.assert_whole("hub/api", OTHER)


async def test_a_purge_takes_it_with_the_next_collection(house: House) -> None:
    registry = await create(house, "pay")
    await fill(house, registry, IMAGE)
    await delete(house, registry, purge=True)

    with pytest.raises(Conflict, match="cannot come back"):
        await terminate.restore_registry(house.stock, CALLER, registry.id, Timestamp(house.now))
    await house.collect(after=HOUR + 1)

    assert registries.get(house.stock.db.reader, registry.id) is None


async def test_once_its_data_has_begun_to_go_there_is_no_way_back(house: House) -> None:
    registry = await create(house, "pay")
    await fill(house, registry, IMAGE)
    await delete(house, registry)
    await house.stock.db.write(lambda tx: registries.begin_purge(tx, registry.id))  # and the process dies here

    with pytest.raises(Conflict, match="its data is going"):
        await terminate.restore_registry(house.stock, CALLER, registry.id, Timestamp(house.now))
    await house.collect(after=DAY + HOUR)

    assert registries.get(house.stock.db.reader, registry.id) is None


async def test_bytes_that_two_registries_use_stay_for_the_other(house: House) -> None:
    registry = await create(house, "pay")
    await fill(house, registry, IMAGE)
    await house.push("hub/api", IMAGE, "1")
    await delete(house, registry, purge=True)

    await house.collect(after=HOUR + 1)

    await house.assert_whole("hub/api", IMAGE)
    usage = registries.usage_of(house.stock.db.reader, house.site.registry)
    assert usage.sole_bytes == usage.blob_bytes == sum(len(blob.data) for blob in IMAGE.blobs)
