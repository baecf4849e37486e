"""Which registry a door and a Host mean, who of those may come in, and that every change of it counts at once."""

import io
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from appliance.blobstore.files import Files
from appliance.db import registries
from appliance.db.database import Database
from appliance.domain.admission import Site
from appliance.domain.decision import Stage
from appliance.domain.endpoint import MANAGEMENT_LIST, Endpoint, ListName, list_names
from appliance.domain.moment import Timestamp
from appliance.domain.names import DEFAULT_REGISTRY, RegistryName
from appliance.domain.registry import EndpointType, RegistryId, RegistrySettings
from appliance.errors import Denied, Invalid, Misdirected, PageUnknown, RegistryUnknown, Removed, Unavailable
from appliance.http.allowlist import Allowlists
from appliance.http.door import Door, make_door
from appliance.http.entrance import Entrance, Names
from appliance.logs import Log
from appliance.services.allowlists import Shelf

pytestmark = pytest.mark.anyio
NOON = Timestamp(1_700_000_000_000)
PRIVATE, PUBLIC, MANAGEMENT = make_door(Endpoint.PRIVATE), make_door(Endpoint.PUBLIC), make_door(Endpoint.MANAGEMENT)
HERE = "192.0.2.7"
NAMES = Names(
    frozenset({"registry.example.com"}), {Endpoint.PRIVATE: "corp.example", Endpoint.PUBLIC: "public.example"}
)


class House(msgspec.Struct):
    """An appliance with registries, its allowlists, and its entrance."""

    db: Database
    allowlists: Allowlists
    entrance: Entrance

    async def make(self, name: str, public_id: str, *, is_ready: bool = True, **settings: object) -> RegistryId:
        """Make a registry."""
        wanted = msgspec.structs.replace(RegistrySettings(RegistryName(name)), **settings)
        made = await self.db.write(lambda tx: registries.insert(tx, wanted, public_id, "test", NOON))
        if is_ready:
            await self.db.write(lambda tx: registries.set_ready(tx, made, NOON))
        return made

    async def change(self, sql: str) -> None:
        """Change the rows of registries."""
        await self.db.write(lambda tx: tx.execute(f"UPDATE registries SET {sql}"))  # noqa: S608 - the tests' own text

    def admit(self, host: str, door: Door = PRIVATE, address: str = HERE, *, is_registry: bool = True) -> str:
        """Return the name of the registry that a request is let in to."""
        return self.entrance.admit(door, host.encode("latin-1"), address, is_registry=is_registry).name


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=2) as threads:
        yield threads


@pytest.fixture
async def house(tmp_path: Path, executor: ThreadPoolExecutor) -> AsyncIterator[House]:
    """An appliance with the default registry, `pay` at both endpoints, and `dev` at the private one."""
    log = Log(out=io.StringIO())
    db = Database(tmp_path / "scr.sqlite", executor, log)
    (tmp_path / "allowlists").mkdir()

    def wanted() -> frozenset[ListName]:
        found = (name for registry in registries.list_controlled(db.reader) for name in list_names(registry))
        return frozenset((*found, MANAGEMENT_LIST))

    allowlists = Allowlists(Shelf(tmp_path / "allowlists", Files(), executor), {}, wanted, log)
    site = Site("a1", RegistryId(1), DEFAULT_REGISTRY)
    made = House(db, allowlists, Entrance(db, site, allowlists, NAMES))
    assert await made.make("local", "l0") == 1
    await made.make("pay", "p1", endpoint=EndpointType.BOTH, port=5443)
    await made.make("dev", "d2", endpoint=EndpointType.PRIVATE)
    try:
        yield made
    finally:
        db.close()


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1:5000", "[::1]:5000", "192.0.2.1", "registry.example.com", "Registry.EXAMPLE.com.:443"],
)
async def test_addresses_localhost_and_own_names_mean_the_default_registry(house: House, host: str) -> None:
    await house.change("endpoint = 'private+public'")

    assert house.admit(host) == "local"
    assert house.admit(host, PUBLIC) == "local"


async def test_the_domain_of_an_endpoint_means_the_default_registry_there(house: House) -> None:
    assert house.admit("corp.example:5000") == "local"
    with pytest.raises(Misdirected):
        house.admit("corp.example", PUBLIC)


