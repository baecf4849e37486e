"""Tags by hand: add, rename, move, put back; edits of an image."""

import pytest

from appliance.db import images
from appliance.domain.image_policy import DEFAULT_POLICY
from appliance.domain.moment import DAY, Timestamp
from appliance.domain.names import Digest, Tag
from appliance.domain.policy_edit import PolicyEdit, PullLimitEdit, TagDeletionEdit
from appliance.domain.revision import ANY, Expected
from appliance.errors import Conflict, ImagePolicyInvalid, ManifestUnknown, Stale
from appliance.services import delete, tagging
from appliance.services.amend import ImageEdit, edit_image
from tests import make
from tests.services.conftest import House

pytestmark = pytest.mark.anyio
ONE, TWO = make.image([{"a": b"1"}]), make.image([{"b": b"2"}])


async def edit_tags(house: House, manifest: make.Manifest, add: list[str], remove: list[str]) -> None:
    names = [Tag(tag) for tag in add], [Tag(tag) for tag in remove]
    await tagging.edit_tags(house.stock, house.grant("pay/api"), Digest(manifest.digest), *names, Timestamp(house.now))


async def point(house: House, tag: str, digest: str, expected: Expected = ANY) -> None:
    grant, now = house.grant("pay/api"), Timestamp(house.now)
    await tagging.point_tag(house.stock, grant, Tag(tag), Digest(digest), now, expected)


async def change(house: House, order: ImageEdit, expected: Expected = ANY) -> None:
    await edit_image(house.stock, house.grant("pay/api"), order, expected, Timestamp(house.now))


def stored(house: House) -> images.Stored:
    return images.settings_of(house.stock.db.reader, house.image_id("pay/api"))


async def test_a_manifest_gets_several_tags_and_loses_others_at_once(house: House) -> None:
    await house.push("pay/api", ONE, "1", "old")

    await edit_tags(house, ONE, ["1.0", "latest"], ["old"])

    assert house.tags("pay/api") == {"1": ONE.digest, "1.0": ONE.digest, "latest": ONE.digest}


async def test_an_edit_of_tags_that_fails_changes_nothing(house: House) -> None:
    await house.push("pay/api", ONE, "1")
    await house.push("pay/api", TWO, "2")
    before = house.tags("pay/api")

    with pytest.raises(Conflict, match="tag 2 names another manifest"):
        await edit_tags(house, ONE, ["new", "2"], ["1"])
    with pytest.raises(ManifestUnknown, match="has no tag 2"):
        await edit_tags(house, ONE, ["new"], ["1", "2"])

    assert house.tags("pay/api") == before


async def test_a_tag_is_put_back_to_what_it_named(house: House) -> None:
    await house.push("pay/api", ONE, "latest")
    await house.push("pay/api", TWO, "latest")

    await point(house, "latest", ONE.digest)

    assert house.tags("pay/api") == {"latest": ONE.digest}


async def test_a_tag_that_moved_meanwhile_is_not_moved_by_who_has_not_seen_it(house: House) -> None:
    await house.push("pay/api", ONE, "1")
    await house.push("pay/api", TWO)
    row = house.stock.db.reader.one("SELECT seq FROM tags")
    assert row is not None
    seen = Expected(frozenset([row[0]]))
    await point(house, "1", TWO.digest, seen)

    with pytest.raises(Stale, match="tag 1 was changed"):
        await point(house, "1", ONE.digest, seen)

    assert house.tags("pay/api") == {"1": TWO.digest}


async def test_a_tag_names_only_what_is_there(house: House) -> None:
    await house.push("pay/api", ONE, "1")
    await house.push("pay/web", TWO, "1")
    grant, now = house.grant("pay/api"), Timestamp(house.now)

    with pytest.raises(ManifestUnknown):
        await point(house, "2", TWO.digest)
    await delete.delete_manifest(house.stock, grant, Digest(ONE.digest), now)
    with pytest.raises(ManifestUnknown, match="undo that first"):
        await point(house, "2", ONE.digest)


async def test_an_edit_changes_what_it_names_and_says_what_it_was(house: House) -> None:
    await house.push("pay/api", ONE, "1")

    await change(house, ImageEdit(description="the till", policy=PolicyEdit(pull_limit=PullLimitEdit(high=7))))

    found = stored(house)
    assert (found.settings.description, found.settings.locked, found.revision) == ("the till", False, 2)
    assert found.settings.policy.pull_limit.high == 7
    assert found.settings.policy.scan == DEFAULT_POLICY.scan
    row = house.stock.db.reader.one("SELECT detail FROM activity WHERE kind = 'image.edited'")
    assert row is not None
    assert '"before":{"description":"","policy":{"pullLimit":{"high":1}}}' in row[0]


async def test_an_edit_that_changes_nothing_is_none(house: House) -> None:
    await house.push("pay/api", ONE, "1")

    await change(house, ImageEdit(description="", locked=False))

    assert stored(house).revision == 1
    assert house.stock.db.reader.one("SELECT 1 FROM activity WHERE kind = 'image.edited'") is None


async def test_an_edit_of_what_changed_meanwhile_is_refused(house: House) -> None:
    await house.push("pay/api", ONE, "1")
    await change(house, ImageEdit(description="first"), Expected(frozenset([1])))

    with pytest.raises(Stale):
        await change(house, ImageEdit(description="second"), Expected(frozenset([1])))

    assert stored(house).settings.description == "first"


async def test_a_wrong_policy_changes_nothing(house: House) -> None:
    await house.push("pay/api", ONE, "1")

    with pytest.raises(ImagePolicyInvalid):
        await change(house, ImageEdit(description="x", policy=PolicyEdit(pull_limit=PullLimitEdit(high=0))))

    assert stored(house).settings.description == ""


async def test_tag_deletion_is_due_within_its_time_and_an_edit_does_not_put_it_off(house: House) -> None:
    await house.push("pay/api", ONE, "1")
    on = PolicyEdit(tag_deletion=TagDeletionEdit(enabled=True, old=True))
    began = house.now

    await change(house, ImageEdit(policy=on))
    first = stored(house).retention_at
    house.now += DAY
    await change(house, ImageEdit(policy=PolicyEdit(tag_deletion=TagDeletionEdit(old_days=7))))
    second = stored(house).retention_at
    await change(house, ImageEdit(policy=PolicyEdit(tag_deletion=TagDeletionEdit(enabled=False))))

    assert first is not None
    assert 0 < first - began <= 3 * DAY
    assert second == first
    assert stored(house).retention_at is None
