"""`/api/v1/images/<id>/retention-…`: the test of a tag deletion policy, its simulation over the past, and a run."""

from datetime import datetime

import msgspec
from litestar import Controller, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, UnsetType

from appliance.db import images
from appliance.domain import policy_edit
from appliance.domain.access import Action
from appliance.domain.image_policy import TagDeletion
from appliance.domain.names import Digest
from appliance.domain.policy_edit import PolicyEdit, TagDeletionEdit
from appliance.domain.registry import ImageRef
from appliance.domain.retention import Reason, Verdict
from appliance.errors import NameUnknown
from appliance.http.api import jobs
from appliance.http.api.asking import InAsking, InStock
from appliance.http.api.images import find_image
from appliance.http.api.jobs import JobShown
from appliance.http.api.page import moment, moment_or_none
from appliance.services import retain, retention_orders
from appliance.services.simulate import simulate
from appliance.services.stock import Stock

MOST = 10_000  # digests in one answer


class RetentionOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What to test: the image's own policy with these changes, whether it is enabled or not."""

    policy: TagDeletionEdit | UnsetType = UNSET
    show_kept: bool = False  # tell of each digest that stays why it does


class DigestVerdict(msgspec.Struct, frozen=True):
    """What becomes of a digest, and why. `size` is bytes of its own blobs."""

    digest: str
    tags: tuple[str, ...]
    reason: Reason
    text: str
    size: int


class RetentionTest(msgspec.Struct, frozen=True, rename="camel"):
    """What a run now would delete. `freed` is bytes that nothing else would need."""

    policy: TagDeletion
    deleted: tuple[DigestVerdict, ...]
    kept: tuple[DigestVerdict, ...]  # where they were asked for
    more: int  # digests that are not listed, as there are too many
    manifests: int
    tags: int
    freed: int
    kept_by_reason: dict[str, int]


class CoursePoint(msgspec.Struct, frozen=True, rename="camel"):
    """How much the image held at a moment, and how much it would have held."""

    at: datetime
    manifests: int
    tags: int
    kept_manifests: int
    kept_tags: int


class RetentionSimulation(msgspec.Struct, frozen=True, rename="camel"):
    """What the policy would have kept of what is here now, had it been on since the first push."""

    policy: TagDeletion
    since: datetime | None
    step_seconds: int
    manifests: int
    tags: int
    kept_manifests: int
    kept_tags: int
    freed: int
    course: tuple[CoursePoint, ...]


_TEST = RetentionOrder()


class Retention(Controller):
    """Tag deletion: test, simulate, run."""

    path = "/api/v1/images/{image_id:str}"
    tags = ["retention"]  # noqa: RUF012 - Litestar's way

    @post("/retention-tests", status_code=200)
    async def test(
        self, stock: InStock, asking: InAsking, image_id: FromPath[str], data: JSONBody[RetentionOrder] = _TEST
    ) -> RetentionTest:
        """Tell exactly what a run now would delete, and change nothing; also by a policy that is not saved."""
        image = find_image(stock, asking, image_id, Action.VIEW_REPOSITORY).image
        policy = _policy(stock, image, data)
        found = await retain.preview(stock, image, policy, stock.clock())
        going = found.plan.going
        kept = [verdict for verdict in found.plan.verdicts if not verdict.goes]
        listed = kept[:MOST] if data.show_kept else []
        return RetentionTest(
            policy=found.policy,
            deleted=tuple(_show(verdict, found.sizes) for verdict in going[:MOST]),
            kept=tuple(_show(verdict, found.sizes) for verdict in listed),
            more=max(len(going) - MOST, 0) + (max(len(kept) - MOST, 0) if data.show_kept else 0),
            manifests=len(going),
            tags=sum(len(verdict.tags) for verdict in going),
            freed=found.freed,
            kept_by_reason={reason.value: count for reason, count in retain.count_reasons(kept).items()},
        )

    @post("/retention-simulations", status_code=200)
    async def simulate(
        self, stock: InStock, asking: InAsking, image_id: FromPath[str], data: JSONBody[RetentionOrder] = _TEST
    ) -> RetentionSimulation:
        """Tell what a policy would have kept of what is here now, had it been on since the first push."""
        image = find_image(stock, asking, image_id, Action.VIEW_REPOSITORY).image
        found = await simulate(stock, image, _policy(stock, image, data), stock.clock())
        return RetentionSimulation(
            policy=found.policy,
            since=moment_or_none(found.since),
            step_seconds=found.step // 1000,
            manifests=found.manifests,
            tags=found.tags,
            kept_manifests=found.kept_manifests,
            kept_tags=found.kept_tags,
            freed=found.freed,
            course=tuple(
                CoursePoint(moment(one.at), one.manifests, one.tags, one.kept_manifests, one.kept_tags)
                for one in found.course
            ),
        )

    @post("/retention-runs", status_code=202)
    async def run(self, stock: InStock, asking: InAsking, image_id: FromPath[str]) -> JobShown:
        """Let the image's own policy run soon, not when it is due; answer the job."""
        grant = find_image(stock, asking, image_id, Action.DELETE)
        return jobs.show(await retention_orders.order_run(stock, grant, stock.clock()))


def _policy(stock: Stock, image: ImageRef, order: RetentionOrder) -> TagDeletion | None:
    """Return the policy that is asked about; None for the image's own. Raises ImagePolicyInvalid, NameUnknown."""
    if order.policy is UNSET:
        return None
    number = images.find_shown(stock.db.reader, image)
    if number is None:
        raise NameUnknown(f"there is no image {image}")
    current = images.settings_of(stock.db.reader, number).settings.policy
    return policy_edit.edit(current, PolicyEdit(tag_deletion=order.policy)).tag_deletion


def _show(verdict: Verdict, sizes: dict[Digest, int]) -> DigestVerdict:
    return DigestVerdict(verdict.digest, verdict.tags, verdict.reason, verdict.text, sizes.get(verdict.digest, 0))