async def test_a_registry_has_a_name_at_each_endpoint_that_serves_it(house: House) -> None:
    assert house.admit("pay-p1.corp.example:5000") == "pay"
    assert house.admit("PAY-p1.Corp.Example.") == "pay"
    assert house.admit("pay-p1.public.example", PUBLIC) == "pay"
    assert house.admit("dev-d2.corp.example") == "dev"


@pytest.mark.parametrize(
    "host",
    [
        "pay-p1.public.example",  # of the other endpoint
        "pay-d2.corp.example",  # another's id
        "dev-p1.corp.example",
        "pay.corp.example",
        "p1.corp.example",
        "p1.corp.example.x",
        "pay-p1.corp.example.evil.example",
        "x.pay-p1.corp.example",
        "pay-p1corp.example",
        "pay-p1.corp.example.corp.example",
        "pay-p1",
        "local",
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
    ],
)
async def test_any_other_host_is_misdirected(house: House, host: str) -> None:
    with pytest.raises(Misdirected):
        house.admit(host)


@pytest.mark.parametrize(
    "host",
    ["", " ", "pay-p1.corp.example evil", "pay-p1.corp.example\t", "a/b", "a@pay-p1.corp.example", "a,b", "a:99999999"],
)
async def test_what_is_no_host_is_refused(house: House, host: str) -> None:
    with pytest.raises(Invalid):
        house.admit(host)


async def test_a_registry_that_is_not_served_there_looks_like_one_that_is_not_there(house: House) -> None:
    with pytest.raises(Misdirected) as private:
        house.admit("dev-d2.public.example", PUBLIC)
    with pytest.raises(Misdirected) as absent:
        house.admit("dev-xx.public.example", PUBLIC)
    with pytest.raises(Misdirected) as default:
        house.admit("192.0.2.1", PUBLIC)

    assert private.value.message.replace("d2", "xx") == absent.value.message
    assert "private+public" in default.value.message


@pytest.mark.parametrize("host", ["evil.example", "dev-d2.corp.example", "192.0.2.1"])
async def test_a_port_of_its_own_means_that_registry_whatever_the_host_says(house: House, host: str) -> None:
    assert house.admit(host, make_door(Endpoint.PRIVATE, port=5443)) == "pay"
    assert house.admit(host, make_door(Endpoint.PUBLIC, registry=RegistryName("pay"))) == "pay"
    for door in (make_door(Endpoint.PRIVATE, port=5444), make_door(Endpoint.PRIVATE, registry=RegistryName("gone"))):
        with pytest.raises(Misdirected):
            house.admit(host, door)


async def test_the_listener_of_a_private_registry_at_the_public_endpoint_serves_nobody(house: House) -> None:
    with pytest.raises(Misdirected):
        house.admit("192.0.2.1", make_door(Endpoint.PUBLIC, registry=RegistryName("dev")))


async def test_changes_count_for_the_next_request(house: House) -> None:
    assert house.admit("pay-p1.public.example", PUBLIC) == "pay"

    await house.change("endpoint = 'private' WHERE name = 'pay'")
    with pytest.raises(Misdirected):
        house.admit("pay-p1.public.example", PUBLIC)

    await house.change("removed_at = 1 WHERE name = 'pay'")
    with pytest.raises(RegistryUnknown):
        house.admit("pay-p1.corp.example")
    with pytest.raises(Removed, match="Terminating"):
        house.entrance.admit(PRIVATE, b"pay-p1.corp.example", "192.0.2.1", is_registry=True, is_reading=False)
    for host, door in (("pay-p1.public.example", PUBLIC), ("x", make_door(Endpoint.PRIVATE, port=5443))):
        with pytest.raises(Misdirected):
            house.admit(host, door)

    await house.make("pay", "p9")
    assert house.admit("pay-p9.corp.example") == "pay"
    with pytest.raises(RegistryUnknown):  # the name alone opens nothing that had it before
        house.admit("pay-p1.corp.example")


async def test_a_registry_that_is_being_made_says_so(house: House) -> None:
    await house.make("new", "n3", is_ready=False)

    with pytest.raises(Unavailable, match="being created"):
        house.admit("new-n3.corp.example")


