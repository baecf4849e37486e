"""What scr.toml declares: made, matched, let go, planned."""

import re

import msgspec
import pytest

from appliance.db import registries, repositories
from appliance.domain.image_policy import ImagePolicy, PullLimit
from appliance.domain.moment import Timestamp
from appliance.domain.names import DEFAULT_REGISTRY, RegistryName, RepositoryName
from appliance.domain.registry import RegistrySettings, Repository, RepositorySettings, Visibility
from appliance.domain.revision import ANY
from appliance.errors import ConfigInvalid, Managed
from appliance.services import arrange, provision, terminate
from appliance.services.declare import Declaration, DeclaredRegistry, DeclaredRepository, declare, plan
from appliance.services.declare_accounts import DeclaredAccounts, DeclaredUser
from appliance.services.delete import delete_repository
from appliance.services.keys import hash_password
from tests.services.conftest import House
from tests.services.test_registries import CALLER, create
from tests.services.test_repositories import grant

pytestmark = pytest.mark.anyio
TILL = RegistrySettings(RegistryName("till"), "of the till", quota_bytes=10, managed=True)
PAY = RepositorySettings(RepositoryName("pay"), "payments", managed=True)
BOTH = Declaration(
    (DeclaredRegistry(TILL, {"team": "pay"}),), (DeclaredRepository(RegistryName("till"), PAY, {"a": "1"}),)
)


async def apply(house: House, declaration: Declaration) -> None:
    await declare(house.stock, declaration, Timestamp(house.now))
    await provision.finish_creations(house.stock)


def find_repository(house: House, registry: str, name: str) -> Repository:
    reader = house.stock.db.reader
    found = registries.find(reader, RegistryName(registry))
    assert found is not None
    row = repositories.find(reader, found.id, RepositoryName(name))
    assert row is not None
    repository = repositories.get(reader, row)
    assert repository is not None
    return repository


async def test_what_is_declared_is_made_and_serves(house: House) -> None:
    await apply(house, BOTH)

    till = registries.find(house.stock.db.reader, TILL.name)
    assert till is not None
    assert (till.settings, till.is_ready, till.created_by) == (TILL, True, "operator:scr.toml")
    assert find_repository(house, "till", "pay").settings == PAY
    row = registries.find_row(house.stock.db.reader, till.id)
    assert row is not None
    assert row.tags == {"team": "pay"}


async def test_a_second_start_changes_and_records_nothing(house: House) -> None:
    await apply(house, BOTH)
    before = house.count("activity")

    await apply(house, BOTH)

    assert house.count("activity") == before
    assert await plan(house.stock.db, BOTH, Timestamp(house.now)) == []


async def test_what_was_there_is_changed_to_match(house: House) -> None:
    await create(house, "till", quota_bytes=7, description="old")

    await apply(house, BOTH)

    till = registries.find(house.stock.db.reader, TILL.name)
    assert till is not None
    assert till.settings == TILL


async def test_a_plan_tells_what_a_run_does_and_changes_nothing(house: House) -> None:
    await create(house, "till", quota_bytes=7)
    rows = [house.count(table) for table in ("activity", "registries", "repositories", "resource_tags", "principals")]
    users = (DeclaredUser("ann", hash_password("secret"), ("ScrFullAccess",)),)
    declaration = msgspec.structs.replace(BOTH, accounts=DeclaredAccounts(users))

    planned = await plan(house.stock.db, declaration, Timestamp(house.now))

    assert rows == [
        house.count(table) for table in ("activity", "registries", "repositories", "resource_tags", "principals")
    ]
    await apply(house, declaration)
    done = house.stock.db.reader.rows("SELECT kind, detail FROM activity ORDER BY seq LIMIT -1 OFFSET ?", (rows[0],))
    drawn = re.compile(r'"id":"[a-z0-9]+"')  # ids are random
    assert [(one.kind, drawn.sub("", bytes(one.detail).decode())) for one in planned] == [
        (kind, drawn.sub("", detail)) for kind, detail in done
    ]
    assert [one.subject for one in planned][:2] == ["registry till", "repository till/pay"]


async def test_what_leaves_the_file_stays_and_is_managed_no_more(house: House) -> None:
    await apply(house, BOTH)

    await apply(house, Declaration())

    till = registries.find(house.stock.db.reader, TILL.name)
    assert till is not None
    assert till.settings == msgspec.structs.replace(TILL, managed=False)
    assert not find_repository(house, "till", "pay").settings.managed
    await terminate.delete_registry(house.stock, CALLER, till.id, Timestamp(house.now), force=True)


async def test_what_is_managed_is_changed_by_the_file_alone(house: House) -> None:
    house.stock.declared_in = "/etc/scr/scr.toml"
    await apply(house, BOTH)
    till = registries.find(house.stock.db.reader, TILL.name)
    assert till is not None
    pay = find_repository(house, "till", "pay")
    site = type(house.site)(house.site.appliance, till.id, till.name)
    house.site, now = site, Timestamp(house.now)
    may = grant(house, "pay")

    for attempt in (
        provision.edit_registry(house.stock, CALLER, till.id, lambda one: one, {}, ANY, now),
        terminate.delete_registry(house.stock, CALLER, till.id, now, force=True),
        arrange.edit_repository(house.stock, may, pay.id, lambda one: one, None, ANY, now),
        delete_repository(house.stock, may, pay.name, now),
    ):
        with pytest.raises(Managed, match=r"declared in /etc/scr/scr\.toml; change it there"):
            await attempt


@pytest.mark.parametrize(
    ("declaration", "told"),
    [
        (
            Declaration((DeclaredRegistry(RegistrySettings(DEFAULT_REGISTRY, visibility=Visibility.PUBLIC)),)),
            r"\[\[registry\]\] local: registry local is private",
        ),
        (
            Declaration((DeclaredRegistry(RegistrySettings(RegistryName("till"), port=5443)),)),
            r"\[\[registry\]\] till: registry hub has port 5443",
        ),
        (
            Declaration((), (DeclaredRepository(RegistryName("nowhere"), PAY),)),
            r"\[\[repository\]\] pay: there is no registry 'nowhere'",
        ),
    ],
)
async def test_what_cannot_be_is_refused_whole(house: House, declaration: Declaration, told: str) -> None:
    await create(house, "hub", port=5443)
    before = house.count("activity")
    lab = DeclaredRegistry(RegistrySettings(RegistryName("lab"), managed=True))
    declaration = msgspec.structs.replace(declaration, registries=(lab, *declaration.registries))

    with pytest.raises(ConfigInvalid, match=told):
        await apply(house, declaration)
    with pytest.raises(ConfigInvalid, match=told):
        await plan(house.stock.db, declaration, Timestamp(house.now))

    assert registries.find(house.stock.db.reader, RegistryName("lab")) is None
    assert house.count("activity") == before


async def test_a_declared_policy_is_the_template_of_new_images_only(house: House) -> None:
    strict = ImagePolicy(pull_limit=PullLimit(refuse_high=True))
    first = Declaration((), (DeclaredRepository(DEFAULT_REGISTRY, PAY),))
    await apply(house, first)

    await apply(
        house,
        Declaration((), (DeclaredRepository(DEFAULT_REGISTRY, msgspec.structs.replace(PAY, policy=strict)),)),
    )

    assert find_repository(house, "local", "pay").settings.policy == strict
