"""Repositories: the template of new images, made by a push where that is allowed."""

import pytest

from appliance.db import images, repositories
from appliance.domain import image_policy
from appliance.domain.access import AccessPolicy, Action, Principal, PrincipalKind, Statement
from appliance.domain.admission import Caller, Grant, admit_management
from appliance.domain.image_policy import ImagePolicy, PullLimit, TagDeletion
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, RepositoryName, of_repository
from appliance.domain.registry import Repository, RepositorySettings
from appliance.domain.revision import ANY
from appliance.domain.rights import Rights
from appliance.errors import AccessDenied, Conflict, NameInvalid, Removed, RepositoryAbsent
from appliance.services import push, terminate
from appliance.services.arrange import create_repository, edit_repository
from appliance.services.delete import delete_repository
from tests import make
from tests.services.conftest import House
from tests.services.test_registries import CALLER, create

pytestmark = pytest.mark.anyio
IMAGE = make.image([{"etc/motd": b"welcome"}])
EMPTY = Digest(make.Blob(b"").digest)
STRICT = ImagePolicy(pull_limit=PullLimit(refuse_high=True))


def grant(house: House, name: str) -> Grant:
    return admit_management(CALLER, house.site, of_repository(RepositoryName(name)), Action.MANAGE_REPOSITORY)


async def arrange_one(house: House, name: str, **settings: object) -> Repository:
    wanted = RepositorySettings(RepositoryName(name), **settings)  # type: ignore[arg-type]  # a test's own words
    return await create_repository(house.stock, grant(house, name), wanted, {}, Timestamp(house.now))


async def test_a_new_image_gets_a_copy_of_the_template_as_it_is_then(house: House) -> None:
    repository = await arrange_one(house, "pay", policy=STRICT)
    await house.push("pay/old", IMAGE, "1")

    await edit_repository(
        house.stock,
        grant(house, "pay"),
        repository.id,
        lambda before: RepositorySettings(before.name, policy=ImagePolicy(tag_deletion=TagDeletion(old=True))),
        None,
        ANY,
        Timestamp(house.now),
    )
    await house.push("pay/new", IMAGE, "1")

    reader = house.stock.db.reader
    old, new = (
        image_policy.from_json(images.policy_of(reader, house.image_id(name))) for name in ("pay/old", "pay/new")
    )
    assert old == STRICT
    assert new == ImagePolicy(tag_deletion=TagDeletion(old=True))


async def test_a_push_makes_a_repository_with_the_default_policy(house: House) -> None:
    house.set_rules(default_policy=STRICT)

    await house.push("pay/api", IMAGE, "1")

    found = repositories.find(house.stock.db.reader, house.site.registry, RepositoryName("pay"))
    assert found is not None
    made = repositories.get(house.stock.db.reader, found)
    assert made is not None
    assert made.by_push
    assert made.settings.policy == STRICT
    kinds = house.stock.db.reader.rows("SELECT kind, detail FROM activity ORDER BY seq")
    assert kinds[0][0] == "repository.created"
    assert '"by":"push"' in kinds[0][1]


@pytest.mark.parametrize("rules", [{"strict": True}, {"create_on_push": False}])
async def test_where_pushes_make_none_a_push_is_told_to_make_it_first(house: House, rules: dict[str, bool]) -> None:
    house.set_rules(**rules)

    with pytest.raises(RepositoryAbsent, match="scr repository create pay"):
        await house.begin("pay/api")
    await arrange_one(house, "pay")

    await house.push("pay/api", IMAGE, "1")


async def test_where_pushes_make_none_a_deleted_repository_refuses_by_its_state(house: House) -> None:
    house.set_rules(create_on_push=False)
    repository = await arrange_one(house, "pay")
    await delete_repository(house.stock, grant(house, "pay"), repository.name, Timestamp(house.now))

    with pytest.raises(Removed, match=r"repository pay is being deleted \(Deleting\)"):
        await house.begin("pay/api")
    await arrange_one(house, "pay")

    await house.push("pay/api", IMAGE, "1")


async def test_who_may_push_to_one_image_makes_no_repository(house: House) -> None:
    path = f"srn:scr:{house.site.appliance}:registry/local"
    rights = Rights(
        (
            AccessPolicy(
                "one image",
                (
                    Statement("allow", (Action.LOGIN,), (path,)),
                    Statement("allow", (Action.PUSH,), (f"{path}/repository/pay/image/api",)),
                ),
            ),
        )
    )
    caller = Caller(Principal(PrincipalKind.USER, "ann"), rights, "127.0.0.1")
    narrow = admit_management(caller, house.site, house.grant("pay/api").path, Action.PUSH)

    upload = await push.start_upload(house.stock, narrow, "sha256", Timestamp(house.now))
    with pytest.raises(AccessDenied, match="repository/pay;"):
        await push.finish_upload(house.stock, narrow, upload, EMPTY, Timestamp(house.now))
    assert house.count("repositories") == 0
    await arrange_one(house, "pay")

    upload = await push.start_upload(house.stock, narrow, "sha256", Timestamp(house.now))
    await push.finish_upload(house.stock, narrow, upload, EMPTY, Timestamp(house.now))


async def test_strict_names_are_asked_of_repositories_too(house: House) -> None:
    house.set_rules(strict=True)

    for name in ("ab", "pay_till", "p" * 31, "pay-"):
        with pytest.raises(NameInvalid):
            await arrange_one(house, name)


async def test_two_at_once_make_one_repository(house: House) -> None:
    await arrange_one(house, "pay")

    with pytest.raises(Conflict, match="there is a repository pay already"):
        await arrange_one(house, "pay")

    assert house.count("repositories") == 1


async def test_a_registry_that_is_being_deleted_takes_nothing(house: House) -> None:
    registry = await create(house, "till")
    house.site = type(house.site)(house.site.appliance, registry.id, registry.name)
    await terminate.delete_registry(house.stock, CALLER, registry.id, Timestamp(house.now))

    with pytest.raises(Removed, match="Terminating"):
        await arrange_one(house, "pay")
    with pytest.raises(Removed, match="Terminating"):
        await house.push("pay/api", IMAGE, "1")