async def test_nothing_is_read_again_as_long_as_nothing_changes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.admit("pay-p1.corp.example")
    monkeypatch.setattr(registries, "find_by_id", lambda *_: pytest.fail("the database was asked"))

    assert house.admit("pay-p1.corp.example") == "pay"


async def test_an_endpoint_with_access_control_is_for_its_list_only(house: House) -> None:
    await house.change("private_access_control = 1, endpoint = 'private+public'")
    (house.allowlists.shelf.folder / "pay.private.txt").write_text("192.0.2.7\n")
    (house.allowlists.shelf.folder / "dev.private.txt").write_text("198.51.100.0/24\n")
    await house.allowlists.refresh()

    assert house.admit("pay-p1.corp.example", address="192.0.2.7") == "pay"
    assert house.admit("pay-p1.corp.example", address="::ffff:192.0.2.7") == "pay"
    assert house.admit("pay-p1.public.example", PUBLIC, address="203.0.113.1") == "pay"  # it has none of its own
    for host, address in (
        ("pay-p1.corp.example", "192.0.2.8"),
        ("pay-p1.corp.example", "198.51.100.1"),
        ("dev-d2.corp.example", "192.0.2.7"),
        ("localhost", "192.0.2.7"),  # no list at all
        ("pay-p1.corp.example", "local"),
    ):
        with pytest.raises(Denied, match=r"allowlist"):
            house.admit(host, address=address)


async def test_management_is_at_the_private_endpoint_and_has_a_list_of_its_own(house: House) -> None:
    await house.change("private_access_control = 1")
    assert house.admit("localhost", is_registry=False) == "local"  # the lists of registries do not speak of it
    with pytest.raises(PageUnknown):
        house.admit("pay-p1.public.example", PUBLIC, is_registry=False)

    house.entrance.consult(msgspec.structs.replace(NAMES, guards_management=True))
    with pytest.raises(Denied):
        house.admit("localhost", is_registry=False)
    (house.allowlists.shelf.folder / "management.txt").write_text(HERE)
    await house.allowlists.refresh()
    assert house.admit("localhost", is_registry=False) == "local"
    with pytest.raises(Denied):
        house.admit("localhost", address="192.0.2.8", is_registry=False)


async def test_management_with_an_address_of_its_own_is_nowhere_else(house: House) -> None:
    house.entrance.consult(msgspec.structs.replace(NAMES, has_management=True))

    assert house.admit("localhost", MANAGEMENT, is_registry=False) == "local"
    assert house.admit("localhost") == "local"
    for door, is_registry in ((PRIVATE, False), (PUBLIC, False), (MANAGEMENT, True)):
        with pytest.raises((PageUnknown, Misdirected)):
            house.admit("localhost", door, is_registry=is_registry)


@pytest.mark.parametrize(
    ("door", "host", "address", "said"),
    [
        (PRIVATE, "pay-p1.corp.example", HERE, "192.0.2.7 is on the allowlist pay.private"),
        (PRIVATE, "pay-p1.corp.example", "192.0.2.8", "192.0.2.8 is not on the allowlist pay.private"),
        (PRIVATE, "dev-d2.corp.example", HERE, "access control of the private endpoint is off"),
        (PUBLIC, "pay-p1.public.example", HERE, "the allowlist pay.public is missing or cannot be read, so nobody"),
        (PUBLIC, "dev-d2.public.example", HERE, "registry dev has the endpoint type private: it is not served"),
        (PUBLIC, "evil.example", HERE, "no registry is called evil.example at the public endpoint"),
    ],
)
async def test_every_decision_is_told_with_its_reason_in_order(
    house: House, door: Door, host: str, address: str, said: str
) -> None:
    await house.change("private_access_control = 1, public_access_control = 1 WHERE name = 'pay'")
    (house.allowlists.shelf.folder / "pay.private.txt").write_text(HERE)
    await house.allowlists.refresh()

    steps = list(house.entrance.steps(door, host.encode(), address))

    assert [step.stage for step in steps] == list(Stage)[: len(steps)]
    assert all(step.allowed for step in steps[:-1])
    assert said in steps[-1].reason
    try:
        house.admit(host, door, address)
        assert steps[-1].allowed
    except (Denied, Misdirected):
        assert not steps[-1].allowed
