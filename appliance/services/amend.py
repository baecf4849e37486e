"""Changing an image: its description, its policy, its lock."""

import msgspec
from msgspec import UNSET, UnsetType

from appliance.db import activity, images, resource_tags
from appliance.db.activity import About
from appliance.db.database import Transaction
from appliance.db.resource_tags import Tagged
from appliance.domain import policy_edit
from appliance.domain.admission import Grant
from appliance.domain.moment import Timestamp
from appliance.domain.policy_edit import PolicyEdit
from appliance.domain.registry import ImageSettings
from appliance.domain.resource_tags import ResourceTags
from appliance.domain.revision import Expected, changes
from appliance.services import guard
from appliance.services.delete import find_image
from appliance.services.push import standing_of
from appliance.services.stock import Stock


class ImageEdit(msgspec.Struct, frozen=True):
    """What to change; what is left out stays."""

    description: str | UnsetType = UNSET
    locked: bool | UnsetType = UNSET
    policy: PolicyEdit | UnsetType = UNSET
    resource_tags: ResourceTags | UnsetType = UNSET  # all of them


async def edit_image(stock: Stock, grant: Grant, order: ImageEdit, expected: Expected, now: Timestamp) -> None:
    """Change the image as `order` says.

    Raises ImagePolicyInvalid, NameUnknown, Stale; Conflict for its lock while the repository's is on.
    """

    def record(tx: Transaction) -> None:
        image = find_image(tx, grant)
        found = images.settings_of(tx, image)
        expected.check(found.revision, f"image {grant.path}")
        if order.locked is not UNSET:
            guard.check_controls(tx, image)
        after = _edited(found.settings, order)
        difference = changes(found.settings, after) or {"before": {}, "after": {}}
        had = resource_tags.of(tx, Tagged.IMAGE, image)
        if order.resource_tags is not UNSET and order.resource_tags != had:
            resource_tags.replace(tx, Tagged.IMAGE, image, order.resource_tags)
            difference["before"]["resourceTags"], difference["after"]["resourceTags"] = had, dict(order.resource_tags)
        if not difference["after"]:
            return
        standing = standing_of(after.policy, stock.rules, now)
        if found.settings.policy.tag_deletion.is_on and standing.retention_at is not None:
            standing = msgspec.structs.replace(standing, retention_at=found.retention_at)  # it goes on as it went
        images.edit(tx, image, after, standing, str(grant.principal), now)
        about = About(registry=grant.image.registry, image=image)
        activity.record(tx, "image.edited", grant.caller, about, {"path": str(grant.path), **difference}, now)

    await stock.db.write(record)


def _edited(settings: ImageSettings, order: ImageEdit) -> ImageSettings:
    return ImageSettings(
        description=settings.description if order.description is UNSET else order.description,
        locked=settings.locked if order.locked is UNSET else order.locked,
        policy=settings.policy if order.policy is UNSET else policy_edit.edit(settings.policy, order.policy),
    )
